//! A ring of items with one writer and any number of readers.
//!
//! The writer never waits: it puts an item into a slot, moves the head, and wakes who waits. A reader holds a position and takes what stands there
//! by reference count; it locks nothing and copies nothing. A reader that has fallen behind, or whose place was overwritten, goes on at the newest
//! key item, so that what it gets can always be decoded; what it missed is counted.

use crate::MediaTime;
use arc_swap::ArcSwapOption;
use std::{
    collections::VecDeque,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};
use tokio::sync::Notify;

/// What a ring needs to know of its items.
pub trait Item: Send + Sync + 'static {
    /// Bytes that count against the cap.
    fn size(&self) -> usize;
    /// Its place in time; never goes back.
    fn time(&self) -> MediaTime;
    /// A reader can start here.
    fn is_key(&self) -> bool;
}

/// Bounds of a ring. The newest item is kept whatever its size.
#[derive(Clone, Copy, Debug)]
pub struct Caps {
    /// Bytes of all items kept.
    pub bytes: usize,
    /// Time between the oldest and the newest item kept.
    pub time: Duration,
    /// Items kept; rounded up to a power of two.
    pub items: usize,
}

impl Default for Caps {
    fn default() -> Self {
        Self { bytes: 32 * 1024 * 1024, time: Duration::from_secs(12), items: 1024 }
    }
}

/// Where a reader starts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Start {
    /// At the newest key item kept, or else at the next one.
    NewestKey,
    /// At the next key item.
    NextKey,
    /// At the next item, whatever it is.
    Next,
    /// At this position, or, where it is gone, at the newest key item.
    At(u64),
}

/// Why there is nothing more to read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the writer is gone")]
pub struct Ended;

/// An item, and where it stands.
#[derive(Debug)]
pub struct Entry<T> {
    /// Items written before it.
    pub position: u64,
    /// The item.
    pub item: T,
}

/// What a reader got.
#[derive(Debug)]
pub struct Read<T> {
    /// The entry.
    pub entry: Arc<Entry<T>>,
    /// Items between the last one that this reader got and this one; what they were is lost to it.
    pub skipped: u64,
}

#[derive(Debug)]
struct Shared<T> {
    slots: Box<[ArcSwapOption<Entry<T>>]>,
    /// Position of the next item.
    head: AtomicU64,
    /// Position of the oldest item kept.
    tail: AtomicU64,
    /// Position of the newest key item, plus one; 0 when there was none.
    newest_key: AtomicU64,
    bytes: AtomicU64,
    ended: AtomicBool,
    written: Notify,
}

/// The writing end.
#[derive(Debug)]
pub struct Writer<T: Item> {
    shared: Arc<Shared<T>>,
    caps: Caps,
}

/// A way to make readers. Does not keep the ring from ending.
#[derive(Debug)]
pub struct Handle<T> {
    shared: Arc<Shared<T>>,
}

/// A cursor.
#[derive(Debug)]
pub struct Reader<T> {
    shared: Arc<Shared<T>>,
    next: u64,
    /// Nothing before a key item can be decoded.
    needs_key: bool,
    skipped: u64,
    /// Most time behind the newest item before the reader skips.
    patience: Duration,
}

/// A ring and its first handle.
pub fn ring<T: Item>(caps: Caps) -> (Writer<T>, Handle<T>) {
    let slots = caps.items.clamp(2, 1 << 20).next_power_of_two();
    let shared = Arc::new(Shared {
        slots: (0..slots).map(|_| ArcSwapOption::empty()).collect(),
        head: AtomicU64::new(0),
        tail: AtomicU64::new(0),
        newest_key: AtomicU64::new(0),
        bytes: AtomicU64::new(0),
        ended: AtomicBool::new(false),
        written: Notify::new(),
    });
    (Writer { shared: Arc::clone(&shared), caps }, Handle { shared })
}

impl<T> Shared<T> {
    fn slot(&self, position: u64) -> &ArcSwapOption<Entry<T>> {
        let mask = self.slots.len() as u64 - 1;
        #[expect(
            clippy::cast_possible_truncation,
            reason = "masked to the number of slots, which is a usize"
        )]
        let index = (position & mask) as usize;
        &self.slots[index]
    }

    /// What stands at a position, if it is still there.
    fn at(&self, position: u64) -> Option<Arc<Entry<T>>> {
        self.slot(position).load_full().filter(|entry| entry.position == position)
    }

    /// Position of the newest key item, if that is kept.
    fn newest_key(&self) -> Option<u64> {
        let position = self.newest_key.load(Ordering::Acquire).checked_sub(1)?;
        (position >= self.tail.load(Ordering::Acquire)).then_some(position)
    }
}

impl<T: Item> Writer<T> {
    /// Appends an item and lets go of what the caps do not allow to keep.
    pub fn push(&mut self, item: T) {
        let shared = &*self.shared;
        let position = shared.head.load(Ordering::Relaxed);
        let (time, key) = (item.time(), item.is_key());
        self.make_room(position, item.size(), time);
        shared.bytes.fetch_add(item.size() as u64, Ordering::Relaxed);
        shared.slot(position).store(Some(Arc::new(Entry { position, item })));
        if key {
            shared.newest_key.store(position + 1, Ordering::Release);
        }
        shared.head.store(position + 1, Ordering::Release);
        shared.written.notify_waiters();
    }

