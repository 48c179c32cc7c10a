//! Time for all peers.

use super::Inner;
use crate::path::Batch;
use std::{
    sync::Arc,
    time::{Duration, Instant},
};

/// How exact timeouts are. Reports, retransmitted handshakes and ends can wait so long; it is what an idle viewer costs, too.
const TICK: Duration = Duration::from_millis(20);

/// Calls peers whose time has come, and sleeps while there are none.
pub(super) async fn run(inner: Arc<Inner>) {
    let mut ticks = tokio::time::interval(TICK);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    let mut batch = Batch::default();
    loop {
        if inner.table.len() == 0 {
            inner.wake_timer.notified().await;
        }
        ticks.tick().await;
        let now = Instant::now();
        let nanos =
            u64::try_from(now.saturating_duration_since(inner.started).as_nanos()).unwrap_or(u64::MAX);
        for cell in inner.table.due(nanos) {
            cell.act(|connection| connection.timeout(now));
            inner.settle(&cell, &mut batch);
        }
    }
}
