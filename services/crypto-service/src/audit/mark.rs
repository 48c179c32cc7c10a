//! What a chain is made of: records' hashes, and the two rows that say where it begins and ends.

use super::Stored;
use aws_lc_rs::{constant_time, hmac};
use serde::{Deserialize, Serialize};

/// A place in a chain. Its row is believed only with a MAC, since whoever removes records could move it otherwise.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Mark {
    /// Number of the record; 0 before the first.
    pub(super) seq: u64,
    /// Its hash; empty before the first.
    pub(super) hash: String,
    /// Its time.
    pub(super) at: u64,
    mac: String,
}

/// Which row a mark stands in. One kind is not taken for the other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// The last record of a chain.
    Head,
    /// The last record that was pruned from its front.
    Anchor,
}

impl Kind {
    fn word(self) -> &'static str {
        match self {
            Self::Head => "head",
            Self::Anchor => "anchor",
        }
    }

    /// What keys of these rows start with.
    pub(super) fn prefix(self) -> &'static str {
        match self {
            Self::Head => "head/",
            Self::Anchor => "anchor/",
        }
    }

    /// Key of a chain's row.
    pub(super) fn row(self, node: &str) -> String {
        format!("{}{node}", self.prefix())
    }
}

impl Mark {
    /// The place of a record.
    pub(super) fn of(record: &Stored) -> Self {
        Self { seq: record.seq, hash: record.hash.clone(), at: record.at, mac: String::new() }
    }

    /// With the MAC that its row needs.
    pub(super) fn sealed(&self, key: &hmac::Key, kind: Kind, node: &str) -> Self {
        Self { mac: self.mac(key, kind, node), ..self.clone() }
    }

    /// Reads a row; `None` where it was not written with the key, for this chain and this purpose.
    pub(super) fn open(key: &hmac::Key, kind: Kind, node: &str, row: &[u8]) -> Option<Self> {
        let mark: Self = serde_json::from_slice(row).ok()?;
        is_equal(&mark.mac(key, kind, node), &mark.mac).then_some(Self { mac: String::new(), ..mark })
    }

    fn mac(&self, key: &hmac::Key, kind: Kind, node: &str) -> String {
        mac(key, &[kind.word(), node, &self.seq.to_string(), &self.hash, &self.at.to_string()])
    }

    /// Whether a record is the next one: it counts on, and its hash vouches for this place.
    pub(super) fn leads_to(&self, key: &hmac::Key, record: &Stored) -> bool {
        self.seq.checked_add(1) == Some(record.seq) && is_equal(&hash(key, &self.hash, record), &record.hash)
    }
}

/// The hash of a record, over the hash before it and all its fields.
pub(super) fn hash(key: &hmac::Key, before: &str, record: &Stored) -> String {
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
    mac(key, &fields)
}

/// Each field with its length before it, so that no two lists give the same bytes.
fn mac(key: &hmac::Key, fields: &[&str]) -> String {
    let mut context = hmac::Context::with_key(key);
    for field in fields {
        context.update(&(field.len() as u64).to_be_bytes());
        context.update(field.as_bytes());
    }
    hex::encode(context.sign())
}

fn is_equal(one: &str, other: &str) -> bool {
    constant_time::verify_slices_are_equal(one.as_bytes(), other.as_bytes()).is_ok()
}
