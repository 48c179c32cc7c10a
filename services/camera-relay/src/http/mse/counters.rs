//! What is measured of one page.

use crate::viewers::{Figures, Measured};
use std::{
    sync::{
        OnceLock,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

/// Counts of one page; they only rise.
#[derive(Default)]
pub(super) struct Counters {
    fragments: AtomicU64,
    bytes: AtomicU64,
    skips: AtomicU64,
    /// Time from its wish to the first fragment.
    took: OnceLock<Duration>,
}

impl Counters {
    /// Counts a fragment; true for the first one.
    pub(super) fn sent(&self, bytes: usize, since: Duration) -> bool {
        self.fragments.fetch_add(1, Ordering::Relaxed);
        self.bytes.fetch_add(bytes as u64, Ordering::Relaxed);
        self.took.set(since).is_ok()
    }

    /// Counts that it was moved to a newer key frame.
    pub(super) fn skipped(&self) {
        self.skips.fetch_add(1, Ordering::Relaxed);
    }
}

impl Measured for Counters {
    fn figures(&self) -> Figures {
        let took = self.took.get().copied();
        Figures {
            connected: took.is_some(),
            transport: "http".to_owned(),
            packets_sent: self.fragments.load(Ordering::Relaxed),
            bytes_sent: self.bytes.load(Ordering::Relaxed),
            skips: self.skips.load(Ordering::Relaxed),
            connect_time: took,
            ..Figures::default()
        }
    }
}
