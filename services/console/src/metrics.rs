//! What the console counts.

use patchbay_chassis::Metrics;
use prometheus_client::metrics::{counter::Counter, gauge::Gauge};
use std::collections::BTreeMap;

/// Handles of the console's metrics. Cheap to clone.
#[derive(Clone)]
pub(crate) struct ConsoleMetrics {
    pub(crate) connections: Gauge,
    pub(crate) tunnels: Gauge,
    pub(crate) requests: Counter,
    pub(crate) upstream_failures: Counter,
}

impl ConsoleMetrics {
    pub(crate) fn register(metrics: &Metrics) -> Self {
        let failures = "Requests that an upstream did not answer";
        Self {
            connections: metrics.register("connections", "Open connections of browsers", Gauge::default()),
            tunnels: metrics.register("tunnels", "WebSockets that are passed on", Gauge::default()),
            requests: metrics.register(
                "requests",
                "Requests for pages, calls and upgrades",
                Counter::default(),
            ),
            upstream_failures: metrics.register("upstream_failures", failures, Counter::default()),
        }
    }

    /// The figures that the overview shows.
    pub(crate) fn figures(&self) -> BTreeMap<String, f64> {
        let counts = [
            ("connections", self.connections.get().cast_unsigned()),
            ("tunnels", self.tunnels.get().cast_unsigned()),
            ("requests_total", self.requests.get()),
            ("upstream_failures_total", self.upstream_failures.get()),
        ];
        counts.into_iter().map(|(name, count)| (name.to_owned(), to_f64(count))).collect()
    }
}

#[expect(clippy::cast_precision_loss, reason = "a figure for people; exact up to 2^53")]
fn to_f64(count: u64) -> f64 {
    count as f64
}
