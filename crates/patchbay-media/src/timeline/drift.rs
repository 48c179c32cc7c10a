//! How far a source's clock has gone away from ours, and what is done about that.
//!
//! The least time between a unit's place on the line and its arrival, over some seconds, tells what is left when delays of the network are taken
//! away. It shall stay as it was at first. A slow change is a clock that runs too fast or too slow, and is taken back by stretching or squeezing
//! the line a little. A sudden one is a pause that the source's clock has not counted, or the end of one: it is accepted.

use super::nanos;
use std::time::Duration;

/// Time over which the least delay is taken.
const WINDOW: Duration = Duration::from_secs(5);
/// Drift at which the correction begins.
const BEGIN: i64 = 200_000_000;
/// Drift at which it ends.
const END: i64 = 20_000_000;
/// More than this within a window is not drift.
const SUDDEN: i64 = 1_000_000_000;
/// The line is stretched or squeezed by one part in so many.
const SLEW: i64 = 50;

/// Follows the drift of one source.
#[derive(Debug, Default)]
pub(super) struct Drift {
    /// Begin of the window, and the least delay in it.
    window: Option<(i64, i64)>,
    /// The delay that shall stay.
    reference: Option<i64>,
    /// What is still to be corrected.
    excess: i64,
    correction: i64,
}

impl Drift {
    /// What to add to all places, in nanoseconds.
    pub(super) fn correction(&self) -> i64 {
        self.correction
    }

    /// The line has gone on by so much.
    pub(super) fn advance(&mut self, progress: i64) {
        let most = progress / SLEW;
        let part = self.excess.clamp(-most, most);
        self.excess -= part;
        self.correction = self.correction.saturating_add(part);
    }

    /// A unit was placed there, and arrived then.
    pub(super) fn measure(&mut self, arrival: Duration, place: i64) {
        let arrival = nanos(arrival);
        let delay = arrival.saturating_sub(place);
        let (begun, least) = self.window.unwrap_or((arrival, delay));
        let least = least.min(delay);
        if arrival.saturating_sub(begun) < nanos(WINDOW) {
            self.window = Some((begun, least));
            return;
        }
        self.window = None;
        self.judge(least);
    }

    fn judge(&mut self, least: i64) {
        let reference = *self.reference.get_or_insert(least);
        let drift = least.saturating_sub(reference);
        let is_correcting = self.excess != 0;
        match drift.saturating_abs() {
            SUDDEN.. => {
                self.reference = Some(least);
                self.excess = 0;
            }
            BEGIN.. => self.excess = drift,
            END.. if is_correcting => self.excess = drift,
            _ => self.excess = 0,
        }
    }
}
