//! What Redis and the network do to a replica, on a real server. Deadlines are three times the goal of 5 s.

use super::{SOON, append, keep, name, next, next_message, up};
use anyhow::{Context, Result, ensure};
use futures_util::future::try_join_all;
use patchbay_backplane::{
    Append, Backplane, BackplaneConfig, BackplaneError, Beat, Counters, Cursor, Event, Health, KeyValue,
    Leases, NodeId, NodeRecord, Nodes, PubSub, RedisBackplane, Streams,
};
use patchbay_testkit::{
    ports::free_address,
    redis::{Persistence, RedisServer},
    wait::{wait_for, wait_until},
};
use std::time::{Duration, Instant};
use tokio_util::{
    sync::{CancellationToken, DropGuard},
    task::TaskTracker,
};

/// Longest time to heal after Redis is back.
const HEALED: Duration = Duration::from_secs(15);

struct Client {
    backplane: RedisBackplane,
    _shutdown: DropGuard,
}

fn client_with(url: &str, config: &BackplaneConfig) -> Result<Client> {
    let shutdown = CancellationToken::new();
    let backplane = RedisBackplane::start(url, config, &TaskTracker::new(), &shutdown)?;
    Ok(Client { backplane, _shutdown: shutdown.drop_guard() })
}

async fn client(server: &RedisServer) -> Result<Client> {
    let client = client_with(&server.url(), &BackplaneConfig::default())?;
    up(&client.backplane).await?;
    Ok(client)
}

async fn down(backplane: &RedisBackplane) -> Result<Duration> {
    let health = backplane.health();
    wait_until("the backplane is down", SOON, async || matches!(&*health.borrow(), Health::Down(_))).await
}

/// Kills the server, lets it start again, and prints how long the client took to be back.
#[expect(clippy::print_stdout, reason = "the measured time belongs in the test's output")]
async fn restarted(
    server: &mut RedisServer,
    backplane: &RedisBackplane,
    start: impl AsyncFnOnce(&mut RedisServer) -> Result<()>,
) -> Result<()> {
    server.kill()?;
    down(backplane).await?;
    start(server).await?;
    let took = up(backplane).await?;
    println!("healed {took:?} after Redis was back");
    ensure!(took < HEALED);
    Ok(())
}

#[tokio::test]
async fn a_restart_that_may_lose_a_tail_starts_a_new_epoch() -> Result<()> {
    let mut server = RedisServer::start(Persistence::EverySecond).await?;
    let Client { backplane, _shutdown } = client(&server).await?;
    let (first, second) = (name("first"), name("second"));
    let calls = [&first, &first, &first, &second].map(|stream| backplane.append(append(stream, "x")));
    let before = try_join_all(calls).await?;
    restarted(&mut server, &backplane, RedisServer::restart).await?;

    let page = backplane.read(&first, Cursor::After(0), 10).await?;
    ensure!(page.top.epoch != before[0].position.epoch, "a reader sees the new epoch at the first touch");
    ensure!(page.is_whole_since(0) && page.top.offset == 3, "what survived is kept: {page:?}");
    let after = backplane.append(append(&first, "y")).await?.position;
    ensure!(after.epoch == page.top.epoch && after.offset == 4);

    let after = backplane.append(append(&second, "y")).await?.position;
    ensure!(after.epoch != before[3].position.epoch && after.offset == 2, "a writer starts it as well");
    Ok(())
}

#[tokio::test]
async fn a_restart_that_loses_nothing_keeps_the_epoch() -> Result<()> {
    let mut server = RedisServer::start(Persistence::Always).await?;
    let Client { backplane, _shutdown } = client(&server).await?;
    let stream = name("durable");
    let keyed = Append { key: Some(("k".into(), 6 * SOON)), ..append(&stream, "x") };
    let before = backplane.append(keyed.clone()).await?.position;
    restarted(&mut server, &backplane, RedisServer::restart).await?;
    let again = backplane.append(keyed).await?;
    ensure!(again.duplicate && again.position == before);
    let after = backplane.append(append(&stream, "y")).await?.position;
    ensure!(after.epoch == before.epoch && after.offset == 2);
    ensure!(backplane.read(&stream, Cursor::After(0), 10).await?.is_whole_since(0));
    Ok(())
}

