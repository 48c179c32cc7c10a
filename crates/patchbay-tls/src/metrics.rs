//! What operators see of a listener's TLS. A service has one listener with TLS.

use patchbay_chassis::Metrics;
use prometheus_client::{
    encoding::EncodeLabelSet,
    metrics::{counter::Counter, family::Family, gauge::Gauge},
};

/// The figures of one listener.
#[derive(Clone, Default)]
pub(crate) struct TlsMetrics {
    handshakes: Family<Ended, Counter>,
    /// When the certificate ends, in Unix time.
    pub(crate) expires: Gauge,
    /// Certificates that could not be used.
    pub(crate) failures: Counter,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Ended {
    outcome: &'static str,
}

impl TlsMetrics {
    pub(crate) fn register(metrics: &Metrics) -> Self {
        let fresh = Self::default();
        let help = "Unix time at which the certificate that is served ends";
        let expires = metrics.register("tls_certificate_expires_seconds", help, fresh.expires);
        let help = "Certificates that could not be read, understood or made; the one before is still served";
        let failures = metrics.register("tls_certificate_failures", help, fresh.failures);
        let help = "TLS handshakes by how they ended";
        Self { handshakes: metrics.register("tls_handshakes", help, fresh.handshakes), expires, failures }
    }

    pub(crate) fn count(&self, outcome: &'static str) {
        self.handshakes.get_or_create(&Ended { outcome }).inc();
    }
}
