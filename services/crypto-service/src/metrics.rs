//! Figures of a replica: `patchbay_crypto_service_…`.

use patchbay_chassis::Metrics;
use prometheus_client::metrics::counter::Counter;
use std::collections::BTreeMap;

/// All of them.
#[expect(missing_docs, reason = "each is described where it is registered")]
pub struct CryptoMetrics {
    pub operations: Counter,
    pub refusals: Counter,
    pub sign_ins: Counter,
    pub failed_sign_ins: Counter,
}

impl CryptoMetrics {
    /// Registers them.
    pub fn register(metrics: &Metrics) -> Self {
        let counter = |name: &str, help: &str| metrics.register(name, help, Counter::default());
        Self {
            operations: counter(
                "operations",
                "Messages encrypted, decrypted, signed, verified or hashed with keys",
            ),
            refusals: counter("refusals", "Calls and batch items that were refused"),
            sign_ins: counter("sign_ins", "Sessions begun with a password"),
            failed_sign_ins: counter("failed_sign_ins", "Wrong passwords, API keys and refresh tokens"),
        }
    }

    /// Figures for the node registry.
    pub fn figures(&self) -> BTreeMap<String, f64> {
        #[expect(clippy::cast_precision_loss, reason = "figures for people")]
        let counted = |name: &str, counter: &Counter| (name.to_owned(), counter.get() as f64);
        [
            counted("operations_total", &self.operations),
            counted("sign_ins_total", &self.sign_ins),
            counted("failed_sign_ins_total", &self.failed_sign_ins),
        ]
        .into()
    }
}
