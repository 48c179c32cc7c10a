//! Ends the connections of those whose token was revoked after they came in.

use crate::{
    connection::{Connection, handle::Stage},
    gateway::Gateway,
    protocol::close::Close,
};
use std::{sync::Arc, time::Duration};

/// Time between two looks at all connections, so that many revocations at once cost no more than a few looks.
const PAUSE: Duration = Duration::from_millis(200);

/// Runs until the process stops.
pub(crate) async fn enforce(gateway: Arc<Gateway>) {
    let hard = gateway.context.shutdown.hard();
    let mut revocations = gateway.context.auth.revocations();
    // Cancel-safe: a watch loses nothing when dropped, and what changes during the pause is looked at after it.
    while let Some(Ok(())) = hard.run_until_cancelled(revocations.changed()).await {
        end_revoked(&gateway);
        hard.run_until_cancelled(tokio::time::sleep(PAUSE)).await;
    }
}

fn end_revoked(gateway: &Gateway) {
    let now = gateway.seconds();
    // Not under the map's lock: ending a connection may write to its socket.
    let ended = gateway.connections.select(|connection| is_revoked(gateway, connection));
    for connection in &ended {
        connection.end(Close::InvalidToken, now);
    }
    if !ended.is_empty() {
        tracing::info!(connections = ended.len(), "ended connections whose token was revoked");
    }
}

/// Whether what a connection came in with is no longer believed. Also asked right after it came in or changed its
/// token: a revocation between that and the token's check would otherwise be seen by nobody.
pub(crate) fn is_revoked(gateway: &Gateway, connection: &Connection) -> bool {
    connection.stage() != Stage::Ending
        && connection.person().is_some_and(|person| gateway.context.auth.is_revoked(&person.identity))
}
