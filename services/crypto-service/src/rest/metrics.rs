//! Figures of REST. What the gRPC services behind it refuse is counted by its reason there; here is every request, with
//! what is refused before it becomes a call.

use patchbay_chassis::Metrics;
use prometheus_client::{
    encoding::EncodeLabelSet,
    metrics::{counter::Counter, family::Family, gauge::Gauge},
};

/// Statuses that are shown before they occur, because somebody should be told of the first of them.
const WATCHED: [u16; 2] = [500, 503];

/// All that is counted. Cheap to clone.
#[derive(Clone)]
pub(super) struct RestMetrics {
    pub(super) connections: Gauge,
    requests: Counter,
    refusals: Family<Refusal, Counter>,
}

/// Label of a refusal. A client cannot make up a status, so there are as few as the code names.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Refusal {
    status: u16,
}

impl RestMetrics {
    /// Registers them, or takes those that are registered: the server and the paths of an open replica, which may be opened again, count in the same ones.
    pub(super) fn register(metrics: &Metrics) -> Self {
        let refusals = "Requests by REST that got an error, by its status; 499 did not wait for an answer";
        let made = Self {
            connections: metrics.register("rest_connections", "Open REST connections", Gauge::default()),
            requests: metrics.register(
                "rest_requests",
                "Requests by REST, answered or not",
                Counter::default(),
            ),
            refusals: metrics.register("rest_refusals", refusals, Family::default()),
        };
        for status in WATCHED {
            drop(made.refusals.get_or_create(&Refusal { status }));
        }
        made
    }

    /// Counts a request by the status of its answer.
    pub(super) fn answered(&self, status: u16) {
        self.requests.inc();
        if status >= 400 {
            self.refusals.get_or_create(&Refusal { status }).inc();
        }
    }
}
