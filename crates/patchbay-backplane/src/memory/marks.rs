//! Maps of numbers that only rise.

use super::{
    Inner, MemoryBackplane, failed, ready,
    store::{MarkRow, Write},
};
use crate::{Answer, MAX_MARKS, Marks, Name, Raised, clock::millis};
use std::{
    collections::{BTreeMap, HashMap},
    time::Duration,
};

#[derive(Default)]
pub(super) struct MarkMap {
    fields: BTreeMap<String, u64>,
    expires: u64,
}

impl Marks for MemoryBackplane {
    fn raise(&self, map: &Name, field: &str, value: u64, ttl: Duration) -> Answer<Raised> {
        let now = self.now();
        let map = map.to_string();
        let mut maps = self.0.marks.lock();
        let slot = match self.0.journal.reserve() {
            Ok(slot) => slot,
            Err(error) => return failed(error),
        };
        let found = maps.entry(map.clone()).or_default();
        if found.expires <= now {
            let fields = std::mem::take(&mut found.fields).into_keys().collect();
            self.0.journal.write_behind(|| Write::DeleteMarks { map: map.clone(), fields });
        }
        let before = found.fields.get(field).copied();
        if before.is_none() && found.fields.len() >= MAX_MARKS {
            return ready(Raised { value: 0, raised: false });
        }
        found.expires = now + millis(ttl);
        let raised = before.is_none_or(|before| before < value);
        let value = if raised { value } else { before.unwrap_or_default() };
        if raised {
            found.fields.insert(field.to_owned(), value);
        }
        let row = MarkRow { map, field: field.to_owned(), value, expires: found.expires };
        slot.commit(|| Write::Mark(row), Raised { value, raised })
    }

    fn marks(&self, map: &Name, limit: usize) -> Answer<Vec<(String, u64)>> {
        let maps = self.0.marks.lock();
        let found = maps.get(&map.to_string()).filter(|found| found.expires > self.now());
        let fields = found.into_iter().flat_map(|found| &found.fields);
        ready(fields.take(limit).map(|(field, value)| (field.clone(), *value)).collect())
    }
}

/// Rebuilds the maps; a map lives as long as the last of its fields was given.
pub(super) fn restore(rows: Vec<MarkRow>) -> HashMap<String, MarkMap> {
    let mut maps: HashMap<String, MarkMap> = HashMap::new();
    for row in rows {
        let map = maps.entry(row.map).or_default();
        map.expires = map.expires.max(row.expires);
        map.fields.insert(row.field, row.value);
    }
    maps
}

pub(super) fn sweep(inner: &Inner, now: u64) {
    inner.marks.lock().retain(|name, map| {
        let keep = map.expires > now;
        if !keep {
            let fields = map.fields.keys().cloned().collect();
            inner.journal.write_behind(|| Write::DeleteMarks { map: name.clone(), fields });
        }
        keep
    });
}
