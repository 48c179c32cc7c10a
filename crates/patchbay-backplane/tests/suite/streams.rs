//! Append-only logs.

use super::{SOON, Subject, append, keep, name, next_message};
use anyhow::{Result, ensure};
use futures_util::future::{join_all, try_join_all};
use patchbay_backplane::{Append, Cursor, Name, Page, SharedBackplane};
use patchbay_testkit::wait::{wait_for, wait_until};
use std::time::Duration;

fn offsets(page: &Page) -> Vec<u64> {
    page.entries.iter().map(|entry| entry.offset).collect()
}

async fn read(backplane: &SharedBackplane, stream: &Name, cursor: Cursor) -> Result<Page> {
    Ok(backplane.read(stream, cursor, 1000).await?)
}

pub(crate) async fn appends_keep_the_order_of_calls(subject: &Subject) -> Result<()> {
    let stream = name("order");
    let mut subscriber = subject.two.subscriber(256);
    subscriber.subscribe(&stream).await?;
    let calls: Vec<_> = (1..=100).map(|n| subject.one.append(append(&stream, n.to_string()))).collect();
    let appended = try_join_all(calls.into_iter().rev()).await?;
    let given: Vec<u64> = appended.iter().rev().map(|appended| appended.position.offset).collect();
    ensure!(given == (1..=100).collect::<Vec<u64>>(), "offsets {given:?}");
    for n in 1..=100 {
        let message = next_message(&mut subscriber).await?;
        ensure!(message.payload == n.to_string() && message.channel == stream, "{message:?}");
        ensure!(message.position.is_some_and(|position| position.offset == n));
    }
    let page = read(&subject.two, &stream, Cursor::After(0)).await?;
    ensure!(page.is_whole_since(0) && page.entries[41].payload == "42");
    Ok(())
}

pub(crate) async fn concurrent_appends_have_one_order_for_all(subject: &Subject) -> Result<()> {
    let stream = name("concurrent");
    let mut subscribers = [subject.one.subscriber(512), subject.two.subscriber(512)];
    for subscriber in &subscribers {
        subscriber.subscribe(&stream).await?;
    }
    let writer = |backplane: &SharedBackplane, writer: usize| {
        let (backplane, stream) = (backplane.clone(), stream.clone());
        async move {
            for n in 0..50 {
                backplane.append(append(&stream, format!("{writer}-{n}"))).await?;
            }
            anyhow::Ok(())
        }
    };
    let writers = (0..8).map(|n| writer(if n % 2 == 0 { &subject.one } else { &subject.two }, n));
    try_join_all(writers).await?;
    let page = read(&subject.one, &stream, Cursor::After(0)).await?;
    ensure!(page.is_whole_since(0) && page.entries.len() == 400);
    for subscriber in &mut subscribers {
        for entry in &page.entries {
            let message = next_message(subscriber).await?;
            ensure!(message.payload == entry.payload);
            ensure!(message.position.is_some_and(|position| position.offset == entry.offset));
        }
    }
    Ok(())
}

fn with_key(stream: &Name, key: &str, ttl: Duration) -> Append {
    Append { key: Some((key.to_owned(), ttl)), ..append(stream, "once") }
}

pub(crate) async fn a_repeated_key_appends_nothing(subject: &Subject) -> Result<()> {
    let stream = name("once");
    let mut subscriber = subject.two.subscriber(16);
    subscriber.subscribe(&stream).await?;
    let repeated = (0..10).map(|_| subject.one.append(with_key(&stream, "k", SOON)));
    let answers = try_join_all(repeated).await?;
    ensure!(answers.iter().filter(|answer| !answer.duplicate).count() == 1);
    ensure!(answers.iter().all(|answer| answer.position == answers[0].position));
    ensure!(!subject.two.append(with_key(&stream, "other", SOON)).await?.duplicate);
    ensure!(subject.two.append(with_key(&stream, "k", SOON)).await?.duplicate);
    for offset in 1..=2 {
        let message = next_message(&mut subscriber).await?;
        ensure!(message.position.is_some_and(|position| position.offset == offset));
    }
    ensure!(read(&subject.one, &stream, Cursor::After(0)).await?.top.offset == 2);
    Ok(())
}

pub(crate) async fn a_key_is_forgotten_after_its_time(subject: &Subject) -> Result<()> {
    let stream = name("forgotten");
    let ttl = Duration::from_millis(200);
    let first = subject.one.append(with_key(&stream, "k", ttl)).await?;
    let attempt = async || {
        let again = subject.one.append(with_key(&stream, "k", ttl)).await.ok()?;
        (!again.duplicate).then_some(again)
    };
    let (again, _) = wait_for("the key is forgotten", SOON, attempt).await?;
    ensure!(again.position.offset == first.position.offset + 1);
    Ok(())
}

