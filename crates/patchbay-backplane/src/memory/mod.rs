//! The backplane of one process. Streams, key-value entries, records, marks and the fencing counter survive a restart in a
//! redb file when one is given; presence, counters, leases' holders and nodes live and die with the process.
//! It serves no second process: two of them on one file is refused by the file's lock.

mod counters;
mod journal;
mod leases;
mod marks;
mod nodes;
mod presence;
mod pubsub;
mod records;
mod store;
mod streams;
mod sweep;
mod values;

use crate::{Answer, Backplane, BackplaneError, Figures, Health, Name, NodeId, clock::Clock, hub::Hub};
use futures_util::FutureExt;
use journal::Journal;
use parking_lot::Mutex;
use std::{collections::HashMap, path::Path, sync::Arc};
use store::{Contents, Store};
use tokio::sync::watch;
use tokio_util::{sync::CancellationToken, task::TaskTracker};

/// The in-process backplane. Cheap to clone.
#[derive(Clone)]
pub struct MemoryBackplane(Arc<Inner>);

struct Inner {
    clock: Clock,
    hub: Arc<Hub>,
    journal: Journal,
    health: watch::Receiver<Health>,
    // Keeps the channel open where there is no journal to hold it.
    _health_sender: watch::Sender<Health>,
    streams: Mutex<HashMap<String, streams::Stream>>,
    values: Mutex<values::Values>,
    tables: Mutex<records::Tables>,
    marks: Mutex<HashMap<String, marks::MarkMap>>,
    leases: Mutex<leases::LeaseTable>,
    counters: Mutex<HashMap<Name, counters::Window>>,
    presence: Mutex<HashMap<Name, presence::Group>>,
    nodes: Mutex<HashMap<NodeId, nodes::Node>>,
}

impl MemoryBackplane {
    /// Starts a backplane that keeps nothing. Must be called in a tokio runtime.
    pub fn volatile(tasks: &TaskTracker, shutdown: &CancellationToken) -> Self {
        let (health, _) = watch::channel(Health::Up);
        Self::build(Journal::none(), Contents::default(), health, tasks, shutdown)
    }

    /// Opens or makes a file and goes on from what it holds. Up to `queue` changes wait for the disk; beyond that
    /// calls are refused. Must be called in a tokio runtime; blocks while the file is read.
    pub fn open(
        file: &Path,
        queue: usize,
        tasks: &TaskTracker,
        shutdown: &CancellationToken,
    ) -> Result<Self, BackplaneError> {
        Self::serve(Store::open(file)?, queue, tasks, shutdown)
    }

    fn serve(
        store: Store,
        queue: usize,
        tasks: &TaskTracker,
        shutdown: &CancellationToken,
    ) -> Result<Self, BackplaneError> {
        let contents = store.load()?;
        let (health, _) = watch::channel(Health::Up);
        let journal = Journal::start(store, queue.max(1), health.clone(), tasks, shutdown.clone());
        Ok(Self::build(journal, contents, health, tasks, shutdown))
    }

    fn build(
        journal: Journal,
        contents: Contents,
        health: watch::Sender<Health>,
        tasks: &TaskTracker,
        shutdown: &CancellationToken,
    ) -> Self {
        let clock = Clock::start();
        let inner = Inner {
            clock,
            hub: Arc::default(),
            journal,
            health: health.subscribe(),
            _health_sender: health,
            streams: Mutex::new(streams::restore(contents.streams, contents.entries, contents.keys)),
            values: Mutex::new(values::Values::restore(contents.values)),
            tables: Mutex::new(records::Tables::restore(contents.records, contents.revisions)),
            marks: Mutex::new(marks::restore(contents.marks)),
            leases: Mutex::new(leases::LeaseTable::restore(contents.fence)),
            counters: Mutex::default(),
            presence: Mutex::default(),
            nodes: Mutex::default(),
        };
        let backplane = Self(Arc::new(inner));
        backplane.sweep();
        tasks.spawn(sweep::run(Arc::downgrade(&backplane.0), shutdown.clone()));
        backplane
    }

    fn now(&self) -> u64 {
        self.0.clock.now()
    }
}

impl Backplane for MemoryBackplane {
    fn kind(&self) -> &'static str {
        "memory"
    }

    fn health(&self) -> watch::Receiver<Health> {
        self.0.health.clone()
    }

    fn figures(&self) -> Figures {
        Figures::from([("gaps_total", self.0.hub.gaps())])
    }
}

/// An answer that is known at once.
fn ready<T: Send + 'static>(value: T) -> Answer<T> {
    std::future::ready(Ok(value)).boxed()
}

/// A refusal that is known at once.
fn failed<T: Send + 'static>(error: BackplaneError) -> Answer<T> {
    std::future::ready(Err(error)).boxed()
}
