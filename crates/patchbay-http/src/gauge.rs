//! A gauge of what is open.

use prometheus_client::metrics::gauge::Gauge;

/// Raises a gauge for as long as it lives.
pub struct Raised(Gauge);

impl Raised {
    /// Raises it now.
    pub fn new(gauge: &Gauge) -> Self {
        gauge.inc();
        Self(gauge.clone())
    }
}

impl Drop for Raised {
    fn drop(&mut self) {
        self.0.dec();
    }
}