#[tokio::test]
async fn lost_data_is_told() -> Result<()> {
    let mut server = RedisServer::start(Persistence::Always).await?;
    let Client { backplane, _shutdown } = client(&server).await?;
    let (stream, lease) = (name("lost"), name("lease"));
    let before = backplane.append(append(&stream, "x")).await?.position;
    let token = backplane.acquire(&lease, "a", SOON).await?;
    let node = NodeRecord { id: NodeId("n".into()), service: "chat".into(), info: "{}".into() };
    ensure!(backplane.heartbeat(node.clone(), SOON).await? == Beat::Fresh);
    ensure!(backplane.heartbeat(node.clone(), SOON).await? == Beat::Known);
    restarted(&mut server, &backplane, RedisServer::restart_empty).await?;
    let page = backplane.read(&stream, Cursor::After(before.offset), 10).await?;
    ensure!(page.top.epoch != before.epoch && !page.is_whole_since(before.offset));
    ensure!(
        backplane.heartbeat(node, SOON).await? == Beat::Fresh,
        "what the node keeps must be written again"
    );
    ensure!(backplane.acquire(&lease, "b", SOON).await? > token, "tokens never go back");
    Ok(())
}

#[tokio::test]
async fn flushed_data_is_told_without_a_restart() -> Result<()> {
    let server = RedisServer::start(Persistence::None).await?;
    let Client { backplane, _shutdown } = client(&server).await?;
    let stream = name("flushed");
    let before = backplane.append(append(&stream, "x")).await?.position;
    server.command(&["FLUSHALL"]).await?;
    let after = backplane.append(append(&stream, "y")).await?.position;
    ensure!(after.epoch != before.epoch && after.offset == 1);
    Ok(())
}

#[tokio::test]
async fn forgotten_scripts_are_loaded_again_and_order_is_kept() -> Result<()> {
    let server = RedisServer::start(Persistence::None).await?;
    let Client { backplane, _shutdown } = client(&server).await?;
    let stream = name("scripts");
    backplane.append(append(&stream, "0")).await?;
    server.command(&["SCRIPT", "FLUSH"]).await?;
    let calls = (1..=50).map(|n| backplane.append(append(&stream, n.to_string())));
    let appended = try_join_all(calls).await?;
    let offsets: Vec<u64> = appended.iter().map(|appended| appended.position.offset).collect();
    ensure!(offsets == (2..=51).collect::<Vec<u64>>(), "{offsets:?}");
    Ok(())
}

#[tokio::test]
async fn a_cut_subscription_heals_with_a_gap() -> Result<()> {
    let server = RedisServer::start(Persistence::None).await?;
    let Client { backplane, _shutdown } = client(&server).await?;
    let channels: Vec<_> = (0..600).map(|n| name(&format!("cut-{n}"))).collect();
    let mut subscriber = backplane.subscriber(1024);
    try_join_all(channels.iter().map(|channel| subscriber.subscribe(channel))).await?;
    let started = Instant::now();
    server.kill_pubsub_connections().await?;
    ensure!(next(&mut subscriber).await? == Event::Gap);
    println!("told of the gap after {:?}", started.elapsed());
    try_join_all(channels.iter().map(|channel| backplane.publish(channel, "x".into()))).await?;
    for channel in &channels {
        ensure!(next_message(&mut subscriber).await?.channel == *channel);
    }
    ensure!(backplane.figures()["redis_reconnects_total"] == 1);
    Ok(())
}

#[tokio::test]
async fn a_server_that_stands_still_is_noticed_and_heals() -> Result<()> {
    let server = RedisServer::start(Persistence::None).await?;
    let Client { backplane, _shutdown } = client(&server).await?;
    let channel = name("still");
    let mut subscriber = backplane.subscriber(16);
    subscriber.subscribe(&channel).await?;
    server.pause()?;
    println!("down after {:?}", down(&backplane).await?);
    let lost = backplane.append(append(&channel, "lost?"));
    ensure!(matches!(lost.await, Err(BackplaneError::Unavailable(_))));
    server.resume()?;
    let healed = up(&backplane).await?;
    println!("healed {healed:?} after Redis went on");
    ensure!(healed < HEALED);
    ensure!(next(&mut subscriber).await? == Event::Gap);
    backplane.append(append(&channel, "found")).await?;
    let found =
        async || matches!(subscriber.try_recv(), Some(Event::Message(message)) if message.payload == "found");
    wait_until("messages arrive again", SOON, found).await?;
    Ok(())
}

