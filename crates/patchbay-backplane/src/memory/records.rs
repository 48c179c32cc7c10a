//! Tables of rows.

use super::{MemoryBackplane, ready};
use crate::{
    Answer, Change, Committed, Expect, Message, Name, Order, Record, RecordPage, Records,
    RecordsChanged, Scan,
};
use bytes::Bytes;
use std::collections::{BTreeMap, HashMap};

/// All tables; their revisions come from one counter.
#[derive(Default)]
pub(super) struct Tables {
    tables: HashMap<String, Table>,
    last_revision: u64,
}

#[derive(Default)]
struct Table {
    rows: BTreeMap<String, (u64, Bytes)>,
    revision: u64,
}

impl Tables {
    fn holds(&self, change: &Change) -> bool {
        let row = self.tables.get(&change.table.to_string()).and_then(|table| table.rows.get(&change.key));
        match change.expect {
            Expect::Anything => true,
            Expect::Absent => row.is_none(),
            Expect::Revision(expected) => row.is_some_and(|(revision, _)| *revision == expected),
        }
    }
}

impl Records for MemoryBackplane {
    fn commit(&self, changes: Vec<Change>) -> Answer<Committed> {
        let mut tables = self.0.tables.lock();
        if let Some(index) = changes.iter().position(|change| !tables.holds(change)) {
            return ready(Committed::Conflict { index });
        }
        tables.last_revision += 1;
        let revision = tables.last_revision;
        let mut changed: BTreeMap<Name, Vec<String>> = BTreeMap::new();
        for Change { table, key, value, .. } in changes {
            let rows = tables.tables.entry(table.to_string()).or_default();
            rows.revision = revision;
            match value {
                Some(value) => drop(rows.rows.insert(key.clone(), (revision, value))),
                None => drop(rows.rows.remove(&key)),
            }
            changed.entry(table).or_default().push(key);
        }
        for (channel, keys) in changed {
            let Ok(payload) = serde_json::to_vec(&RecordsChanged { revision, keys }) else { continue };
            self.0.hub.deliver(&Message { channel, payload: payload.into(), position: None });
        }
        ready(Committed::Done { revision })
    }

    fn records(&self, table: &Name, keys: Vec<String>) -> Answer<Vec<Option<Record>>> {
        let tables = self.0.tables.lock();
        let table = tables.tables.get(&table.to_string());
        let read = |key: String| {
            let (revision, value) = table?.rows.get(&key)?;
            Some(Record { value: value.clone(), revision: *revision, key })
        };
        ready(keys.into_iter().map(read).collect())
    }

    fn scan(&self, table: &Name, scan: Scan) -> Answer<RecordPage> {
        let tables = self.0.tables.lock();
        let Some(table) = tables.tables.get(&table.to_string()) else { return ready(RecordPage::default()) };
        let record = |(key, (revision, value)): (&String, &(u64, Bytes))| Record {
            key: key.clone(),
            value: value.clone(),
            revision: *revision,
        };
        let matching = table.rows.iter().filter(|(key, _)| key.starts_with(&scan.prefix)).map(record);
        let after = |record: &Record| match (&scan.after, scan.order) {
            (None, _) => true,
            (Some(after), Order::Ascending) => record.key > *after,
            (Some(after), Order::Descending) => record.key < *after,
        };
        let mut records: Vec<Record> = matching.filter(after).collect();
        if scan.order == Order::Descending {
            records.reverse();
        }
        let more = records.len() > scan.limit;
        records.truncate(scan.limit);
        ready(RecordPage { records, more })
    }

    fn revision(&self, table: &Name) -> Answer<u64> {
        let tables = self.0.tables.lock();
        ready(tables.tables.get(&table.to_string()).map_or(0, |table| table.revision))
    }
}
