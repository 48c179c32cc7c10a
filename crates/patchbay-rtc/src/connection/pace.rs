//! How packets to a viewer with little bandwidth go out: no faster than its way carries, so that the burst of a key frame does not queue on the way, where it
//! would hold up what is newer, and the sound.
//!
//! The queue is the feed's own ring: nothing is copied. What has waited too long there is left out up to the newest key frame.

use crate::congestion::{PROBE_RAMP, PROBE_TIME};
use std::time::{Duration, Instant};

/// A unit that has waited so long is left out, unless it is the newest key frame.
pub(super) const MOST_WAIT: Duration = Duration::from_millis(800);

/// Time for which packets may go out at once.
const BURST: Duration = Duration::from_millis(15);
/// And bytes, whatever the rate: two packets.
const LEAST_BURST: i64 = 2_600;

/// Bytes of a packet besides its payload.
const AROUND: i64 = 68;

/// A leaky bucket.
#[derive(Debug)]
pub(super) struct Pace {
    /// Bytes a second.
    rate: u64,
    level: i64,
    at: Instant,
    /// Packets of the unit at the reader's place that are sent already.
    pub(super) index: usize,
    pub(super) probe: Option<Probe>,
}

/// Packets that are sent again, only to see whether they get through.
#[derive(Debug)]
pub(super) struct Probe {
    rate: u64,
    level: i64,
    at: Instant,
    begun: Instant,
    /// Packets back from the newest one.
    pub(super) back: u16,
}

impl Pace {
    pub(super) fn new(bits: u64, now: Instant) -> Self {
        Self { rate: bits / 8, level: LEAST_BURST, at: now, index: 0, probe: None }
    }

    pub(super) fn set_rate(&mut self, bits: u64) {
        self.rate = bits / 8;
    }

    pub(super) fn refill(&mut self, now: Instant) {
        let earned = bytes(self.rate, now.saturating_duration_since(self.at));
        let most = bytes(self.rate, BURST).max(LEAST_BURST);
        self.level = self.level.saturating_add(earned).min(most);
        self.at = now;
    }

    /// The next packet may go.
    pub(super) fn has_room(&self) -> bool {
        self.level > 0
    }

    /// A packet that repairs what was lost may go: these do not wait, so they may go ahead of what is new by a little.
    pub(super) fn has_room_for_repair(&self) -> bool {
        self.level > -bytes(self.rate, Duration::from_millis(60))
    }

    pub(super) fn spend(&mut self, payload: usize) {
        self.level =
            self.level.saturating_sub(i64::try_from(payload).unwrap_or(i64::MAX).saturating_add(AROUND));
    }

    pub(super) fn begin_probe(&mut self, bits: u64, now: Instant) {
        self.probe = Some(Probe { rate: bits / 8, level: 0, at: now, begun: now, back: 0 });
    }
}

impl Probe {
    /// Whether another packet is to go; nothing when the probe is over.
    pub(super) fn room(&mut self, now: Instant) -> Option<bool> {
        let elapsed = now.saturating_duration_since(self.begun);
        if elapsed >= PROBE_TIME {
            return None;
        }
        let part = u64::try_from(elapsed.min(PROBE_RAMP).as_millis()).unwrap_or(0);
        let rate = self.rate * part / u64::try_from(PROBE_RAMP.as_millis()).unwrap_or(1);
        let earned = bytes(rate, now.saturating_duration_since(self.at).min(BURST));
        self.level = self.level.saturating_add(earned).min(bytes(self.rate, BURST));
        self.at = now;
        Some(self.level > 0)
    }

    pub(super) fn spend(&mut self, payload: usize) {
        self.level =
            self.level.saturating_sub(i64::try_from(payload).unwrap_or(i64::MAX).saturating_add(AROUND));
    }
}

fn bytes(rate: u64, time: Duration) -> i64 {
    let bytes = u128::from(rate) * time.as_micros() / 1_000_000;
    i64::try_from(bytes).unwrap_or(i64::MAX)
}