pub(crate) async fn size_bounds_what_is_kept(subject: &Subject) -> Result<()> {
    let stream = name("size");
    for n in 1..=12 {
        let retention = keep(5, Duration::from_hours(1));
        subject.one.append(Append { retention, ..append(&stream, n.to_string()) }).await?;
    }
    let page = read(&subject.one, &stream, Cursor::After(0)).await?;
    ensure!(offsets(&page) == [8, 9, 10, 11, 12], "{page:?}");
    ensure!(!page.is_whole_since(0) && page.top.offset == 12);
    ensure!(read(&subject.one, &stream, Cursor::After(7)).await?.is_whole_since(7));
    ensure!(!read(&subject.one, &stream, Cursor::After(6)).await?.is_whole_since(6));
    ensure!(read(&subject.one, &stream, Cursor::After(12)).await?.is_whole_since(12));
    ensure!(!read(&subject.one, &stream, Cursor::After(13)).await?.is_whole_since(13));
    Ok(())
}

pub(crate) async fn age_bounds_what_is_kept(subject: &Subject) -> Result<()> {
    let stream = name("age");
    let retention = keep(100, Duration::from_millis(400));
    let aged = |text: &str| Append { retention, ..append(&stream, text.to_owned()) };
    for n in 1..=3 {
        subject.one.append(aged(&n.to_string())).await?;
    }
    ensure!(offsets(&read(&subject.one, &stream, Cursor::After(0)).await?) == [1, 2, 3]);
    wait_until("the entries are gone", SOON, async || {
        let page = read(&subject.one, &stream, Cursor::After(0)).await;
        page.is_ok_and(|page| page.entries.is_empty())
    })
    .await?;
    subject.one.append(aged("4")).await?;
    let page = read(&subject.one, &stream, Cursor::After(0)).await?;
    ensure!(offsets(&page) == [4] && page.top.offset == 4, "{page:?}");
    ensure!(read(&subject.one, &stream, Cursor::After(3)).await?.is_whole_since(3));
    ensure!(!read(&subject.one, &stream, Cursor::After(2)).await?.is_whole_since(2));
    Ok(())
}

pub(crate) async fn pages_go_both_ways(subject: &Subject) -> Result<()> {
    let stream = name("pages");
    let appends = (1..=10).map(|n| subject.one.append(append(&stream, n.to_string())));
    try_join_all(appends).await?;
    let page = subject.two.read(&stream, Cursor::After(2), 3).await?;
    ensure!(offsets(&page) == [3, 4, 5] && page.more && !page.is_whole_since(2), "{page:?}");
    let page = subject.two.read(&stream, Cursor::After(7), 3).await?;
    ensure!(offsets(&page) == [8, 9, 10] && !page.more && page.is_whole_since(7), "{page:?}");
    let page = subject.two.read(&stream, Cursor::Before(u64::MAX), 4).await?;
    ensure!(offsets(&page) == [10, 9, 8, 7] && page.more, "{page:?}");
    let page = subject.two.read(&stream, Cursor::Before(3), 4).await?;
    ensure!(offsets(&page) == [2, 1] && !page.more, "{page:?}");
    let page = subject.two.read(&stream, Cursor::Before(1), 4).await?;
    ensure!(page.entries.is_empty() && !page.more, "{page:?}");
    let page = subject.two.read(&stream, Cursor::After(u64::MAX), 4).await?;
    ensure!(page.entries.is_empty() && !page.more, "{page:?}");
    Ok(())
}

pub(crate) async fn a_missing_stream_has_a_stable_top(subject: &Subject) -> Result<()> {
    let stream = name("missing");
    let page = read(&subject.one, &stream, Cursor::After(0)).await?;
    ensure!(page.entries.is_empty() && page.top.offset == 0 && page.is_whole_since(0));
    let tops = subject.two.tops(std::slice::from_ref(&stream)).await?;
    ensure!(tops.first() == Some(&page.top));
    let appended = subject.two.append(append(&stream, "first")).await?;
    ensure!(appended.position.epoch == page.top.epoch && appended.position.offset == 1);
    Ok(())
}

pub(crate) async fn removal_starts_a_new_epoch_and_no_offset_comes_twice(subject: &Subject) -> Result<()> {
    let stream = name("removed");
    let before = subject.one.append(append(&stream, "gone")).await?.position;
    subject.two.remove(&stream).await?;
    let page = read(&subject.one, &stream, Cursor::After(0)).await?;
    ensure!(page.entries.is_empty() && page.top.epoch != before.epoch && !page.is_whole_since(0));
    let after = subject.one.append(append(&stream, "new")).await?.position;
    ensure!(after.epoch == page.top.epoch && after.offset == before.offset + 1, "{before:?} {after:?}");
    Ok(())
}

pub(crate) async fn tops_come_in_the_order_asked(subject: &Subject) -> Result<()> {
    let streams: Vec<Name> = (0..40).map(|n| name(&format!("top-{n}"))).collect();
    for (n, stream) in (0_u64..).zip(&streams) {
        join_all((0..n % 5).map(|_| subject.one.append(append(stream, "x")))).await;
    }
    let tops = subject.two.tops(&streams).await?;
    let offsets: Vec<u64> = tops.iter().map(|top| top.offset).collect();
    ensure!(offsets == (0..40).map(|n| n % 5).collect::<Vec<_>>(), "{offsets:?}");
    Ok(())
}
