//! Keyrings in one process: each is a replica, all share a store in memory.

mod certificates;
mod cold;
mod copies;
mod counters;
mod events;
mod lifecycle;
mod replicas;
mod secrecy;

use super::{Creation, Header, KeyName, KeyType, Keyring, follow};
use crate::{
    audit::Entry,
    config,
    error::Error,
    pool::Pool,
    root_key::{Derivation, RootKey},
    store::{Store, Table},
};
use patchbay_backplane::{Order, Scan, SharedBackplane, memory::MemoryBackplane};
use patchbay_chassis::{ByteSize, Clock, Span};
use patchbay_crypto::Secret;
use prometheus_client::metrics::counter::Counter as Metric;
use std::{sync::Arc, time::Duration};
use tokio::task::JoinSet;
use tokio_util::{sync::CancellationToken, task::TaskTracker};

/// The first moment of manual clocks, in milliseconds since 1970.
const START: u64 = 1_800_000_000_000;

/// A store that replicas share.
struct World {
    backplane: SharedBackplane,
    root: Arc<RootKey>,
    clock: Clock,
    config: config::Keys,
}

/// One of them.
pub(crate) struct Replica {
    pub(crate) keyring: Keyring,
    pub(crate) store: Arc<Store>,
    pub(crate) warnings: Metric,
    // Ends what it spawned when it is dropped.
    following: JoinSet<()>,
}

impl World {
    fn new() -> Self {
        Self::with_root(7)
    }

    fn with_root(byte: u8) -> Self {
        let backplane = MemoryBackplane::volatile(&TaskTracker::new(), &CancellationToken::new());
        Self {
            backplane: Arc::new(backplane),
            root: Arc::new(RootKey::new(Secret::new(vec![byte; 32])).unwrap()),
            clock: Clock::manual(START),
            config: config::Keys { poll: Span::seconds(1), ..config::Keys::default() },
        }
    }

    /// A replica that follows the others.
    async fn replica(&self, node: &str) -> Replica {
        let mut replica = self.deaf(node);
        let keyring = replica.keyring.clone();
        replica.following.spawn(async move { keyring.follow().await });
        until(|| replica.keyring.0.cache.is_confirmed()).await;
        replica
    }

    /// A replica that hears nothing of the others.
    fn deaf(&self, node: &str) -> Replica {
        let store = Store::new(Arc::clone(&self.backplane), node, self.clock.clone());
        store.seal_audit(&self.root.derive(Derivation::Audit));
        let pool = Pool::start(&config::Pool { threads: 1, memory: ByteSize::mib(128), queue: 64 });
        let warnings = Metric::default();
        let clock = self.clock.clone();
        let keyring = Keyring::with(&self.config, clock, &store, &self.root, &pool, warnings.clone());
        Replica { keyring, store, warnings, following: JoinSet::new() }
    }

    /// A replica of its own, for tests of what stands before a keyring.
    async fn alone() -> (Self, Replica) {
        let world = Self::new();
        let replica = world.replica("one").await;
        (world, replica)
    }
}

/// One replica that follows nobody, for tests of what stands before a keyring.
pub(crate) fn alone() -> Replica {
    World::new().deaf("one")
}

impl Replica {
    async fn create(&self, name: &str, key_type: KeyType) -> Header {
        self.keyring.create(&named(name), plain(key_type), entry("key.create", name)).await.unwrap().0
    }

    async fn rotate(&self, name: &str) -> Result<Header, Error> {
        self.keyring.rotate(&named(name), entry("key.rotate", name)).await
    }

    /// Reads a key until it stays in memory: events of changes before may still be on their way.
    async fn remember(&self, name: &str) -> Arc<super::LoadedKey> {
        loop {
            self.keyring.get(name).await.unwrap();
            if let Some(key) = self.keyring.cached(name) {
                return key;
            }
            tokio::task::yield_now().await;
        }
    }

    /// Operation, target and outcome of all audit records, oldest first.
    pub(crate) async fn recorded(&self) -> Vec<(String, String, String)> {
        let rows = self.rows(Table::Audit, "at/").await;
        let read = |(_, value): &(String, Vec<u8>)| {
            let record: crate::audit::Stored = serde_json::from_slice(value).unwrap();
            (record.seq, (record.op, record.target, record.outcome))
        };
        let mut records: Vec<_> = rows.iter().map(read).collect();
        records.sort_by_key(|(seq, _)| *seq);
        records.into_iter().map(|(_, record)| record).collect()
    }

    async fn rows(&self, table: Table, prefix: &str) -> Vec<(String, Vec<u8>)> {
        let scan = Scan { prefix: prefix.to_owned(), after: None, order: Order::Ascending, limit: 10_000 };
        let page = self.store.scan(table, scan).await.unwrap();
        page.records.into_iter().map(|record| (record.key, record.value.to_vec())).collect()
    }
}

fn named(name: &str) -> KeyName {
    KeyName::parse("name", name).unwrap()
}

fn entry(operation: &'static str, name: &str) -> Entry {
    Entry::by("ada", operation, name)
}

/// A key of a type with everything else at its default.
pub(crate) fn plain(key_type: KeyType) -> Creation {
    Creation {
        key_type,
        exportable: false,
        plaintext_backup_allowed: false,
        auto_rotate: Duration::ZERO,
        hmac_size: 0,
    }
}

/// Waits for a condition.
async fn until(mut condition: impl FnMut() -> bool) {
    let waiting = async {
        while !condition() {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), waiting).await.expect("it never came to be");
}
