//! Named keys and their versions: read when they are used, kept unwrapped for a short time, changed by compare-and-set, so that any
//! replica can change any key and all see it.

mod backup;
mod cache;
mod certificates;
mod counter;
mod describe;
mod export;
mod flight;
mod follow;
mod key_type;
mod load;
mod loaded;
mod manage;
mod material;
mod rewrap;
mod rows;
mod sweep;
#[cfg(test)]
pub(crate) mod tests;
mod versions;
mod wrapping;

pub use backup::{Existing, Restore};
pub use describe::{HeaderPage, VersionInfo};
pub use export::{Exported, Format};
pub use key_type::KeyType;
pub use loaded::{LoadedKey, LoadedVersion};
pub use manage::Configuration;
pub use material::Material;
pub(crate) use rewrap::rewrapped;
pub use rows::{Header, KeyName};
pub use versions::{Creating, Creation, Import};
pub(crate) use wrapping::ROW as WRAPPING_ROW;

use crate::{config, error::Error, pool::Pool, root_key::RootKey, store::Store};
use cache::Cache;
use counter::{Blocks, Target};
use patchbay_chassis::{Clock, Context};
use patchbay_crypto::rsa;
use prometheus_client::metrics::counter::Counter as Metric;
use std::sync::Arc;

/// The keyring of a replica. Cheap to clone.
#[derive(Clone)]
pub struct Keyring(Arc<Shared>);

struct Shared {
    config: config::Keys,
    clock: Clock,
    store: Arc<Store>,
    root: Arc<RootKey>,
    pool: Pool,
    cache: Cache,
    nearly_exhausted: Metric,
    // Held from the read of a header to the commit of its change: within a replica, changes wait for each other
    // instead of failing and trying again.
    changing: tokio::sync::Mutex<()>,
    // Read, or made, when it is first asked for.
    wrapping: tokio::sync::OnceCell<Arc<rsa::PrivateKey>>,
}

impl Keyring {
    /// Makes an empty one; keys are read when they are used.
    pub fn new(
        config: &config::Keys,
        context: &Context,
        store: &Arc<Store>,
        root: &Arc<RootKey>,
        pool: &Pool,
    ) -> Self {
        let nearly_exhausted = context.metrics.register(
            "keys_nearly_exhausted",
            "Key versions that have come to 2^31 encryptions with a 96-bit nonce; at 2^32 they are refused",
            Metric::default(),
        );
        Self::with(config, context.clock.clone(), store, root, pool, nearly_exhausted)
    }

    fn with(
        config: &config::Keys,
        clock: Clock,
        store: &Arc<Store>,
        root: &Arc<RootKey>,
        pool: &Pool,
        nearly_exhausted: Metric,
    ) -> Self {
        Self(Arc::new(Shared {
            cache: Cache::new(config),
            config: config.clone(),
            clock,
            store: Arc::clone(store),
            root: Arc::clone(root),
            pool: pool.clone(),
            nearly_exhausted,
            changing: tokio::sync::Mutex::default(),
            wrapping: tokio::sync::OnceCell::new(),
        }))
    }

    /// Spawns what follows changes, polls and rotates.
    pub fn spawn_tasks(&self, context: &Context) {
        follow::spawn(self, context);
    }

    /// A key that is in memory, where the store has confirmed lately that it has not changed; see `keys.stale_after`.
    pub fn cached(&self, name: &str) -> Option<Arc<LoadedKey>> {
        self.0.cache.fresh(name)
    }

    /// Keys in memory.
    pub fn cached_count(&self) -> u64 {
        self.0.cache.count() as u64
    }

    /// A key, from memory or from the store.
    pub async fn get(&self, name: &str) -> Result<Arc<LoadedKey>, Error> {
        match self.cached(name) {
            Some(key) => Ok(key),
            None => self.load_once(&KeyName::parse("key", name)?).await,
        }
    }

    /// Takes `count` of the version's 96-bit nonces; quick while this replica's block lasts. Types that are not counted
    /// have enough.
    pub async fn reserve(&self, key: &LoadedKey, version: &LoadedVersion, count: u32) -> Result<(), Error> {
        let Some(counter) = &version.counter else { return Ok(()) };
        let blocks = Blocks {
            store: &self.0.store,
            size: u64::from(self.0.config.counter_block),
            warnings: &self.0.nearly_exhausted,
        };
        let target = Target { name: &key.name, id: &key.header.id, number: version.number };
        counter.take(&blocks, &target, count).await
    }

    /// The half of [`Keyring::reserve`] that needs no waiting.
    pub fn try_reserve(&self, version: &LoadedVersion, count: u32) -> bool {
        version.counter.as_ref().is_none_or(|counter| counter.try_take(count))
    }
}
