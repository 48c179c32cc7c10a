//! A stream on its way from one hub to another: what to send, and what to do with what arrives. Knows nothing of the wire.
//!
//! The sender gives the tracks, then what is kept since the newest key frame, then all that follows, in the order of time; the receiver publishes the
//! tracks as its own, with their times as they are, and passes requests for key frames back.

use crate::{
    AccessUnit, Kind, MediaTime, TrackId,
    hub::{Ended, PublishError, Publisher, Subscription, Whole},
    ring::{Read, Reader, Start},
    track::{KeyFrames, Track, TrackInfo, TrackWriter},
};
use futures_util::{FutureExt, future::select_all};
use std::{sync::Arc, time::Duration};

/// One thing to send.
#[derive(Clone, Debug)]
pub enum Step {
    /// The tracks, before any of their units. The receiver knows each by its place among them, because tracks that were made of others may have the
    /// same number.
    Tracks(Arc<[Arc<Track>]>),
    /// A unit.
    Unit {
        /// The unit; its track is the place of that among those announced.
        unit: AccessUnit,
        /// Units before it were left out, because the receiver was too slow.
        after_break: bool,
    },
}

/// What a hub sends of one stream to one receiver.
#[derive(Debug)]
pub struct Outgoing {
    supply: Supply,
    patience: Duration,
    lanes: Vec<Lane>,
}

/// Where the tracks come from.
#[derive(Debug)]
enum Supply {
    Whole(Whole),
    Chosen(Box<Subscription>),
}

impl Supply {
    /// Waits for other tracks. Cancel safe.
    async fn tracks(&mut self) -> Result<Arc<[Arc<Track>]>, Ended> {
        match self {
            Self::Whole(whole) => whole.tracks().await,
            Self::Chosen(subscription) => {
                let selected = subscription.tracks().await?;
                Ok(selected.video.into_iter().chain(selected.audio).collect())
            }
        }
    }
}

/// One track on its way.
#[derive(Debug)]
struct Lane {
    place: TrackId,
    track: Arc<Track>,
    reader: Reader<AccessUnit>,
    /// Read, and waiting for its turn.
    waiting: Option<Read<AccessUnit>>,
    has_begun: bool,
    has_ended: bool,
}

impl Outgoing {
    /// Sends a stream as it is; a receiver that is further behind than `patience` goes on at a newer key frame.
    pub fn new(whole: Whole, patience: Duration) -> Self {
        Self { supply: Supply::Whole(whole), patience, lanes: Vec::new() }
    }

    /// Sends what a subscription selects, so that what has to be made for several receivers is made here, once.
    pub fn chosen(subscription: Subscription, patience: Duration) -> Self {
        Self { supply: Supply::Chosen(Box::new(subscription)), patience, lanes: Vec::new() }
    }

    /// The next thing to send; waits for it. Cancel safe.
    pub async fn next(&mut self) -> Result<Step, Ended> {
        loop {
            if let Some(changed) = self.supply.tracks().now_or_never() {
                return Ok(self.begin(changed?));
            }
            if let Some(step) = self.earliest() {
                return Ok(step);
            }
            let Self { supply, lanes, .. } = self;
            tokio::select! {
                changed = supply.tracks() => return Ok(self.begin(changed?)),
                () = any(lanes) => {}
            }
        }
    }

    /// Asks the source of a track for a key frame. Tracks that are not there, and those that cannot obey, are passed over.
    pub fn request_key_frame(&self, id: TrackId) {
        let lane = self.lanes.iter().find(|lane| lane.place == id);
        if let Some(lane) = lane {
            lane.track.request_key_frame();
        }
    }

    fn begin(&mut self, tracks: Arc<[Arc<Track>]>) -> Step {
        let from = newest_picture(&tracks);
        // A hub has 16 tracks of a stream at most.
        let places = (0..=u8::MAX).map(TrackId);
        self.lanes = places
            .zip(tracks.iter())
            .map(|(place, track)| Lane::new(place, track, from, self.patience))
            .collect();
        Step::Tracks(tracks)
    }

    /// What is to be decoded first of all that is there.
    fn earliest(&mut self) -> Option<Step> {
        self.lanes.iter_mut().for_each(Lane::look);
        let waiting = self.lanes.iter_mut().filter(|lane| lane.waiting.is_some());
        let lane = waiting.min_by_key(|lane| lane.waiting.as_ref().map(|read| read.entry.item.dts))?;
        lane.take()
    }
}

