//! Sends clients away before the replica stops, a few at a time, so that they do not all come back at once.

use crate::{gateway::Gateway, protocol::close::Close};
use patchbay_chassis::DrainPlan;
use std::{sync::Arc, time::Duration};
use tokio::time::Instant;

/// Steps in which clients are sent away.
const STEPS: u32 = 50;

/// Closes every connection with 3001, spread over the plan's time, and waits until they are gone.
pub(crate) async fn drain(gateway: Arc<Gateway>, plan: DrainPlan) {
    let deadline = Instant::now() + plan.deadline;
    let mut waiting = gateway.connections.select(|_| true);
    let per_step = waiting.len().div_ceil(STEPS as usize).max(1);
    let pause = if waiting.len() < 2 { Duration::ZERO } else { plan.spread / STEPS };
    while !waiting.is_empty() {
        let rest = waiting.split_off(per_step.min(waiting.len()));
        for connection in std::mem::replace(&mut waiting, rest) {
            let wait = gateway.context.ids.random_u64() % 1000;
            connection.ending(gateway.seconds());
            let reason = format!("{{\"reconnect_after_ms\":{wait}}}");
            connection.outbound.close_with(Close::Shutdown.code(), &reason);
        }
        if !waiting.is_empty() {
            tokio::time::sleep(pause).await;
        }
    }
    while gateway.connections.open() > 0 && Instant::now() < deadline {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}
