//! Counts over fixed windows.

use super::{Inner, MemoryBackplane, ready};
use crate::{Answer, Counters, Name, clock::millis};
use std::time::Duration;

pub(super) struct Window {
    sum: u64,
    until: u64,
}

impl Counters for MemoryBackplane {
    fn add(&self, counter: &Name, amount: u64, window: Duration) -> Answer<u64> {
        let now = self.now();
        let mut counters = self.0.counters.lock();
        let fresh = || Window { sum: 0, until: now + millis(window) };
        let current = counters.entry(counter.clone()).or_insert_with(fresh);
        if current.until <= now {
            *current = fresh();
        }
        current.sum = current.sum.saturating_add(amount);
        ready(current.sum)
    }
}

pub(super) fn sweep(inner: &Inner, now: u64) {
    inner.counters.lock().retain(|_, window| window.until > now);
}
