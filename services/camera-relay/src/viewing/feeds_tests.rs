use super::*;
use crate::cameras::{self, CameraSpec, MaskSpec, Origin, ProcessingSpec, SourceSpec, TestSpec};
use bytes::Bytes;
use futures_util::future::BoxFuture;
use patchbay_media::{
    MediaTime, Task, TrackId,
    hub::{HubConfig, Mode, Publisher, Source, SourceError},
    track::{KeyFrames, TrackInfo},
};
use std::{
    sync::atomic::{AtomicUsize, Ordering},
    time::Duration,
};

struct Spawner;

impl Spawn for Spawner {
    #[expect(clippy::disallowed_methods, reason = "a test has no context")]
    fn spawn(&self, _: &'static str, task: Task) {
        tokio::spawn(task);
    }
}

/// Writes a key frame each 20 ms.
struct Camera {
    codec: Codec,
    runs: AtomicUsize,
}

impl Camera {
    fn new(codec: Codec) -> Arc<Self> {
        Arc::new(Self { codec, runs: AtomicUsize::new(0) })
    }

    fn info(&self) -> TrackInfo {
        TrackInfo {
            id: TrackId(0),
            codec: self.codec,
            clock_rate: 90_000,
            channels: 0,
            width: 640,
            height: 480,
            configuration: Bytes::new(),
            reordered: false,
        }
    }

    async fn write(
        self: Arc<Self>,
        publisher: Publisher,
        stop: CancellationToken,
    ) -> Result<(), SourceError> {
        self.runs.fetch_add(1, Ordering::Relaxed);
        let mut writers = publisher.publish(vec![(self.info(), KeyFrames::OnRequest)])?;
        for count in 0.. {
            let time = MediaTime::from_nanos(count * 20_000_000);
            for writer in &mut writers {
                let data = Bytes::from_static(&[0, 0, 0, 1, 0x65]);
                writer.write(AccessUnit { track: TrackId(0), dts: time, pts: time, key: true, data });
            }
            if stop.run_until_cancelled(tokio::time::sleep(Duration::from_millis(20))).await.is_none() {
                break;
            }
        }
        Ok(())
    }
}

impl Source for Camera {
    fn run(
        self: Arc<Self>,
        publisher: Publisher,
        stop: CancellationToken,
    ) -> BoxFuture<'static, Result<(), SourceError>> {
        Box::pin(self.write(publisher, stop))
    }
}

struct World {
    hub: Hub,
    feeds: Feeds,
    name: StreamName,
    camera: Arc<Camera>,
}

impl World {
    fn new() -> Self {
        let config = HubConfig { linger: Duration::ZERO, ..HubConfig::default() };
        let hub = Hub::new(config, Arc::new(Spawner));
        let (name, camera) = (StreamName::parse("camera/test").unwrap(), Camera::new(Codec::Vp8));
        hub.add(name.clone(), Arc::clone(&camera) as Arc<dyn Source>, Mode::OnDemand).unwrap();
        let feeds = Feeds::new(hub.clone(), Arc::new(Spawner), Caps::default());
        Self { hub, feeds, name, camera }
    }

    async fn join(&self) -> Held {
        let mut subscription = self.hub.subscribe(&self.name, Wanted::anything()).unwrap();
        let track = subscription.tracks().await.unwrap().video.unwrap();
        self.feeds.join(&self.name, &track).unwrap()
    }

    fn consumers(&self) -> usize {
        self.hub.state(&self.name).map_or(0, |state| state.consumers)
    }
}

async fn until(what: &str, is: impl Fn() -> bool) {
    let waited = tokio::time::timeout(Duration::from_secs(10), async {
        while !is() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    });
    waited.await.unwrap_or_else(|_| panic!("{what} did not come about"));
}

#[tokio::test(start_paused = true)]
async fn all_viewers_share_one_feed_which_ends_with_the_last() {
    let world = World::new();
    let first = world.join().await;
    let second = world.join().await;
    assert!(Arc::ptr_eq(first.feed(), second.feed()));
    assert_eq!(world.feeds.count(), 1);
    until("packets", || first.feed().bytes() > 0).await;
    until("one consumer for both", || world.consumers() == 1).await;
    drop(first);
    assert_eq!(world.feeds.count(), 1);
    drop(second);
    assert_eq!(world.feeds.count(), 0);
    until("nobody captures", || world.consumers() == 0).await;
    assert_eq!(world.camera.runs.load(Ordering::Relaxed), 1);
}

#[tokio::test(start_paused = true)]
async fn a_feed_outlives_its_source() {
    let world = World::new();
    let held = world.join().await;
    until("packets", || held.feed().bytes() > 0).await;
    let before = held.feed().bytes();
    let next = Camera::new(Codec::Vp8);
    world.hub.replace(&world.name, Arc::clone(&next) as Arc<dyn Source>, Mode::OnDemand).unwrap();
    until("the next source", || next.runs.load(Ordering::Relaxed) == 1).await;
    until("more packets", || held.feed().bytes() > before + 100).await;
    assert!(Arc::ptr_eq(held.feed(), world.join().await.feed()), "newcomers join those who are there");
}

#[tokio::test(start_paused = true)]
async fn a_feed_ends_with_its_stream_or_its_codec() {
    let world = World::new();
    let held = world.join().await;
    world.hub.replace(&world.name, Camera::new(Codec::Vp9), Mode::OnDemand).unwrap();
    tokio::time::timeout(Duration::from_secs(10), held.ended()).await.expect("there is no VP8 any more");
    let other = world.join().await;
    assert_eq!(other.feed().codec(), Codec::Vp9);
    world.hub.remove(&world.name);
    tokio::time::timeout(Duration::from_secs(10), other.ended()).await.expect("the stream was removed");
}

