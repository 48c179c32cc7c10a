//! Figures of a replica: `patchbay_chat_gateway_…`.

use patchbay_chassis::Metrics;
use prometheus_client::metrics::{counter::Counter, gauge::Gauge};

/// All of them.
#[expect(missing_docs, reason = "each is described where it is registered")]
pub struct ChatMetrics {
    pub connections: Gauge,
    pub rooms: Gauge,
    pub connected: Counter,
    pub refused: Counter,
    pub slow: Counter,
    pub published: Counter,
    pub delivered: Counter,
    pub errors: Counter,
    pub rooms_lost: Counter,
}

impl ChatMetrics {
    /// Registers them.
    pub fn register(metrics: &Metrics) -> Self {
        Self {
            connections: metrics.register("connections", "Open connections", Gauge::default()),
            rooms: metrics.register("rooms", "Open rooms", Gauge::default()),
            connected: metrics.register("connects", "Connections that were accepted", Counter::default()),
            refused: metrics.register("refusals", "Connections refused at a limit", Counter::default()),
            slow: metrics.register("slow_consumers", "Connections closed with 3008", Counter::default()),
            published: metrics.register("publications", "Publications acknowledged", Counter::default()),
            delivered: metrics.register("deliveries", "Messages handed to connections", Counter::default()),
            errors: metrics.register("errors", "Commands answered with an error", Counter::default()),
            rooms_lost: metrics.register(
                "rooms_lost",
                "Rooms whose stream could not be followed",
                Counter::default(),
            ),
        }
    }
}
