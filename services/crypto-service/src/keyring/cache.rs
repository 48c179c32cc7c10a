//! Keys in memory, and how sure it is that they are still what the store has.

use super::{LoadedKey, flight::Flight};
use crate::config;
use parking_lot::RwLock;
use std::{
    collections::HashMap,
    sync::{
        Arc, Weak,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};
use tokio::time::Instant;

/// Keys in memory at most; the longest unused go first.
const CAPACITY: usize = 10_000;

/// Part of the keys that goes when there is no room.
const EVICTED: usize = CAPACITY / 10;

/// The cache. A change that was told drops its key at once; a read that began before that cannot bring it back.
pub(super) struct Cache {
    entries: RwLock<Entries>,
    /// When the store last said that nothing else has changed, in milliseconds since `started`; 0 is never.
    confirmed: AtomicU64,
    started: Instant,
    stale_after: Duration,
    ttl: Duration,
}

#[derive(Default)]
struct Entries {
    keys: HashMap<Arc<str>, Entry>,
    /// Reads that go on and that nothing told since has made worthless. Those who wait for them keep them.
    flights: HashMap<Arc<str>, Weak<Flight>>,
    /// Rises with every change of which it was told.
    generation: u64,
    /// Revision of the newest of these changes.
    newest: u64,
}

struct Entry {
    key: Arc<LoadedKey>,
    used: AtomicU64,
}

impl Cache {
    pub(super) fn new(config: &config::Keys) -> Self {
        // The epoch lies a little back, so that 0 is before everything.
        let now = Instant::now();
        Self {
            entries: RwLock::default(),
            confirmed: AtomicU64::new(0),
            started: now.checked_sub(Duration::from_secs(1)).unwrap_or(now),
            stale_after: config.stale_after.duration(),
            ttl: config.cache_ttl.duration(),
        }
    }

    /// A key that is there, unless it was too long ago that the store confirmed what is here.
    pub(super) fn fresh(&self, name: &str) -> Option<Arc<LoadedKey>> {
        let now = self.now();
        let confirmed = self.confirmed.load(Ordering::Acquire);
        if confirmed == 0 || now.saturating_sub(confirmed) > millis(self.stale_after) {
            return None;
        }
        let entries = self.entries.read();
        let entry = entries.keys.get(name)?;
        entry.used.store(now, Ordering::Relaxed);
        Some(Arc::clone(&entry.key))
    }

    /// A key that is there, however old.
    pub(super) fn known(&self, name: &str) -> Option<Arc<LoadedKey>> {
        self.entries.read().keys.get(name).map(|entry| Arc::clone(&entry.key))
    }

    /// The read of a key that goes on, or a new one.
    pub(super) fn flight(&self, name: &str) -> Arc<Flight> {
        let mut entries = self.entries.write();
        if let Some(flight) = entries.flights.get(name).and_then(Weak::upgrade) {
            return flight;
        }
        let flight = Arc::new(Flight::new());
        entries.flights.insert(name.into(), Arc::downgrade(&flight));
        flight
    }

    /// Nobody needs to wait for this one any more.
    pub(super) fn landed(&self, name: &str, flight: &Arc<Flight>) {
        let mut entries = self.entries.write();
        if entries.flights.get(name).is_some_and(|other| other.as_ptr() == Arc::as_ptr(flight)) {
            entries.flights.remove(name);
        }
    }

    /// Keys that are here.
    pub(super) fn count(&self) -> usize {
        self.entries.read().keys.len()
    }

    /// To be asked before a read, and given to [`Cache::insert`] after it.
    pub(super) fn generation(&self) -> u64 {
        self.entries.read().generation
    }

    /// Keeps what was read, unless a change was told since the read began. Where another read of the same was quicker, its
    /// result is the one to use, with what is left of its blocks of nonces.
    pub(super) fn insert(&self, key: Arc<LoadedKey>, generation: u64) -> Arc<LoadedKey> {
        let mut entries = self.entries.write();
        if let Some(entry) = entries.keys.get(&key.name).filter(|entry| entry.key.revision == key.revision) {
            return Arc::clone(&entry.key);
        }
        if entries.generation == generation {
            entries.put(&key, self.now());
        }
        key
    }

    /// Keeps what this replica itself has just committed, unless somebody else's later change was told already.
    pub(super) fn replace(&self, key: &Arc<LoadedKey>) {
        let mut entries = self.entries.write();
        entries.outdate(&key.name);
        if entries.newest <= key.revision {
            entries.put(key, self.now());
        } else {
            entries.keys.remove(&key.name);
        }
    }

    /// Drops a key that this replica has changed or found gone.
    pub(super) fn forget(&self, name: &str) {
        let mut entries = self.entries.write();
        entries.outdate(name);
        entries.keys.remove(name);
    }

    /// Drops a key that somebody has changed, unless it is here as it was after that change.
    pub(super) fn changed(&self, name: &str, revision: u64) {
        let mut entries = self.entries.write();
        entries.outdate(name);
        entries.newest = entries.newest.max(revision);
        if entries.keys.get(name).is_some_and(|entry| entry.key.revision < revision) {
            entries.keys.remove(name);
        }
    }

    /// Lets no read that has begun be kept: changes may have been missed. Tells what is here, to be compared.
    pub(super) fn doubt(&self) -> Vec<(Arc<str>, u64)> {
        let mut entries = self.entries.write();
        entries.generation += 1;
        entries.flights.clear();
        entries.keys.iter().map(|(name, entry)| (Arc::clone(name), entry.key.revision)).collect()
    }

    /// Drops a key that is still here with this revision.
    pub(super) fn drop_outdated(&self, name: &str, revision: u64) {
        let mut entries = self.entries.write();
        if entries.keys.get(name).is_some_and(|entry| entry.key.revision == revision) {
            entries.keys.remove(name);
        }
    }

    /// Drops everything, revisions seen included: the store is not the one that it was.
    pub(super) fn clear(&self) {
        let mut entries = self.entries.write();
        *entries = Entries { generation: entries.generation + 1, ..Entries::default() };
    }

    /// Everything here was right at this time.
    pub(super) fn confirm(&self, at: Instant) {
        self.confirmed.fetch_max(millis(at.saturating_duration_since(self.started)), Ordering::AcqRel);
    }

    /// Drops keys that nobody has used for long.
    pub(super) fn drop_idle(&self) {
        let oldest = self.now().saturating_sub(millis(self.ttl));
        let mut entries = self.entries.write();
        entries.keys.retain(|_, entry| entry.used.load(Ordering::Relaxed) >= oldest);
        // Those whose callers have all gone away.
        entries.flights.retain(|_, flight| flight.strong_count() > 0);
    }

    /// Whether the store has said so yet.
    #[cfg(test)]
    pub(super) fn is_confirmed(&self) -> bool {
        self.confirmed.load(Ordering::Acquire) != 0
    }

    fn now(&self) -> u64 {
        millis(self.started.elapsed())
    }
}

impl Entries {
    /// No read that has begun is to be kept, and none of this key to be waited for.
    fn outdate(&mut self, name: &str) {
        self.generation += 1;
        self.flights.remove(name);
    }

    fn put(&mut self, key: &Arc<LoadedKey>, now: u64) {
        let newer = |entry: &Entry| entry.key.revision > key.revision;
        if self.keys.get(&key.name).is_some_and(newer) {
            return;
        }
        if self.keys.len() >= CAPACITY && !self.keys.contains_key(&key.name) {
            self.evict();
        }
        let entry = Entry { key: Arc::clone(key), used: AtomicU64::new(now) };
        self.keys.insert(Arc::clone(&key.name), entry);
    }

    fn evict(&mut self) {
        let mut uses: Vec<u64> = self.keys.values().map(|entry| entry.used.load(Ordering::Relaxed)).collect();
        let (_, limit, _) = uses.select_nth_unstable(EVICTED.min(self.keys.len().saturating_sub(1)));
        let limit = *limit;
        self.keys.retain(|_, entry| entry.used.load(Ordering::Relaxed) > limit);
    }
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
