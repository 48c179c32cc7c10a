//! Streams that transcoders make: started for the first who needs one, shared, and removed when nobody does or when the track that
//! they are made of has ended.

use super::{
    Ended, Hub, Inner, Mode, Source, StreamName, Streams,
    stream::{Consumer, Made as Origins, Origin, Stream},
    subscription::Made,
};
use crate::{
    Codec, TrackId,
    negotiate::{Target, names},
    track::Track,
};
use std::sync::{Arc, Weak};

/// What a transcoder makes: the generation of tracks (which is one of one stream), the track in it, and what is made of it.
pub(super) type MadeKey = (u64, TrackId, Target);

/// Why a track cannot be made of another.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum MakeError {
    #[error("nothing here makes {} of it", names(.0))]
    CannotMake(Vec<Codec>),
    #[error("{0} transcoders run already, which is the limit")]
    TooMany(usize),
    #[error("the service is stopping")]
    Closed,
}

impl Hub {
    /// A track like one of these made of this one: by a transcoder that runs already, or else by a new one.
    pub(super) fn make(
        &self,
        of: &Arc<Stream>,
        generation: u64,
        from: &Arc<Track>,
        to: &[Target],
        why: &str,
    ) -> Result<Made, MakeError> {
        let key = |target| (generation, from.info().id, target);
        let made = |consumer: Consumer, target: Target| {
            let flow = consumer.stream().flow.subscribe();
            let from = from.info().codec;
            Made { _hold: consumer, flow, from, to: target.codec, why: why.to_owned() }
        };
        if let Some((consumer, target)) =
            self.inner.streams.lock().join_made(to.iter().map(|target| key(*target)))
        {
            return Ok(made(consumer, target));
        }
        let transcoders = self.inner.streams.lock().transcoders.clone();
        let mut offers =
            to.iter().flat_map(|target| transcoders.iter().map(move |transcoders| (*target, transcoders)));
        let found =
            offers.find_map(|(target, transcoders)| Some((target, transcoders.transcoder(from, target)?)));
        let Some((target, source)) = found else {
            return Err(MakeError::CannotMake(to.iter().map(|target| target.codec).collect()));
        };
        let origin = Origins { of: Arc::downgrade(of), why: why.to_owned(), from: Arc::clone(from) };
        let consumer = self.inner.add_made(key(target), &of.name, origin, source)?;
        Ok(made(consumer, target))
    }
}

impl Streams {
    /// Ends one that nobody needs: it goes on only in case that somebody comes back.
    fn end_unneeded(&mut self) {
        let unneeded = self.made.iter().find(|(_, stream)| stream.control.borrow().consumers == 0);
        let Some(key) = unneeded.map(|(key, _)| *key) else { return };
        if let Some(stream) = self.made.remove(&key) {
            stream.end(Ended::Removed);
        }
    }

    /// Transcoders that run, without those that end by themselves: of tracks that have ended, or in whose place there are these. When a source changes its
    /// tracks, those of the old ones would else keep the place of those of the new ones.
    fn busy(&self, generation: u64, for_origin: &Origins) -> usize {
        let is_old = |key: &MadeKey, stream: &Stream| {
            let Origin::Made(made) = &stream.origin else { return false };
            key.0 < generation && Weak::ptr_eq(&made.of, &for_origin.of)
        };
        let stays =
            |(key, stream): &(&MadeKey, &Arc<Stream>)| !stream.origin.is_gone() && !is_old(key, stream);
        self.made.iter().filter(stays).count()
    }

    /// Joins the first of these that is there.
    fn join_made(&self, keys: impl Iterator<Item = MadeKey>) -> Option<(Consumer, Target)> {
        let mut there = keys.filter_map(|key| Some((self.made.get(&key)?, key.2)));
        there.find_map(|(stream, target)| Some((Consumer::join(stream, usize::MAX).ok()?, target)))
    }
}

impl Inner {
    /// Adds a transcoder's stream, unless somebody has just done so, and joins it.
    fn add_made(
        self: &Arc<Self>,
        key: MadeKey,
        of: &StreamName,
        origin: Origins,
        source: Arc<dyn Source>,
    ) -> Result<Consumer, MakeError> {
        let mut streams = self.streams.lock();
        if let Some((consumer, _)) = streams.join_made(std::iter::once(key)) {
            return Ok(consumer);
        }
        if streams.closed {
            return Err(MakeError::Closed);
        }
        let most = self.config.max_transcoders;
        if streams.busy(key.0, &origin) >= most {
            streams.end_unneeded();
        }
        // Those that are ending are bounded too, by as many again.
        if streams.busy(key.0, &origin) >= most || streams.made.len() >= most.saturating_mul(2) {
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
    pub(super) fn remove_made(&self, stream: &Arc<Stream>) -> bool {
        let mut streams = self.streams.lock();
        if stream.control.borrow().consumers > 0 && !stream.origin.is_gone() {
            return false;
        }
        streams.made.retain(|_, other| !Arc::ptr_eq(other, stream));
        drop(streams);
        stream.end(Ended::Removed);
        true
    }
}
