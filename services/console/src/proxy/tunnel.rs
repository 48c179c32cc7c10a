//! Two connections joined after an upgrade, until one of them ends. What goes through is not looked at.

use hyper::upgrade::OnUpgrade;
use hyper_util::rt::TokioIo;
use patchbay_chassis::Tasks;
use patchbay_http::{Connection, Raised};
use prometheus_client::metrics::gauge::Gauge;
use std::{net::IpAddr, time::Duration};
use tokio::{io, time::Instant};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

/// Bytes read at a time in each direction; what is larger takes several turns.
const BUFFER: usize = 8 * 1024;

/// The two ends of a tunnel to be.
pub(super) struct Ends {
    pub(super) service: &'static str,
    pub(super) peer: IpAddr,
    pub(super) browser: OnUpgrade,
    pub(super) upstream: OnUpgrade,
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

    /// Joins two connections once both have switched. The browser's keeps its place among those that may be open.
    pub(super) fn join(&self, ends: Ends, place: Option<Connection>) {
        let (cut, raised, tracked) = (self.cut.child_token(), Raised::new(&self.gauge), self.open.token());
        self.tasks.spawn_light(async move {
            let (service, peer, started) = (ends.service, ends.peer, Instant::now());
            // A tunnel that is cut loses what is on its way; its client reconnects and recovers.
            let passed = cut.run_until_cancelled(pass(ends)).await;
            let seconds = started.elapsed().as_secs_f64();
            match passed {
                Some(Ok((up, down))) => {
                    tracing::info!(service, %peer, seconds, up, down, "a tunnel has ended");
                }
                Some(Err(error)) => tracing::info!(service, %peer, seconds, %error, "a tunnel has broken"),
                None => tracing::info!(service, %peer, seconds, "a tunnel was cut"),
            }
            drop((raised, tracked, place));
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

/// Passes bytes both ways and counts them.
async fn pass(ends: Ends) -> io::Result<(u64, u64)> {
    let switched = tokio::try_join!(ends.browser, ends.upstream);
    let (browser, upstream) = switched.map_err(io::Error::other)?;
    let (mut browser, mut upstream) = (TokioIo::new(browser), TokioIo::new(upstream));
    io::copy_bidirectional_with_sizes(&mut browser, &mut upstream, BUFFER, BUFFER).await
}
