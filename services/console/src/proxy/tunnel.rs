//! Two connections joined after an upgrade, until one of them ends. What goes through is not looked at.

use crate::metrics::Raised;
use axum::http::Request;
use hyper::upgrade::{OnUpgrade, Upgraded};
use hyper_util::rt::TokioIo;
use patchbay_chassis::Tasks;
use prometheus_client::metrics::gauge::Gauge;
use std::{sync::Arc, time::Duration};
use tokio::{io, sync::OwnedSemaphorePermit};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

/// Bytes read at a time in each direction; what is larger takes several turns.
const BUFFER: usize = 8 * 1024;

/// A connection's place among those that may be open; its tunnel keeps it.
#[derive(Clone)]
pub(crate) struct Permit(#[expect(dead_code, reason = "held for its drop")] Arc<OwnedSemaphorePermit>);

impl Permit {
    pub(crate) fn new(permit: OwnedSemaphorePermit) -> Self {
        Self(Arc::new(permit))
    }
}

pub(super) fn permit<B>(request: &Request<B>) -> Option<Permit> {
    request.extensions().get().cloned()
}

/// All tunnels of the process.
pub(super) struct Tunnels {
    tasks: Tasks,
    open: TaskTracker,
    cut: CancellationToken,
    gauge: Gauge,
}

impl Tunnels {
    pub(super) fn new(tasks: Tasks, hard: &CancellationToken, gauge: Gauge) -> Self {
        Self { tasks, open: TaskTracker::new(), cut: hard.child_token(), gauge }
    }

    /// Joins two connections once both have switched.
    pub(super) fn join(&self, browser: OnUpgrade, upstream: OnUpgrade, permit: Option<Permit>) {
        let (cut, raised, tracked) = (self.cut.child_token(), Raised::new(&self.gauge), self.open.token());
        self.tasks.spawn_light(async move {
            // A tunnel that is cut loses what is on its way; its client reconnects and recovers.
            cut.run_until_cancelled(pass(browser, upstream)).await;
            drop((raised, tracked, permit));
        });
    }

    pub(super) async fn close(&self, grace: Duration) {
        self.open.close();
        if tokio::time::timeout(grace, self.open.wait()).await.is_err() {
            tracing::info!(tunnels = self.open.len(), "cutting what is left of the tunnels");
        }
        self.cut.cancel();
    }
}

async fn pass(browser: OnUpgrade, upstream: OnUpgrade) {
    match tokio::try_join!(browser, upstream) {
        Ok((browser, upstream)) => copy(browser, upstream).await,
        Err(error) => tracing::debug!(%error, "a connection did not switch"),
    }
}

async fn copy(browser: Upgraded, upstream: Upgraded) {
    let (mut browser, mut upstream) = (TokioIo::new(browser), TokioIo::new(upstream));
    match io::copy_bidirectional_with_sizes(&mut browser, &mut upstream, BUFFER, BUFFER).await {
        Ok((up, down)) => tracing::info!(up, down, "a tunnel has ended"),
        Err(error) => tracing::info!(%error, "a tunnel has broken"),
    }
}
