//! Figures of a replica: `patchbay_crypto_service_…`.

use crate::{
    core::Core,
    error::{Error, Reason},
    seal::Seal,
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
#[derive(Clone)]
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
            streamed_bytes: counter("streamed_bytes", "Bytes given back by streams that encrypt and decrypt"),
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
        self.refused_with(status);
    }

    /// Counts a refusal.
    pub(crate) fn refused_with(&self, status: &Status) {
        let reason = status.source().and_then(|source| source.downcast_ref::<Reason>());
        self.refused(reason.map_or(OTHER, |reason| reason.0));
    }

    fn refused(&self, reason: &'static str) {
        self.refusals.get_or_create(&Refusal { reason }).inc();
    }
}

/// What is measured when somebody looks: name, meaning, and how.
type Measure = fn(&Seal) -> u64;
const MEASURES: [(&str, &str, Measure); 5] = [
    ("cached_keys", "Keys that are unwrapped in memory", |seal| {
        open(seal, |core| core.keyring.cached_count())
    }),
    ("queued_jobs", "RSA computations and password hashes that wait", |seal| {
        open(seal, |core| core.pool.waiting())
    }),
    ("sealed", "Whether this replica lacks the key of its seal: 1 where it does", |seal| {
        u64::from(seal.current().is_none())
    }),
    ("root_generation", "How often the root key was rotated, as far as this replica knows", |seal| {
        open(seal, |core| core.root.status().generation.into())
    }),
    ("rows_to_rewrap", "Rows that an older root key still wraps, as counted last", |seal| {
        open(seal, |core| core.sweep.left())
    }),
];

/// What is measured of an open replica; 0 of a sealed one.
fn open(seal: &Seal, measure: fn(&Core) -> u64) -> u64 {
    seal.core().map_or(0, |core| measure(&core))
}

/// Registers what is measured.
pub(crate) fn watch(seal: &Arc<Seal>) {
    for (name, help, measure) in MEASURES {
        let gauge = Measured { seal: Arc::downgrade(seal), measure };
        seal.context.metrics.register(name, help, gauge);
    }
}

/// Figures for the node registry.
pub(crate) fn figures(seal: &Seal) -> BTreeMap<String, f64> {
    #[expect(clippy::cast_precision_loss, reason = "figures for people")]
    let figure = |name: &str, value: u64| (name.to_owned(), value as f64);
    let measured = MEASURES.iter().map(|(name, _, measure)| figure(name, measure(seal)));
    let counted = [
        figure("operations_total", seal.metrics.operations.get()),
        figure("sign_ins_total", seal.metrics.sign_ins.get()),
        figure("failed_sign_ins_total", seal.metrics.failed_sign_ins.get()),
    ];
    measured.chain(counted).collect()
}

/// A gauge that is read at every scrape. The registry outlives the service in tests, and must not keep it.
#[derive(Clone)]
struct Measured {
    seal: Weak<Seal>,
    measure: Measure,
}

impl EncodeMetric for Measured {
    fn encode(&self, mut encoder: MetricEncoder<'_>) -> fmt::Result {
        let value = self.seal.upgrade().map_or(0, |seal| (self.measure)(&seal));
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
