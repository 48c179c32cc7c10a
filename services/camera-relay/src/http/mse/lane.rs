//! One track on its way to one page.

use patchbay_fmp4::{Sample, timing::Immediate};
use patchbay_media::{
    AccessUnit, MediaTime, TrackId,
    ring::{Read, Reader, Start},
    track::{Track, TrackInfo},
};
use std::{future::pending, sync::Arc, time::Duration};

/// Number of the track that leads: pictures, or sound where there are none.
pub(super) const LEADING: TrackId = TrackId(0);
/// Number of sound beside pictures.
const BESIDE: TrackId = TrackId(1);

/// Bounds of what is sent to a page that comes in the middle.
#[derive(Clone, Copy, Debug)]
pub(super) struct Opening {
    /// Pictures.
    pub(super) frames: usize,
    /// Bytes.
    pub(super) bytes: usize,
    /// Further behind than this, reading goes on at the newest key frame.
    pub(super) patience: Duration,
}

/// A track that is read.
pub(super) struct Lane {
    track: Arc<Track>,
    /// Its number on the way to the page: tracks of different streams may have the same one.
    id: TrackId,
    reader: Reader<AccessUnit>,
    timing: Immediate,
    patience: Duration,
    ended: bool,
}

impl Lane {
    /// A track from the newest key frame that is kept, or from the next one, where all since then would be too much.
    pub(super) fn leading(track: &Arc<Track>, opening: Opening) -> Self {
        let group = track.ring().newest_group();
        let bytes: usize = group.iter().map(|entry| entry.item.data.len()).sum();
        let start = if group.len() > opening.frames || bytes > opening.bytes {
            track.request_key_frame();
            Start::NextKey
        } else {
            Start::NewestKey
        };
        Self::at(track, LEADING, start, opening.patience)
    }

    /// Sound beside pictures, from a time on. It is never moved by itself, or it would be missing where pictures are.
    pub(super) fn beside(track: &Arc<Track>, from: MediaTime) -> Self {
        let ring = track.ring();
        let (mut low, mut high) = (ring.oldest(), ring.written());
        while low < high {
            let middle = low.midpoint(high);
            // What was overwritten meanwhile was earlier.
            let is_early = ring.get(middle).is_none_or(|entry| entry.item.pts < from);
            if is_early { low = middle + 1 } else { high = middle }
        }
        Self::at(track, BESIDE, Start::At(low), Duration::MAX)
    }

    fn at(track: &Arc<Track>, id: TrackId, start: Start, patience: Duration) -> Self {
        let reader = track.reader(start).with_patience(patience);
        Self {
            timing: Immediate::new(track.info()),
            reader,
            id,
            patience,
            track: Arc::clone(track),
            ended: false,
        }
    }

    /// What it carries, under its number here.
    pub(super) fn info(&self) -> TrackInfo {
        TrackInfo { id: self.id, ..self.track.info().clone() }
    }

    /// The next unit; waits for ever when the track has ended, for the hub tells what follows. Cancel-safe.
    pub(super) async fn next(&mut self) -> Read<AccessUnit> {
        if !self.ended
            && let Ok(read) = self.reader.next().await
        {
            return read;
        }
        self.ended = true;
        pending().await
    }

    /// The next unit, if it is there.
    pub(super) fn try_next(&mut self) -> Option<Read<AccessUnit>> {
        self.reader.try_next().ok().flatten()
    }

    /// Says how long a unit lasts.
    pub(super) fn sample(&mut self, unit: AccessUnit) -> Sample {
        self.timing.push(AccessUnit { track: self.id, ..unit })
    }

    /// Something was left out: what follows stands on its own.
    pub(super) fn begin_anew(&mut self) {
        self.timing = Immediate::new(self.track.info());
    }

    /// Nothing is of use before the next key frame.
    pub(super) fn wait_for_key(&mut self) {
        self.track.request_key_frame();
        self.reader = self.track.reader(Start::NextKey).with_patience(self.patience);
    }
}
