//! Tasks, which services run.

use std::{future::Future, pin::Pin};

/// A task without a result.
pub type Task = Pin<Box<dyn Future<Output = ()> + Send + 'static>>;

/// Runs tasks: the services pass what names and tracks theirs.
pub trait Spawn: Send + Sync {
    /// Runs a task under a name, which is one of few.
    fn spawn(&self, name: &'static str, task: Task);
}
