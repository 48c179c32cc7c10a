//! Tables of rows, and the rule of what a reader may see: only what is on the disk.
//!
//! A commit is applied in memory when it is queued, so that the next one is checked against it, and stays in
//! `pending` until the disk has it. Reads and conflicts wait for the last pending commit of their table; where there
//! is none, they are answered at once. When a write fails, every pending commit is undone: later ones were checked
//! against what the disk did not take, so they are void too, and the writer thread skips them ([`Line`]). The rows
//! are undone from memory and not read again from the file, because a file whose write failed may not be readable.

use super::{
    Inner, MemoryBackplane, failed,
    journal::wait,
    ready,
    store::{RecordRow, RecordsWrite, Write},
};
use crate::{
    Answer, BackplaneError, Change, Committed, Expect, Message, Name, Order, Record, RecordPage, Records,
    Scan, records,
};
use bytes::Bytes;
use futures_util::{
    FutureExt,
    future::{BoxFuture, Shared},
};
use std::{
    collections::{BTreeMap, HashMap, VecDeque},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};
use tokio::sync::oneshot;

/// The commits that were checked against each other. It is cut when one of them could not be written.
#[derive(Clone, Debug, Default)]
pub(super) struct Line(Arc<AtomicBool>);

impl Line {
    /// Whether commits of this line must not be written any more.
    pub(super) fn is_cut(&self) -> bool {
        self.0.load(Ordering::Acquire)
    }

    fn cut(&self) {
        self.0.store(true, Ordering::Release);
    }

    fn is(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}

/// Resolves when a commit is on the disk, or was given up.
type Written = Shared<BoxFuture<'static, Result<(), BackplaneError>>>;

/// All tables; their revisions come from one counter, which is the highest revision of a table.
#[derive(Default)]
pub(super) struct Tables {
    by_name: HashMap<String, Table>,
    last_revision: u64,
    /// Oldest first.
    pending: VecDeque<Pending>,
    line: Line,
}

#[derive(Default)]
struct Table {
    rows: BTreeMap<String, (u64, Bytes)>,
    /// Of the last commit that changed it; kept when its last row goes, so that it never goes back.
    revision: u64,
}

/// A commit on its way to the disk.
struct Pending {
    revision: u64,
    undo: Vec<Undo>,
    written: Written,
}

/// What stood in a row before, and the revision of its table.
struct Undo {
    table: String,
    revision: u64,
    key: String,
    row: Option<(u64, Bytes)>,
}

impl Tables {
    /// Rebuilds the tables from the file.
    pub(super) fn restore(rows: Vec<RecordRow>, revisions: Vec<(String, u64)>) -> Self {
        let mut restored = Self::default();
        for (name, revision) in revisions {
            restored.last_revision = restored.last_revision.max(revision);
            restored.by_name.insert(name, Table { rows: BTreeMap::new(), revision });
        }
        for row in rows {
            let Some(value) = row.value else { continue };
            let table = restored.by_name.entry(row.table).or_default();
            table.rows.insert(row.key, (row.revision, value));
        }
        restored
    }

    fn holds(&self, change: &Change) -> bool {
        let row = self.by_name.get(&change.table.to_string()).and_then(|table| table.rows.get(&change.key));
        match change.expect {
            Expect::Anything => true,
            Expect::Absent => row.is_none(),
            Expect::Revision(expected) => row.is_some_and(|(revision, _)| *revision == expected),
        }
    }

    /// What a reader of the table has to wait for.
    fn pending(&self, table: &Name) -> Option<Written> {
        let revision = self.by_name.get(&table.to_string())?.revision;
        let index = self.pending.binary_search_by_key(&revision, |pending| pending.revision).ok()?;
        Some(self.pending.get(index)?.written.clone())
    }

    fn apply(&mut self, change: &Change, revision: u64) -> Undo {
        let name = change.table.to_string();
        let table = self.by_name.entry(name.clone()).or_default();
        let revision_before = std::mem::replace(&mut table.revision, revision);
        let key = change.key.clone();
        let row = match change.value.clone() {
            Some(value) => table.rows.insert(key.clone(), (revision, value)),
            None => table.rows.remove(&key),
        };
        Undo { table: name, revision: revision_before, key, row }
    }

    fn undo(&mut self, undo: Undo) {
        let table = self.by_name.entry(undo.table).or_default();
        table.revision = undo.revision;
        match undo.row {
            Some(row) => table.rows.insert(undo.key, row),
            None => table.rows.remove(&undo.key),
        };
    }