impl Lane {
    fn new(place: TrackId, track: &Arc<Track>, from: Option<MediaTime>, patience: Duration) -> Self {
        let start = match (track.info().codec.kind(), from) {
            (Kind::Audio, Some(from)) => Start::At(first_since(track, from)),
            (Kind::Video, _) | (Kind::Audio, None) => Start::NewestKey,
        };
        let reader = track.reader(start).with_patience(patience);
        Self { place, track: Arc::clone(track), reader, waiting: None, has_begun: false, has_ended: false }
    }

    fn look(&mut self) {
        if self.waiting.is_some() || self.has_ended {
            return;
        }
        match self.reader.try_next() {
            Ok(read) => self.waiting = read,
            Err(_) => self.has_ended = true,
        }
    }

    fn take(&mut self) -> Option<Step> {
        let read = self.waiting.take()?;
        let after_break = read.skipped > 0 && self.has_begun;
        self.has_begun = true;
        let unit = AccessUnit { track: self.place, ..read.entry.item.clone() };
        Some(Step::Unit { unit, after_break })
    }

    async fn wait(&mut self) {
        match self.reader.next().await {
            Ok(read) => self.waiting = Some(read),
            Err(_) => self.has_ended = true,
        }
    }
}

/// Waits for a unit in any lane; for ever when all have ended.
async fn any(lanes: &mut [Lane]) {
    let open: Vec<_> =
        lanes.iter_mut().filter(|lane| !lane.has_ended).map(|lane| Box::pin(lane.wait())).collect();
    if open.is_empty() {
        return std::future::pending().await;
    }
    select_all(open).await;
}

/// Time of the newest key frame of the pictures.
fn newest_picture(tracks: &[Arc<Track>]) -> Option<MediaTime> {
    let track = tracks.iter().find(|track| track.info().codec.kind() == Kind::Video)?;
    let ring = track.ring();
    Some(ring.get(ring.newest_key()?)?.item.dts)
}

/// Position of the first unit that is kept and not before that time.
fn first_since(track: &Track, from: MediaTime) -> u64 {
    let ring = track.ring();
    let is_before = |position: &u64| ring.get(*position).is_none_or(|entry| entry.item.dts < from);
    (ring.oldest()..ring.written()).find(|position| !is_before(position)).unwrap_or(ring.written())
}

/// A unit names a track that was not announced, or comes before any were.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a unit names track {}, which is not there", .0.0)]
pub struct UnknownTrack(pub TrackId);

/// What arrives of one stream from another hub.
#[derive(Debug)]
pub struct Incoming {
    publisher: Publisher,
    lanes: Vec<Arrivals>,
}

/// One track that arrives.
#[derive(Debug)]
struct Arrivals {
    writer: TrackWriter,
    last: MediaTime,
}

impl Incoming {
    /// Publishes what arrives.
    pub fn new(publisher: Publisher) -> Self {
        Self { publisher, lanes: Vec::new() }
    }

    /// Tracks were announced.
    pub fn tracks(&mut self, tracks: Vec<(TrackInfo, KeyFrames)>) -> Result<(), PublishError> {
        let writers = self.publisher.publish(tracks)?;
        let arrivals = |writer| Arrivals { writer, last: MediaTime::from_nanos(i64::MIN) };
        self.lanes = writers.into_iter().map(arrivals).collect();
        Ok(())
    }

    /// A unit arrived. Times that go back, which a sound sender does not send, are held.
    pub fn unit(&mut self, mut unit: AccessUnit) -> Result<(), UnknownTrack> {
        let found = self.lanes.iter_mut().find(|lane| lane.writer.track().info().id == unit.track);
        let lane = found.ok_or(UnknownTrack(unit.track))?;
        unit.dts = unit.dts.max(lane.last);
        unit.pts = unit.pts.max(unit.dts);
        lane.last = unit.dts;
        lane.writer.write(unit);
        Ok(())
    }

    /// Waits until somebody asks for a key frame, and gives the track. Cancel safe.
    pub async fn key_request(&self) -> TrackId {
        let waiting: Vec<_> = self.lanes.iter().map(|lane| Box::pin(request(lane.writer.track()))).collect();
        if waiting.is_empty() {
            return std::future::pending().await;
        }
        select_all(waiting).await.0
    }
}

async fn request(track: &Arc<Track>) -> TrackId {
    track.key_requests().taken().await;
    track.info().id
}

#[cfg(test)]
#[path = "relay_tests.rs"]
mod tests;
