//! Starts sources when somebody wants what they offer, shares them among all who do, and stops them when nobody is left.
//!
//! A stream is a name with a [`Source`]. A consumer [subscribes](Hub::subscribe) with the codecs that it takes; the [`Subscription`] runs the source
//! and tells which tracks to read, again each time that they change. What no track of the source offers, a transcoder makes: a stream of its own, shared
//! by all who need it. The hub moves no units itself: readers read the tracks' rings.

mod driver;
mod meter;
mod name;
mod source;
mod state;
mod stream;
mod subscription;

pub use crate::negotiate::{How, Reordering, Transcoders, Wanted};
pub use meter::Figures;
pub use name::{MAX_NAME, NameError, StreamName};
pub use source::{Again, MAX_TRACKS, PublishError, Publisher, Source, SourceError};
pub use state::{State, StreamState, TrackFigures};
pub use subscription::{Ended, NotStarted, Selected, Subscription};

use crate::{Codec, Spawn, ring::Caps, track::Track};
use parking_lot::Mutex;
use std::{
    collections::{BTreeMap, HashMap},
    fmt,
    sync::{Arc, atomic::AtomicU64},
    time::Duration,
};
use stream::{Consumer, Control, Origin, Parts, Stream};
use tokio::sync::watch;

/// How a hub treats its streams.
#[derive(Clone, Debug)]
pub struct HubConfig {
    /// How long a source runs on after its last consumer; a transcoder likewise.
    pub linger: Duration,
    /// How long a source may take until it publishes tracks.
    pub start_timeout: Duration,
    /// How long a source may take to stop; then it is dropped.
    pub stop_timeout: Duration,
    /// A stream is stalled when no picture has come for so long.
    pub stall_after: Duration,
    /// Bounds of each track's ring.
    pub caps: Caps,
    /// Time after each failure in a row until the source is tried again; the last one is for all that follow. At least the first lies between any two
    /// attempts.
    pub retry: Vec<Duration>,
    /// Part of the retry time, in percent, by which it is lengthened or shortened at random, so that many sources do not come back at once.
    pub jitter: u8,
    /// Most streams, transcoders apart.
    pub max_streams: usize,
    /// Most transcoders.
    pub max_transcoders: usize,
    /// Most consumers of one stream.
    pub max_consumers: usize,
}

impl Default for HubConfig {
    fn default() -> Self {
        Self {
            linger: Duration::from_secs(10),
            start_timeout: Duration::from_secs(10),
            stop_timeout: Duration::from_secs(2),
            stall_after: Duration::from_secs(3),
            caps: Caps::default(),
            retry: [1, 2, 5, 10, 30].map(Duration::from_secs).to_vec(),
            jitter: 20,
            max_streams: 1000,
            max_transcoders: 64,
            max_consumers: 10_000,
        }
    }
}

/// When a source runs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Mode {
    /// While somebody wants it, and a little longer.
    #[default]
    OnDemand,
    /// Always.
    AlwaysOn,
}

/// Why a stream cannot be added.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AddError {
    /// There is one of that name.
    #[error("there is already a stream {0}")]
    AlreadyThere(StreamName),
    /// The hub has its fill.
    #[error("there are already {0} streams, which is the limit")]
    TooMany(usize),
    /// The hub is closed.
    #[error("the service is stopping")]
    Closed,
}

/// There is no stream of that name.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("there is no stream {0}")]
pub struct NotFound(pub StreamName);

/// Why a stream cannot be subscribed to.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SubscribeError {
    /// There is none of that name.
    #[error("there is no stream {0}")]
    NotFound(StreamName),
    /// The stream has its fill.
    #[error("the stream already has {0} consumers, which is the limit")]
    TooManyConsumers(usize),
    /// The hub is closed.
    #[error("the service is stopping")]
    Closed,
}

/// All streams of a process. Cloning gives the same hub; when the last clone and the last subscription are dropped, it closes.
#[derive(Clone)]
pub struct Hub {
    inner: Arc<Inner>,
}

struct Inner {
    config: Arc<HubConfig>,
    spawn: Arc<dyn Spawn>,
    generations: Arc<AtomicU64>,
    /// Held for a look or a change, never while a source or a transcoder is called.
    streams: Mutex<Streams>,
}

#[derive(Default)]
struct Streams {
    added: BTreeMap<StreamName, Arc<Stream>>,
    made: HashMap<MadeKey, Arc<Stream>>,
    transcoders: Vec<Arc<dyn Transcoders>>,
    closed: bool,
}

/// What a transcoder makes: the generation of tracks (which is one of one stream), the track in it, and the codec.
type MadeKey = (u64, crate::TrackId, Codec);