    /// The disk has refused a commit of this line. Revisions that were given stay used.
    fn give_up(&mut self, line: &Line) {
        if !self.line.is(line) {
            return;
        }
        self.line.cut();
        self.line = Line::default();
        while let Some(pending) = self.pending.pop_back() {
            pending.undo.into_iter().rev().for_each(|undo| self.undo(undo));
        }
    }
}

impl Records for MemoryBackplane {
    fn commit(&self, changes: Vec<Change>) -> Answer<Committed> {
        if let Err(error) = records::check(&changes) {
            return failed(error);
        }
        if changes.is_empty() {
            return ready(Committed::Done { revision: 0 });
        }
        let mut tables = self.0.tables.lock();
        let conflict = changes.iter().enumerate().find(|(_, change)| !tables.holds(change));
        if let Some((index, change)) = conflict {
            return visible(tables.pending(&change.table), Committed::Conflict { index });
        }
        let slot = match self.0.journal.reserve() {
            Ok(slot) => slot,
            Err(error) => return failed(error),
        };
        tables.last_revision += 1;
        let revision = tables.last_revision;
        let undo = changes.iter().map(|change| tables.apply(change, revision)).collect();
        if !slot.is_durable() {
            self.0.publish(&changes, revision);
            return ready(Committed::Done { revision });
        }
        let (answer, answered) = oneshot::channel();
        let written = wait(answered).boxed().shared();
        tables.pending.push_back(Pending { revision, undo, written: written.clone() });
        let (inner, line) = (self.0.clone(), tables.line.clone());
        let write = write(&changes, revision, line.clone());
        slot.commit_then(
            || write,
            move |result| {
                inner.records_written(&changes, revision, &line, &result);
                // Nobody may be waiting.
                drop(answer.send(result));
            },
        );
        visible(Some(written), Committed::Done { revision })
    }

    fn records(&self, table: &Name, keys: Vec<String>) -> Answer<Vec<Option<Record>>> {
        let tables = self.0.tables.lock();
        let rows = tables.by_name.get(&table.to_string()).map(|table| &table.rows);
        let read = |key: String| Some(record(rows?.get_key_value(&key)?));
        visible(tables.pending(table), keys.into_iter().map(read).collect())
    }

    fn scan(&self, table: &Name, scan: Scan) -> Answer<RecordPage> {
        let tables = self.0.tables.lock();
        let found = tables.by_name.get(&table.to_string());
        let page = found.map(|table| table.page(&scan)).unwrap_or_default();
        visible(tables.pending(table), page)
    }

    fn revision(&self, table: &Name) -> Answer<u64> {
        let tables = self.0.tables.lock();
        let revision = tables.by_name.get(&table.to_string()).map_or(0, |table| table.revision);
        visible(tables.pending(table), revision)
    }
}

impl Table {
    fn page(&self, scan: &Scan) -> RecordPage {
        let Some(bounds) = records::bounds(scan) else { return RecordPage::default() };
        let mut rows = self.rows.range(bounds);
        let mut next = || match scan.order {
            Order::Ascending => rows.next(),
            Order::Descending => rows.next_back(),
        };
        let records = std::iter::from_fn(&mut next).take(scan.limit).map(record).collect();
        RecordPage { records, more: next().is_some() }
    }
}

impl Inner {
    /// Runs on the writer thread, in the order of the commits.
    fn records_written(
        &self,
        changes: &[Change],
        revision: u64,
        line: &Line,
        result: &Result<(), BackplaneError>,
    ) {
        let mut tables = self.tables.lock();
        if result.is_err() {
            return tables.give_up(line);
        }
        if tables.pending.front().is_some_and(|pending| pending.revision == revision) {
            tables.pending.pop_front();
        }
        // Under the lock, so that who reads after the event and who is answered before it see the same.
        self.publish(changes, revision);
    }

    fn publish(&self, changes: &[Change], revision: u64) {
        for (channel, keys) in records::changed_keys(changes) {
            let payload = records::event(revision, keys);
            self.hub.deliver(&Message { channel, payload, position: None });
        }
    }
}

fn record((key, (revision, value)): (&String, &(u64, Bytes))) -> Record {
    Record { key: key.clone(), value: value.clone(), revision: *revision }
}

/// Answers once it cannot be taken back any more.
fn visible<T: Send + 'static>(pending: Option<Written>, value: T) -> Answer<T> {
    let Some(pending) = pending else { return ready(value) };
    pending.map(|written| written.map(|()| value)).boxed()
}

fn write(changes: &[Change], revision: u64, line: Line) -> Write {
    let row = |change: &Change| RecordRow {
        table: change.table.to_string(),
        key: change.key.clone(),
        revision,
        value: change.value.clone(),
    };
    Write::Records(RecordsWrite { rows: changes.iter().map(row).collect(), line })
}

#[cfg(test)]
#[path = "records_tests.rs"]
mod tests;
