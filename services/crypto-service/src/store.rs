//! The rows that everything is kept in, and the one way to change them: together with the record of who changed them.
//!
//! Rows live on the backplane: in its file on a single node, in Redis with replicas. What is secret in them is wrapped before it gets
//! here.

use crate::{
    audit::{Chain, Entry},
    error::Error,
};
use bytes::Bytes;
use patchbay_backplane::{
    Change, Committed, Expect, Name, Order, Record, RecordPage, Scan, SharedBackplane, Subscriber,
};
use patchbay_chassis::Clock;
use serde::{Serialize, de::DeserializeOwned};
use std::sync::Arc;

/// Rows read at once to count them.
const COUNT_PAGE: usize = 1000;

/// What a table holds. All have the same id on the backplane, so that one commit may change several.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Table {
    /// Named keys, their versions and their counters.
    Keys,
    /// Accounts, groups, API keys, credentials and the first setup.
    Accounts,
    /// Sessions.
    Sessions,
    /// Keys that sign tokens.
    Signing,
    /// The audit log.
    Audit,
    /// What tells whether the root key is the right one.
    Root,
    /// Events that are to be told.
    Events,
    /// Certificates that are watched, and what was told of them.
    Certificates,
}

impl Table {
    /// All of them.
    pub const ALL: [Self; 8] = [
        Self::Keys,
        Self::Accounts,
        Self::Sessions,
        Self::Signing,
        Self::Audit,
        Self::Root,
        Self::Events,
        Self::Certificates,
    ];

    /// Its name on the backplane, which is also the channel of its changes.
    pub fn name(self) -> Name {
        let kind = match self {
            Self::Keys => "keys",
            Self::Accounts => "accounts",
            Self::Sessions => "sessions",
            Self::Signing => "signing",
            Self::Audit => "audit",
            Self::Root => "root",
            Self::Events => "events",
            Self::Certificates => "certificates",
        };
        Name::new("crypto", kind, "store")
    }

    /// A change of one of its rows.
    pub fn change(self, key: impl Into<String>, expect: Expect, value: Option<Bytes>) -> Change {
        Change { table: self.name(), key: key.into(), expect, value }
    }

    /// A change that writes a value as JSON.
    pub fn put<T: Serialize>(
        self,
        key: impl Into<String>,
        expect: Expect,
        value: &T,
    ) -> Result<Change, Error> {
        let value = serde_json::to_vec(value).map_err(Error::internal)?;
        Ok(self.change(key, expect, Some(value.into())))
    }
}

/// A row whose value was JSON.
#[derive(Clone, Debug)]
pub struct Row<T> {
    /// What stands there.
    pub value: T,
    /// What to expect in a change.
    pub revision: u64,
}

impl<T> Row<T> {
    /// Expects that nobody has changed the row since.
    pub fn unchanged(&self) -> Expect {
        Expect::Revision(self.revision)
    }
}

/// The store. Shared by all parts of a replica.
pub struct Store {
    backplane: SharedBackplane,
    chain: Chain,
}

impl Store {
    /// Makes the store of a replica, which writes its own chain of audit records.
    pub fn new(backplane: SharedBackplane, node: &str, clock: Clock) -> Arc<Self> {
        Arc::new(Self { chain: Chain::new(node, clock), backplane })
    }

    /// Gives the audit chain its key; records are written from then on.
    pub fn seal_audit(&self, key: &[u8; 32]) {
        self.chain.set_key(key);
    }

    /// The chain of audit records.
    pub(crate) fn chain(&self) -> &Chain {
        &self.chain
    }

    /// Applies all changes together with the record of them, or nothing: [`Error::Conflict`] where a row is not as
    /// expected. What was answered is on the disk. Returns the revision of what was written.
    pub async fn commit(&self, changes: Vec<Change>, entry: Entry) -> Result<u64, Error> {
        self.chain.append(&self.backplane, changes, entry).await
    }

    /// Writes a record alone: of something that was refused, or that changed no row.
    pub async fn record(&self, entry: Entry) -> Result<(), Error> {
        self.commit(Vec::new(), entry).await.map(drop)
    }

    /// Applies changes of which there is no record, because they say nothing of anybody: counters, times of last use.
    pub async fn commit_unrecorded(&self, changes: Vec<Change>) -> Result<u64, Error> {
        let target = changes.first().map(|change| change.key.clone()).unwrap_or_default();
        match self.backplane.commit(changes).await? {
            Committed::Done { revision } => Ok(revision),
            Committed::Conflict { .. } => Err(Error::Conflict(target)),
        }
    }

    /// Reads rows, in the order asked.
    pub async fn read(&self, table: Table, keys: Vec<String>) -> Result<Vec<Option<Record>>, Error> {
        Ok(self.backplane.records(&table.name(), keys).await?)
    }

    /// Reads a row.
    pub async fn read_one(&self, table: Table, key: &str) -> Result<Option<Record>, Error> {
        Ok(self.read(table, vec![key.to_owned()]).await?.pop().flatten())
    }

    /// Reads a row whose value is JSON.
    pub async fn get<T: DeserializeOwned>(&self, table: Table, key: &str) -> Result<Option<Row<T>>, Error> {
        self.read_one(table, key).await?.map(|record| parse(&record)).transpose()
    }

    /// Reads a page.
    pub async fn scan(&self, table: Table, scan: Scan) -> Result<RecordPage, Error> {
        Ok(self.backplane.scan(&table.name(), scan).await?)
    }

    /// Counts rows whose key starts with a prefix.
    pub async fn count(&self, table: Table, prefix: &str) -> Result<u64, Error> {
        let mut count = 0;
        let mut after = None;
        loop {
            let scan = Scan { prefix: prefix.to_owned(), after, order: Order::Ascending, limit: COUNT_PAGE };
            let page = self.scan(table, scan).await?;
            count += page.records.len() as u64;
            after = page.records.last().map(|record| record.key.clone());
            if !page.more {
                return Ok(count);
            }
        }
    }

    /// Revision of a table: it has not changed as long as this has not.
    pub async fn revision(&self, table: Table) -> Result<u64, Error> {
        Ok(self.backplane.revision(&table.name()).await?)
    }

    /// Makes a subscriber; subscribe it to [`Table::name`].
    pub fn subscriber(&self, capacity: usize) -> Subscriber {
        self.backplane.subscriber(capacity)
    }

    /// The backplane behind it.
    pub fn backplane(&self) -> &SharedBackplane {
        &self.backplane
    }
}

/// Reads a record's JSON.
pub fn parse<T: DeserializeOwned>(record: &Record) -> Result<Row<T>, Error> {
    let value = serde_json::from_slice(&record.value)
        .map_err(|error| Error::internal(format!("the row {} cannot be read: {error}", record.key)))?;
    Ok(Row { value, revision: record.revision })
}
