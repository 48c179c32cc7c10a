//! Measures a track from the reader's side: looks at the ring twice a second and never touches the writer.

use crate::{AccessUnit, Kind, MediaTime, track::Track};
use std::{collections::VecDeque, sync::Arc, time::Duration};
use tokio::time::Instant;

/// Time over which rates are taken.
const WINDOW: Duration = Duration::from_secs(3);
/// Times between key frames of which the middle one is told.
const KEY_INTERVALS: usize = 5;

/// What was measured of a track.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Figures {
    /// Units written since the track began.
    pub units: u64,
    /// Bytes written since the track began.
    pub bytes: u64,
    /// Bytes kept for readers that come.
    pub cached_bytes: u64,
    /// Units a second, over the last three seconds.
    pub rate: f64,
    /// Bits a second, over the last three seconds.
    pub bitrate: u64,
    /// Time between key frames on the stream's line: the middle one of the last five; none until there were two, and for sound.
    pub key_frame_interval: Option<Duration>,
    /// Key frames that were asked for.
    pub key_frame_requests: u64,
}

/// Follows one track.
#[derive(Debug)]
pub(crate) struct Meter {
    track: Arc<Track>,
    /// Position of the next unit to look at.
    next: u64,
    bytes: u64,
    last_key: Option<MediaTime>,
    intervals: VecDeque<Duration>,
    /// When, and the units and bytes until then; the first one is the newest that is at least a window old.
    samples: VecDeque<(Instant, u64, u64)>,
    last_unit: Instant,
}

impl Meter {
    pub(crate) fn new(track: Arc<Track>, now: Instant) -> Self {
        Self {
            track,
            next: 0,
            bytes: 0,
            last_key: None,
            intervals: VecDeque::new(),
            samples: VecDeque::from([(now, 0, 0)]),
            last_unit: now,
        }
    }

    /// Takes in what was written since the last call.
    pub(crate) fn sample(&mut self, now: Instant) {
        let head = self.track.ring().written();
        if head > self.next {
            self.last_unit = now;
        }
        // What is gone already was never seen; its bytes are not counted.
        self.next = self.next.max(self.track.ring().oldest());
        while self.next < head {
            if let Some(entry) = self.track.ring().get(self.next) {
                self.take(&entry.item);
            }
            self.next += 1;
        }
        self.samples.push_back((now, head, self.bytes));
        while self.samples.get(1).is_some_and(|(at, ..)| now.duration_since(*at) >= WINDOW) {
            self.samples.pop_front();
        }
    }

    fn take(&mut self, unit: &AccessUnit) {
        self.bytes += unit.data.len() as u64;
        // Each unit of sound is a key.
        if !unit.key || self.kind() == Kind::Audio {
            return;
        }
        if let Some(last) = self.last_key.replace(unit.dts) {
            self.intervals.push_back(unit.dts.since(last));
            if self.intervals.len() > KEY_INTERVALS {
                self.intervals.pop_front();
            }
        }
    }

    /// When a unit was last seen, or else when the measuring began.
    pub(crate) fn last_unit(&self) -> Instant {
        self.last_unit
    }

    /// What is measured.
    pub(crate) fn track(&self) -> &Track {
        &self.track
    }

    /// Pictures or sound.
    pub(crate) fn kind(&self) -> Kind {
        self.track.info().codec.kind()
    }

    /// What came of it.
    pub(crate) fn figures(&self) -> Figures {
        let (rate, bitrate) = self.rates();
        Figures {
            units: self.track.ring().written(),
            bytes: self.bytes,
            cached_bytes: self.track.ring().bytes(),
            rate,
            bitrate,
            key_frame_interval: self.key_frame_interval(),
            key_frame_requests: self.track.key_requests().total(),
        }
    }

    fn rates(&self) -> (f64, u64) {
        let (Some((from, units, bytes)), Some((to, more_units, more_bytes))) =
            (self.samples.front(), self.samples.back())
        else {
            return (0.0, 0);
        };
        let millis = u32::try_from(to.duration_since(*from).as_millis()).unwrap_or(u32::MAX);
        if millis == 0 {
            return (0.0, 0);
        }
        let units = u32::try_from(more_units - units).unwrap_or(u32::MAX);
        let bits = (more_bytes - bytes).saturating_mul(8 * 1000);
        (f64::from(units) * 1000.0 / f64::from(millis), bits / u64::from(millis))
    }

    fn key_frame_interval(&self) -> Option<Duration> {
        let mut intervals: Vec<Duration> = self.intervals.iter().copied().collect();
        intervals.sort_unstable();
        intervals.get(intervals.len() / 2).copied()
    }
}

#[cfg(test)]
#[path = "meter_tests.rs"]
mod tests;
