//! How much came lately, against a limit.

use std::time::{Duration, Instant};

/// Time over which is averaged: a camera may send what it has kept at once.
const WINDOW: Duration = Duration::from_secs(2);

/// Counts something, and tells when there is too much of it.
#[derive(Debug)]
pub(crate) struct Rate {
    most: u64,
    begun: Instant,
    counted: u64,
}

impl Rate {
    /// At most so many a second.
    pub(crate) fn new(per_second: u64, now: Instant) -> Self {
        Self { most: per_second.saturating_mul(WINDOW.as_secs()), begun: now, counted: 0 }
    }

    /// Counts; false when that is too much.
    pub(crate) fn add(&mut self, count: u64, now: Instant) -> bool {
        if now.saturating_duration_since(self.begun) >= WINDOW {
            (self.begun, self.counted) = (now, 0);
        }
        self.counted = self.counted.saturating_add(count);
        self.counted <= self.most
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bursts_pass_and_floods_do_not() {
        let now = Instant::now();
        let mut rate = Rate::new(10, now);
        assert!((0..20).all(|_| rate.add(1, now)));
        assert!(!rate.add(1, now));
        assert!(rate.add(20, now + WINDOW), "a new window");
        assert!(!rate.add(u64::MAX, now + WINDOW));
    }
}
