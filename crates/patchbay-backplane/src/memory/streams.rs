//! Append-only logs. An entry is visible and published once it is durable: without a file at once, with one when
//! the journal has committed it, so that no offset that anybody saw is ever given again.

use super::{
    Inner, MemoryBackplane, failed,
    journal::{Slot, wait},
    ready,
    store::{EntryRow, KeyRow, StreamRow, Write},
};
use crate::{
    Answer, Append, Appended, BackplaneError, Cursor, Entry, Epoch, Message, Page, Position, Retention,
    Streams, clock::millis, types::STREAM_META_GRACE,
};
use bytes::Bytes;
use futures_util::FutureExt;
use std::{
    collections::{HashMap, VecDeque},
    ops::Range,
    sync::Arc,
};
use tokio::sync::oneshot;

pub(super) struct Stream {
    epoch: Epoch,
    /// Highest offset given.
    assigned: u64,
    /// Highest offset that may be seen.
    visible: u64,
    entries: VecDeque<Stored>,
    /// Offsets below may be gone from `entries`, but are only removed from the file up to here.
    trimmed: u64,
    keys: HashMap<String, Known>,
    max_age: u64,
    used: u64,
}

struct Stored {
    offset: u64,
    at: u64,
    payload: Bytes,
}

struct Known {
    position: Position,
    expires: u64,
}

impl Streams for MemoryBackplane {
    fn append(&self, append: Append) -> Answer<Appended> {
        let now = self.now();
        let mut streams = self.0.streams.lock();
        let slot = match self.0.journal.reserve() {
            Ok(slot) => slot,
            Err(error) => return failed(error),
        };
        let name = append.stream.to_string();
        let stream = streams.entry(name.clone()).or_insert_with(|| Stream::new(now));
        let known = append.key.as_ref().and_then(|(key, _)| stream.known(key, now));
        let appended =
            Appended { duplicate: known.is_some(), position: known.unwrap_or_else(|| stream.next()) };
        if slot.is_durable() {
            return self.append_durably(slot, stream, name, append, appended, now);
        }
        if !appended.duplicate {
            stream.push(&append, appended.position.offset, now);
            stream.visible = stream.assigned;
            self.0.hub.deliver(&message(append, appended.position.clone()));
        }
        ready(appended)
    }

    fn read(&self, stream: &crate::Name, cursor: Cursor, limit: usize) -> Answer<Page> {
        let now = self.now();
        let mut streams = self.0.streams.lock();
        let stream = streams.entry(stream.to_string()).or_insert_with(|| Stream::new(now));
        stream.drop_expired(now);
        ready(stream.page(cursor, limit))
    }

    fn tops(&self, names: &[crate::Name]) -> Answer<Vec<Position>> {
        let now = self.now();
        let mut streams = self.0.streams.lock();
        let mut top =
            |name: &crate::Name| streams.entry(name.to_string()).or_insert_with(|| Stream::new(now)).top();
        ready(names.iter().map(&mut top).collect())
    }

    fn remove(&self, name: &crate::Name) -> Answer<()> {
        let now = self.now();
        let mut streams = self.0.streams.lock();
        let slot = match self.0.journal.reserve() {
            Ok(slot) => slot,
            Err(error) => return failed(error),
        };
        let name = name.to_string();
        let stream = streams.entry(name.clone()).or_insert_with(|| Stream::new(now));
        stream.epoch = new_epoch();
        stream.entries.clear();
        stream.visible = stream.assigned;
        stream.used = now;
        let offsets = stream.take_trimmed();
        slot.commit(|| Write::RemoveEntries { stream: stream.row(name), offsets }, ())
    }
}

impl MemoryBackplane {
    /// A known key waits too: its first append may still be on its way to the disk.
    fn append_durably(
        &self,
        slot: Slot<'_>,
        stream: &mut Stream,
        name: String,
        append: Append,
        appended: Appended,
        now: u64,
    ) -> Answer<Appended> {
        let (answer, answered) = oneshot::channel();
        if appended.duplicate {
            let nothing = Write::Trim { stream: name, offsets: 0..0 };
            slot.commit_then(|| nothing, move |result| drop(answer.send(result.map(|()| appended))));
        } else {
            stream.push(&append, appended.position.offset, now);
            let write = stream.entry_write(&name, &append, &appended.position, now);
            let inner = self.0.clone();
            slot.commit_then(
                || write,
                move |result| {
                    let result = inner.appended(&name, append, appended, result);
                    drop(answer.send(result));
                },
            );
        }
        wait(answered).boxed()
    }
}

impl Inner {
    /// Runs on the writer thread, in the order of the offsets.
    fn appended(
        &self,
        name: &str,
        append: Append,
        appended: Appended,
        committed: Result<(), BackplaneError>,
    ) -> Result<Appended, BackplaneError> {
        let mut streams = self.streams.lock();
        let stream = streams.get_mut(name);
        if let Err(error) = committed {
            if let Some(stream) = stream {
                stream.take_back(&append, appended.position.offset);
            }
            return Err(error);
        }
        if let Some(stream) = stream {
            stream.visible = stream.visible.max(appended.position.offset);
        }
        self.hub.deliver(&message(append, appended.position.clone()));
        Ok(appended)
    }
}

impl Stream {
    fn new(now: u64) -> Self {
        Self {
            epoch: new_epoch(),
            assigned: 0,
            visible: 0,
            entries: VecDeque::new(),
            trimmed: 1,
            keys: HashMap::new(),
            max_age: 0,
            used: now,
        }
    }

    fn top(&self) -> Position {
        Position { epoch: self.epoch.clone(), offset: self.visible }
    }

    fn known(&self, key: &str, now: u64) -> Option<Position> {
        self.keys.get(key).filter(|known| known.expires > now).map(|known| known.position.clone())
    }

