//! The packets of each camera, cut once for all viewers of this replica.
//!
//! There is one feed for each stream and codec, with one task that moves units from the hub into it. It begins with the first viewer who needs it and
//! ends with the last; across restarts of the source and changes of its tracks it stays, and so do its viewers. As long as the camera has brought no
//! picture, a feed shows the slate; when it stalls, viewers keep the last picture, because nothing else comes.

use super::slate::{Playing, Strips};
use crate::cameras::Camera;
use parking_lot::Mutex;
use patchbay_media::{
    AccessUnit, Codec, Kind, Spawn, TrackId,
    hub::{Hub, Limit, Reordering, Selected, StreamName, SubscribeError, Subscription, TrackFigures, Wanted},
    ring::{Caps, Reader, Start},
    track::{KeyFrames, Track, TrackInfo},
};
use patchbay_rtc::{Feed, FeedConfig, FeedWriter};
use std::{
    collections::HashMap,
    sync::{Arc, Weak},
    time::Duration,
};
use tokio_util::sync::{CancellationToken, DropGuard};

type Key = (StreamName, Codec, Rung);

/// All feeds of a replica.
pub(crate) struct Feeds {
    hub: Hub,
    spawn: Arc<dyn Spawn>,
    caps: Caps,
    strips: Arc<Strips>,
    /// At most as many as there are streams and codecs; those whose viewers have gone are cleared when one is added.
    open: Mutex<HashMap<Key, Weak<Shared>>>,
    /// Each camera as it was when somebody came last; those without feeds are cleared with them.
    known: Mutex<HashMap<StreamName, Arc<Camera>>>,
}

/// A viewer's hold on a feed; the last one that is dropped ends it.
#[derive(Clone)]
pub(crate) struct Held(Arc<Shared>);

struct Shared {
    feed: Arc<Feed>,
    /// What it was made for: its answer names what stands in this.
    made_for: Promise,
    ended: CancellationToken,
    _stop: DropGuard,
}

/// Which of a camera's pictures a feed carries.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Rung {
    Full,
    /// Those for viewers with little bandwidth; all of them share one.
    Low,
}

/// How a feed begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Opening {
    /// With the tracks that are there.
    Tracks,
    /// With the slate, until there are some.
    Slate,
}

/// What viewers of a feed were promised.
#[derive(Clone, Debug)]
struct Promise {
    info: TrackInfo,
    key_frames: KeyFrames,
}

impl Promise {
    fn of(track: &Track) -> Self {
        Self { info: track.info().clone(), key_frames: track.key_frames() }
    }

    /// Of a camera that has not told what it has.
    fn unknown(info: TrackInfo) -> Self {
        Self { info, key_frames: KeyFrames::OnRequest }
    }
}

impl Held {
    /// The feed.
    pub(crate) fn feed(&self) -> &Arc<Feed> {
        &self.0.feed
    }

    /// Waits until nothing more will come: the stream was removed, or it has no such track any more. Cancel-safe.
    pub(crate) async fn ended(&self) {
        self.0.ended.cancelled().await;
    }
}

impl Shared {
    fn is_open(&self) -> bool {
        !self.ended.is_cancelled()
    }

    /// Whether a viewer who was promised this track gets it here.
    fn fits(&self, track: &Track) -> bool {
        let (made, promised) = (&self.made_for.info, track.info());
        !self.ended.is_cancelled()
            && self.made_for.key_frames == track.key_frames()
            && (made.clock_rate, made.channels) == (promised.clock_rate, promised.channels)
            && made.configuration == promised.configuration
    }
}

impl Feeds {
    /// None yet.
    pub(crate) fn new(hub: Hub, spawn: Arc<dyn Spawn>, caps: Caps) -> Self {
        Self { hub, spawn, caps, strips: Arc::default(), open: Mutex::default(), known: Mutex::default() }
    }

    /// Somebody comes to a camera as it is now. Where it has another source or other masks than before, feeds that are there keep pictures of before: their
    /// viewers go on with them, and who comes gets one of his own.
    pub(crate) fn meet(&self, camera: &Arc<Camera>) {
        let (stream, mut known, mut open) = (camera.stream(), self.known.lock(), self.open.lock());
        known.retain(|name, _| open.iter().any(|((of, ..), shared)| of == name && shared.strong_count() > 0));
        let before = known.insert(stream.clone(), Arc::clone(camera));
        if before.is_some_and(|before| !before.spec.runs_as(&camera.spec)) {
            open.retain(|(name, ..), _| *name != stream);
        }
    }

    /// The feed of a track of a stream.
    pub(crate) fn join(&self, name: &StreamName, track: &Arc<Track>) -> Result<Held, SubscribeError> {
        let key = (name.clone(), track.info().codec, Rung::Full);
        self.join_fitting(key, Promise::of(track), Opening::Tracks, None, |shared| shared.fits(track))
    }

