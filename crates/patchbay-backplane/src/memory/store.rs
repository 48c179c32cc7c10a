//! The redb file behind the memory backplane: its tables, what is read from them at start, and how one write goes
//! in. It decides nothing about offsets, epochs or expiry; [`super::journal`] is its only caller while running.

use super::records::Line;
use crate::BackplaneError;
use bytes::Bytes;
use redb::{Database, ReadTransaction, ReadableDatabase, ReadableTable, TableDefinition, WriteTransaction};
use std::{ops::Range, path::Path};

/// (stream, offset) to (time, payload).
const ENTRIES: TableDefinition<(&str, u64), (u64, &[u8])> = TableDefinition::new("entries");
/// Stream to (epoch, top, maximum age, last use).
const STREAMS: TableDefinition<&str, (&str, u64, u64, u64)> = TableDefinition::new("streams");
/// (stream, idempotency key) to (epoch, offset, expiry).
const KEYS: TableDefinition<(&str, &str), (&str, u64, u64)> = TableDefinition::new("keys");
/// Key to (version, expiry, value).
const VALUES: TableDefinition<&str, (u64, u64, &[u8])> = TableDefinition::new("values");
/// (map, field) to (value, expiry of the map).
const MARKS: TableDefinition<(&str, &str), (u64, u64)> = TableDefinition::new("marks");
/// (table, key) to (revision, value).
const RECORDS: TableDefinition<(&str, &str), (u64, &[u8])> = TableDefinition::new("records");
/// Table of records to the revision of its last change.
const REVISIONS: TableDefinition<&str, u64> = TableDefinition::new("revisions");
/// Highest fencing token given.
const FENCE: TableDefinition<&str, u64> = TableDefinition::new("fence");

/// Everything below is keyed by a name as text, since a name's fixed words cannot be made from a file.
pub(super) struct Store {
    database: Database,
}

/// A stream's row.
#[derive(Clone, Debug)]
pub(super) struct StreamRow {
    pub(super) name: String,
    pub(super) epoch: String,
    pub(super) top: u64,
    pub(super) max_age: u64,
    pub(super) used: u64,
}

/// An idempotency key's row.
#[derive(Clone, Debug)]
pub(super) struct KeyRow {
    pub(super) stream: String,
    pub(super) key: String,
    pub(super) epoch: String,
    pub(super) offset: u64,
    pub(super) expires: u64,
}

/// An entry's row.
#[derive(Clone, Debug)]
pub(super) struct EntryRow {
    pub(super) stream: String,
    pub(super) offset: u64,
    pub(super) at: u64,
    pub(super) payload: Bytes,
}

/// A key-value entry's row.
#[derive(Clone, Debug)]
pub(super) struct ValueRow {
    pub(super) key: String,
    pub(super) version: u64,
    pub(super) expires: u64,
    pub(super) value: Bytes,
}

/// A mark's row.
#[derive(Clone, Debug)]
pub(super) struct MarkRow {
    pub(super) map: String,
    pub(super) field: String,
    pub(super) value: u64,
    pub(super) expires: u64,
}

/// A record's row; no value deletes it.
#[derive(Clone, Debug)]
pub(super) struct RecordRow {
    pub(super) table: String,
    pub(super) key: String,
    pub(super) revision: u64,
    pub(super) value: Option<Bytes>,
}

/// A commit of records.
pub(super) struct RecordsWrite {
    pub(super) rows: Vec<RecordRow>,
    pub(super) line: Line,
}

/// One change to the file.
pub(super) enum Write {
    Entry { entry: EntryRow, stream: StreamRow, key: Option<KeyRow>, trimmed: Range<u64> },
    Trim { stream: String, offsets: Range<u64> },
    RemoveEntries { stream: StreamRow, offsets: Range<u64> },
    ForgetStream(String),
    ForgetKey { stream: String, key: String },
    Value(ValueRow),
    DeleteValue(String),
    Mark(MarkRow),
    DeleteMarks { map: String, fields: Vec<String> },
    Records(RecordsWrite),
    Fence(u64),
}

impl Write {
    /// Whether it rests on a write that failed, and so must not go into the file.
    pub(super) fn is_void(&self) -> bool {
        matches!(self, Self::Records(records) if records.line.is_cut())
    }
}

