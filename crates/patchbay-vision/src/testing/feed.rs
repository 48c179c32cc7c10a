//! A hub, and a source that publishes and writes what the test says.

use bytes::Bytes;
use futures_util::future::BoxFuture;
use parking_lot::Mutex;
use patchbay_media::{
    AccessUnit, Codec, Spawn, Task, TrackId,
    hub::{Hub, HubConfig, Mode, Publisher, Reordering, Source, SourceError, StreamName, Wanted},
    track::{KeyFrames, TrackInfo, TrackWriter},
};
use std::{sync::Arc, time::Duration};
use tokio::{sync::mpsc, time::Instant};
use tokio_util::sync::CancellationToken;

struct OnRuntime;

impl Spawn for OnRuntime {
    fn spawn(&self, _: &'static str, task: Task) {
        drop(tokio::runtime::Handle::current().spawn(task));
    }
}

pub(crate) fn hub() -> Hub {
    let config = HubConfig { linger: Duration::from_millis(1), ..HubConfig::default() };
    Hub::new(config, Arc::new(OnRuntime))
}

pub(crate) fn name() -> StreamName {
    StreamName::parse("camera/one").unwrap()
}

pub(crate) fn add(hub: &Hub, source: impl Source) {
    hub.add(name(), Arc::new(source), Mode::OnDemand).unwrap();
}

pub(crate) fn browser() -> Wanted {
    Wanted {
        video: vec![Codec::H264],
        audio: vec![Codec::Opus],
        reordered: Reordering::NotAllowed,
        limit: None,
    }
}

/// Opus in track 1.
pub(crate) fn sound() -> TrackInfo {
    TrackInfo {
        id: TrackId(1),
        codec: Codec::Opus,
        clock_rate: 48_000,
        channels: 2,
        width: 0,
        height: 0,
        configuration: Bytes::new(),
        reordered: false,
    }
}

/// Waits until something is so, at most so many seconds.
pub(crate) async fn eventually(what: &str, seconds: u64, mut is: impl FnMut() -> bool) {
    let start = Instant::now();
    while !is() {
        assert!(start.elapsed() < Duration::from_secs(seconds), "{what} did not come about");
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    println!("{what} after {:?}", start.elapsed());
}

/// What the source does next.
pub(crate) enum Act {
    Publish(Vec<TrackInfo>),
    /// To the track of that number.
    Write(AccessUnit),
    Lose(u64),
    Fail(SourceError),
}

pub(crate) struct Fed {
    acts: Mutex<mpsc::Receiver<Act>>,
}

pub(crate) fn fed() -> (Arc<Fed>, mpsc::Sender<Act>) {
    let (sender, acts) = mpsc::channel(4);
    (Arc::new(Fed { acts: Mutex::new(acts) }), sender)
}

impl Source for Fed {
    fn run(
        self: Arc<Self>,
        publisher: Publisher,
        stop: CancellationToken,
    ) -> BoxFuture<'static, Result<(), SourceError>> {
        Box::pin(async move {
            let mut writers: Vec<TrackWriter> = Vec::new();
            loop {
                let next = std::future::poll_fn(|context| self.acts.lock().poll_recv(context));
                let Some(Some(act)) = stop.run_until_cancelled(next).await else { return Ok(()) };
                match act {
                    Act::Publish(tracks) => {
                        let tracks = tracks.into_iter().map(|info| (info, KeyFrames::AsTheyCome));
                        writers = publisher.publish(tracks.collect())?;
                    }
                    Act::Write(unit) => {
                        let of = |writer: &&mut TrackWriter| writer.track().info().id == unit.track;
                        writers.iter_mut().find(of).unwrap().write(unit);
                    }
                    Act::Lose(packets) => publisher.health().lose(packets),
                    Act::Fail(error) => return Err(error),
                }
            }
        })
    }
}
