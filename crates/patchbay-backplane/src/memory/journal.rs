//! Group commit: everything that waits is written in one durable transaction by one thread, and each caller is
//! answered after it. Without a file there is nothing to wait for.

use super::store::{Store, Write};
use crate::{Answer, BackplaneError, Health};
use futures_util::FutureExt;
use tokio::{
    runtime::Handle,
    sync::{mpsc, oneshot, watch},
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

/// Most changes in one transaction.
const BATCH: usize = 1024;

type Done = Box<dyn FnOnce(Result<(), BackplaneError>) + Send>;

/// A change and who waits for it.
struct Commit {
    write: Write,
    done: Done,
}

/// Where changes go that must survive a restart.
pub(super) struct Journal {
    // Bounded; when it is full, calls are refused before they change anything.
    queue: Option<mpsc::Sender<Commit>>,
}

impl Journal {
    /// Keeps nothing.
    pub(super) fn none() -> Self {
        Self { queue: None }
    }

    /// Starts the writer thread; it ends, with all that was queued written, on `shutdown` or with the journal.
    pub(super) fn start(
        store: Store,
        capacity: usize,
        health: watch::Sender<Health>,
        tasks: &TaskTracker,
        shutdown: CancellationToken,
    ) -> Self {
        let (queue, commits) = mpsc::channel(capacity);
        let runtime = Handle::current();
        tasks.spawn_blocking(move || write_batches(&store, commits, &health, &shutdown, &runtime));
        Self { queue: Some(queue) }
    }

    /// Room for one change, taken before anything is changed in memory.
    pub(super) fn reserve(&self) -> Result<Slot<'_>, BackplaneError> {
        let Some(queue) = &self.queue else { return Ok(Slot(None)) };
        let permit = queue.try_reserve().map_err(|error| match error {
            mpsc::error::TrySendError::Full(()) => BackplaneError::Unavailable("the store is behind".into()),
            mpsc::error::TrySendError::Closed(()) => {
                BackplaneError::Unavailable("the store is closed".into())
            }
        })?;
        Ok(Slot(Some(permit)))
    }

    /// Writes what nobody waits for, such as the removal of expired rows; skipped when the queue is full, since
    /// the next start removes such rows too.
    pub(super) fn write_behind(&self, write: impl FnOnce() -> Write) {
        if let Ok(Slot(Some(permit))) = self.reserve() {
            permit.send(Commit { write: write(), done: Box::new(drop) });
        }
    }
}

/// Room in the journal.
pub(super) struct Slot<'a>(Option<mpsc::Permit<'a, Commit>>);

impl Slot<'_> {
    /// Whether there is a file behind it.
    pub(super) fn is_durable(&self) -> bool {
        self.0.is_some()
    }

    /// Queues a change; `done` runs once it is durable, or failed. Without a file `done` runs at once.
    pub(super) fn commit_then(
        self,
        write: impl FnOnce() -> Write,
        done: impl FnOnce(Result<(), BackplaneError>) + Send + 'static,
    ) {
        match self.0 {
            Some(permit) => permit.send(Commit { write: write(), done: Box::new(done) }),
            None => done(Ok(())),
        }
    }

    /// Queues a change and answers with `value` once it is durable.
    pub(super) fn commit<T: Send + 'static>(self, write: impl FnOnce() -> Write, value: T) -> Answer<T> {
        if self.0.is_none() {
            return std::future::ready(Ok(value)).boxed();
        }
        let (answer, answered) = oneshot::channel();
        self.commit_then(write, |result| {
            // The caller may have gone.
            drop(answer.send(result));
        });
        wait(answered).map(|result| result.map(|()| value)).boxed()
    }
}

/// Waits for an answer that comes from the writer thread.
pub(super) async fn wait<T>(
    answered: oneshot::Receiver<Result<T, BackplaneError>>,
) -> Result<T, BackplaneError> {
    answered.await.unwrap_or_else(|_| Err(BackplaneError::Unavailable("the store is closed".into())))
}

fn write_batches(
    store: &Store,
    mut commits: mpsc::Receiver<Commit>,
    health: &watch::Sender<Health>,
    shutdown: &CancellationToken,
    runtime: &Handle,
) {
    let mut batch = Vec::with_capacity(BATCH);
    loop {
        let taken = runtime.block_on(async {
            tokio::select! {
                biased;
                // `recv_many` is cancel-safe: nothing is taken when shutdown wins.
                taken = commits.recv_many(&mut batch, BATCH) => taken,
                () = shutdown.cancelled(), if !commits.is_closed() => {
                    commits.close();
                    commits.recv_many(&mut batch, BATCH).await
                }
            }
        });
        if taken == 0 {
            return;
        }
        write_batch(store, &mut batch, health);
    }
}

fn write_batch(store: &Store, batch: &mut Vec<Commit>, health: &watch::Sender<Health>) {
    for void in batch.extract_if(.., |commit| commit.write.is_void()) {
        (void.done)(Err(BackplaneError::Store("an earlier change could not be written".into())));
    }
    if batch.is_empty() {
        return;
    }
    let result = store.commit(batch.iter().map(|commit| &commit.write));
    tell_health(health, &result);
    for commit in batch.drain(..) {
        (commit.done)(result.clone());
    }
}

fn tell_health(health: &watch::Sender<Health>, result: &Result<(), BackplaneError>) {
    let now = match result {
        Ok(()) => Health::Up,
        Err(error) => Health::Down(error.to_string()),
    };
    health.send_if_modified(|before| {
        let changed = *before != now;
        if changed {
            tracing::info!(?now, "the backplane's store changed its health");
            *before = now;
        }
        changed
    });
}
