//! Starts sources when somebody wants what they offer, shares them among all who do, and stops them when nobody is left.
//!
//! A stream is a name with a [`Source`]. A consumer [subscribes](Hub::subscribe) with the codecs that it takes; the [`Subscription`] runs the source
//! and tells which tracks to read, again each time that they change. What no track of the source offers, a transcoder makes: a stream of its own, shared
//! by all who need it. The hub moves no units itself: readers read the tracks' rings.

mod config;
mod driver;
mod meter;
mod name;
mod observe;
mod retry;
mod source;
mod state;
mod stream;
mod subscription;
mod transcode;
mod whole;

pub use crate::negotiate::{How, Limit, Reordering, Target, Transcoders, Wanted};
pub use config::{HubConfig, Mode};
pub use meter::Figures;
pub use name::{MAX_NAME, NameError, StreamName};
pub use observe::Observer;
pub use source::{
    Again, Health, HealthFigures, MAX_TRACKS, PublishError, Publisher, Reason, Source, SourceError,
};
pub use state::{State, StreamState, TrackFigures};
pub use subscription::{Ended, NotStarted, Selected, Subscription};
pub use whole::Whole;

use crate::Spawn;
use parking_lot::Mutex;
use std::{
    collections::{BTreeMap, HashMap},
    fmt,
    sync::{Arc, atomic::AtomicU64},
};
use stream::{Consumer, Control, Origin, Parts, Stream};
use tokio::sync::watch;

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
    made: HashMap<transcode::MadeKey, Arc<Stream>>,
    transcoders: Vec<Arc<dyn Transcoders>>,
    closed: bool,
}

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

    /// Changes when a stream's source runs; one that runs is not disturbed.
    pub fn set_mode(&self, name: &StreamName, mode: Mode) -> Result<(), NotFound> {
        let stream = self.inner.find(name).ok_or_else(|| NotFound(name.clone()))?;
        stream.control.send_modify(|control| control.mode = mode);
        Ok(())
    }

    /// Tells that the source of a stream may well succeed now: somebody else has it running, or somebody has mended it. Where it has failed and is wanted it is tried again soon, whatever
    /// the failure was, though not sooner than the shortest retry time after it.
    pub fn hasten(&self, name: &StreamName) {
        let Some(stream) = self.inner.find(name) else { return };
        if stream.state.borrow().state == State::Failed {
            stream.control.send_modify(|control| control.hints += 1);
        }
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
        let stream = self.inner.find_open(name)?;
        let consumer = Consumer::join(&stream, self.inner.config.max_consumers)?;
        Ok(Subscription::new(self.clone(), consumer, wanted))
    }

    /// Wants all tracks of a stream as they are, for as long as what it gives is kept.
    pub fn subscribe_whole(&self, name: &StreamName) -> Result<Whole, SubscribeError> {
        let stream = self.inner.find_open(name)?;
        Ok(Whole::new(Consumer::join(&stream, self.inner.config.max_consumers)?))
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

    /// What has gone wrong with a stream's source since it was added.
    pub fn health(&self, name: &StreamName) -> Option<HealthFigures> {
        self.inner.find(name).map(|stream| stream.health.figures())
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
}

impl Inner {
    fn find(&self, name: &StreamName) -> Option<Arc<Stream>> {
        self.streams.lock().added.get(name).cloned()
    }

    fn find_open(&self, name: &StreamName) -> Result<Arc<Stream>, SubscribeError> {
        let streams = self.streams.lock();
        if streams.closed {
            return Err(SubscribeError::Closed);
        }
        streams.added.get(name).cloned().ok_or_else(|| SubscribeError::NotFound(name.clone()))
    }

    fn stream(&self, name: StreamName, origin: Origin, source: Arc<dyn Source>, mode: Mode) -> Arc<Stream> {
        let (caps, generations) = (self.config.caps, Arc::clone(&self.generations));
        Stream::new(Parts { name, origin, source, mode, caps, generations })
    }

    fn start(self: &Arc<Self>, stream: &Arc<Stream>) {
        let driver = driver::Driver::new(Arc::clone(stream), Arc::clone(&self.config), Arc::downgrade(self));
        self.spawn.spawn("hub-stream", Box::pin(driver.run()));
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
pub(crate) mod testing;
#[cfg(test)]
#[path = "hub_tests.rs"]
mod tests;
#[cfg(test)]
#[path = "transcoding_tests.rs"]
mod transcoding_tests;