#[tokio::test(start_paused = true)]
async fn requests_for_key_frames_reach_the_source() {
    let world = World::new();
    let held = world.join().await;
    let mut subscription = world.hub.subscribe(&world.name, Wanted::anything()).unwrap();
    let track = subscription.tracks().await.unwrap().video.unwrap();
    until("packets", || held.feed().bytes() > 0).await;
    held.feed().key_requests().ask();
    until("the request", || track.key_requests().take()).await;
}

/// A camera that is away until it is told to come.
struct Away {
    comes: tokio::sync::Notify,
    camera: Arc<Camera>,
}

impl Away {
    fn new(codec: Codec) -> Arc<Self> {
        Arc::new(Self { comes: tokio::sync::Notify::new(), camera: Camera::new(codec) })
    }
}

impl Source for Away {
    fn run(
        self: Arc<Self>,
        publisher: Publisher,
        stop: CancellationToken,
    ) -> BoxFuture<'static, Result<(), SourceError>> {
        Box::pin(async move {
            if stop.run_until_cancelled(self.comes.notified()).await.is_none() {
                return Ok(());
            }
            Arc::clone(&self.camera).write(publisher, stop).await
        })
    }
}

#[tokio::test(start_paused = true)]
async fn a_camera_that_is_away_is_shown_black_and_then_as_it_is() {
    let world = World::new();
    let away = Away::new(Codec::Vp8);
    world.hub.replace(&world.name, Arc::clone(&away) as Arc<dyn Source>, Mode::OnDemand).unwrap();
    let held = world.feeds.join_waiting(&world.name, Codec::Vp8).await.unwrap().unwrap();
    until("black pictures", || held.feed().bytes() > 0).await;
    let same = world.feeds.join_waiting(&world.name, Codec::Vp8).await.unwrap().unwrap();
    assert!(Arc::ptr_eq(held.feed(), same.feed()), "all who wait share one feed");
    let (black, begun) = (held.feed().bytes(), tokio::time::Instant::now());
    held.feed().key_requests().ask();
    until("another one on request", || held.feed().bytes() > black).await;
    println!("a request was answered after {:?}", begun.elapsed());
    away.comes.notify_one();
    until("the camera", || away.camera.runs.load(Ordering::Relaxed) == 1).await;
    // Units of the camera are of five bytes, with four of a header, and 50 come in a second; of the slate there is one, and it is larger.
    let before = held.feed().bytes();
    tokio::time::sleep(Duration::from_secs(10)).await;
    let came = held.feed().bytes() - before;
    println!("{came} bytes in 10 s");
    assert!((4_400..=4_600).contains(&came), "{came}");
    assert!(!held.0.ended.is_cancelled());
}

#[tokio::test(start_paused = true)]
async fn sound_that_never_comes_sends_nobody_away() {
    let world = World::new();
    let held = world.feeds.join_waiting(&world.name, Codec::Opus).await.unwrap().unwrap();
    until("the camera", || world.camera.runs.load(Ordering::Relaxed) == 1).await;
    assert!(tokio::time::timeout(Duration::from_mins(1), held.ended()).await.is_err());
    assert!(world.feeds.join_waiting(&world.name, Codec::Av1).await.is_none());
}

#[test]
fn smaller_pictures_have_half_the_lines_and_a_quarter_of_the_bits_within_bounds() {
    let of = |lines: u16, rate: Option<u64>| {
        let track = TrackFigures {
            id: TrackId(0),
            codec: Codec::H264,
            width: 0,
            height: lines,
            channels: 0,
            transcoded: None,
            reordered: false,
            figures: patchbay_media::hub::Figures::default(),
        };
        let limit = low_limit(rate, &[track]);
        (limit.height, limit.bit_rate)
    };
    assert_eq!(of(1080, Some(4_000_000)), (540, 1_000_000));
    assert_eq!(of(480, Some(3_000_000)), (240, 750_000));
    assert_eq!(of(180, Some(100_000)), (180, 150_000), "never larger than it is");
    assert_eq!(of(2160, Some(20_000_000)), (1080, 1_500_000));
    assert_eq!(of(0, None), (360, 500_000), "of a camera that has not told");
}

/// The camera of the tests, with masks or without.
fn camera_with(masks: &[MaskSpec]) -> Arc<cameras::Camera> {
    let processing =
        (!masks.is_empty()).then(|| ProcessingSpec { masks: masks.to_vec(), ..ProcessingSpec::default() });
    let spec = CameraSpec { processing, ..CameraSpec::of(SourceSpec::Test(TestSpec::default())) };
    Arc::new(cameras::Camera { name: "test".parse().unwrap(), spec, origin: Origin::Configured })
}

#[tokio::test]
async fn pictures_from_before_there_were_masks_are_not_shown_to_who_comes_after() {
    let world = World::new();
    world.feeds.meet(&camera_with(&[]));
    let before = world.join().await;
    world.feeds.meet(&camera_with(&[]));
    let same = world.feeds.join_waiting(&world.name, Codec::Vp8).await.unwrap().unwrap();
    assert!(Arc::ptr_eq(same.feed(), before.feed()), "one camera is one feed");
    world.feeds.meet(&camera_with(&[MaskSpec::default()]));
    let after = world.feeds.join_waiting(&world.name, Codec::Vp8).await.unwrap().unwrap();
    assert!(!Arc::ptr_eq(after.feed(), before.feed()), "the feed keeps pictures without the mask");
}
