//! What all parts of a replica share.

use crate::{
    accounts::Accounts,
    audit,
    config::CryptoConfig,
    error::Error,
    keyring::Keyring,
    metrics::{self, CryptoMetrics},
    pool::Pool,
    root_key::{RootKey, RootKeyError},
    store::{Store, Table},
    tokens::Tokens,
};
use patchbay_chassis::{Component, Context, StartError};
use std::{sync::Arc, time::Duration};
use tokio::time::MissedTickBehavior;

/// How long a start waits for a store that does not answer.
const STORE_PATIENCE: Duration = Duration::from_secs(20);

/// How often old audit records are pruned.
const PRUNE_EVERY: Duration = Duration::from_hours(1);

/// A running replica.
pub struct Core {
    /// Its configuration.
    pub config: CryptoConfig,
    /// Its process.
    pub context: Context,
    /// Its rows.
    pub store: Arc<Store>,
    /// The key that wraps all others.
    pub root: Arc<RootKey>,
    /// Threads for what is slow.
    pub pool: Pool,
    /// Named keys.
    pub keyring: Keyring,
    /// People and programs.
    pub accounts: Accounts,
    /// Tokens and sessions.
    pub tokens: Tokens,
    /// Its figures.
    pub metrics: CryptoMetrics,
}

impl Core {
    /// Opens the store and puts the parts together.
    pub async fn open(config: CryptoConfig, context: Context) -> Result<Arc<Self>, StartError> {
        let store = Store::new(context.backplane.clone(), &context.node.0, context.clock.clone());
        let component = context.readiness.component("store");
        wait_for(&store, &component).await?;
        let root = RootKey::open(&config.root_key, &store).await.map_err(|error| match error {
            RootKeyError::Store(error) => StartError::failed("read the store", error),
            error => StartError::failed("open the root key", error),
        })?;
        store.seal_audit(&root.derive("audit"));
        component.ready();
        let metrics = CryptoMetrics::register(&context.metrics);
        let pool = Pool::start(&config.pool);
        let root = Arc::new(root);
        let tokens = Tokens::open(&config, &context, &store, &root)
            .await
            .map_err(|error| StartError::failed("open the keys that sign tokens", error))?;
        let core = Arc::new(Self {
            keyring: Keyring::new(&config.keys, &context, &store, &root, &pool),
            accounts: Accounts::new(&config, &context, &store, &root, &pool),
            tokens,
            pool,
            metrics,
            root,
            store,
            config,
            context,
        });
        metrics::watch(&core);
        Ok(core)
    }

    /// Spawns what goes on in the background.
    pub fn spawn_tasks(self: &Arc<Self>) {
        self.keyring.spawn_tasks(&self.context);
        self.tokens.spawn_tasks(&self.context);
        let core = Arc::clone(self);
        let stop = self.context.shutdown.hard();
        self.context.tasks.spawn_critical("prune", async move {
            stop.run_until_cancelled(core.prune()).await;
        });
    }

    async fn prune(&self) {
        let mut ticks = tokio::time::interval(PRUNE_EVERY);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            ticks.tick().await;
            let keep = u64::try_from(self.config.audit.keep.duration().as_millis()).unwrap_or(u64::MAX);
            let before = self.context.clock.now_millis().saturating_sub(keep);
            match audit::prune(&self.store, before).await {
                Ok(0) => {}
                Ok(records) => tracing::info!(records, "old audit records were pruned"),
                Err(error) => tracing::debug!(%error, "could not prune the audit log"),
            }
        }
    }
}

/// Waits for the store; one that answers before its disk does is refused at once.
async fn wait_for(store: &Store, component: &Component) -> Result<(), StartError> {
    let deadline = tokio::time::Instant::now() + STORE_PATIENCE;
    loop {
        match store.revision(Table::Root).await {
            Ok(_) => return Ok(()),
            Err(Error::Unavailable) if tokio::time::Instant::now() < deadline => {
                component.not_ready("the store does not answer");
                tokio::time::sleep(Duration::from_millis(200)).await;
            }
            Err(error) => return Err(StartError::failed("use the backplane as a store", error)),
        }
    }
}
