use super::*;
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