impl fmt::Debug for Hub {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Hub").field("config", &self.inner.config).finish_non_exhaustive()
    }
}

impl Hub {
    /// A hub without streams; `spawn` runs one small task for each stream.
    pub fn new(config: HubConfig, spawn: Arc<dyn Spawn>) -> Self {
        let (config, generations) = (Arc::new(config), Arc::new(AtomicU64::new(0)));
        Self { inner: Arc::new(Inner { config, spawn, generations, streams: Mutex::default() }) }
    }

    /// Adds makers of tracks, which are asked in the order in which they were added.
    pub fn transcode_with(&self, transcoders: Arc<dyn Transcoders>) {
        self.inner.streams.lock().transcoders.push(transcoders);
    }

    /// Adds a stream.
    pub fn add(&self, name: StreamName, source: Arc<dyn Source>, mode: Mode) -> Result<(), AddError> {
        let stream = self.inner.stream(name.clone(), Origin::Added, source, mode);
        let mut streams = self.inner.streams.lock();
        if streams.closed {
            return Err(AddError::Closed);
        }
        if streams.added.contains_key(&name) {
            return Err(AddError::AlreadyThere(name));
        }
        let most = self.inner.config.max_streams;
        if streams.added.len() >= most {
            return Err(AddError::TooMany(most));
        }
        streams.added.insert(name, Arc::clone(&stream));
        drop(streams);
        self.inner.start(&stream);
        Ok(())
    }

    /// Gives a stream another source and mode. Its consumers stay; where the source runs, it is stopped, and they get the tracks of the new one.
    pub fn replace(&self, name: &StreamName, source: Arc<dyn Source>, mode: Mode) -> Result<(), NotFound> {
        let stream = self.inner.find(name).ok_or_else(|| NotFound(name.clone()))?;
        stream.control.send_modify(|control: &mut Control| {
            control.source = source;
            control.mode = mode;
            control.revision += 1;
        });
        Ok(())
    }

    /// Removes a stream, which ends its subscriptions. True when there was one.
    pub fn remove(&self, name: &StreamName) -> bool {
        let removed = self.inner.streams.lock().added.remove(name);
        if let Some(stream) = &removed {
            stream.end(Ended::Removed);
        }
        removed.is_some()
    }

    /// Removes every stream and takes no more; subscriptions end with [`Ended::Closed`].
    pub fn close(&self) {
        self.inner.close();
    }

    /// Wants a stream, for as long as the subscription is kept.
    pub fn subscribe(&self, name: &StreamName, wanted: Wanted) -> Result<Subscription, SubscribeError> {
        if self.inner.streams.lock().closed {
            return Err(SubscribeError::Closed);
        }
        let stream = self.inner.find(name).ok_or_else(|| SubscribeError::NotFound(name.clone()))?;
        let consumer = Consumer::join(&stream, self.inner.config.max_consumers)?;
        Ok(Subscription::new(self.clone(), consumer, wanted))
    }

    /// All streams, by name.
    pub fn states(&self) -> Vec<StreamState> {
        let streams: Vec<_> = self.inner.streams.lock().added.values().cloned().collect();
        streams.iter().map(|stream| stream.state.borrow().clone()).collect()
    }

    /// One stream.
    pub fn state(&self, name: &StreamName) -> Option<StreamState> {
        self.inner.find(name).map(|stream| stream.state.borrow().clone())
    }

    /// Follows a stream; the receiver says that the sender is gone some time after the stream was removed.
    pub fn watch(&self, name: &StreamName) -> Option<watch::Receiver<StreamState>> {
        self.inner.find(name).map(|stream| stream.state.subscribe())
    }

    /// What was measured of a stream's tracks, and of those that transcoders make of them; empty while its source does not run.
    pub fn figures(&self, name: &StreamName) -> Vec<TrackFigures> {
        let Some(stream) = self.inner.find(name) else { return Vec::new() };
        let made: Vec<_> = self.inner.streams.lock().made.values().cloned().collect();
        let of_this = made.iter().filter(|made| match &made.origin {
            Origin::Made(made) => made.of.as_ptr() == Arc::as_ptr(&stream),
            Origin::Added => false,
        });
        let mut figures = stream.figures();
        figures.extend(of_this.flat_map(|made| made.figures()));
        figures
    }

