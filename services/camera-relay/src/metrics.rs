//! Figures of a replica: `patchbay_camera_relay_…`.

use crate::{cameras::SourceSpec, core::Core, viewers::ViewerKind};
use patchbay_chassis::Metrics;
use patchbay_media::hub::State;
use prometheus_client::{
    encoding::{EncodeMetric, MetricEncoder, NoLabelSet},
    metrics::{MetricType, counter::Counter, histogram::Histogram},
};
use std::{
    collections::BTreeMap,
    fmt,
    sync::{Arc, Weak},
    time::Duration,
};

/// Upper bounds of the times that connections take, in seconds.
const CONNECT_BUCKETS: [f64; 11] = [0.025, 0.05, 0.075, 0.1, 0.15, 0.25, 0.5, 1.0, 2.5, 5.0, 15.0];

/// Upper bounds of the times that snapshots take, in seconds.
const SNAPSHOT_BUCKETS: [f64; 9] = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1.0, 3.0, 10.0];

/// All that is counted.
#[expect(missing_docs, reason = "each is described where it is registered")]
#[derive(Clone)]
pub struct RelayMetrics {
    pub connect_seconds: Histogram,
    pub snapshot_seconds: Histogram,
    pub bursts: Counter,
    pub refused_viewers: Counter,
    pub viewer_steps: Counter,
}

impl RelayMetrics {
    /// Registers them.
    pub fn register(metrics: &Metrics) -> Self {
        let seconds = |name: &str, help: &str, buckets: &[f64]| {
            metrics.register(name, help, Histogram::new(buckets.iter().copied()))
        };
        let counter = |name: &str, help: &str| metrics.register(name, help, Counter::default());
        Self {
            connect_seconds: seconds(
                "connect_seconds",
                "Time from a viewer's request to its connection",
                &CONNECT_BUCKETS,
            ),
            snapshot_seconds: seconds("snapshot_seconds", "Time that a snapshot takes", &SNAPSHOT_BUCKETS),
            bursts: counter("bursts", "Viewers that were brought up to date with pictures that were kept"),
            refused_viewers: counter("refused_viewers", "Viewers that were refused at a limit"),
            viewer_steps: counter(
                "viewer_steps",
                "Times that a viewer was given more or less of the pictures, as its bandwidth allowed",
            ),
        }
    }
}

/// A total that is worked out when somebody looks: name, meaning, and how.
type Measure = fn(&Core) -> u64;
const COUNTERS: [(&str, &str, Measure); 9] = [
    ("packets_sent", "Packets sent to viewers", |core| core.viewers.sent().packets),
    ("bytes_sent", "Bytes sent to viewers, without the headers of UDP and IP", |core| {
        core.viewers.sent().bytes
    }),
    ("packets_resent", "Packets sent again because viewers had asked for them", |core| {
        core.viewers.sent().resent
    }),
    ("skips", "Times that a viewer was moved to a newer key frame because it could not keep up", |core| {
        core.viewers.sent().skips
    }),
    ("key_frame_requests", "Key frames that viewers have asked for", |core| {
        core.viewers.sent().key_frame_requests
    }),
    ("looks", "Pictures in which motion was looked for", |core| core.motions.work().looks),
    (
        "looks_left_out",
        "Pictures that motion was not looked for in because the machine is too slow",
        |core| core.motions.work().looks_left_out,
    ),
    ("pictures_processed", "Pictures that were decoded to work on them or to look for motion", |core| {
        core.motions.work().pictures
    }),
    ("pictures_left_out", "Pictures that were worked on and came too late to be shown", |core| {
        core.motions.work().pictures_left_out
    }),
];
const GAUGES: [(&str, &str, Measure); 2] = [
    ("captures", "Cameras that are captured here", captures),
    ("encoders", "Encoders of test pictures and transcoders that run here", encoders),
];

fn captures(core: &Core) -> u64 {
    core.owners.count() as u64
}

/// Transcoders, and the encoders of test pictures that are drawn and of pictures that are worked on.
fn encoders(core: &Core) -> u64 {
    let captured = core.cameras.all().into_iter().filter(|camera| core.owners.captures(&camera.name));
    let drawn = captured.map(|camera| {
        let is_drawn = matches!(camera.spec.source, SourceSpec::Test(_));
        usize::from(is_drawn) + usize::from(camera.spec.processing.is_some())
    });
    let drawn: usize = drawn.sum();
    let states = core.hub.states();
    (drawn + states.iter().map(|state| state.encoders).sum::<usize>()) as u64
}

