//! Pauses between attempts to connect: short at first, never longer than a second, so that a replica is back well
//! within five seconds of Redis; with jitter, so that replicas do not come back in step.

use std::time::Duration;

const FIRST: Duration = Duration::from_millis(50);
const LONGEST: Duration = Duration::from_secs(1);

/// The next pause to make.
pub(super) struct Backoff(Duration);

impl Default for Backoff {
    fn default() -> Self {
        Self(FIRST)
    }
}

impl Backoff {
    pub(super) fn next(&mut self) -> Duration {
        let pause = self.0.mul_f64(rand::random_range(0.5..=1.0));
        self.0 = (self.0 * 2).min(LONGEST);
        pause
    }

    pub(super) fn reset(&mut self) {
        *self = Self::default();
    }
}
