//! What all parts of a replica share.

use crate::{
    config::ChatConfig, connection::registry::Connections, guests::Guests, limits::SharedLimits,
    metrics::ChatMetrics, protocol::ids::RoomId, room::Rooms,
};
use patchbay_chassis::Context;
use std::{sync::Arc, time::Instant};

/// A running replica.
pub struct Gateway {
    /// Its configuration.
    pub config: ChatConfig,
    /// Its process.
    pub context: Context,
    /// Its rooms.
    pub rooms: Rooms,
    /// Its connections.
    pub connections: Connections,
    /// Limits that hold over all replicas.
    pub limits: Arc<SharedLimits>,
    /// Guests who come back.
    pub guests: Guests,
    /// Its figures.
    pub metrics: ChatMetrics,
    /// The room behind the classic door, where that is open.
    pub classic_room: Option<RoomId>,
    started: Instant,
}

impl Gateway {
    /// Puts the parts together.
    pub fn new(config: ChatConfig, context: Context, rooms: Rooms) -> Self {
        let classic_room = config.classic.enabled.then(|| RoomId::parse(&config.classic.room)).flatten();
        Self {
            connections: Connections::default(),
            limits: SharedLimits::new(context.backplane.clone(), context.tasks.clone()),
            guests: Guests::new(&context.secret("guests")),
            metrics: ChatMetrics::register(&context.metrics),
            classic_room,
            // The first second counts as 1, since 0 means never.
            started: Instant::now(),
            config,
            context,
            rooms,
        }
    }

    /// Seconds since the start, from 1: the resolution that connections need, in four bytes.
    pub fn seconds(&self) -> u32 {
        u32::try_from(self.started.elapsed().as_secs()).unwrap_or(u32::MAX - 1) + 1
    }

    /// Microseconds since the start.
    pub fn micros(&self) -> u64 {
        u64::try_from(self.started.elapsed().as_micros()).unwrap_or(u64::MAX)
    }

    /// Whether the replica is about to stop.
    pub fn is_draining(&self) -> bool {
        self.context.shutdown.soft().is_cancelled()
    }
}