/// Registers what is worked out when somebody looks.
pub(crate) fn watch(core: &Arc<Core>) {
    let metrics = &core.context.metrics;
    for (name, help, measure) in COUNTERS {
        metrics.register(
            name,
            help,
            Measured { core: Arc::downgrade(core), measure, kind: MetricType::Counter },
        );
    }
    for (name, help, measure) in GAUGES {
        metrics.register(
            name,
            help,
            Measured { core: Arc::downgrade(core), measure, kind: MetricType::Gauge },
        );
    }
    metrics.register(
        "processing_seconds",
        "Time spent on working on pictures and looking for motion",
        ProcessingSeconds(Arc::downgrade(core)),
    );
    metrics.register("viewers", "Viewers of this replica, by door", ByLabel(Arc::downgrade(core), viewers));
    metrics.register("cameras", "Cameras by what they do here", ByLabel(Arc::downgrade(core), cameras));
}

fn viewers(core: &Core) -> Vec<(&'static str, &'static str, usize)> {
    ViewerKind::ALL.into_iter().map(|kind| ("kind", kind.word(), core.viewers.count_of(kind))).collect()
}

fn cameras(core: &Core) -> Vec<(&'static str, &'static str, usize)> {
    let states = core.hub.states();
    let count = |state: State| states.iter().filter(|stream| stream.state == state).count();
    State::ALL.into_iter().map(|state| ("state", state.name(), count(state))).collect()
}

/// Figures for the node registry; names are those of the metrics.
pub(crate) fn figures(core: &Core) -> BTreeMap<String, f64> {
    #[expect(clippy::cast_precision_loss, reason = "figures for people")]
    let figure = |name: &str, value: u64| (name.to_owned(), value as f64);
    [
        figure("viewers", core.viewers.count() as u64),
        figure("cameras", core.cameras.all().len() as u64),
        figure("captures", captures(core)),
        figure("encoders", encoders(core)),
        figure("packets_sent_total", core.viewers.sent().packets),
        figure("bytes_sent_total", core.viewers.sent().bytes),
    ]
    .into()
}

/// A figure that is read at every scrape. The registry outlives the service in tests, and must not keep it.
#[derive(Clone)]
struct Measured {
    core: Weak<Core>,
    measure: Measure,
    kind: MetricType,
}

impl EncodeMetric for Measured {
    fn encode(&self, mut encoder: MetricEncoder<'_>) -> fmt::Result {
        let value = self.core.upgrade().map_or(0, |core| (self.measure)(&core));
        match self.kind {
            MetricType::Counter => encoder.encode_counter::<NoLabelSet, _, u64>(&value, None),
            _ => encoder.encode_gauge(&value),
        }
    }

    fn metric_type(&self) -> MetricType {
        self.kind
    }
}

impl fmt::Debug for Measured {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Measured")
    }
}

/// Seconds that are read at every scrape.
#[derive(Clone)]
struct ProcessingSeconds(Weak<Core>);

impl EncodeMetric for ProcessingSeconds {
    fn encode(&self, mut encoder: MetricEncoder<'_>) -> fmt::Result {
        let seconds = self.0.upgrade().map_or(0.0, |core| core.motions.work().busy.as_secs_f64());
        encoder.encode_counter::<NoLabelSet, _, u64>(&seconds, None)
    }

    fn metric_type(&self) -> MetricType {
        MetricType::Counter
    }
}

impl fmt::Debug for ProcessingSeconds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ProcessingSeconds")
    }
}

/// A gauge with one label, read at every scrape: name and value of the label, and the count.
type Counts = fn(&Core) -> Vec<(&'static str, &'static str, usize)>;
#[derive(Clone)]
struct ByLabel(Weak<Core>, Counts);

impl EncodeMetric for ByLabel {
    fn encode(&self, mut encoder: MetricEncoder<'_>) -> fmt::Result {
        let counts = self.0.upgrade().map(|core| (self.1)(&core)).unwrap_or_default();
        for (label, word, count) in counts {
            encoder.encode_family(&[(label, word)])?.encode_gauge(&(count as u64))?;
        }
        Ok(())
    }

    fn metric_type(&self) -> MetricType {
        MetricType::Gauge
    }
}

impl fmt::Debug for ByLabel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ByLabel")
    }
}

/// Seconds of a histogram.
pub(crate) fn observe(histogram: &Histogram, time: Duration) {
    histogram.observe(time.as_secs_f64());
}