    /// A track in one of these codecs made of this one: by a transcoder that runs already, or else by a new one.
    fn make(
        &self,
        of: &Arc<Stream>,
        generation: u64,
        from: &Arc<Track>,
        to: &[Codec],
        why: &str,
    ) -> Result<subscription::Made, MakeError> {
        let key = |codec| (generation, from.info().id, codec);
        let made = |consumer: Consumer, codec| {
            let flow = consumer.stream().flow.subscribe();
            let from = from.info().codec;
            subscription::Made { _hold: consumer, flow, from, to: codec, why: why.to_owned() }
        };
        if let Some((consumer, codec)) = self.inner.join_made(to.iter().map(|codec| key(*codec))) {
            return Ok(made(consumer, codec));
        }
        let transcoders = self.inner.streams.lock().transcoders.clone();
        let offers =
            to.iter().flat_map(|codec| transcoders.iter().map(move |transcoders| (*codec, transcoders)));
        let found = offers
            .filter_map(|(codec, transcoders)| Some((codec, transcoders.transcoder(from, codec)?)))
            .next();
        let Some((codec, source)) = found else { return Err(MakeError::CannotMake(to.to_vec())) };
        let origin =
            stream::Made { of: Arc::downgrade(of), why: why.to_owned(), from: Arc::clone(from) };
        let consumer = self.inner.add_made(key(codec), &of.name, origin, source)?;
        Ok(made(consumer, codec))
    }
}

/// Why a track cannot be made of another.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
enum MakeError {
    #[error("nothing here makes {} of it", crate::negotiate::names(.0))]
    CannotMake(Vec<Codec>),
    #[error("{0} transcoders run already, which is the limit")]
    TooMany(usize),
    #[error("the service is stopping")]
    Closed,
}

impl Inner {
    fn find(&self, name: &StreamName) -> Option<Arc<Stream>> {
        self.streams.lock().added.get(name).cloned()
    }

    fn stream(&self, name: StreamName, origin: Origin, source: Arc<dyn Source>, mode: Mode) -> Arc<Stream> {
        let (caps, generations) = (self.config.caps, Arc::clone(&self.generations));
        Stream::new(Parts { name, origin, source, mode, caps, generations })
    }

    fn start(self: &Arc<Self>, stream: &Arc<Stream>) {
        let driver = driver::Driver::new(Arc::clone(stream), Arc::clone(&self.config), Arc::downgrade(self));
        self.spawn.spawn("hub-stream", Box::pin(driver.run()));
    }

    /// Joins the first of these that is there.
    fn join_made(&self, keys: impl Iterator<Item = MadeKey>) -> Option<(Consumer, Codec)> {
        let streams = self.streams.lock();
        let mut there = keys.filter_map(|key| Some((streams.made.get(&key)?, key.2)));
        there.find_map(|(stream, codec)| Some((Consumer::join(stream, usize::MAX).ok()?, codec)))
    }

    /// Adds a transcoder's stream, unless somebody has just done so, and joins it.
    fn add_made(
        self: &Arc<Self>,
        key: MadeKey,
        of: &StreamName,
        origin: stream::Made,
        source: Arc<dyn Source>,
    ) -> Result<Consumer, MakeError> {
        if let Some((consumer, _)) = self.join_made(std::iter::once(key)) {
            return Ok(consumer);
        }
        let mut streams = self.streams.lock();
        if streams.closed {
            return Err(MakeError::Closed);
        }
        let most = self.config.max_transcoders;
        if streams.made.len() >= most {
            return Err(MakeError::TooMany(most));
        }
        let name = of.made(key.1, key.2);
        let stream = self.stream(name, Origin::Made(origin), source, Mode::OnDemand);
        let consumer = Consumer::join(&stream, usize::MAX).map_err(|_| MakeError::Closed)?;
        streams.made.insert(key, Arc::clone(&stream));
        drop(streams);
        self.start(&stream);
        Ok(consumer)
    }

    /// Removes a transcoder's stream if nobody wants it, or if what it is made of is gone. True when it is no longer there.
    fn remove_made(&self, stream: &Arc<Stream>) -> bool {
        let Origin::Made(made) = &stream.origin else { return false };
        let mut streams = self.streams.lock();
        if stream.control.borrow().consumers > 0 && !made.from.ring().has_ended() {
            return false;
        }
        streams.made.retain(|_, other| !Arc::ptr_eq(other, stream));
        drop(streams);
        stream.end(Ended::Removed);
        true
    }

    fn close(&self) {
        let mut streams = self.streams.lock();
        streams.closed = true;
        let added = std::mem::take(&mut streams.added);
        let made = std::mem::take(&mut streams.made);
        drop(streams);
        added.values().chain(made.values()).for_each(|stream| stream.end(Ended::Closed));
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        self.close();
    }
}

#[cfg(test)]
#[path = "hub_tests.rs"]
mod tests;
