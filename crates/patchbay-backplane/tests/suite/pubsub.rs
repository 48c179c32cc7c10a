//! Publish/subscribe.

use super::{SOON, Subject, name, next, next_message};
use anyhow::{Result, ensure};
use bytes::Bytes;
use futures_util::future::try_join_all;
use patchbay_backplane::{Event, Name};
use patchbay_testkit::wait::wait_until;

pub(crate) async fn messages_arrive_in_order_on_every_subscriber(subject: &Subject) -> Result<()> {
    let channel = name("plain");
    let mut subscribers =
        [subject.one.subscriber(256), subject.two.subscriber(256), subject.two.subscriber(256)];
    for subscriber in &subscribers {
        subscriber.subscribe(&channel).await?;
    }
    let published = (0..200).map(|n| subject.one.publish(&channel, n.to_string().into()));
    try_join_all(published).await?;
    for subscriber in &mut subscribers {
        for n in 0..200 {
            let message = next_message(subscriber).await?;
            ensure!(message.payload == n.to_string() && message.position.is_none(), "{message:?}");
        }
    }
    Ok(())
}

pub(crate) async fn only_subscribed_channels_arrive(subject: &Subject) -> Result<()> {
    let (wanted, unwanted) = (name("wanted"), name("unwanted"));
    let mut subscriber = subject.two.subscriber(16);
    subscriber.subscribe(&wanted).await?;
    subscriber.subscribe(&unwanted).await?;
    subscriber.unsubscribe(&unwanted).await?;
    subject.one.publish(&unwanted, "no".into()).await?;
    subject.one.publish(&wanted, "yes".into()).await?;
    ensure!(next_message(&mut subscriber).await?.payload == "yes");
    // Subscribed again it arrives again.
    subscriber.subscribe(&unwanted).await?;
    subject.one.publish(&unwanted, "now".into()).await?;
    ensure!(next_message(&mut subscriber).await?.payload == "now");
    Ok(())
}

pub(crate) async fn a_full_subscriber_is_told_of_the_gap(subject: &Subject) -> Result<()> {
    let channel = name("full");
    let (mut slow, mut fast) = (subject.two.subscriber(3), subject.two.subscriber(100));
    slow.subscribe(&channel).await?;
    fast.subscribe(&channel).await?;
    let published = (0..50).map(|n| subject.one.publish(&channel, n.to_string().into()));
    try_join_all(published).await?;
    for n in 0..50 {
        ensure!(next_message(&mut fast).await?.payload == n.to_string());
    }
    for n in 0..3 {
        ensure!(next_message(&mut slow).await?.payload == n.to_string());
    }
    ensure!(next(&mut slow).await? == Event::Gap);
    ensure!(subject.two.figures()["gaps_total"] == 1);
    subject.one.publish(&channel, "after".into()).await?;
    ensure!(next_message(&mut slow).await?.payload == "after");
    Ok(())
}

pub(crate) async fn binary_payloads_and_odd_names_pass(subject: &Subject) -> Result<()> {
    for id in ["", "a:b{c}d", "房间 1", "line\nbreak", "0"] {
        let channel = Name::new("test", "odd", id);
        let mut subscriber = subject.two.subscriber(4);
        subscriber.subscribe(&channel).await?;
        for payload in [&b""[..], b"\x00\xff:\r\n", b"1e:1:"] {
            subject.one.publish(&channel, Bytes::copy_from_slice(payload)).await?;
            let message = next_message(&mut subscriber).await?;
            ensure!(message.payload == payload && message.channel == channel, "{message:?}");
        }
    }
    Ok(())
}

pub(crate) async fn many_channels_are_subscribed_at_once(subject: &Subject) -> Result<()> {
    let channels: Vec<Name> = (0..1500).map(|n| name(&format!("many-{n}"))).collect();
    let mut subscriber = subject.two.subscriber(2000);
    try_join_all(channels.iter().map(|channel| subscriber.subscribe(channel))).await?;
    try_join_all(channels.iter().map(|channel| subject.one.publish(channel, "x".into()))).await?;
    for channel in &channels {
        ensure!(next_message(&mut subscriber).await?.channel == *channel);
    }
    drop(subscriber);
    let mut subscriber = subject.two.subscriber(8);
    subscriber.subscribe(&channels[3]).await?;
    subject.one.publish(&channels[3], "again".into()).await?;
    wait_until("it arrives", SOON, async || subscriber.try_recv().is_some()).await?;
    Ok(())
}

pub(crate) async fn a_closed_backplane_ends_its_subscribers(subject: &Subject) -> Result<()> {
    let channel = name("closed");
    let mut subscriber = subject.one.subscriber(4);
    subscriber.subscribe(&channel).await?;
    subject.shutdown.cancel();
    ensure!(tokio::time::timeout(SOON, subscriber.recv()).await? == None);
    Ok(())
}
