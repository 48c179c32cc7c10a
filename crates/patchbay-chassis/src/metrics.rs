//! The metrics registry of a process, and a handle through which each service registers its own.

use patchbay_backplane::SharedBackplane;
use prometheus_client::{
    collector::Collector,
    encoding::{DescriptorEncoder, EncodeMetric, text},
    metrics::{counter::ConstCounter, gauge::ConstGauge, info::Info},
    registry::{Metric, Registry},
};
use std::{
    any::Any,
    collections::HashMap,
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

/// Registers metrics as `patchbay_<service>_<name>`. Cheap to clone.
#[derive(Clone)]
pub struct Metrics {
    prefix: String,
    registry: Arc<Mutex<Registry>>,
    /// What was registered, by its whole name.
    registered: Arc<Mutex<HashMap<String, Box<dyn Any + Send>>>>,
}

impl Metrics {
    pub(crate) fn new() -> Self {
        let mut registry = Registry::default();
        registry.register_collector(Box::new(ProcessFigures));
        let build = Info::new(vec![("version", crate::VERSION)]);
        registry.register("patchbay_build", "Version of the running binary", build);
        Self {
            prefix: "patchbay".to_owned(),
            registry: Arc::new(Mutex::new(registry)),
            registered: Arc::default(),
        }
    }

    /// The same registry with the names of another service.
    pub(crate) fn of(&self, service: &str) -> Self {
        Self {
            prefix: format!("patchbay_{}", service.replace('-', "_")),
            registry: Arc::clone(&self.registry),
            registered: Arc::clone(&self.registered),
        }
    }

    /// Registers a metric and gives it back: `let open = metrics.register("connections", "Open connections", Gauge::default())`.
    /// Names end with their unit; counters get `_total` by themselves; labels must be bounded by an enum. Where a metric of this name and type
    /// is there already, because a part of the service starts for the second time, that one is given back and goes on.
    pub fn register<M: Metric + Clone>(&self, name: &str, help: &str, metric: M) -> M {
        let name = format!("{}_{name}", self.prefix);
        let mut registered = self.registered.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = registered.get(&name).and_then(|known| known.downcast_ref::<M>()) {
            return known.clone();
        }
        self.lock().register(name.clone(), help, metric.clone());
        registered.insert(name, Box::new(metric.clone()));
        metric
    }

    /// Adds figures that are read at every scrape.
    pub(crate) fn watch_backplane(&self, backplane: SharedBackplane) {
        self.lock().register_collector(Box::new(BackplaneFigures(backplane)));
    }

    /// All metrics as `OpenMetrics` text.
    pub(crate) fn render(&self) -> Result<String, fmt::Error> {
        let mut out = String::new();
        text::encode(&mut out, &self.lock())?;
        Ok(out)
    }

    fn lock(&self) -> MutexGuard<'_, Registry> {
        self.registry.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

struct BackplaneFigures(SharedBackplane);

impl fmt::Debug for BackplaneFigures {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("BackplaneFigures")
    }
}

impl Collector for BackplaneFigures {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let up = u64::from(*self.0.health().borrow() == patchbay_backplane::Health::Up);
        gauge(&mut encoder, "patchbay_backplane_up", "Whether the backplane answers", up)?;
        for (name, value) in self.0.figures() {
            let name = format!("patchbay_backplane_{name}");
            match name.strip_suffix("_total") {
                Some(base) => counter(&mut encoder, base, "Counted by the backplane", value)?,
                None => gauge(&mut encoder, &name, "Told by the backplane", value)?,
            }
        }
        Ok(())
    }
}

/// CPU, memory and descriptors of this process, read from `/proc`; absent where there is none.
#[derive(Debug)]
struct ProcessFigures;

impl Collector for ProcessFigures {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        if let Some(seconds) = cpu_seconds() {
            let metric = ConstCounter::new(seconds);
            let help = "User and system time spent";
            let descriptor =
                encoder.encode_descriptor("process_cpu_seconds", help, None, metric.metric_type())?;
            metric.encode(descriptor)?;
        }
        if let Some(bytes) = resident_bytes() {
            gauge(&mut encoder, "process_resident_memory_bytes", "Resident memory", bytes)?;
        }
        if let Ok(descriptors) = std::fs::read_dir("/proc/self/fd") {
            gauge(&mut encoder, "process_open_fds", "Open file descriptors", descriptors.count() as u64)?;
        }
        Ok(())
    }
}

fn gauge(encoder: &mut DescriptorEncoder<'_>, name: &str, help: &str, value: u64) -> fmt::Result {
    let metric = ConstGauge::new(i64::try_from(value).unwrap_or(i64::MAX));
    metric.encode(encoder.encode_descriptor(name, help, None, metric.metric_type())?)
}

fn counter(encoder: &mut DescriptorEncoder<'_>, name: &str, help: &str, value: u64) -> fmt::Result {
    let metric = ConstCounter::new(value);
    metric.encode(encoder.encode_descriptor(name, help, None, metric.metric_type())?)
}

/// Fields 14 and 15 of `/proc/self/stat`, counted after the parenthesised name, in ticks of 1/100 s (the value of
/// `USER_HZ` on every Linux that Rust runs on).
fn cpu_seconds() -> Option<f64> {
    let stat = std::fs::read_to_string("/proc/self/stat").ok()?;
    let mut fields = stat.rsplit_once(')')?.1.split_whitespace().skip(11);
    let user: u32 = fields.next()?.parse().ok()?;
    let system: u32 = fields.next()?.parse().ok()?;
    Some((f64::from(user) + f64::from(system)) / 100.0)
}

fn resident_bytes() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    let kib: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kib * 1024)
}