    /// The feed of a stream that has no tracks now: the one that is there, which shows the last picture, or else one that begins with the slate. None where
    /// nothing can be shown in that codec.
    pub(crate) async fn join_waiting(
        &self,
        name: &StreamName,
        codec: Codec,
    ) -> Option<Result<Held, SubscribeError>> {
        let info = match codec.kind() {
            Kind::Video => self.strips.of(codec).await?.info().clone(),
            Kind::Audio => silence(codec)?,
        };
        let key = (name.clone(), codec, Rung::Full);
        Some(self.join_fitting(key, Promise::unknown(info), Opening::Slate, None, Shared::is_open))
    }

    /// The slate in that codec, for one viewer; none where there can be none.
    pub(crate) async fn slate(&self, codec: Codec) -> Option<Playing> {
        self.strips.of(codec).await.map(Playing::new)
    }

    /// The smaller pictures for viewers with little bandwidth: the feed that is there, or else one that a transcoder makes. Tells in words why there is none.
    pub(crate) async fn join_low(&self, name: &StreamName, full: &Feed) -> Result<Held, String> {
        let key = (name.clone(), full.codec(), Rung::Low);
        if let Some(shared) =
            self.open.lock().get(&key).and_then(Weak::upgrade).filter(|shared| shared.is_open())
        {
            return Ok(Held(shared));
        }
        let limit = low_limit(full.bit_rate(), &self.hub.figures(name));
        let wanted = only(full.codec(), Some(limit));
        // Kept until the feed has a subscription of its own.
        let mut subscription = self.hub.subscribe(name, wanted).map_err(|error| error.to_string())?;
        let selected = match tokio::time::timeout(LOW_START, subscription.tracks_or_failure()).await {
            Ok(Ok(selected)) => selected,
            Ok(Err(error)) => return Err(error.to_string()),
            Err(_) => return Err("it takes too long to begin".to_owned()),
        };
        let track = selected.video.as_ref().ok_or_else(|| selected.missing())?;
        self.join_fitting(key, Promise::of(track), Opening::Tracks, Some(limit), Shared::is_open)
            .map_err(|error| error.to_string())
    }

    fn join_fitting(
        &self,
        key: Key,
        promise: Promise,
        opening: Opening,
        limit: Option<Limit>,
        fits: impl FnOnce(&Shared) -> bool,
    ) -> Result<Held, SubscribeError> {
        let mut open = self.open.lock();
        if let Some(shared) = open.get(&key).and_then(Weak::upgrade).filter(|shared| fits(shared)) {
            return Ok(Held(shared));
        }
        let subscription = self.hub.subscribe(&key.0, only(key.1, limit))?;
        open.retain(|_, shared| shared.strong_count() > 0);
        let shared = self.start(subscription, promise, opening);
        open.insert(key, Arc::downgrade(&shared));
        Ok(Held(shared))
    }

    /// How many are open.
    #[cfg(test)]
    pub(crate) fn count(&self) -> usize {
        self.open.lock().values().filter(|shared| shared.strong_count() > 0).count()
    }

    fn start(&self, subscription: Subscription, made_for: Promise, opening: Opening) -> Arc<Shared> {
        let Promise { info, key_frames } = &made_for;
        let config = FeedConfig { caps: self.caps, key_frames: *key_frames, ..FeedConfig::default() };
        let (feed, writer) = Feed::new(info, config);
        let (stop, ended) = (CancellationToken::new(), CancellationToken::new());
        let (kind, strips) = (info.codec.kind(), Arc::clone(&self.strips));
        let pump = Pump { subscription, writer, kind, opening, strips };
        let (stopped, over) = (stop.clone(), ended.clone().drop_guard());
        let moving = async move {
            stopped.run_until_cancelled(pump.run()).await;
            drop(over);
        };
        self.spawn.spawn("feed", Box::pin(moving));
        Arc::new(Shared { feed, made_for, ended, _stop: stop.drop_guard() })
    }
}

/// How long smaller pictures may take to begin.
const LOW_START: Duration = Duration::from_secs(5);

/// Lines of the smaller pictures: half of those that there are, but not less than these.
const LEAST_LINES: u16 = 240;
/// Lines of a camera that has not told.
const USUAL_LINES: u16 = 720;
/// Part of the camera's bits that smaller pictures may have, and bounds of that in bits a second.
const LOW_PART: u64 = 4;
const LOW_RATES: std::ops::RangeInclusive<u64> = 150_000..=1_500_000;
/// For a camera of which it is not known.
const USUAL_RATE: u64 = 2_000_000;