/// What the file held at start.
#[derive(Default)]
pub(super) struct Contents {
    pub(super) streams: Vec<StreamRow>,
    pub(super) entries: Vec<EntryRow>,
    pub(super) keys: Vec<KeyRow>,
    pub(super) values: Vec<ValueRow>,
    pub(super) marks: Vec<MarkRow>,
    pub(super) records: Vec<RecordRow>,
    pub(super) revisions: Vec<(String, u64)>,
    pub(super) fence: u64,
}

impl Store {
    /// Opens or makes the file, and makes its tables.
    pub(super) fn open(path: &Path) -> Result<Self, BackplaneError> {
        Self::with(Database::create(path).map_err(failed)?)
    }

    /// Makes the tables in a database.
    pub(super) fn with(database: Database) -> Result<Self, BackplaneError> {
        let transaction = database.begin_write().map_err(failed)?;
        Tables::open(&transaction)?;
        transaction.commit().map_err(failed)?;
        Ok(Self { database })
    }

    /// Reads everything.
    pub(super) fn load(&self) -> Result<Contents, BackplaneError> {
        let transaction = self.database.begin_read().map_err(failed)?;
        let mut contents = Contents::default();
        for row in transaction.open_table(STREAMS).map_err(failed)?.iter().map_err(failed)? {
            let (name, row) = row.map_err(failed)?;
            let (epoch, top, max_age, used) = row.value();
            contents.streams.push(StreamRow {
                name: name.value().into(),
                epoch: epoch.into(),
                top,
                max_age,
                used,
            });
        }
        for row in transaction.open_table(ENTRIES).map_err(failed)?.iter().map_err(failed)? {
            let (key, row) = row.map_err(failed)?;
            let ((stream, offset), (at, payload)) = (key.value(), row.value());
            let payload = Bytes::copy_from_slice(payload);
            contents.entries.push(EntryRow { stream: stream.into(), offset, at, payload });
        }
        for row in transaction.open_table(KEYS).map_err(failed)?.iter().map_err(failed)? {
            let (key, row) = row.map_err(failed)?;
            let ((stream, key), (epoch, offset, expires)) = (key.value(), row.value());
            let (stream, key, epoch) = (stream.into(), key.into(), epoch.into());
            contents.keys.push(KeyRow { stream, key, epoch, offset, expires });
        }
        for row in transaction.open_table(VALUES).map_err(failed)?.iter().map_err(failed)? {
            let (key, row) = row.map_err(failed)?;
            let (version, expires, value) = row.value();
            let value = Bytes::copy_from_slice(value);
            contents.values.push(ValueRow { key: key.value().into(), version, expires, value });
        }
        for row in transaction.open_table(MARKS).map_err(failed)?.iter().map_err(failed)? {
            let (key, row) = row.map_err(failed)?;
            let ((map, field), (value, expires)) = (key.value(), row.value());
            contents.marks.push(MarkRow { map: map.into(), field: field.into(), value, expires });
        }
        load_records(&transaction, &mut contents)?;
        let fence = transaction.open_table(FENCE).map_err(failed)?.get("fence").map_err(failed)?;
        contents.fence = fence.map_or(0, |fence| fence.value());
        Ok(contents)
    }

    /// Applies all writes in one durable commit, or none.
    pub(super) fn commit<'a>(&self, writes: impl Iterator<Item = &'a Write>) -> Result<(), BackplaneError> {
        let transaction = self.database.begin_write().map_err(failed)?;
        {
            let mut tables = Tables::open(&transaction)?;
            for write in writes {
                tables.apply(write).map_err(failed)?;
            }
        }
        transaction.commit().map_err(failed)
    }
}

fn load_records(transaction: &ReadTransaction, contents: &mut Contents) -> Result<(), BackplaneError> {
    for row in transaction.open_table(RECORDS).map_err(failed)?.iter().map_err(failed)? {
        let (key, row) = row.map_err(failed)?;
        let ((table, key), (revision, value)) = (key.value(), row.value());
        let value = Some(Bytes::copy_from_slice(value));
        contents.records.push(RecordRow { table: table.into(), key: key.into(), revision, value });
    }
    for row in transaction.open_table(REVISIONS).map_err(failed)?.iter().map_err(failed)? {
        let (table, revision) = row.map_err(failed)?;
        contents.revisions.push((table.value().into(), revision.value()));
    }
    Ok(())
}

