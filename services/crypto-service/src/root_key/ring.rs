//! The root keys that are in use: the newest wraps, the others still unwrap.

use super::{row::RootRow, wrapping::WrappingKey};
use crate::{error::Error, store::Row};
use patchbay_crypto::Secret;
use std::sync::Arc;
use tokio::time::Instant;

/// A root key and what is known of it.
#[derive(Clone)]
pub(super) struct RingKey {
    /// How often the root key was rotated before; 0 is the seal key itself, which wrapped every row of a store that was never rotated.
    pub(super) generation: u32,
    /// When it was made, in milliseconds since 1970; 0 is as old as the store.
    pub(super) created: u64,
    pub(super) key: Arc<WrappingKey>,
}

/// All of them, as one row of the store tells.
pub(super) struct Ring {
    /// Of the row; 0 where there is none.
    pub(super) revision: u64,
    /// Newest first, never empty.
    keys: Vec<RingKey>,
    /// Keys that have gone from the row while this replica ran. It may have wrapped something by one of them that it wrote late.
    former: Vec<Arc<WrappingKey>>,
    former_since: Option<Instant>,
}

impl Ring {
    /// The ring of a store that was never rotated.
    pub(super) fn of_seal(seal: &Arc<WrappingKey>) -> Self {
        Self::of_keys(vec![RingKey { generation: 0, created: 0, key: Arc::clone(seal) }], 0)
    }

    pub(super) fn of_keys(keys: Vec<RingKey>, revision: u64) -> Self {
        Self { revision, keys, former: Vec::new(), former_since: None }
    }

    /// Reads the row.
    pub(super) fn read(row: &Row<RootRow>, seal: &WrappingKey) -> Result<Self, Error> {
        let keys = row.value.open_keys(seal)?;
        if keys.is_empty() {
            return Err(Error::internal("the row of root keys has none"));
        }
        Ok(Self::of_keys(keys, row.revision))
    }

    /// The same, remembering what the ring before it had and this one has not.
    pub(super) fn after(mut self, before: &Self) -> Self {
        let gone = before.keys.iter().map(|ring| &ring.key).chain(&before.former);
        let former: Vec<_> = gone.filter(|key| !self.has(key.id())).map(Arc::clone).collect();
        self.former_since = match former.len() {
            0 => None,
            same if same == before.former.len() => before.former_since,
            _ => Some(Instant::now()),
        };
        self.former = former;
        self
    }

    pub(super) fn without_former(&self) -> Self {
        Self::of_keys(self.keys.clone(), self.revision)
    }

    pub(super) fn former_since(&self) -> Option<Instant> {
        self.former_since
    }

    fn has(&self, id: &str) -> bool {
        self.keys.iter().any(|ring| ring.key.id() == id)
    }

    /// The key that wraps.
    pub(super) fn newest(&self) -> &RingKey {
        self.keys.first().expect("a ring is never empty")
    }

    pub(super) fn keys(&self) -> &[RingKey] {
        &self.keys
    }

    /// Keys that only unwrap.
    fn older(&self) -> impl Iterator<Item = &Arc<WrappingKey>> {
        self.keys.iter().skip(1).map(|ring| &ring.key).chain(&self.former)
    }

    /// Whether there are any.
    pub(super) fn has_older(&self) -> bool {
        self.older().next().is_some()
    }

    pub(super) fn unwrap_by_older(&self, context: &str, wrapped: &[u8]) -> Option<Secret> {
        self.older().find_map(|key| key.unwrap(context, wrapped))
    }

    /// All secrets that may have wrapped something, newest first.
    pub(super) fn secrets(&self) -> impl Iterator<Item = (&str, &Secret)> {
        let keys = std::iter::once(&self.newest().key).chain(self.older());
        keys.map(|key| (key.id(), key.secret()))
    }
}
