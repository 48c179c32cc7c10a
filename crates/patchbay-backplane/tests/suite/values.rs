//! Key-value entries, counters and marks.

use super::{SOON, Subject, name};
use anyhow::{Context, Result, ensure};
use futures_util::future::try_join_all;
use patchbay_backplane::{MAX_MARKS, Raised};
use patchbay_testkit::wait::{wait_for, wait_until};
use std::time::Duration;

const SHORT: Duration = Duration::from_millis(250);

pub(crate) async fn values_are_written_read_and_deleted(subject: &Subject) -> Result<()> {
    let key = name("value");
    ensure!(subject.one.get(&key).await?.is_none());
    let version = subject.one.set(&key, "a".into(), None).await?;
    let found = subject.two.get(&key).await?.context("it was written")?;
    ensure!(found.value == "a" && found.version == version);
    ensure!(subject.two.delete(&key).await? && !subject.two.delete(&key).await?);
    ensure!(subject.one.get(&key).await?.is_none());
    Ok(())
}

pub(crate) async fn values_expire(subject: &Subject) -> Result<()> {
    let (short, kept) = (name("short"), name("kept"));
    subject.one.set(&short, "a".into(), Some(SHORT)).await?;
    subject.one.set(&kept, "a".into(), Some(SHORT)).await?;
    subject.one.set(&kept, "b".into(), None).await?;
    wait_until("it expires", SOON, async || subject.two.get(&short).await.is_ok_and(|found| found.is_none()))
        .await?;
    ensure!(subject.one.compare_and_set(&short, None, "again".into(), None).await?.is_some());
    ensure!(subject.two.get(&kept).await?.is_some());
    Ok(())
}

pub(crate) async fn one_of_many_compare_and_sets_wins(subject: &Subject) -> Result<()> {
    let key = name("race");
    let backplane = |n: usize| if n.is_multiple_of(2) { &subject.one } else { &subject.two };
    let first = (0..20).map(|n| backplane(n).compare_and_set(&key, None, n.to_string().into(), None));
    let won = try_join_all(first).await?;
    ensure!(won.iter().flatten().count() == 1, "{won:?}");
    let version = won.into_iter().flatten().next();
    let second = (0..20).map(|n| backplane(n).compare_and_set(&key, version, n.to_string().into(), None));
    let won = try_join_all(second).await?;
    ensure!(won.iter().flatten().count() == 1, "{won:?}");
    ensure!(subject.one.compare_and_set(&key, version, "late".into(), None).await?.is_none());
    Ok(())
}

pub(crate) async fn a_rewritten_value_has_a_new_version(subject: &Subject) -> Result<()> {
    let key = name("again");
    let first = subject.one.set(&key, "a".into(), None).await?;
    let second = subject.one.set(&key, "a".into(), None).await?;
    subject.one.delete(&key).await?;
    let third = subject.one.set(&key, "a".into(), None).await?;
    ensure!(first != second && second != third && first != third);
    ensure!(subject.one.compare_and_set(&key, Some(first), "b".into(), None).await?.is_none());
    Ok(())
}

pub(crate) async fn counters_add_up_within_a_window(subject: &Subject) -> Result<()> {
    let counter = name("hits");
    let window = Duration::from_millis(600);
    ensure!(subject.one.add(&counter, 2, window).await? == 2);
    ensure!(subject.two.add(&counter, 3, window).await? == 5);
    let attempt = async || subject.one.add(&counter, 1, window).await.ok().filter(|sum| *sum == 1);
    let ((), took) = wait_for("a new window begins", SOON, async || attempt().await.map(drop)).await?;
    ensure!(
        took > Duration::from_millis(300),
        "additions must not prolong the window, nor cut it short: {took:?}"
    );
    Ok(())
}

pub(crate) async fn marks_only_rise(subject: &Subject) -> Result<()> {
    let map = name("read");
    ensure!(subject.one.raise(&map, "ann", 5, SOON).await? == Raised { value: 5, raised: true });
    ensure!(subject.two.raise(&map, "ann", 3, SOON).await? == Raised { value: 5, raised: false });
    ensure!(subject.two.raise(&map, "ann", 5, SOON).await? == Raised { value: 5, raised: false });
    ensure!(subject.two.raise(&map, "ann", 10, SOON).await? == Raised { value: 10, raised: true });
    let (low, high) = ((1 << 60) + 1, (1 << 60) + 2);
    ensure!(subject.one.raise(&map, "bob", low, SOON).await?.raised);
    ensure!(subject.one.raise(&map, "bob", high, SOON).await? == Raised { value: high, raised: true });
    ensure!(!subject.one.raise(&map, "bob", low, SOON).await?.raised);
    Ok(())
}

pub(crate) async fn a_full_map_of_marks_takes_no_new_field(subject: &Subject) -> Result<()> {
    const LONG: Duration = Duration::from_mins(10);
    let map = name("full");
    let fields: Vec<String> = (0..MAX_MARKS).map(|number| number.to_string()).collect();
    for chunk in fields.chunks(1000) {
        let raises: Vec<_> = chunk.iter().map(|field| subject.one.raise(&map, field, 1, LONG)).collect();
        for raise in raises {
            ensure!(raise.await?.raised);
        }
    }
    ensure!(subject.one.raise(&map, "one more", 7, LONG).await? == Raised { value: 0, raised: false });
    ensure!(subject.one.raise(&map, "7", 7, LONG).await? == Raised { value: 7, raised: true });
    Ok(())
}

pub(crate) async fn marks_expire_and_are_ordered(subject: &Subject) -> Result<()> {
    let map = name("ordered");
    ensure!(subject.one.marks(&map, 10).await?.is_empty());
    for field in ["c", "a", "b"] {
        subject.one.raise(&map, field, 1, Duration::from_millis(700)).await?;
    }
    let fields: Vec<String> = subject.two.marks(&map, 2).await?.into_iter().map(|(field, _)| field).collect();
    ensure!(fields == ["a", "b"], "{fields:?}");
    wait_until("they expire", SOON, async || {
        subject.one.marks(&map, 9).await.is_ok_and(|all| all.is_empty())
    })
    .await?;
    ensure!(subject.one.raise(&map, "a", 1, SOON).await?.raised);
    Ok(())
}
