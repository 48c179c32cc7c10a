//! Key-value entries.

use super::{
    Inner, MemoryBackplane, failed, ready,
    store::{ValueRow, Write},
};
use crate::{Answer, KeyValue, Name, Version, Versioned, clock::millis};
use bytes::Bytes;
use parking_lot::MutexGuard;
use std::{collections::HashMap, time::Duration};

/// Expiry of what never expires.
const NEVER: u64 = u64::MAX;

pub(super) struct Values {
    entries: HashMap<String, Value>,
    last_version: u64,
}

struct Value {
    content: Bytes,
    version: u64,
    expires: u64,
}

impl Values {
    pub(super) fn restore(rows: Vec<ValueRow>) -> Self {
        let last_version = rows.iter().map(|row| row.version).max().unwrap_or_default();
        let entry = |row: ValueRow| {
            (row.key, Value { content: row.value, version: row.version, expires: row.expires })
        };
        Self { entries: rows.into_iter().map(entry).collect(), last_version }
    }

    fn get(&self, key: &str, now: u64) -> Option<Versioned> {
        let found = self.entries.get(key).filter(|value| value.expires > now)?;
        Some(Versioned { value: found.content.clone(), version: Version(found.version) })
    }
}

impl KeyValue for MemoryBackplane {
    fn get(&self, key: &Name) -> Answer<Option<Versioned>> {
        ready(self.0.values.lock().get(&key.to_string(), self.now()))
    }

    fn set(&self, key: &Name, value: Bytes, ttl: Option<Duration>) -> Answer<Version> {
        let mut values = self.0.values.lock();
        self.write(&mut values, key.to_string(), value, ttl, |version| version)
    }

    fn compare_and_set(
        &self,
        key: &Name,
        expected: Option<Version>,
        value: Bytes,
        ttl: Option<Duration>,
    ) -> Answer<Option<Version>> {
        let key = key.to_string();
        let mut values = self.0.values.lock();
        if values.get(&key, self.now()).map(|found| found.version) != expected {
            return ready(None);
        }
        self.write(&mut values, key, value, ttl, Some)
    }

    fn delete(&self, key: &Name) -> Answer<bool> {
        let key = key.to_string();
        let mut values = self.0.values.lock();
        let there = values.get(&key, self.now()).is_some();
        if !there {
            return ready(false);
        }
        match self.0.journal.reserve() {
            Ok(slot) => {
                values.entries.remove(&key);
                slot.commit(|| Write::DeleteValue(key), true)
            }
            Err(error) => failed(error),
        }
    }
}

impl MemoryBackplane {
    fn write<T: Send + 'static>(
        &self,
        values: &mut MutexGuard<'_, Values>,
        key: String,
        value: Bytes,
        ttl: Option<Duration>,
        answer: impl FnOnce(Version) -> T,
    ) -> Answer<T> {
        let slot = match self.0.journal.reserve() {
            Ok(slot) => slot,
            Err(error) => return failed(error),
        };
        values.last_version += 1;
        let version = values.last_version;
        let expires = ttl.map_or(NEVER, |ttl| self.now() + millis(ttl));
        let row = ValueRow { key: key.clone(), version, expires, value: value.clone() };
        values.entries.insert(key, Value { content: value, version, expires });
        slot.commit(|| Write::Value(row), answer(Version(version)))
    }
}

pub(super) fn sweep(inner: &Inner, now: u64) {
    inner.values.lock().entries.retain(|key, value| {
        let keep = value.expires > now;
        if !keep {
            inner.journal.write_behind(|| Write::DeleteValue(key.clone()));
        }
        keep
    });
}