    fn make_room(&self, position: u64, size: usize, time: MediaTime) {
        let shared = &*self.shared;
        let mut tail = shared.tail.load(Ordering::Relaxed);
        while tail < position {
            let slot = shared.slot(tail);
            let oldest = slot.load();
            let Some(entry) = oldest.as_ref() else { break };
            let kept = shared.bytes.load(Ordering::Relaxed) + size as u64;
            let full = position - tail >= shared.slots.len() as u64
                || kept > self.caps.bytes as u64
                || time.since(entry.item.time()) > self.caps.time;
            if !full {
                break;
            }
            shared.bytes.fetch_sub(entry.item.size() as u64, Ordering::Relaxed);
            tail += 1;
            // First the mark, then the slot: who finds the slot empty sees that the place is gone.
            shared.tail.store(tail, Ordering::Release);
            drop(oldest);
            slot.store(None);
        }
    }
}

impl<T: Item> Drop for Writer<T> {
    fn drop(&mut self) {
        self.shared.ended.store(true, Ordering::Release);
        self.shared.written.notify_waiters();
    }
}

impl<T> Clone for Handle<T> {
    fn clone(&self) -> Self {
        Self { shared: Arc::clone(&self.shared) }
    }
}

impl<T> Handle<T> {
    /// Items written so far.
    pub fn written(&self) -> u64 {
        self.shared.head.load(Ordering::Acquire)
    }

    /// Position of the oldest item kept.
    pub fn oldest(&self) -> u64 {
        self.shared.tail.load(Ordering::Acquire)
    }

    /// Bytes kept.
    pub fn bytes(&self) -> u64 {
        self.shared.bytes.load(Ordering::Relaxed)
    }

    /// The writer is gone.
    pub fn has_ended(&self) -> bool {
        self.shared.ended.load(Ordering::Acquire)
    }

    /// Position of the newest key item, if that is kept.
    pub fn newest_key(&self) -> Option<u64> {
        self.shared.newest_key()
    }

    /// What stands at a position, if it is kept.
    pub fn get(&self, position: u64) -> Option<Arc<Entry<T>>> {
        self.shared.at(position)
    }

    /// The newest item.
    pub fn newest(&self) -> Option<Arc<Entry<T>>> {
        self.get(self.written().checked_sub(1)?)
    }

    /// Everything kept from the newest key item on; empty when there is none.
    pub fn newest_group(&self) -> VecDeque<Arc<Entry<T>>> {
        let Some(key) = self.newest_key() else { return VecDeque::new() };
        (key..self.written()).map_while(|position| self.get(position)).collect()
    }
}

impl<T: Item> Handle<T> {
    /// A cursor.
    pub fn reader(&self, start: Start) -> Reader<T> {
        let head = self.written();
        let (next, needs_key) = match start {
            Start::NextKey => (head, true),
            Start::Next => (head, false),
            Start::At(position) if (self.oldest()..=head).contains(&position) => (position, false),
            Start::NewestKey | Start::At(_) => (self.newest_key().unwrap_or(head), true),
        };
        let shared = Arc::clone(&self.shared);
        Reader { shared, next, needs_key, skipped: 0, patience: Duration::MAX }
    }
}

impl<T: Item> Reader<T> {
    /// Skips to the newest key item when more than this lies between the next item and the newest.
    #[must_use]
    pub fn with_patience(mut self, patience: Duration) -> Self {
        self.patience = patience;
        self
    }

    /// Position that is read next.
    pub fn position(&self) -> u64 {
        self.next
    }

    /// The next item; waits for it. Cancel safe.
    pub async fn next(&mut self) -> Result<Read<T>, Ended> {
        loop {
            if let Some(read) = self.try_next()? {
                return Ok(read);
            }
            let shared = Arc::clone(&self.shared);
            let written = shared.written.notified();
            tokio::pin!(written);
            written.as_mut().enable();
            // Whatever was written before `enable` would not wake it.
            if let Some(read) = self.try_next()? {
                return Ok(read);
            }
            written.await;
        }
    }

    /// The next item, if it is there.
    pub fn try_next(&mut self) -> Result<Option<Read<T>>, Ended> {
        loop {
            let ended = self.shared.ended.load(Ordering::Acquire);
            let head = self.shared.head.load(Ordering::Acquire);
            if self.next >= head {
                return if ended { Err(Ended) } else { Ok(None) };
            }
            let Some(entry) = self.shared.at(self.next) else {
                self.skip(head);
                continue;
            };
            if self.is_late(&entry, head) && self.skip_to_newer_key() {
                continue;
            }
            self.next += 1;
            if self.needs_key && !entry.item.is_key() {
                self.skipped += 1;
                continue;
            }
            self.needs_key = false;
            return Ok(Some(Read { entry, skipped: std::mem::take(&mut self.skipped) }));
        }
    }

    /// The place was overwritten: goes on at the newest key item, or waits for the next one.
    fn skip(&mut self, head: u64) {
        let to = self.shared.newest_key().filter(|key| *key > self.next).unwrap_or(head);
        self.move_to(to);
    }

    fn skip_to_newer_key(&mut self) -> bool {
        let Some(key) = self.shared.newest_key().filter(|key| *key > self.next) else { return false };
        self.move_to(key);
        true
    }

    fn move_to(&mut self, position: u64) {
        self.skipped += position - self.next;
        self.next = position;
        self.needs_key = true;
    }

    fn is_late(&self, entry: &Entry<T>, head: u64) -> bool {
        if self.patience == Duration::MAX {
            return false;
        }
        let newest = self.shared.at(head - 1);
        newest.is_some_and(|newest| newest.item.time().since(entry.item.time()) > self.patience)
    }
}

#[cfg(test)]
#[path = "ring_tests.rs"]
mod tests;