    fn next(&mut self) -> Position {
        self.assigned += 1;
        Position { epoch: self.epoch.clone(), offset: self.assigned }
    }

    fn push(&mut self, append: &Append, offset: u64, now: u64) {
        let Retention { max_len, max_age } = append.retention;
        self.entries.push_back(Stored { offset, at: now, payload: append.payload.clone() });
        self.max_age = millis(max_age);
        self.used = now;
        while self.entries.len() > max_len {
            self.entries.pop_front();
        }
        self.drop_expired(now);
        if let Some((key, ttl)) = &append.key {
            let position = Position { epoch: self.epoch.clone(), offset };
            self.keys.insert(key.clone(), Known { position, expires: now + millis(*ttl) });
        }
    }

    fn drop_expired(&mut self, now: u64) {
        while self.entries.front().is_some_and(|entry| entry.at + self.max_age <= now) {
            self.entries.pop_front();
        }
    }

    /// Undoes an append that the disk refused. Its offset stays unused: later ones may have been given already.
    fn take_back(&mut self, append: &Append, offset: u64) {
        self.entries.retain(|entry| entry.offset != offset);
        if let Some((key, _)) = &append.key {
            self.keys.remove(key);
        }
    }

    fn page(&self, cursor: Cursor, limit: usize) -> Page {
        let visible = self.entries.partition_point(|entry| entry.offset <= self.visible);
        let entry = |stored: &Stored| Entry { offset: stored.offset, payload: stored.payload.clone() };
        let (entries, there): (Vec<_>, usize) = match cursor {
            Cursor::After(offset) => {
                let start = self.entries.partition_point(|entry| entry.offset <= offset).min(visible);
                let range = self.entries.range(start..visible);
                (range.take(limit).map(entry).collect(), visible - start)
            }
            Cursor::Before(offset) => {
                let end = self.entries.partition_point(|entry| entry.offset < offset).min(visible);
                (self.entries.range(..end).rev().take(limit).map(entry).collect(), end)
            }
        };
        Page { more: there > entries.len(), entries, top: self.top() }
    }

    /// Offsets that are gone from memory and can go from the file.
    fn take_trimmed(&mut self) -> Range<u64> {
        let kept_from = self.entries.front().map_or(self.assigned + 1, |entry| entry.offset);
        let from = std::mem::replace(&mut self.trimmed, kept_from);
        from..kept_from
    }

    fn entry_write(&mut self, name: &str, append: &Append, position: &Position, now: u64) -> Write {
        let trimmed = self.take_trimmed();
        let entry = EntryRow {
            stream: name.into(),
            offset: position.offset,
            at: now,
            payload: append.payload.clone(),
        };
        let key = append.key.as_ref().map(|(key, ttl)| KeyRow {
            stream: name.into(),
            key: key.clone(),
            epoch: position.epoch.to_string(),
            offset: position.offset,
            expires: now + millis(*ttl),
        });
        Write::Entry { entry, stream: self.row(name.into()), key, trimmed }
    }

    fn row(&self, name: String) -> StreamRow {
        let (epoch, top) = (self.epoch.to_string(), self.assigned);
        StreamRow { name, epoch, top, max_age: self.max_age, used: self.used }
    }

    fn is_forgotten(&self, now: u64) -> bool {
        self.visible == self.assigned && self.used + self.max_age + millis(STREAM_META_GRACE) <= now
    }
}

/// Rebuilds streams from the file; what is expired falls to the first sweep.
pub(super) fn restore(
    streams: Vec<StreamRow>,
    entries: Vec<EntryRow>,
    keys: Vec<KeyRow>,
) -> HashMap<String, Stream> {
    let restore_one = |row: StreamRow| {
        let stream = Stream {
            epoch: Epoch(row.epoch.into()),
            assigned: row.top,
            visible: row.top,
            entries: VecDeque::new(),
            trimmed: row.top + 1,
            keys: HashMap::new(),
            max_age: row.max_age,
            used: row.used,
        };
        (row.name, stream)
    };
    let mut restored: HashMap<String, Stream> = streams.into_iter().map(restore_one).collect();
    for row in entries {
        let Some(stream) = restored.get_mut(&row.stream) else { continue };
        stream.trimmed = stream.trimmed.min(row.offset);
        stream.entries.push_back(Stored { offset: row.offset, at: row.at, payload: row.payload });
    }
    for row in keys {
        let Some(stream) = restored.get_mut(&row.stream) else { continue };
        let position = Position { epoch: Epoch(row.epoch.into()), offset: row.offset };
        stream.keys.insert(row.key, Known { position, expires: row.expires });
    }
    restored
}

/// Drops expired entries and keys, and streams that nobody has used for long.
pub(super) fn sweep(inner: &Inner, now: u64) {
    inner.streams.lock().retain(|name, stream| {
        stream.drop_expired(now);
        let offsets = stream.take_trimmed();
        if !offsets.is_empty() {
            inner.journal.write_behind(|| Write::Trim { stream: name.clone(), offsets });
        }
        stream.keys.retain(|key, known| {
            let keep = known.expires > now;
            if !keep {
                inner.journal.write_behind(|| Write::ForgetKey { stream: name.clone(), key: key.clone() });
            }
            keep
        });
        let keep = !stream.is_forgotten(now) || !stream.keys.is_empty();
        if !keep {
            inner.journal.write_behind(|| Write::ForgetStream(name.clone()));
        }
        keep
    });
}

fn message(append: Append, position: Position) -> Message {
    Message { channel: append.stream, payload: append.payload, position: Some(position) }
}

fn new_epoch() -> Epoch {
    Epoch(Arc::from(format!("{:016x}", rand::random::<u64>())))
}
