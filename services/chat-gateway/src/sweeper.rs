//! Time limits of all connections, looked at once a second by one task: a timer for each would cost more memory than the
//! connection.

use crate::{
    connection::{Connection, handle::Stage},
    gateway::Gateway,
    protocol::close::Close,
};
use bytes::Bytes;
use patchbay_backplane::Name;
use patchbay_websocket::encode;
use std::{sync::Arc, time::Duration};
use tokio::time::{Instant, MissedTickBehavior};

/// How often limits are looked at.
const EVERY: Duration = Duration::from_secs(1);
/// How often the list of rooms is shown to the other replicas.
const SHOW_ROOMS: Duration = Duration::from_secs(2);
/// How long a list of rooms that is not renewed is believed.
const ROOMS_AGE: Duration = Duration::from_secs(10);

/// Runs until the process stops.
pub(crate) async fn sweep(gateway: Arc<Gateway>) {
    let hard = gateway.context.shutdown.hard();
    let renew_every = gateway.config.rooms.presence_ttl.duration() / 3;
    let ping = encode::text_frame(b"{}");
    let mut tick = tokio::time::interval(EVERY);
    tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let (mut renew_at, mut show_at) = (Instant::now() + renew_every, Instant::now());
    loop {
        tokio::select! {
            () = hard.cancelled() => return,
            () = gateway.context.fresh.notified() => renew_at = Instant::now(),
            _ = tick.tick() => look(&gateway, &ping),
        }
        let now = Instant::now();
        if now >= renew_at {
            renew_at = now + renew_every;
            gateway.rooms.renew_presence().await;
        }
        if now >= show_at {
            show_at = now + SHOW_ROOMS;
            show_rooms(&gateway).await;
        }
    }
}

/// The key under which a replica shows its rooms.
pub(crate) fn rooms_key(node: &str) -> Name {
    Name::new("chat", "rooms", node)
}

fn look(gateway: &Arc<Gateway>, ping: &Bytes) {
    gateway.limits.sweep();
    let now = gateway.seconds();
    let unix_seconds = gateway.context.clock.now_millis() / 1000;
    // Not under the map's lock: what is done to a connection may write to its socket.
    for connection in gateway.connections.select(|connection| is_due(gateway, connection, now, unix_seconds))
    {
        act(&connection, now, unix_seconds, ping);
    }
}

fn is_due(gateway: &Gateway, connection: &Connection, now: u32, unix_seconds: u64) -> bool {
    let limits = &gateway.config.connections;
    match connection.stage() {
        Stage::Greeting => is_over(connection.opened(), now, limits.greeting_timeout.duration()),
        Stage::Ending => {
            // A slow client's close frame stands behind what it has not read yet.
            let reads_slowly = connection.outbound.was_slow() && connection.outbound.is_pressed();
            let limit = if reads_slowly { limits.slow_close_timeout } else { limits.close_timeout };
            connection.waiting_since().is_some_and(|since| is_over(since, now, limit.duration()))
        }
        Stage::Native | Stage::Classic => {
            is_expired(connection, unix_seconds)
                || match connection.waiting_since() {
                    Some(since) => is_over(since, now, limits.pong_timeout.duration()),
                    None => is_over(connection.last_heard(), now, limits.ping_interval.duration()),
                }
        }
    }
}

fn act(connection: &Arc<Connection>, now: u32, unix_seconds: u64, ping: &Bytes) {
    match connection.stage() {
        Stage::Greeting => connection.end(Close::Stale, now),
        Stage::Ending => connection.outbound.abandon(),
        Stage::Native | Stage::Classic if is_expired(connection, unix_seconds) => {
            connection.end(Close::Expired, now);
        }
        Stage::Native | Stage::Classic if connection.waiting_since().is_some() => {
            tracing::debug!(client.address = %connection.address(), "no pong");
            connection.end(Close::NoPong, now);
        }
        Stage::Native => {
            connection.outbound.send(ping);
            connection.pinged(now);
        }
        // Classic clients do not know this ping: a WebSocket ping, which browsers answer by themselves.
        Stage::Classic => {
            connection.outbound.send(&encode::frame(patchbay_websocket::OpCode::Ping, b""));
            connection.pinged(now);
        }
    }
}

fn is_over(since: u32, now: u32, limit: Duration) -> bool {
    u64::from(now.saturating_sub(since)) >= limit.as_secs().max(1)
}

/// A minute of leeway for clocks that disagree, as for every token.
fn is_expired(connection: &Connection, unix_seconds: u64) -> bool {
    connection.expires_at().is_some_and(|at| unix_seconds > at + 60)
}

async fn show_rooms(gateway: &Gateway) {
    let rooms = gateway.rooms.count().await;
    let text = serde_json::to_vec(&rooms).expect("names and numbers always encode");
    let key = rooms_key(&gateway.context.node.0);
    if let Err(error) = gateway.context.backplane.set(&key, text.into(), Some(ROOMS_AGE)).await {
        tracing::debug!(%error, "could not show the rooms");
    }
}
