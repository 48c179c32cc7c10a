//! The audit log: who did what, and how it went, in a chain for each replica in which every record vouches for the one before.
//!
//! A record is written in the same commit as the change it tells of: there is no change without its record, and no
//! record of a change that was not made.

mod chain;
mod mark;
mod prune;
mod read;
mod verify;

pub(crate) use chain::Chain;
pub(crate) use prune::prune;
pub(crate) use read::{Filter, read_page};
pub(crate) use verify::verify;

use crate::{
    caller::Caller,
    error::Error,
    store::{Store, Table},
};
use mark::{Kind, Mark};
use patchbay_backplane::{Expect, Record};
use serde::{Deserialize, Serialize};

/// What is to be recorded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Subject of the caller; empty for an open call.
    pub who: String,
    /// What, such as `key.rotate`.
    pub operation: &'static str,
    /// On what.
    pub target: String,
    /// `ok`, or the reason of the refusal.
    pub outcome: &'static str,
    /// More, in words; never a secret.
    pub detail: String,
}

impl Entry {
    /// Something that a caller did.
    pub fn of(caller: &Caller, operation: &'static str, target: &str) -> Self {
        Self::by(caller.subject(), operation, target)
    }

    /// Something that was done by somebody known only by name, such as whoever signs in.
    pub fn by(who: &str, operation: &'static str, target: &str) -> Self {
        Self {
            who: who.to_owned(),
            operation,
            target: target.to_owned(),
            outcome: "ok",
            detail: String::new(),
        }
    }

    /// Something that the service did by itself.
    pub fn by_service(operation: &'static str, target: &str) -> Self {
        Self::by("svc:crypto-service", operation, target)
    }

    /// Says why it was refused.
    #[must_use]
    pub fn refused(mut self, error: &Error) -> Self {
        self.outcome = error.reason();
        self
    }

    /// Says more.
    #[must_use]
    pub fn detail(mut self, detail: impl Into<String>) -> Self {
        self.detail = detail.into();
        self
    }
}

/// A record as it is stored.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Stored {
    /// Replica whose chain it stands in.
    pub(crate) node: String,
    /// Place in the chain, from 1.
    pub(crate) seq: u64,
    /// When, in milliseconds since 1970.
    pub(crate) at: u64,
    pub(crate) who: String,
    pub(crate) op: String,
    pub(crate) target: String,
    pub(crate) outcome: String,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub(crate) detail: String,
    /// HMAC-SHA256 over the hash before and all of the above, hexadecimal.
    pub(crate) hash: String,
}

impl Stored {
    /// Key of its row: rows are in the order of time, and those of one chain in the chain's order.
    fn row(&self) -> String {
        format!("{RECORDS}{:014}/{}/{:010}", self.at, self.node, self.seq)
    }

    /// Reads a row; `None` where there is no record in it, or one that belongs elsewhere.
    fn read(row: &Record) -> Option<Self> {
        serde_json::from_slice(&row.value).ok().filter(|record: &Self| record.row() == row.key)
    }
}

/// What rows of records start with. Beside them there are `head/<node>` and `anchor/<node>`, where a chain ends and begins.
const RECORDS: &str = "at/";

/// Rows read at once.
const PAGE: usize = 500;

/// Where a chain begins, and what to expect in the row that says so: before the first record where nothing was pruned yet, and `None` where
/// the row was not written with the key.
async fn anchor_of(store: &Store, node: &str) -> Result<(Option<Mark>, Expect), Error> {
    let key = store.chain().key()?;
    let Some(row) = store.read_one(Table::Audit, &Kind::Anchor.row(node)).await? else {
        return Ok((Some(Mark::default()), Expect::Absent));
    };
    Ok((Mark::open(key, Kind::Anchor, node, &row.value), Expect::Revision(row.revision)))
}

#[cfg(test)]
mod tests;
