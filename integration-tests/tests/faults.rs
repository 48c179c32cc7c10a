//! Replicas die, Redis stalls, dies and comes back with its data and without, and replicas are drained, under a
//! thousand clients. What must hold is in `fleet::Outcome`; what is measured is printed, and is allowed three
//! times its goal before a test fails.

use anyhow::{Result, ensure};
use integration_tests::{
    fleet::{DataLoss, Fleet, Outcome, Size},
    gateway::Settings,
    report::{measured, report},
    verdict::TestResult,
    world::World,
};
use patchbay_testkit::redis::Persistence;
use std::time::{Duration, Instant};
use tokio::sync::Mutex;

/// Messages flow again this soon after Redis is back.
const HEAL_GOAL: Duration = Duration::from_secs(5);

/// A dead replica's people are gone this soon.
const GHOST_GOAL: Duration = Duration::from_secs(15);

/// What rooms keep by default.
const WINDOW: u64 = 1000;

/// One fault at a time: each needs the whole machine.
static ONE_AT_A_TIME: Mutex<()> = Mutex::const_new(());

/// 1,000 clients, some 50 messages a second, each to 250 of them.
const THOUSAND: Size = Size { clients: 1000, rooms: 4, publishers: 8, interval: Duration::from_millis(640) };

async fn begin(persistence: Persistence) -> Result<(World, Fleet)> {
    begin_with(persistence, Settings::open()).await
}

async fn begin_with(persistence: Persistence, settings: Settings) -> Result<(World, Fleet)> {
    let world = World::start(3, persistence, settings).await?;
    let fleet = world.fleet("room-", THOUSAND).await?;
    fleet.wait_flowing("messages flow before the fault", HEAL_GOAL * 6).await?;
    Ok((world, fleet))
}

