//! One fault after another, drawn by lot, under a thousand clients: what the single faults show must hold when they
//! meet. The seed is printed; `CHAOS_SEED` repeats a run.

use anyhow::Result;
use integration_tests::{
    fleet::{DataLoss, Size},
    gateway::Settings,
    report::{measured, report},
    verdict::TestResult,
    world::World,
};
use patchbay_testkit::redis::Persistence;
use std::{
    env,
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};
use tokio::time::sleep;

/// How long faults go on.
const DURATION: Duration = Duration::from_secs(30);

/// What rooms keep: enough for any pause here.
const WINDOW: u64 = 5_000;

const FLEET: Size = Size { clients: 1000, rooms: 5, publishers: 6, interval: Duration::from_millis(600) };

/// A small generator (Knuth's MMIX constants), so that a seed means the same everywhere.
struct Lot(u64);

impl Lot {
    #[expect(clippy::disallowed_methods, reason = "another seed on each run, which is printed")]
    fn new() -> Self {
        let given = env::var("CHAOS_SEED").ok().and_then(|seed| seed.parse().ok());
        let clock =
            SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| u64::from(since.subsec_nanos()));
        Self(given.unwrap_or(clock))
    }

    fn below(&mut self, limit: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % limit
    }

    fn millis(&mut self, from: u64, to: u64) -> Duration {
        Duration::from_millis(from + self.below(to - from))
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_lost_or_repeated_whatever_happens() -> TestResult {
    let mut lot = Lot::new();
    report(&format!("chaos: seed {}", lot.0));
    let settings = Settings::open().set("rooms.default.history", &WINDOW);
    let mut world = World::start(3, Persistence::Always, settings).await?;
    let fleet = world.fleet("chaos-", FLEET).await?;
    let started = Instant::now();
    let mut told = Vec::new();
    while started.elapsed() < DURATION {
        told.push(fault(&mut world, &mut lot).await?);
        sleep(lot.millis(0, 1_500)).await;
    }
    report(&format!("chaos: {}", told.join(", ")));
    let healed = fleet.wait_flowing("messages flow in the end", Duration::from_secs(15)).await?;
    fleet.wait_live("all clients are back", Duration::from_secs(15)).await?;
    let present = world.wait_present(0, &fleet, Duration::from_secs(45)).await?;
    measured("chaos", "presence is whole", present, Duration::from_secs(15));
    let outcome = fleet.finish(&world.gateways[0].url()).await?;
    let acks: usize = outcome.acks.values().map(Vec::len).sum();
    report(&format!(
        "chaos: flowing after {:.1} s, {acks} acknowledged, {} recoveries whole, {} refused, closes {:?}",
        healed.as_secs_f64(),
        outcome.recovered(),
        outcome.lost(),
        outcome.closes()
    ));
    outcome.check_views()?;
    outcome.check_agreement()?;
    outcome.check_acknowledged(DataLoss::None)?;
    outcome.check_lost(WINDOW)?;
    assert_eq!(outcome.lost(), 0, "recoveries were refused although nothing was lost");
    Ok(())
}

/// Does one thing and puts it right again; tells what.
async fn fault(world: &mut World, lot: &mut Lot) -> Result<String> {
    let victim = usize::try_from(lot.below(3))?;
    match lot.below(6) {
        0 => {
            let pause = lot.millis(200, 3_000);
            world.redis.pause()?;
            sleep(pause).await;
            world.redis.resume()?;
            Ok(format!("redis paused {pause:?}"))
        }
        1 => {
            let absence = lot.millis(0, 1_500);
            world.redis.kill()?;
            sleep(absence).await;
            world.redis.restart().await?;
            Ok(format!("redis away {absence:?}"))
        }
        2 => {
            world.redis.kill_pubsub_connections().await?;
            Ok("pub/sub cut".to_owned())
        }
        3 => {
            world.gateways[victim].process.kill()?;
            sleep(lot.millis(0, 1_000)).await;
            world.gateways[victim].restart().await?;
            Ok(format!("gateway {victim} killed"))
        }
        4 => {
            let gateway = &mut world.gateways[victim];
            gateway.process.terminate()?;
            gateway.process.wait_exit(Duration::from_secs(36)).await?;
            gateway.restart().await?;
            Ok(format!("gateway {victim} drained"))
        }
        _ => {
            let pause = lot.millis(200, 3_000);
            world.gateways[victim].process.pause()?;
            sleep(pause).await;
            world.gateways[victim].process.resume()?;
            Ok(format!("gateway {victim} paused {pause:?}"))
        }
    }
}
