//! The packets of each camera, cut once for all viewers of this replica.
//!
//! There is one feed for each stream and codec, with one task that moves units from the hub into it. It begins with the first viewer who needs it and
//! ends with the last; across restarts of the source and changes of its tracks it stays, and so do its viewers.

use parking_lot::Mutex;
use patchbay_media::{
    AccessUnit, Codec, Kind, Spawn,
    hub::{Hub, Reordering, Selected, StreamName, SubscribeError, Subscription, Wanted},
    ring::{Caps, Reader, Start},
    track::Track,
};
use patchbay_rtc::{Feed, FeedConfig, FeedWriter};
use std::{
    collections::HashMap,
    sync::{Arc, Weak},
};
use tokio_util::sync::{CancellationToken, DropGuard};

type Key = (StreamName, Codec);

/// All feeds of a replica.
pub(crate) struct Feeds {
    hub: Hub,
    spawn: Arc<dyn Spawn>,
    caps: Caps,
    /// At most as many as there are streams and codecs; those whose viewers have gone are cleared when one is added.
    open: Mutex<HashMap<Key, Weak<Shared>>>,
}

/// A viewer's hold on a feed; the last one that is dropped ends it.
#[derive(Clone)]
pub(crate) struct Held(Arc<Shared>);

struct Shared {
    feed: Arc<Feed>,
    /// The track for which it was made: its answer names what stands in this.
    track: Arc<Track>,
    ended: CancellationToken,
    _stop: DropGuard,
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
    /// Whether a viewer who was promised this track gets it here.
    fn fits(&self, track: &Track) -> bool {
        let (made, promised) = (self.track.info(), track.info());
        !self.ended.is_cancelled()
            && self.track.key_frames() == track.key_frames()
            && (made.clock_rate, made.channels) == (promised.clock_rate, promised.channels)
            && made.configuration == promised.configuration
    }
}

impl Feeds {
    /// None yet.
    pub(crate) fn new(hub: Hub, spawn: Arc<dyn Spawn>, caps: Caps) -> Self {
        Self { hub, spawn, caps, open: Mutex::default() }
    }

    /// The feed of a track of a stream.
    pub(crate) fn join(&self, name: &StreamName, track: &Arc<Track>) -> Result<Held, SubscribeError> {
        let key = (name.clone(), track.info().codec);
        let mut open = self.open.lock();
        if let Some(shared) = open.get(&key).and_then(Weak::upgrade).filter(|shared| shared.fits(track)) {
            return Ok(Held(shared));
        }
        let subscription = self.hub.subscribe(name, only(key.1))?;
        open.retain(|_, shared| shared.strong_count() > 0);
        let shared = self.start(subscription, track);
        open.insert(key, Arc::downgrade(&shared));
        Ok(Held(shared))
    }

    /// How many are open.
    #[cfg(test)]
    pub(crate) fn count(&self) -> usize {
        self.open.lock().values().filter(|shared| shared.strong_count() > 0).count()
    }

    fn start(&self, subscription: Subscription, track: &Arc<Track>) -> Arc<Shared> {
        let config = FeedConfig { caps: self.caps, key_frames: track.key_frames(), ..FeedConfig::default() };
        let (feed, writer) = Feed::new(track.info(), config);
        let (stop, ended) = (CancellationToken::new(), CancellationToken::new());
        let pump = Pump { subscription, writer };
        let (stopped, over) = (stop.clone(), ended.clone().drop_guard());
        let moving = async move {
            stopped.run_until_cancelled(pump.run()).await;
            drop(over);
        };
        self.spawn.spawn("feed", Box::pin(moving));
        Arc::new(Shared { feed, track: Arc::clone(track), ended, _stop: stop.drop_guard() })
    }
}

/// What a feed wants of the hub.
fn only(codec: Codec) -> Wanted {
    let (video, audio) = match codec.kind() {
        Kind::Video => (vec![codec], Vec::new()),
        Kind::Audio => (Vec::new(), vec![codec]),
    };
    Wanted { video, audio, reordered: Reordering::NotAllowed, limit: None }
}

/// Moves units into a feed.
struct Pump {
    subscription: Subscription,
    writer: FeedWriter,
}

impl Pump {
    /// Until the stream is removed or has no such track any more.
    async fn run(mut self) {
        let Ok(mut selected) = self.subscription.tracks().await else { return };
        while let Some(track) = selected.video.take().or(selected.audio.take()) {
            self.writer.begin();
            let Some(next) = self.follow(&track).await else { return };
            selected = next;
        }
        tracing::info!(stream = %self.subscription.name(), "the stream has no track of the codec that its viewers take any more");
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
        let Self { subscription, writer } = self;
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