struct Tables<'t> {
    entries: redb::Table<'t, (&'static str, u64), (u64, &'static [u8])>,
    streams: redb::Table<'t, &'static str, (&'static str, u64, u64, u64)>,
    keys: redb::Table<'t, (&'static str, &'static str), (&'static str, u64, u64)>,
    values: redb::Table<'t, &'static str, (u64, u64, &'static [u8])>,
    marks: redb::Table<'t, (&'static str, &'static str), (u64, u64)>,
    records: redb::Table<'t, (&'static str, &'static str), (u64, &'static [u8])>,
    revisions: redb::Table<'t, &'static str, u64>,
    fence: redb::Table<'t, &'static str, u64>,
}

impl<'t> Tables<'t> {
    fn open(transaction: &'t WriteTransaction) -> Result<Self, BackplaneError> {
        Ok(Self {
            entries: transaction.open_table(ENTRIES).map_err(failed)?,
            streams: transaction.open_table(STREAMS).map_err(failed)?,
            keys: transaction.open_table(KEYS).map_err(failed)?,
            values: transaction.open_table(VALUES).map_err(failed)?,
            marks: transaction.open_table(MARKS).map_err(failed)?,
            records: transaction.open_table(RECORDS).map_err(failed)?,
            revisions: transaction.open_table(REVISIONS).map_err(failed)?,
            fence: transaction.open_table(FENCE).map_err(failed)?,
        })
    }

    fn apply(&mut self, write: &Write) -> Result<(), redb::StorageError> {
        match write {
            Write::Entry { entry, stream, key, trimmed } => {
                self.entries
                    .insert((entry.stream.as_str(), entry.offset), (entry.at, entry.payload.as_ref()))?;
                self.put_stream(stream)?;
                if let Some(row) = key {
                    let value = (row.epoch.as_str(), row.offset, row.expires);
                    self.keys.insert((row.stream.as_str(), row.key.as_str()), value)?;
                }
                self.trim(&entry.stream, trimmed.clone())
            }
            Write::Trim { stream, offsets } => self.trim(stream, offsets.clone()),
            Write::RemoveEntries { stream, offsets } => {
                self.put_stream(stream)?;
                self.trim(&stream.name, offsets.clone())
            }
            Write::ForgetStream(stream) => self.streams.remove(stream.as_str()).map(drop),
            Write::ForgetKey { stream, key } => self.keys.remove((stream.as_str(), key.as_str())).map(drop),
            Write::Value(row) => {
                let value = (row.version, row.expires, row.value.as_ref());
                self.values.insert(row.key.as_str(), value).map(drop)
            }
            Write::DeleteValue(key) => self.values.remove(key.as_str()).map(drop),
            Write::Mark(row) => {
                self.marks.insert((row.map.as_str(), row.field.as_str()), (row.value, row.expires)).map(drop)
            }
            Write::DeleteMarks { map, fields } => {
                for field in fields {
                    self.marks.remove((map.as_str(), field.as_str()))?;
                }
                Ok(())
            }
            Write::Records(records) => records.rows.iter().try_for_each(|row| self.put_record(row)),
            Write::Fence(token) => self.fence.insert("fence", token).map(drop),
        }
    }

    fn put_stream(&mut self, row: &StreamRow) -> Result<(), redb::StorageError> {
        let value = (row.epoch.as_str(), row.top, row.max_age, row.used);
        self.streams.insert(row.name.as_str(), value).map(drop)
    }

    fn put_record(&mut self, row: &RecordRow) -> Result<(), redb::StorageError> {
        let (table, key) = (row.table.as_str(), row.key.as_str());
        match &row.value {
            Some(value) => self.records.insert((table, key), (row.revision, value.as_ref())).map(drop)?,
            None => self.records.remove((table, key)).map(drop)?,
        }
        self.revisions.insert(table, row.revision).map(drop)
    }

    fn trim(&mut self, stream: &str, offsets: Range<u64>) -> Result<(), redb::StorageError> {
        for offset in offsets {
            self.entries.remove((stream, offset))?;
        }
        Ok(())
    }
}

fn failed(error: impl std::fmt::Display) -> BackplaneError {
    BackplaneError::Store(error.to_string())
}
