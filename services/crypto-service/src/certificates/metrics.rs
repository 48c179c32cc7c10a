//! `certificate_days_left`: one figure for each place where a certificate is in use, as bounded as what is watched.

use super::{
    seen::{Seen, seconds},
    threshold::days_left,
};
use parking_lot::Mutex;
use patchbay_chassis::{Clock, Metrics};
use prometheus_client::{
    encoding::{EncodeMetric, MetricEncoder},
    metrics::MetricType,
};
use std::{collections::BTreeMap, fmt, sync::Arc};

/// Names at most.
const MAX_NAMES: usize = 1000;

/// The end of each certificate by name, turned into days when somebody looks.
#[derive(Clone)]
pub(super) struct DaysLeft {
    clock: Clock,
    ends: Arc<Mutex<BTreeMap<String, i64>>>,
}

impl DaysLeft {
    pub(super) fn register(metrics: &Metrics, clock: &Clock) -> Self {
        let gauge = Self { clock: clock.clone(), ends: Arc::default() };
        let help = "Whole days until a certificate ends, by `service/listener` or `host:port`; negative when it is over";
        metrics.register("certificate_days_left", help, gauge)
    }

    /// Takes what was seen; where a name has several certificates, the one that ends first. What could not be asked has no figure.
    pub(super) fn set(&self, seen: &[Seen]) {
        let mut ends = BTreeMap::new();
        for seen in seen {
            let Ok(found) = &seen.found else { continue };
            if ends.len() < MAX_NAMES || ends.contains_key(&seen.name) {
                let end = ends.entry(seen.name.clone()).or_insert(found.not_after);
                *end = found.not_after.min(*end);
            }
        }
        *self.ends.lock() = ends;
    }
}

impl EncodeMetric for DaysLeft {
    fn encode(&self, mut encoder: MetricEncoder<'_>) -> fmt::Result {
        let now = seconds(self.clock.now_millis());
        for (name, end) in &*self.ends.lock() {
            let labels = [("name", name.as_str())];
            encoder.encode_family(&labels)?.encode_gauge(&i64::from(days_left(*end, now)))?;
        }
        Ok(())
    }

    fn metric_type(&self) -> MetricType {
        MetricType::Gauge
    }
}

impl fmt::Debug for DaysLeft {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("DaysLeft")
    }
}