#[tokio::test]
async fn a_replica_starts_without_redis_and_finds_it_later() -> Result<()> {
    let address = free_address();
    let config = BackplaneConfig { call_timeout: Duration::from_millis(300), ..BackplaneConfig::default() };
    let Client { backplane, _shutdown } = client_with(&format!("redis://{address}"), &config)?;
    let (key, channel) = (name("early"), name("early"));
    let mut subscriber = backplane.subscriber(16);
    ensure!(matches!(*backplane.health().borrow(), Health::Down(_)));
    ensure!(matches!(backplane.get(&key).await, Err(BackplaneError::Unavailable(_))));
    ensure!(matches!(subscriber.subscribe(&channel).await, Err(BackplaneError::Unavailable(_))));

    let _server = RedisServer::start_at(address, Persistence::None).await?;
    let healed = up(&backplane).await?;
    ensure!(healed < HEALED, "healed after {healed:?}");
    backplane.publish(&channel, "x".into()).await?;
    ensure!(next(&mut subscriber).await? == Event::Gap, "a failed subscription is made good, with a gap");
    ensure!(next_message(&mut subscriber).await?.payload == "x");
    Ok(())
}

#[tokio::test]
async fn calls_beyond_the_queue_are_refused_at_once() -> Result<()> {
    let config = BackplaneConfig { queue: 4, ..BackplaneConfig::default() };
    let Client { backplane, _shutdown } = client_with(&format!("redis://{}", free_address()), &config)?;
    let key = name("queue");
    let waiting: Vec<_> = (0..4).map(|_| backplane.get(&key)).collect();
    let started = Instant::now();
    ensure!(matches!(backplane.get(&key).await, Err(BackplaneError::Unavailable(_))));
    ensure!(started.elapsed() < Duration::from_secs(1));
    drop(waiting);
    Ok(())
}

#[tokio::test]
async fn a_batch_takes_one_round_trip() -> Result<()> {
    let server = RedisServer::start(Persistence::None).await?;
    let Client { backplane, _shutdown } = client(&server).await?;
    let (before, stream) = (backplane.figures(), name("batch"));
    let calls = (0..2000).map(|_| backplane.append(append(&stream, "x")));
    try_join_all(calls).await?;
    let after = backplane.figures();
    let grown = |figure: &str| after[figure] - before[figure];
    ensure!(grown("redis_commands_total") == 2000);
    ensure!(grown("redis_round_trips_total") <= 200, "{after:?}");
    Ok(())
}

#[tokio::test]
async fn dropped_calls_take_effect() -> Result<()> {
    let server = RedisServer::start(Persistence::None).await?;
    let Client { backplane, _shutdown } = client(&server).await?;
    let counter = name("dropped");
    drop(backplane.add(&counter, 5, SOON));
    ensure!(backplane.add(&counter, 1, SOON).await? == 6);
    Ok(())
}

#[tokio::test]
async fn nobody_is_declared_dead_for_one_ttl_after_an_outage() -> Result<()> {
    let mut server = RedisServer::start(Persistence::Always).await?;
    let Client { backplane, _shutdown } = client(&server).await?;
    let ttl = Duration::from_secs(2);
    let node = NodeRecord { id: NodeId("n".into()), service: "chat".into(), info: "{}".into() };
    backplane.heartbeat(node.clone(), ttl).await?;
    let beat = Instant::now();
    server.kill()?;
    wait_until("the heartbeat is old", SOON, async || beat.elapsed() > ttl).await?;
    server.restart().await?;
    up(&backplane).await?;
    ensure!(backplane.take_dead("chat").await?.is_empty());
    let taken = async || backplane.take_dead("chat").await.ok().filter(|taken| !taken.is_empty());
    let (taken, took) = wait_for("it is declared dead", SOON, taken).await?;
    ensure!(taken == [node.id] && took > ttl / 2, "after {took:?}");
    Ok(())
}

#[tokio::test]
async fn a_busy_stream_is_trimmed_by_age_too() -> Result<()> {
    let server = RedisServer::start(Persistence::None).await?;
    let Client { backplane, _shutdown } = client(&server).await?;
    let stream = name("busy");
    let retention = keep(10_000, Duration::from_millis(200));
    let busy = || Append { retention, ..append(&stream, "x") };
    try_join_all((0..300).map(|_| backplane.append(busy()))).await?;
    let found = server.command(&["KEYS", "pb:*:test:room.entries:busy"]).await?;
    let key = found.lines().find(|line| line.starts_with("pb:")).context("the entries have a key")?;
    let trimmed = async || {
        let length = server.command(&["XLEN", key]).await.unwrap_or_default();
        let length: usize = length.trim_start_matches(':').trim_end().parse().unwrap_or(usize::MAX);
        backplane.append(busy()).await.is_ok() && length < 300
    };
    wait_until("appends trim what is old", SOON, trimmed).await?;
    Ok(())
}
