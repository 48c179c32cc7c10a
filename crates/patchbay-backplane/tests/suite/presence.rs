//! Who is in a group.

use super::{SOON, Subject, name};
use anyhow::{Result, ensure};
use bytes::Bytes;
use patchbay_backplane::{Member, Name, NodeId, PresenceStats};
use patchbay_testkit::wait::wait_until;
use std::{collections::BTreeSet, time::Duration};

fn member(id: &str, user: &str, info: &'static str) -> Member {
    Member { id: id.into(), user: user.into(), info: Bytes::from_static(info.as_bytes()) }
}

fn node(id: &str) -> NodeId {
    NodeId(id.into())
}

async fn stats(subject: &Subject, group: &Name) -> Result<(usize, usize)> {
    let PresenceStats { clients, users } = subject.two.stats(group).await?;
    Ok((clients, users))
}

pub(crate) async fn members_are_listed_and_counted(subject: &Subject) -> Result<()> {
    let group = name("room");
    ensure!(stats(subject, &group).await? == (0, 0));
    ensure!(subject.one.members(&group, 10).await?.total == 0);
    let all = [member("c3", "ann", "3"), member("c1", "ann", "1"), member("c2", "bob", "2")];
    let joins = all.iter().map(|one| (group.clone(), one.clone())).collect();
    subject.one.join(&node("n1"), joins, SOON).await?;
    let listed = subject.two.members(&group, 2).await?;
    ensure!(listed.total == 3 && listed.members == [all[1].clone(), all[2].clone()], "{listed:?}");
    ensure!(stats(subject, &group).await? == (3, 2));
    ensure!(subject.two.leave(&group, "c1").await? && !subject.two.leave(&group, "c1").await?);
    ensure!(stats(subject, &group).await? == (2, 2));
    ensure!(subject.one.leave(&group, "c3").await?);
    ensure!(stats(subject, &group).await? == (1, 1));
    Ok(())
}

pub(crate) async fn a_renewal_changes_what_it_brings(subject: &Subject) -> Result<()> {
    let group = name("renewed");
    let join = async |node_id: &str, joined: Member| {
        subject.one.join(&node(node_id), vec![(group.clone(), joined)], SOON).await
    };
    join("n1", member("c1", "guest", "old")).await?;
    join("n1", member("c1", "guest", "old")).await?;
    ensure!(stats(subject, &group).await? == (1, 1));
    join("n2", member("c1", "ann", "new")).await?;
    ensure!(stats(subject, &group).await? == (1, 1));
    ensure!(subject.two.members(&group, 9).await?.members == [member("c1", "ann", "new")]);
    ensure!(subject.two.reap(&node("n1")).await?.is_empty(), "it has moved to the other node");
    ensure!(subject.two.reap(&node("n2")).await?.len() == 1);
    ensure!(stats(subject, &group).await? == (0, 0));
    Ok(())
}

pub(crate) async fn members_expire_when_nobody_renews_them(subject: &Subject) -> Result<()> {
    let group = name("expiring");
    let (short, long) = (member("c1", "ann", ""), member("c2", "bob", ""));
    subject.one.join(&node("n1"), vec![(group.clone(), long.clone())], 3 * SOON).await?;
    subject.one.join(&node("n1"), vec![(group.clone(), short)], Duration::from_millis(300)).await?;
    ensure!(stats(subject, &group).await? == (2, 2));
    let one_left = async || subject.two.members(&group, 9).await.is_ok_and(|listed| listed.total == 1);
    wait_until("the short one is gone", SOON, one_left).await?;
    ensure!(stats(subject, &group).await? == (1, 1));
    ensure!(!subject.one.leave(&group, "c1").await?);
    ensure!(subject.one.reap(&node("n1")).await? == [(group.clone(), long)]);
    Ok(())
}

pub(crate) async fn a_dead_nodes_members_are_reaped_whole(subject: &Subject) -> Result<()> {
    let groups: Vec<Name> = (0..30).map(|n| name(&format!("reaped:{n}"))).collect();
    for (n, group) in groups.iter().enumerate() {
        let (dead, alive) = (member(&format!("d{n}"), "ann", "x:\n"), member(&format!("a{n}"), "ann", ""));
        subject.one.join(&node("dead"), vec![(group.clone(), dead)], SOON).await?;
        subject.one.join(&node("alive"), vec![(group.clone(), alive)], SOON).await?;
    }
    let reaped = subject.two.reap(&node("dead")).await?;
    let of: BTreeSet<String> =
        reaped.iter().map(|(group, member)| format!("{group} {}", member.id)).collect();
    let expected: BTreeSet<String> =
        groups.iter().enumerate().map(|(n, group)| format!("{group} d{n}")).collect();
    ensure!(of == expected && reaped.len() == 30, "{of:?}");
    ensure!(reaped.iter().all(|(group, reaped)| groups.contains(group) && reaped.info == "x:\n"));
    for group in &groups {
        ensure!(stats(subject, group).await? == (1, 1));
    }
    ensure!(subject.one.reap(&node("dead")).await?.is_empty());
    Ok(())
}

pub(crate) async fn many_joins_go_in_one_call(subject: &Subject) -> Result<()> {
    let group = name("crowd");
    let crowd = |n: usize| member(&format!("c{n:04}"), &format!("u{}", n % 700), "info");
    let joins: Vec<_> = (0..1000).map(|n| (group.clone(), crowd(n))).collect();
    subject.one.join(&node("n1"), joins.clone(), SOON).await?;
    subject.one.join(&node("n1"), joins, SOON).await?;
    ensure!(stats(subject, &group).await? == (1000, 700));
    let listed = subject.two.members(&group, 1000).await?;
    ensure!(listed.members.len() == 1000 && listed.members[999] == crowd(999));
    ensure!(subject.two.reap(&node("n1")).await?.len() == 1000);
    Ok(())
}
