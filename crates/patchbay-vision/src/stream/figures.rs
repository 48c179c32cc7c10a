//! What was done and what was left out, of all runs of a source.

use std::{
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};

/// What was done and what was left out, since the source was made.
#[derive(Debug, Default)]
pub struct VisionFigures {
    pictures: AtomicU64,
    looks: AtomicU64,
    skipped: AtomicU64,
    keys_only: AtomicU64,
    undecodable: AtomicU64,
    late: AtomicU64,
    anew: AtomicU64,
    blind: AtomicU64,
    busy_nanos: AtomicU64,
}

impl VisionFigures {
    /// Pictures that were decoded.
    pub fn pictures(&self) -> u64 {
        self.pictures.load(Ordering::Relaxed)
    }

    /// Pictures in which motion was looked for.
    pub fn looks(&self) -> u64 {
        self.looks.load(Ordering::Relaxed)
    }

    /// Units that were not read because the machine is too slow.
    pub fn skipped(&self) -> u64 {
        self.skipped.load(Ordering::Relaxed)
    }

    /// Times that only key frames were looked at for a while, because the machine is too slow.
    pub fn keys_only(&self) -> u64 {
        self.keys_only.load(Ordering::Relaxed)
    }

    /// Units that could not be decoded.
    pub fn undecodable(&self) -> u64 {
        self.undecodable.load(Ordering::Relaxed)
    }

    /// Pictures that were decoded, and not encoded because they were late.
    pub fn late(&self) -> u64 {
        self.late.load(Ordering::Relaxed)
    }

    /// Times that most of the picture changed at once and was learned anew.
    pub fn anew(&self) -> u64 {
        self.anew.load(Ordering::Relaxed)
    }

    /// Runs in which motion could not be looked for.
    pub fn blind(&self) -> u64 {
        self.blind.load(Ordering::Relaxed)
    }

    /// Time spent with pictures: decoding them, working on them, and looking for motion.
    pub fn busy(&self) -> Duration {
        Duration::from_nanos(self.busy_nanos.load(Ordering::Relaxed))
    }

    pub(super) fn add_busy(&self, time: Duration) {
        self.busy_nanos.fetch_add(u64::try_from(time.as_nanos()).unwrap_or(u64::MAX), Ordering::Relaxed);
    }

    pub(super) fn add_pictures(&self, pictures: usize) {
        self.pictures.fetch_add(pictures as u64, Ordering::Relaxed);
    }

    pub(super) fn add_look(&self) {
        self.looks.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn add_skipped(&self, units: u64) {
        self.skipped.fetch_add(units, Ordering::Relaxed);
    }

    pub(super) fn add_keys_only(&self) {
        self.keys_only.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn add_undecodable(&self) {
        self.undecodable.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn add_late(&self) {
        self.late.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn add_anew(&self, times: u64) {
        self.anew.fetch_add(times, Ordering::Relaxed);
    }

    pub(super) fn add_blind(&self) {
        self.blind.fetch_add(1, Ordering::Relaxed);
    }
}
