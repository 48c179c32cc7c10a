//! What is counted of streams between replicas.

use patchbay_chassis::Metrics;
use prometheus_client::metrics::{counter::Counter, gauge::Gauge};

/// Streams between replicas.
#[derive(Clone)]
pub(crate) struct RelayFigures {
    /// Bytes of units that came from other replicas.
    pub(super) bytes_received: Counter,
    /// Bytes of units that went to other replicas.
    pub(super) bytes_given: Counter,
    /// Streams that come from other replicas now.
    pub(super) received: Gauge,
    /// Streams that go to other replicas now.
    pub(super) given: Gauge,
    /// Captures that were ended because another replica had the lease.
    pub(super) lost: Counter,
}

impl RelayFigures {
    /// Registers them.
    pub(crate) fn register(metrics: &Metrics) -> Self {
        let counter = |name: &str, help: &str| metrics.register(name, help, Counter::default());
        let gauge = |name: &str, help: &str| metrics.register(name, help, Gauge::default());
        Self {
            bytes_received: counter(
                "relayed_bytes_received",
                "Bytes of pictures and sound that came from other replicas",
            ),
            bytes_given: counter(
                "relayed_bytes_sent",
                "Bytes of pictures and sound that went to other replicas",
            ),
            received: gauge("relayed_streams_received", "Cameras that come from other replicas now"),
            given: gauge("relayed_streams_sent", "Subscriptions of other replicas to cameras captured here"),
            lost: counter(
                "lost_captures",
                "Captures that were ended because another replica had taken the camera over",
            ),
        }
    }
}

/// One more, as long as it is kept.
pub(super) struct Counted(Gauge);

impl Counted {
    pub(super) fn one(gauge: &Gauge) -> Self {
        gauge.inc();
        Self(gauge.clone())
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.dec();
    }
}
