//! Sources and a hub for tests.

use super::*;
use crate::{
    AccessUnit, Codec, MediaTime, Task, TrackId,
    track::{KeyFrames, Track, TrackInfo, TrackWriter},
};
use bytes::Bytes;
use futures_util::future::BoxFuture;
use std::{
    sync::atomic::{AtomicUsize, Ordering},
    time::Duration,
};
use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;

/// Tasks on the runtime of the test.
pub(crate) struct TestTasks;

impl Spawn for TestTasks {
    fn spawn(&self, _: &'static str, task: Task) {
        drop(tokio::runtime::Handle::current().spawn(task));
    }
}

pub(crate) fn hub() -> Hub {
    hub_with(|_| ())
}

pub(crate) fn hub_with(change: impl FnOnce(&mut HubConfig)) -> Hub {
    let mut config = HubConfig { jitter: 0, ..HubConfig::default() };
    change(&mut config);
    Hub::new(config, Arc::new(TestTasks))
}

pub(crate) fn name(text: &str) -> StreamName {
    StreamName::parse(text).unwrap()
}

pub(crate) fn video(codec: Codec) -> (TrackInfo, KeyFrames) {
    (info(0, codec), KeyFrames::OnRequest)
}

pub(crate) fn audio(codec: Codec) -> (TrackInfo, KeyFrames) {
    (info(1, codec), KeyFrames::AsTheyCome)
}

pub(crate) fn info(id: u8, codec: Codec) -> TrackInfo {
    let is_video = codec.kind() == crate::Kind::Video;
    TrackInfo {
        id: TrackId(id),
        codec,
        clock_rate: if is_video { 90_000 } else { 48_000 },
        channels: if is_video { 0 } else { 2 },
        width: if is_video { 640 } else { 0 },
        height: if is_video { 480 } else { 0 },
        configuration: Bytes::new(),
        reordered: false,
    }
}

/// Takes H.264 and Opus, as WebRTC does.
pub(crate) fn browser() -> Wanted {
    Wanted {
        video: vec![Codec::H264],
        audio: vec![Codec::Opus],
        reordered: Reordering::NotAllowed,
        limit: None,
    }
}

/// What a scripted source does in one run.
pub(crate) enum Act {
    /// Publishes these and writes a unit of 1000 bytes each 40 ms, every 25th a key frame, as every one of sound, until it is stopped.
    Play(Vec<(TrackInfo, KeyFrames)>),
    /// The same for a time; then it fails.
    PlayFor(Duration, Vec<(TrackInfo, KeyFrames)>),
    /// Publishes and writes nothing for a time, then plays.
    PauseThenPlay(Duration, Vec<(TrackInfo, KeyFrames)>),
    /// Plays one, then the other.
    Change(Duration, Vec<(TrackInfo, KeyFrames)>, Vec<(TrackInfo, KeyFrames)>),
    Fail(SourceError),
    /// Does nothing until it is stopped.
    Hang,
    /// Does not even stop.
    Stuck,
    Panic,
    End,
}

/// A source that does what a function says for each run, counted from 1.
pub(crate) struct Script {
    act: Box<dyn Fn(usize) -> Act + Send + Sync>,
    pub(crate) starts: Mutex<Vec<Instant>>,
    pub(crate) running: AtomicUsize,
    pub(crate) most_running: AtomicUsize,
    pub(crate) publishers: Mutex<Vec<Publisher>>,
}

impl Script {
    pub(crate) fn new(act: impl Fn(usize) -> Act + Send + Sync + 'static) -> Arc<Self> {
        Arc::new(Self {
            act: Box::new(act),
            starts: Mutex::default(),
            running: AtomicUsize::new(0),
            most_running: AtomicUsize::new(0),
            publishers: Mutex::default(),
        })
    }

    pub(crate) fn playing(tracks: Vec<(TrackInfo, KeyFrames)>) -> Arc<Self> {
        Self::new(move |_| Act::Play(tracks.clone()))
    }

    pub(crate) fn runs(&self) -> usize {
        self.starts.lock().len()
    }

    pub(crate) fn running(&self) -> usize {
        self.running.load(Ordering::SeqCst)
    }
}

/// Counts a run while it exists.
struct Running(Arc<Script>);

impl Running {
    fn new(script: &Arc<Script>) -> Self {
        let now = script.running.fetch_add(1, Ordering::SeqCst) + 1;
        script.most_running.fetch_max(now, Ordering::SeqCst);
        Self(Arc::clone(script))
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.0.running.fetch_sub(1, Ordering::SeqCst);
    }
}

impl Source for Script {
    fn run(
        self: Arc<Self>,
        publisher: Publisher,
        stop: CancellationToken,
    ) -> BoxFuture<'static, Result<(), SourceError>> {
        Box::pin(async move {
            let _running = Running::new(&self);
            self.publishers.lock().push(publisher.clone());
            let run = {
                let mut starts = self.starts.lock();
                starts.push(Instant::now());
                starts.len()
            };
            perform((self.act)(run), publisher, stop).await
        })
    }
}

