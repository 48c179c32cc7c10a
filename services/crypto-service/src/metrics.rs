//! Figures of a replica: `patchbay_crypto_service_…`.

use crate::{
    core::Core,
    error::{Error, Reason},
};
use patchbay_chassis::Metrics;
use prometheus_client::{
    encoding::{EncodeLabelSet, EncodeMetric, MetricEncoder},
    metrics::{MetricType, counter::Counter, family::Family},
};
use std::{
    collections::BTreeMap,
    error::Error as _,
    fmt,
    sync::{Arc, Weak},
};
use tonic::Status;

/// The reason of what another layer has refused: a message that cannot be read, a method that is not there.
const OTHER: &str = "OTHER";

/// Reasons that are shown before they occur, because somebody should be told of the first of them.
const WATCHED: [&str; 4] = ["BUSY", "INTERNAL", "KEY_EXHAUSTED", "UNAVAILABLE"];

/// All that is counted.
#[expect(missing_docs, reason = "each is described where it is registered")]
pub struct CryptoMetrics {
    pub operations: Counter,
    pub streamed_bytes: Counter,
    pub sign_ins: Counter,
    pub failed_sign_ins: Counter,
    refusals: Family<Refusal, Counter>,
}

/// Label of a refusal. Its values are the words of [`Error`], and are as few as its variants.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Refusal {
    reason: &'static str,
}

impl CryptoMetrics {
    /// Registers them.
    pub fn register(metrics: &Metrics) -> Self {
        let counter = |name: &str, help: &str| metrics.register(name, help, Counter::default());
        let refusals = Family::default();
        for reason in WATCHED {
            drop(refusals.get_or_create(&Refusal { reason }));
        }
        Self {
            operations: counter(
                "operations",
                "Messages encrypted, decrypted, signed, verified or hashed with keys",
            ),
            streamed_bytes: counter(
                "streamed_bytes",
                "Bytes given back by streams that encrypt and decrypt",
            ),
            sign_ins: counter("sign_ins", "Sessions begun with a password"),
            failed_sign_ins: counter("failed_sign_ins", "Wrong passwords, API keys and refresh tokens"),
            refusals: metrics.register(
                "refusals",
                "Calls and batch items that were refused, by reason",
                refusals,
            ),
        }
    }

    /// Counts an item of a batch that was refused.
    pub(crate) fn item_refused(&self, error: &Error) {
        self.refused(error.reason());
    }

    /// Counts a call where its answer is a refusal; whoever answers need not think of it.
    pub(crate) fn answered(&self, response: &http::Response<axum::body::Body>) {
        let Some(status) = response.extensions().get::<Status>() else { return };
        let reason = status.source().and_then(|source| source.downcast_ref::<Reason>());
        self.refused(reason.map_or(OTHER, |reason| reason.0));
    }

    fn refused(&self, reason: &'static str) {
        self.refusals.get_or_create(&Refusal { reason }).inc();
    }
}

/// What is measured when somebody looks: name, meaning, and how.
type Measure = fn(&Core) -> u64;
const MEASURES: [(&str, &str, Measure); 2] = [
    ("cached_keys", "Keys that are unwrapped in memory", |core| core.keyring.cached_count()),
    ("queued_jobs", "RSA computations and password hashes that wait", |core| core.pool.waiting()),
];

/// Registers what is measured.
pub(crate) fn watch(core: &Arc<Core>) {
    for (name, help, measure) in MEASURES {
        let gauge = Measured { core: Arc::downgrade(core), measure };
        core.context.metrics.register(name, help, gauge);
    }
}

/// Figures for the node registry.
pub(crate) fn figures(core: &Core) -> BTreeMap<String, f64> {
    #[expect(clippy::cast_precision_loss, reason = "figures for people")]
    let figure = |name: &str, value: u64| (name.to_owned(), value as f64);
    let measured = MEASURES.iter().map(|(name, _, measure)| figure(name, measure(core)));
    let counted = [
        figure("operations_total", core.metrics.operations.get()),
        figure("sign_ins_total", core.metrics.sign_ins.get()),
        figure("failed_sign_ins_total", core.metrics.failed_sign_ins.get()),
    ];
    measured.chain(counted).collect()
}

/// A gauge that is read at every scrape. The registry outlives the service in tests, and must not keep it.
#[derive(Clone)]
struct Measured {
    core: Weak<Core>,
    measure: Measure,
}

impl EncodeMetric for Measured {
    fn encode(&self, mut encoder: MetricEncoder<'_>) -> fmt::Result {
        let value = self.core.upgrade().map_or(0, |core| (self.measure)(&core));
        encoder.encode_gauge(&value)
    }

    fn metric_type(&self) -> MetricType {
        MetricType::Gauge
    }
}

impl fmt::Debug for Measured {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Measured")
    }
}
