//! The seal of a replica: whether it has the key that wraps the root keys, how it comes to it, and how it forgets it.
//!
//! A [`Core`] exists only while the replica is open; [`gate`] lets calls through to it or refuses them. [`shares`] collects what people bring, [`tell`]
//! carries it to the other replicas, [`follow`] hears of what they have done, and [`sweep`] wraps rows anew after a rotation.

mod follow;
pub(crate) mod gate;
mod guesses;
mod rekey;
mod shares;
pub(crate) mod sweep;
mod tell;

use crate::{
    config::CryptoConfig,
    core::{Core, wait_for},
    error::Error,
    grpc,
    metrics::CryptoMetrics,
    rest,
    root_key::{self, Derivation, RootKey, RootKeyError, Sharing},
    store::Store,
    vault,
};
use axum::Router;
use parking_lot::RwLock;
use patchbay_chassis::{Component, Context, Part, StartError};
use shares::Collected;
use std::sync::Arc;
use tell::Teller;
use tonic::service::Routes;

pub(crate) use shares::Wish;

/// What a sealed replica says of itself.
const SEALED: &str = "sealed: bring the shares of its key with `patchbay seal unseal` or in the console";
const UNINITIALIZED: &str = "sealed: the store has no key yet: make one with `patchbay seal init`";

/// The seal of a replica.
pub(crate) struct Seal {
    pub(crate) config: CryptoConfig,
    pub(crate) context: Context,
    pub(crate) metrics: CryptoMetrics,
    /// Reads the table of root keys; it knows no key of the audit log, and records nothing.
    reader: Arc<Store>,
    readiness: Component,
    // Held for a look-up, never across an await.
    open: RwLock<Option<Arc<Open>>>,
    // Held while a share is judged: one at a time.
    collected: tokio::sync::Mutex<Collected>,
    teller: Teller,
}

/// What there is while a replica is open.
pub(crate) struct Open {
    pub(crate) core: Arc<Core>,
    grpc: Routes,
    rest: Router,
    /// Ends the tasks of the core, and calls that are under way.
    part: Part,
    /// How often the seal had been closed when this was opened.
    closings: u64,
}

impl Seal {
    /// Opens the replica where a file or a passphrase has its key; else it waits for shares.
    pub(crate) async fn start(config: CryptoConfig, context: Context) -> Result<Arc<Self>, StartError> {
        let reader = Store::new(context.backplane.clone(), &context.node.0, context.clock.clone());
        let component = context.readiness.component("store");
        wait_for(&reader, &component).await?;
        let seal = Arc::new(Self {
            metrics: CryptoMetrics::register(&context.metrics),
            readiness: context.readiness.component("seal"),
            open: RwLock::default(),
            collected: tokio::sync::Mutex::default(),
            teller: Teller::new(&context)?,
            reader,
            config,
            context,
        });
        let root = seal.root_key().await.map_err(|error| match error {
            RootKeyError::Store(error) => StartError::failed("read the store", error),
            error => StartError::failed("open the root key", error),
        })?;
        component.ready();
        match root {
            Some(root) => seal.open(root).await?,
            None => seal.say_sealed().await,
        }
        seal.spawn_follower().await;
        Ok(seal)
    }

    /// The root keys, where the seal key is here.
    async fn root_key(&self) -> Result<Option<RootKey>, RootKeyError> {
        if self.config.root_key.shares {
            return match self.expected_sharing().await {
                Ok(_) => Ok(None),
                Err(Error::SealNotShared) => Err(RootKeyError::NotShared),
                Err(error) => Err(error.into()),
            };
        }
        let is_shared = self.sharing().await?.is_some();
        let key = root_key::read_seal_key(&self.config.root_key, &self.reader).await?;
        let Some(key) = key else { return Ok(None) };
        match RootKey::open(key, &self.reader).await {
            Err(RootKeyError::Wrong) if is_shared => Err(RootKeyError::Shared),
            opened => opened.map(Some),
        }
    }

    /// Makes everything that needs keys, and lets calls in.
    async fn open(self: &Arc<Self>, root: RootKey) -> Result<(), StartError> {
        let (context, part) = self.context.part();
        let store = Store::new(context.backplane.clone(), &context.node.0, context.clock.clone());
        store.seal_audit(&root.derive(Derivation::Audit));
        let sharing = root_key::read_sharing(&store).await;
        let sharing = sharing.map_err(|error| StartError::failed("read the store", error))?;
        let core = Core::open(self.config.clone(), context, store, root).await?;
        let grpc = grpc::routes(&core).prepare();
        let rest = rest::router(&core, &gate::routes(self))
            .map_err(|error| StartError::failed("make the table of REST paths", error))?;
        core.spawn_tasks();
        let closings = sharing.map_or(0, |row| row.value.closings);
        *self.open.write() = Some(Arc::new(Open { core, grpc, rest, part, closings }));
        self.readiness.ready();
        Ok(())
    }

    /// Forgets everything: calls under way are cut off, tasks end, and keys are overwritten when the last of them has gone.
    fn forget(&self) -> bool {
        let Some(open) = self.open.write().take() else { return false };
        open.part.end();
        let core = Arc::downgrade(&open.core);
        drop(open);
        self.context.tasks.spawn("forgotten", follow::until_gone(core));
        true
    }

    /// A replica that is sealed must be reachable to be opened: it is degraded, which is still healthy, and says so.
    async fn say_sealed(&self) {
        let is_initialized = root_key::is_initialized(&self.reader).await.unwrap_or(true);
        self.readiness.degraded(if is_initialized { SEALED } else { UNINITIALIZED });
    }

    /// What there is while the replica is open.
    pub(crate) fn current(&self) -> Option<Arc<Open>> {
        self.open.read().clone()
    }

    /// The core, or that the replica is sealed.
    pub(crate) fn core(&self) -> Result<Arc<Core>, Error> {
        self.current().map(|open| Arc::clone(&open.core)).ok_or(Error::Sealed)
    }

    /// How the seal key is shared.
    pub(crate) async fn sharing(&self) -> Result<Option<Sharing>, Error> {
        Ok(root_key::read_sharing(&self.reader).await?.map(|row| row.value))
    }

    /// How the seal key is shared; `None` in an empty store, and an error where there is a seal key that is not shared.
    async fn expected_sharing(&self) -> Result<Option<Sharing>, Error> {
        // Both are written at once: what is read second is at least as new.
        let is_initialized = self.is_initialized().await?;
        match self.sharing().await? {
            None if is_initialized => Err(Error::SealNotShared),
            sharing => Ok(sharing),
        }
    }

    /// How this replica is while it is sealed, for clients of Vault.
    pub(crate) async fn told(&self) -> Result<vault::Sealed, Error> {
        let (is_initialized, progress) = (self.is_initialized().await?, self.progress().await);
        let counts = self
            .sharing()
            .await?
            .map_or((progress.shares, progress.threshold), |sharing| (sharing.shares, sharing.threshold));
        let (shares, threshold) = counts;
        Ok(vault::Sealed { is_initialized, shares, threshold, progress: progress.brought })
    }

    /// Whether the store has a seal key.
    pub(crate) async fn is_initialized(&self) -> Result<bool, Error> {
        root_key::is_initialized(&self.reader).await
    }
}
