//! Drops what has expired and is not asked for any more. Correctness does not rest on it: every read checks.

use super::{Inner, MemoryBackplane, counters, leases, marks, presence, streams, values};
use std::{
    sync::{Arc, Weak},
    time::Duration,
};
use tokio_util::sync::CancellationToken;

const EVERY: Duration = Duration::from_secs(5);

/// Sweeps until shutdown, which ends all subscribers, or until the backplane is dropped.
pub(super) async fn run(inner: Weak<Inner>, shutdown: CancellationToken) {
    while shutdown.run_until_cancelled(tokio::time::sleep(EVERY)).await.is_some() {
        let Some(inner) = inner.upgrade() else { return };
        MemoryBackplane(inner).sweep();
    }
    if let Some(inner) = inner.upgrade() {
        inner.hub.close();
    }
}

impl MemoryBackplane {
    pub(super) fn sweep(&self) {
        let now = self.now();
        let inner: &Arc<Inner> = &self.0;
        streams::sweep(inner, now);
        values::sweep(inner, now);
        marks::sweep(inner, now);
        leases::sweep(inner, now);
        counters::sweep(inner, now);
        presence::sweep(inner, now);
    }
}
