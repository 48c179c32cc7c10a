//! Tasks that are named, tracked and whose panics are noticed.

use futures_util::FutureExt;
use std::{any::Any, panic::AssertUnwindSafe, sync::Arc};
use tokio::{sync::mpsc, task::AbortHandle};
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use tracing::Instrument;

/// Spawns the tasks of one service. Cheap to clone.
#[derive(Clone)]
pub struct Tasks {
    service: &'static str,
    tracker: TaskTracker,
    soft: CancellationToken,
    failures: mpsc::Sender<Failure>,
}

/// A task without which the process cannot go on has ended.
#[derive(Clone, Debug, thiserror::Error)]
#[error("task {service}/{task} {what}")]
pub(crate) struct Failure {
    service: &'static str,
    task: &'static str,
    what: Arc<str>,
}

/// Receives the failures of all tasks of a process. Room for one: the first takes the process down, the rest are
/// only logged.
pub(crate) fn failures() -> (mpsc::Sender<Failure>, mpsc::Receiver<Failure>) {
    mpsc::channel(1)
}

impl Tasks {
    pub(crate) fn new(
        service: &'static str,
        tracker: TaskTracker,
        soft: CancellationToken,
        failures: mpsc::Sender<Failure>,
    ) -> Self {
        Self { service, tracker, soft, failures }
    }

    /// The same, for tasks that may end once this token has fired.
    pub(crate) fn until(&self, soft: CancellationToken) -> Self {
        Self { soft, ..self.clone() }
    }

    /// Spawns a task that may end when it likes, such as one of a connection. A panic is logged.
    pub fn spawn<F>(&self, name: &'static str, future: F) -> AbortHandle
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let service = self.service;
        let guarded = async move {
            if let Err(panic) = AssertUnwindSafe(future).catch_unwind().await {
                tracing::error!(task = name, service, panic = panic_message(&*panic), "task panicked");
            }
        };
        self.track(name, guarded)
    }

    /// Spawns a task of which there may be a hundred thousand: tracked, its panic logged, but without a span and
    /// a name of its own, which would cost more memory than the task.
    pub fn spawn_light<F>(&self, future: F)
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let service = self.service;
        self.tracker.spawn(async move {
            if let Err(panic) = AssertUnwindSafe(future).catch_unwind().await {
                tracing::error!(service, panic = panic_message(&*panic), "task panicked");
            }
        });
    }

    /// Spawns a task that the service cannot do without, such as an accept loop: when it panics, or ends before
    /// `soft` has fired, the process stops and says why.
    pub fn spawn_critical<F>(&self, name: &'static str, future: F) -> AbortHandle
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let tasks = self.clone();
        let guarded = async move {
            match AssertUnwindSafe(future).catch_unwind().await {
                Err(panic) => tasks.fail(name, format!("panicked: {}", panic_message(&*panic))),
                Ok(()) if !tasks.soft.is_cancelled() => tasks.fail(name, "ended early".to_owned()),
                Ok(()) => {}
            }
        };
        self.track(name, guarded)
    }

    fn track<F>(&self, name: &'static str, future: F) -> AbortHandle
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let span = tracing::info_span!(parent: None, "task", task = name, service = self.service);
        self.tracker.spawn(future.instrument(span)).abort_handle()
    }

    fn fail(&self, task: &'static str, what: String) {
        let failure = Failure { service: self.service, task, what: what.into() };
        tracing::error!(%failure, "the process cannot go on");
        // Full means that the process is already on its way down.
        drop(self.failures.try_send(failure));
    }
}

/// Text of a caught panic.
pub(crate) fn panic_message(panic: &(dyn Any + Send)) -> &str {
    let text = panic.downcast_ref::<&'static str>().copied();
    text.or_else(|| panic.downcast_ref::<String>().map(String::as_str)).unwrap_or("no message")
}
