//! What all parts of a replica share.

use crate::{
    accounts::Accounts,
    audit, certificates,
    config::CryptoConfig,
    error::Error,
    keyring::Keyring,
    metrics::CryptoMetrics,
    outbox,
    pool::Pool,
    root_key::RootKey,
    seal::sweep::{self, Sweep},
    store::{Store, Table},
    tls_probe::TlsProber,
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
    /// Looks at other people's TLS.
    pub tls_probe: TlsProber,
    /// Its figures.
    pub metrics: CryptoMetrics,
    /// What wraps rows anew after the root key was rotated.
    pub sweep: Sweep,
}

impl Core {
    /// Puts the parts together, on a store whose audit log has its key.
    pub async fn open(
        config: CryptoConfig,
        context: Context,
        store: Arc<Store>,
        root: RootKey,
    ) -> Result<Arc<Self>, StartError> {
        let metrics = CryptoMetrics::register(&context.metrics);
        let pool = Pool::start(&config.pool);
        let root = Arc::new(root);
        let tokens = Tokens::open(&config, &context, &store, &root)
            .await
            .map_err(|error| StartError::failed("open the keys that sign tokens", error))?;
        Ok(Arc::new(Self {
            keyring: Keyring::new(&config.keys, &context, &store, &root, &pool),
            accounts: Accounts::new(&config, &context, &store, &root, &pool),
            tls_probe: TlsProber::open(&config.tls_probe, &context)?,
            tokens,
            pool,
            metrics,
            root,
            store,
            config,
            context,
            sweep: Sweep::default(),
        }))
    }

    /// Spawns what goes on in the background.
    pub fn spawn_tasks(self: &Arc<Self>) {
        self.keyring.spawn_tasks(&self.context);
        self.tokens.spawn_tasks(&self.context);
        outbox::spawn(self);
        certificates::spawn(self);
        let core = Arc::clone(self);
        let stop = self.context.shutdown.hard();
        self.context.tasks.spawn_critical("prune", async move {
            stop.run_until_cancelled(core.prune()).await;
        });
        let (core, stop) = (Arc::clone(self), self.context.shutdown.hard());
        self.context.tasks.spawn_critical("root-sweep", async move {
            stop.run_until_cancelled(sweep::run(core)).await;
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
pub(crate) async fn wait_for(store: &Store, component: &Component) -> Result<(), StartError> {
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
