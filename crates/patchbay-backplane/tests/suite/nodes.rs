//! Which replicas are alive.

use super::{SOON, Subject};
use anyhow::{Result, ensure};
use bytes::Bytes;
use futures_util::future::try_join_all;
use patchbay_backplane::{Beat, NodeId, NodeRecord};
use patchbay_testkit::wait::wait_for;
use std::time::Duration;

const SHORT: Duration = Duration::from_millis(300);

fn node(id: &str, service: &str) -> NodeRecord {
    let info = Bytes::from_static(b"{\"a\":\"|\"}");
    NodeRecord { id: NodeId(id.into()), service: service.to_owned(), info }
}

pub(crate) async fn heartbeats_tell_known_from_fresh(subject: &Subject) -> Result<()> {
    let (a, b) = (node("a", "chat"), node("b", "calls"));
    ensure!(subject.one.heartbeat(a.clone(), SOON).await? == Beat::Fresh);
    ensure!(subject.one.heartbeat(a.clone(), SOON).await? == Beat::Known);
    ensure!(subject.two.heartbeat(b.clone(), SOON).await? == Beat::Fresh);
    ensure!(subject.two.nodes().await? == [b.clone(), a.clone()], "ordered by service");
    subject.two.forget(&a.id).await?;
    ensure!(subject.one.nodes().await? == [b]);
    ensure!(subject.one.heartbeat(a, SOON).await? == Beat::Fresh);
    Ok(())
}

/// Lets a node die, and returns who was given it.
async fn taken(subject: &Subject, record: &NodeRecord) -> Result<usize> {
    subject.one.heartbeat(record.clone(), SHORT).await?;
    let everybody = async || {
        let backplanes = (0..8).map(|n| if n % 2 == 0 { &subject.one } else { &subject.two });
        let taken =
            try_join_all(backplanes.map(|backplane| backplane.take_dead(&record.service))).await.ok()?;
        let given = taken.iter().flatten().filter(|id| **id == record.id).count();
        (given > 0).then_some(given)
    };
    Ok(wait_for("the node is declared dead", SOON, everybody).await?.0)
}

pub(crate) async fn the_dead_are_taken_exactly_once(subject: &Subject) -> Result<()> {
    let (dead, other) = (node("dead", "chat"), node("other", "calls"));
    subject.one.heartbeat(other.clone(), SHORT).await?;
    subject.one.heartbeat(node("alive", "chat"), 6 * SOON).await?;
    ensure!(taken(subject, &dead).await? == 1);
    ensure!(subject.two.take_dead("chat").await?.is_empty(), "claimed");
    ensure!(subject.two.nodes().await?.iter().all(|node| node.id != dead.id));
    ensure!(subject.one.heartbeat(dead.clone(), SHORT).await? == Beat::Fresh, "it was declared dead");
    ensure!(subject.one.heartbeat(dead.clone(), SHORT).await? == Beat::Known);
    ensure!(taken(subject, &dead).await? == 1, "it can die again");
    subject.two.forget(&dead.id).await?;
    ensure!(subject.one.heartbeat(dead, SOON).await? == Beat::Fresh);
    Ok(())
}

pub(crate) async fn a_claim_ends_when_its_caller_dies(subject: &Subject) -> Result<()> {
    let dead = node("dead", "chat");
    ensure!(taken(subject, &dead).await? == 1);
    let again = async || subject.two.take_dead("chat").await.ok().filter(|taken| !taken.is_empty());
    let (taken, took) = wait_for("another gets it", 3 * SOON, again).await?;
    ensure!(taken == [dead.id] && took > Duration::from_secs(8), "after {took:?}");
    Ok(())
}