/// What holds after every fault.
fn check(name: &str, outcome: &Outcome, loss: DataLoss) -> Result<()> {
    let acks: usize = outcome.acks.values().map(Vec::len).sum();
    report(&format!(
        "{name}: {acks} acknowledged, {} recoveries whole, {} refused, closes {:?}",
        outcome.recovered(),
        outcome.lost(),
        outcome.closes()
    ));
    outcome.check_views()?;
    outcome.check_agreement()?;
    outcome.check_acknowledged(loss)?;
    outcome.check_lost(WINDOW)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_replica_is_killed() -> TestResult {
    let _alone = ONE_AT_A_TIME.lock().await;
    let (mut world, fleet) = begin(Persistence::Always).await?;
    world.gateways[1].process.kill()?;
    let killed = Instant::now();
    fleet.wait_flowing("messages flow after the death", HEAL_GOAL * 3).await?;
    measured("replica killed", "messages flow", killed.elapsed(), HEAL_GOAL);
    fleet.wait_live("all clients are back", HEAL_GOAL * 3).await?;
    world.wait_present(0, &fleet, GHOST_GOAL * 3).await?;
    measured("replica killed", "its people are gone", killed.elapsed(), GHOST_GOAL);
    let outcome = fleet.finish(&world.gateways[0].url()).await?;
    check("replica killed", &outcome, DataLoss::None)?;
    assert!(outcome.lost() == 0, "recoveries were refused although nothing was lost");
    assert!(outcome.recovered() >= 300, "a third of the clients must have recovered");
    Ok(())
}

/// Rooms that keep little: who comes back late is told so, and nobody else is.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_replica_is_killed_and_rooms_keep_little() -> TestResult {
    const KEPT: u64 = 4;
    let _alone = ONE_AT_A_TIME.lock().await;
    let settings = Settings::open().set("rooms.default.history", &KEPT);
    let (mut world, fleet) = begin_with(Persistence::Always, settings).await?;
    world.gateways[1].process.kill()?;
    fleet.wait_live("all clients are back", HEAL_GOAL * 3).await?;
    fleet.wait_flowing("messages flow after the death", HEAL_GOAL * 3).await?;
    let outcome = fleet.finish(&world.gateways[0].url()).await?;
    report(&format!("little history: {} recoveries whole, {} refused", outcome.recovered(), outcome.lost()));
    outcome.check_views()?;
    outcome.check_agreement()?;
    outcome.check_lost(KEPT)?;
    assert!(outcome.lost() > 0, "more passes before the last one is back than such a room keeps");
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn redis_stands_still() -> TestResult {
    let _alone = ONE_AT_A_TIME.lock().await;
    let (world, fleet) = begin(Persistence::Always).await?;
    world.redis.pause()?;
    tokio::time::sleep(Duration::from_secs(5)).await;
    world.redis.resume()?;
    let healed = fleet.wait_flowing("messages flow after the pause", HEAL_GOAL * 3).await?;
    measured("redis paused", "messages flow", healed, HEAL_GOAL);
    world.wait_present(0, &fleet, GHOST_GOAL * 3).await?;
    let outcome = fleet.finish(&world.gateways[0].url()).await?;
    check("redis paused", &outcome, DataLoss::None)?;
    assert!(outcome.lost() == 0, "recoveries were refused although nothing was lost");
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn redis_dies_and_returns_with_everything() -> TestResult {
    let outcome = redis_dies("redis back with its data", Persistence::Always, Disk::Kept).await?;
    check("redis back with its data", &outcome, DataLoss::None)?;
    assert!(outcome.lost() == 0, "the epoch must stay where Redis had written everything");
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn redis_dies_and_may_have_lost_its_tail() -> TestResult {
    let outcome = redis_dies("redis back, tail unsure", Persistence::EverySecond, Disk::Kept).await?;
    check("redis back, tail unsure", &outcome, DataLoss::Told)?;
    assert!(outcome.lost() >= THOUSAND.clients, "every client must be told of the new epoch");
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn redis_dies_and_returns_with_nothing() -> TestResult {
    let outcome = redis_dies("redis back with nothing", Persistence::Always, Disk::Wiped).await?;
    check("redis back with nothing", &outcome, DataLoss::Told)?;
    assert!(outcome.lost() >= THOUSAND.clients, "every client must be told of the new epoch");
    Ok(())
}

#[derive(PartialEq, Eq)]
enum Disk {
    Kept,
    Wiped,
}

async fn redis_dies(name: &str, persistence: Persistence, disk: Disk) -> TestResult<Outcome> {
    let _alone = ONE_AT_A_TIME.lock().await;
    let (mut world, fleet) = begin(persistence).await?;
    world.redis.kill()?;
    tokio::time::sleep(Duration::from_secs(2)).await;
    match disk {
        Disk::Kept => world.redis.restart().await?,
        Disk::Wiped => world.redis.restart_empty().await?,
    }
    let healed = fleet.wait_flowing("messages flow after the return", HEAL_GOAL * 3).await?;
    measured(name, "messages flow", healed, HEAL_GOAL);
    let present = world.wait_present(0, &fleet, GHOST_GOAL * 3).await?;
    measured(name, "presence is whole", healed + present, GHOST_GOAL);
    Ok(fleet.finish(&world.gateways[0].url()).await?)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn subscriptions_are_cut_under_the_replicas() -> TestResult {
    let _alone = ONE_AT_A_TIME.lock().await;
    let (world, fleet) = begin(Persistence::Always).await?;
    for _ in 0..3 {
        world.redis.kill_pubsub_connections().await?;
        let healed = fleet.wait_flowing("messages flow after the cut", HEAL_GOAL * 3).await?;
        measured("pub/sub cut", "messages flow", healed, HEAL_GOAL);
    }
    let outcome = fleet.finish(&world.gateways[0].url()).await?;
    check("pub/sub cut", &outcome, DataLoss::None)?;
    assert!(outcome.lost() == 0, "recoveries were refused although nothing was lost");
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_replica_is_drained() -> TestResult {
    let _alone = ONE_AT_A_TIME.lock().await;
    let (mut world, fleet) = begin(Persistence::Always).await?;
    world.gateways[2].process.terminate()?;
    let asked = Instant::now();
    let code = world.gateways[2].process.wait_exit(Duration::from_secs(36)).await?;
    measured("drained", "the process has ended", asked.elapsed(), Duration::from_secs(12));
    assert!(code == Some(0), "a drained replica ends with {code:?}");
    fleet.wait_live("all clients are back", HEAL_GOAL * 3).await?;
    world.wait_present(0, &fleet, GHOST_GOAL * 3).await?;
    let outcome = fleet.finish(&world.gateways[0].url()).await?;
    check("drained", &outcome, DataLoss::None)?;
    assert!(outcome.lost() == 0, "recoveries were refused although nothing was lost");
    check_sent_away(&outcome)?;
    Ok(())
}

/// Every client of the drained replica was told 3001, not all at once.
fn check_sent_away(outcome: &Outcome) -> Result<()> {
    let closes = outcome.closes();
    ensure!(closes.keys().eq([&3001]), "only 3001 was to be seen: {closes:?}");
    ensure!(closes[&3001] >= 300, "a third of the clients were on it: {closes:?}");
    let mut times: Vec<Instant> =
        outcome.views.iter().flat_map(|(_, view)| &view.closes).map(|close| close.at).collect();
    times.sort_unstable();
    let (middle_half_begins, middle_half_ends) = (times[times.len() / 4], times[times.len() * 3 / 4]);
    let spread = middle_half_ends - middle_half_begins;
    report(&format!("drained: half of the clients were sent away within {:.2} s", spread.as_secs_f64()));
    ensure!(spread > Duration::from_millis(300), "they were told all at once");
    Ok(())
}