async fn perform(act: Act, publisher: Publisher, stop: CancellationToken) -> Result<(), SourceError> {
    match act {
        Act::Play(tracks) => stop.run_until_cancelled(play(publisher.publish(tracks)?, Duration::MAX)).await,
        Act::PlayFor(time, tracks) => {
            let writers = publisher.publish(tracks)?;
            if stop.run_until_cancelled(play(writers, time)).await.is_some() {
                return Err(SourceError::temporary("the camera went away"));
            }
            None
        }
        Act::PauseThenPlay(time, tracks) => {
            let writers = publisher.publish(tracks)?;
            let pause_and_play = async {
                sleep(time).await;
                play(writers, Duration::MAX).await;
            };
            stop.run_until_cancelled(pause_and_play).await
        }
        Act::Change(time, first, second) => {
            let one_and_other = async {
                play(publisher.publish(first)?, time).await;
                play(publisher.publish(second)?, Duration::MAX).await;
                Ok::<(), SourceError>(())
            };
            stop.run_until_cancelled(one_and_other).await.transpose()?
        }
        Act::Fail(error) => return Err(error),
        Act::Hang => stop.run_until_cancelled(std::future::pending()).await,
        Act::Stuck => std::future::pending().await,
        Act::Panic => panic!("out of luck"),
        Act::End => None,
    };
    Ok(())
}

async fn play(mut writers: Vec<TrackWriter>, time: Duration) {
    let begun = Instant::now();
    for number in 0_i64.. {
        if begun.elapsed() >= time {
            return;
        }
        let at = MediaTime::from_nanos(number * 40_000_000);
        for writer in &mut writers {
            let info = writer.track().info();
            let (track, is_sound) = (info.id, info.codec.kind() == crate::Kind::Audio);
            let data = Bytes::from_static(&[0; 1000]);
            writer.write(AccessUnit { track, dts: at, pts: at, key: is_sound || number % 25 == 0, data });
        }
        sleep(Duration::from_millis(40)).await;
    }
}

/// Makes any codec of those given out of anything, and keeps the sources that it made.
pub(crate) struct Makers {
    makes: Vec<Codec>,
    act: Box<dyn Fn(usize, TrackInfo) -> Act + Send + Sync>,
    pub(crate) made: Mutex<Vec<(Arc<Track>, Arc<Script>)>>,
    /// Limits that were asked for.
    pub(crate) limits: Mutex<Vec<Option<Limit>>>,
}

impl Makers {
    pub(crate) fn new(
        makes: &[Codec],
        act: impl Fn(usize, TrackInfo) -> Act + Send + Sync + Clone + 'static,
    ) -> Arc<Self> {
        Arc::new(Self {
            makes: makes.to_vec(),
            act: Box::new(act),
            made: Mutex::default(),
            limits: Mutex::default(),
        })
    }

    pub(crate) fn playing(makes: &[Codec]) -> Arc<Self> {
        Self::new(makes, |_, info| Act::Play(vec![(info, KeyFrames::OnRequest)]))
    }

    pub(crate) fn running(&self) -> usize {
        self.made.lock().iter().map(|(_, script)| script.running()).sum()
    }
}

/// A transcoder that ends with the track that it reads.
struct Maker {
    from: Arc<Track>,
    script: Arc<Script>,
}

impl Source for Maker {
    fn run(
        self: Arc<Self>,
        publisher: Publisher,
        stop: CancellationToken,
    ) -> BoxFuture<'static, Result<(), SourceError>> {
        let mut reader = self.from.reader(crate::ring::Start::Next);
        let made = Arc::clone(&self.script).run(publisher, stop);
        Box::pin(async move {
            tokio::select! {
                result = made => result,
                () = async { while reader.next().await.is_ok() {} } => Ok(()),
            }
        })
    }
}

/// The `Transcoders` of a test, which hands out what `Makers` records.
pub(crate) struct Workshop(pub(crate) Arc<Makers>);

impl Transcoders for Workshop {
    fn transcoder(&self, from: &Arc<Track>, to: Target) -> Option<Arc<dyn Source>> {
        let Target { codec: to, limit } = to;
        self.0.limits.lock().push(limit);
        let makers = Arc::clone(&self.0);
        if !makers.makes.contains(&to) {
            return None;
        }
        let keeper = Arc::clone(&makers);
        let script = Script::new(move |run| (keeper.act)(run, info(0, to)));
        makers.made.lock().push((Arc::clone(from), Arc::clone(&script)));
        Some(Arc::new(Maker { from: Arc::clone(from), script }))
    }
}

/// Waits for a condition, at most a minute of the test's time.
pub(crate) async fn until(what: &str, condition: impl Fn() -> bool) {
    let begun = Instant::now();
    while !condition() {
        assert!(begun.elapsed() < Duration::from_mins(1), "{what} did not come to pass");
        sleep(Duration::from_millis(10)).await;
    }
    println!("{what}: after {:?}", begun.elapsed());
}
