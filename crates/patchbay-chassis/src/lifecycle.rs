//! Signals, and the order in which a process stops.

use crate::{
    config::Drain,
    nodes::Node,
    readiness::{Component, Readiness},
    service::{DrainHook, DrainPlan, Shutdown},
};
use futures_util::future::join_all;
use std::{io, sync::Arc, time::Duration};
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio_util::task::TaskTracker;

/// Time for tasks to end once everything was told to stop hard, and for the registry to be told.
pub(crate) const LAST_WORDS: Duration = Duration::from_secs(2);

/// SIGTERM and SIGINT.
pub(crate) struct Signals {
    terminate: Signal,
    interrupt: Signal,
}

impl Signals {
    pub(crate) fn listen() -> io::Result<Self> {
        Ok(Self { terminate: signal(SignalKind::terminate())?, interrupt: signal(SignalKind::interrupt())? })
    }

    /// Waits for the next one. Cancel-safe.
    pub(crate) async fn next(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }
}

/// Everything that takes part in a stop.
pub(crate) struct Stop {
    pub(crate) readiness: Readiness,
    pub(crate) drain: Drain,
    pub(crate) shutdown: Shutdown,
    pub(crate) hooks: Vec<DrainHook>,
    pub(crate) nodes: Vec<Arc<Node>>,
    pub(crate) tracker: TaskTracker,
}

impl Stop {
    /// Says whether the process as a whole takes clients.
    pub(crate) fn process_component(&self) -> Component {
        self.readiness.component("process")
    }

    /// Unready, wait, stop accepting, send clients away.
    pub(crate) async fn drain(&mut self) {
        self.process_component().not_ready("draining");
        tracing::info!(delay = %self.drain.delay, "draining: not ready");
        tokio::time::sleep(self.drain.delay.duration()).await;
        self.shutdown.soft().cancel();
        let plan =
            DrainPlan { spread: self.drain.spread.duration(), deadline: self.drain.deadline.duration() };
        tracing::info!(spread = %self.drain.spread, deadline = %self.drain.deadline, "draining: sending clients away");
        let hooks = std::mem::take(&mut self.hooks);
        let drained = join_all(hooks.into_iter().map(|hook| hook(plan)));
        if tokio::time::timeout(plan.deadline, drained).await.is_err() {
            tracing::warn!("draining: the deadline has passed");
        }
    }

    /// Stops everything, whatever the drain has come to.
    pub(crate) async fn finish(self) {
        self.shutdown.hard().cancel();
        self.tracker.close();
        if tokio::time::timeout(LAST_WORDS, self.tracker.wait()).await.is_err() {
            tracing::warn!(tasks = self.tracker.len(), "some tasks did not end in time");
        }
        let left = join_all(self.nodes.iter().map(|node| node.leave()));
        let Ok(results) = tokio::time::timeout(LAST_WORDS, left).await else {
            tracing::warn!("the node registry did not answer in time");
            return;
        };
        for error in results.into_iter().filter_map(Result::err) {
            tracing::warn!(%error, "could not leave the node registry");
        }
    }
}
