use super::*;
use crate::{
    cameras::CameraName,
    config,
    motion::{Figures, Queue, Shared, Store, Works, queue::MAX_MOTIONS, trim::Limits},
};
use bytes::Bytes;
use patchbay_backplane::{BackplaneConfig, SharedBackplane};
use patchbay_chassis::{Clock, Ids};
use patchbay_testkit::{
    redis::{Persistence, RedisServer},
    wait::wait_until,
};
use patchbay_vision::MotionSeen;
use std::{sync::Arc, time::Instant};
use tokio::task::JoinSet;
use tokio_util::task::TaskTracker;

/// Longest wait for what takes a second or two: a Redis that is back is found at the next try.
const SOON: Duration = Duration::from_secs(20);

fn motions(backplane: SharedBackplane, node: &str) -> Motions {
    let limits = Limits { max_kept: 5000, max_pictures: 100, keep_for: Duration::from_hours(1) };
    let (clock, ids) = (Clock::system(), Ids::random());
    let figures = Figures { seen: <_>::default(), dropped: <_>::default(), blind: <_>::default() };
    let shared = Shared {
        store: Store::new(backplane, clock.clone(), ids.clone(), limits),
        queue: Queue::default(),
        open: <_>::default(),
        node: node.to_owned(),
        ids,
        figures,
        section: config::Motion::default(),
        key_frame_gap: Duration::ZERO,
        clock,
        works: Works::default(),
    };
    Motions { shared: Arc::new(shared) }
}

fn began(at: u64) -> MotionSeen {
    let picture = Bytes::from_static(b"\xff\xd8 a picture");
    MotionSeen::Began {
        at,
        zones: Vec::new(),
        score: 0.5,
        boxes: Vec::new(),
        picture,
        width: 640,
        height: 360,
    }
}

fn ended(at: u64) -> MotionSeen {
    MotionSeen::Ended { at, lasted: Duration::from_secs(1) }
}

/// Kept motions, and how many of them have ended.
async fn kept(motions: &Motions, camera: &CameraName) -> Option<(usize, usize)> {
    let (listed, _) = motions.list(camera, (0, u64::MAX), None, 5000).await.ok()?;
    let with_end = listed.iter().filter(|(_, mark)| mark.ended.is_some()).count();
    Some((listed.len(), with_end))
}

#[tokio::test]
async fn while_the_store_is_away_motions_wait_and_nobody_waits_for_them() -> anyhow::Result<()> {
    let stop = CancellationToken::new();
    let _stop = stop.clone().drop_guard();
    let mut redis = RedisServer::start(Persistence::Always).await?;
    let config = BackplaneConfig {
        url: Some(redis.url()),
        call_timeout: Duration::from_millis(500),
        ..BackplaneConfig::default()
    };
    let backplane = patchbay_backplane::connect(config, TaskTracker::new(), stop.clone()).await?;
    let (motions, camera) = (motions(backplane, "one"), "door".parse::<CameraName>()?);
    let mut running = JoinSet::new();
    running.spawn(keep(motions.clone(), stop.clone()));
    let sink = motions.sink(&camera);
    let now = Clock::system().now_millis();

    sink.motion(began(now));
    wait_until("the first is kept", SOON, async || kept(&motions, &camera).await == Some((1, 0))).await?;
    assert!(motions.is_moving(&camera));
    redis.kill()?;
    let told = Instant::now();
    sink.motion(ended(now + 1));
    for number in 1..=MAX_MOTIONS as u64 + 50 {
        sink.motion(began(now + number * 10));
        sink.motion(ended(now + number * 10 + 5));
    }
    let took = told.elapsed();
    assert!(!motions.is_moving(&camera));
    // One may be under way when the queue is filled.
    let dropped = motions.shared.figures.dropped.get();
    println!(
        "measured: telling {} motions without a store took {took:?}, {dropped} were dropped",
        MAX_MOTIONS + 50
    );
    assert!((49..=50).contains(&dropped) && took < Duration::from_secs(1), "{dropped} {took:?}");

    redis.restart().await?;
    let all = MAX_MOTIONS + 51 - usize::try_from(dropped)?;
    let whole = async || kept(&motions, &camera).await == Some((all, all));
    let took = wait_until("all that waited are kept, with their ends", 3 * SOON, whole).await?;
    println!("measured: {all} motions were kept {took:?} after the store was back");
    Ok(())
}

#[tokio::test]
async fn the_queue_is_bounded_however_long_the_store_is_away() -> anyhow::Result<()> {
    let shutdown = CancellationToken::new();
    let _shutdown = shutdown.clone().drop_guard();
    let backplane: SharedBackplane =
        Arc::new(patchbay_backplane::MemoryBackplane::volatile(&TaskTracker::new(), &shutdown));
    let motions = motions(backplane, "one");
    let sink = motions.sink(&"door".parse()?);
    // Nobody takes any.
    for number in 0..2 * MAX_MOTIONS as u64 {
        sink.motion(began(number * 10));
        assert!(motions.is_moving(&"door".parse()?));
        sink.motion(ended(number * 10 + 5));
    }
    assert_eq!((motions.shared.queue.len(), motions.shared.figures.dropped.get()), (MAX_MOTIONS, 1000));
    Ok(())
}

#[tokio::test]
async fn a_motion_that_ends_as_its_replica_stops_has_its_end() -> anyhow::Result<()> {
    let stop = CancellationToken::new();
    let shutdown = CancellationToken::new();
    let _shutdown = shutdown.clone().drop_guard();
    let backplane: SharedBackplane =
        Arc::new(patchbay_backplane::MemoryBackplane::volatile(&TaskTracker::new(), &shutdown));
    let (motions, camera) = (motions(backplane, "one"), "door".parse::<CameraName>()?);
    let mut running = JoinSet::new();
    running.spawn(keep(motions.clone(), stop.clone()));
    let sink = motions.sink(&camera);
    let now = Clock::system().now_millis();
    sink.motion(began(now));
    wait_until("it is kept", SOON, async || kept(&motions, &camera).await == Some((1, 0))).await?;
    stop.cancel();
    sink.motion(ended(now + 1000));
    running.join_next().await.expect("it runs")?;
    assert_eq!(kept(&motions, &camera).await, Some((1, 1)));
    Ok(())
}
