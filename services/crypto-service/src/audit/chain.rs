//! Writes one replica's chain.

use super::{Entry, HEADS, RECORDS, Stored};
use crate::{error::Error, store::Table};
use aws_lc_rs::hmac;
use patchbay_backplane::{Change, Committed, Expect, SharedBackplane};
use patchbay_chassis::Clock;
use serde::{Deserialize, Serialize};
use std::sync::OnceLock;
use tokio::sync::Mutex;

/// Hash before the first record.
const GENESIS: &str = "";

/// The chain of this replica.
pub(crate) struct Chain {
    node: String,
    clock: Clock,
    key: OnceLock<hmac::Key>,
    // Held while a commit is on its way, because the next record needs this one's hash.
    end: Mutex<End>,
}

/// Where the chain ends.
#[derive(Clone, Debug, PartialEq, Eq)]
enum End {
    /// Nothing was written yet.
    Empty,
    /// There.
    At(Head, u64),
    /// A commit was not answered: it has to be read.
    Unknown,
}

/// The row of a chain's end.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Head {
    pub(super) seq: u64,
    pub(super) hash: String,
}

impl Chain {
    pub(crate) fn new(node: &str, clock: Clock) -> Self {
        Self { node: node.to_owned(), clock, key: OnceLock::new(), end: Mutex::new(End::Empty) }
    }

    pub(crate) fn set_key(&self, key: [u8; 32]) {
        // Set once, at start.
        drop(self.key.set(hmac::Key::new(hmac::HMAC_SHA256, &key)));
    }

    pub(crate) fn key(&self) -> Option<&hmac::Key> {
        self.key.get()
    }

    /// Commits changes and their record. Before the key is known nothing is recorded: that is the root key's own row.
    pub(crate) async fn append(
        &self,
        backplane: &SharedBackplane,
        mut changes: Vec<Change>,
        entry: Entry,
    ) -> Result<u64, Error> {
        let target = entry.target.clone();
        let Some(key) = self.key.get() else { return commit(backplane, changes, target).await };
        let mut end = self.end.lock().await;
        let (head, expect) = self.head(&end, backplane).await?;
        let record = self.link(key, &head, entry);
        let next = Head { seq: record.seq, hash: record.hash.clone() };
        let row = format!("{RECORDS}{:014}/{}/{:010}", record.at, self.node, record.seq);
        // Last, so that a conflict names the caller's own change.
        changes.push(Table::Audit.put(row, Expect::Absent, &record)?);
        changes.push(Table::Audit.put(format!("{HEADS}{}", self.node), expect, &next)?);
        *end = End::Unknown;
        let committed = commit(backplane, changes, target).await;
        // After a conflict the end is read again: it may be this row that is not as expected, when a commit whose answer was
        // lost has taken effect late.
        if let Ok(revision) = &committed {
            *end = End::At(next, *revision);
        }
        committed
    }

    async fn head(&self, end: &End, backplane: &SharedBackplane) -> Result<(Head, Expect), Error> {
        match end {
            End::Empty => Ok((Head::default(), Expect::Absent)),
            End::At(head, revision) => Ok((head.clone(), Expect::Revision(*revision))),
            End::Unknown => {
                let keys = vec![format!("{HEADS}{}", self.node)];
                let record = backplane.records(&Table::Audit.name(), keys).await?.pop().flatten();
                let Some(record) = record else { return Ok((Head::default(), Expect::Absent)) };
                let head = serde_json::from_slice(&record.value).map_err(Error::internal)?;
                Ok((head, Expect::Revision(record.revision)))
            }
        }
    }

    fn link(&self, key: &hmac::Key, head: &Head, entry: Entry) -> Stored {
        let mut record = Stored {
            node: self.node.clone(),
            seq: head.seq + 1,
            at: self.clock.now_millis(),
            who: entry.who,
            op: entry.operation.to_owned(),
            target: entry.target,
            outcome: entry.outcome.to_owned(),
            detail: entry.detail,
            hash: String::new(),
        };
        let before = if head.seq == 0 { GENESIS } else { &head.hash };
        record.hash = hash(key, before, &record);
        record
    }
}

async fn commit(backplane: &SharedBackplane, changes: Vec<Change>, target: String) -> Result<u64, Error> {
    match backplane.commit(changes).await? {
        Committed::Done { revision } => Ok(revision),
        Committed::Conflict { .. } => Err(Error::Conflict(target)),
    }
}

/// Each field with its length before it, so that no two records give the same bytes.
pub(super) fn hash(key: &hmac::Key, before: &str, record: &Stored) -> String {
    let mut context = hmac::Context::with_key(key);
    let (seq, at) = (record.seq.to_string(), record.at.to_string());
    let fields = [
        before,
        &record.node,
        &seq,
        &at,
        &record.who,
        &record.op,
        &record.target,
        &record.outcome,
        &record.detail,
    ];
    for field in fields {
        context.update(&(field.len() as u64).to_be_bytes());
        context.update(field.as_bytes());
    }
    hex::encode(context.sign())
}