/// The bounds of smaller pictures.
fn low_limit(bit_rate: Option<u64>, figures: &[TrackFigures]) -> Limit {
    let came = figures.iter().filter(|track| track.codec.kind() == Kind::Video && track.transcoded.is_none());
    let lines = came.map(|track| track.height).max().filter(|lines| *lines > 0).unwrap_or(USUAL_LINES);
    let rate = bit_rate.unwrap_or(USUAL_RATE) / LOW_PART;
    let rate = rate.clamp(*LOW_RATES.start(), *LOW_RATES.end());
    Limit {
        height: (lines / 2).max(LEAST_LINES).min(lines) & !1,
        bit_rate: u32::try_from(rate).unwrap_or(u32::MAX),
    }
}

/// Sound of which nothing has come yet.
fn silence(codec: Codec) -> Option<TrackInfo> {
    (codec == Codec::Opus).then(|| TrackInfo {
        id: TrackId(0),
        codec,
        clock_rate: 48_000,
        channels: 2,
        width: 0,
        height: 0,
        configuration: bytes::Bytes::new(),
        reordered: false,
    })
}

/// What a feed wants of the hub.
fn only(codec: Codec, limit: Option<Limit>) -> Wanted {
    let (video, audio) = match codec.kind() {
        Kind::Video => (vec![codec], Vec::new()),
        Kind::Audio => (Vec::new(), vec![codec]),
    };
    Wanted { video, audio, reordered: Reordering::NotAllowed, limit }
}

/// Moves units into a feed.
struct Pump {
    subscription: Subscription,
    writer: FeedWriter,
    kind: Kind,
    opening: Opening,
    strips: Arc<Strips>,
}

impl Pump {
    /// Until the stream is removed, or has no pictures in that codec any more. Sound that is not there may come.
    async fn run(mut self) {
        let first = match self.opening {
            Opening::Tracks => self.subscription.tracks().await.ok(),
            Opening::Slate => self.show_slate().await,
        };
        let Some(mut selected) = first else { return };
        loop {
            let Some(track) = selected.video.take().or(selected.audio.take()) else {
                if self.kind == Kind::Video {
                    break;
                }
                let Ok(next) = self.subscription.tracks().await else { return };
                selected = next;
                continue;
            };
            self.writer.begin();
            let Some(next) = self.follow(&track).await else { return };
            selected = next;
        }
        tracing::info!(stream = %self.subscription.name(), "the stream has no track of the codec that its viewers take any more");
    }

    /// Shows the slate until there are tracks.
    async fn show_slate(&mut self) -> Option<Selected> {
        let Self { subscription, writer, strips, .. } = self;
        let codec = writer.feed().codec();
        // None for sound.
        let Some(strip) = strips.of(codec).await else { return subscription.tracks().await.ok() };
        let requests = Arc::clone(writer.feed().key_requests());
        let mut playing = Playing::new(strip);
        // Cancel-safe: what loses has taken nothing, but a request, which the next picture answers.
        loop {
            tokio::select! {
                biased;
                first = subscription.tracks() => return first.ok(),
                () = requests.taken() => {}
                () = playing.due() => {}
            }
            show(&mut playing, writer);
        }
    }

    /// Follows a track until there is another one.
    async fn follow(&mut self, track: &Arc<Track>) -> Option<Selected> {
        // Sound is never sent faster than it is heard, so that only pictures begin in the past.
        let start = match track.info().codec.kind() {
            Kind::Video => Start::NewestKey,
            Kind::Audio => Start::Next,
        };
        let mut reader = track.reader(start);
        let requests = Arc::clone(self.writer.feed().key_requests());
        let Self { subscription, writer, .. } = self;
        // Cancel-safe: what loses has taken nothing.
        loop {
            tokio::select! {
                biased;
                next = subscription.tracks() => return next.ok(),
                () = requests.taken() => track.request_key_frame(),
                () = copy(&mut reader, writer) => {}
            }
        }
    }
}

fn show(playing: &mut Playing, writer: &mut FeedWriter) {
    let Some(unit) = playing.next() else { return };
    if let Err(error) = writer.write(&unit) {
        tracing::debug!(%error, "a picture of the slate could not be cut into packets");
    }
}

/// Copies units as they come; when the track has ended, waits for ever: the subscription tells what follows.
async fn copy(reader: &mut Reader<AccessUnit>, writer: &mut FeedWriter) {
    while let Ok(read) = reader.next().await {
        if let Err(error) = writer.write(&read.entry.item) {
            tracing::debug!(%error, "a unit could not be cut into packets");
        }
    }
    std::future::pending::<()>().await;
}

#[cfg(test)]
#[path = "feeds_tests.rs"]
mod tests;
