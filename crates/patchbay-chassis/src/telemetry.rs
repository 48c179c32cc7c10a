//! Log lines and traces. Called once, by the command line; in-process tests run without.

use crate::config::{LogFormat, Shared};
use opentelemetry::{KeyValue, trace::TracerProvider as _};
use opentelemetry_otlp::WithExportConfig;
use opentelemetry_sdk::{
    Resource,
    propagation::TraceContextPropagator,
    trace::{Sampler, SdkTracerProvider},
};
use std::{io::IsTerminal, sync::Arc};
use tracing_subscriber::{EnvFilter, Layer, Registry, layer::SubscriberExt, reload, util::SubscriberInitExt};

/// Changes the log filter of a running process. Cheap to clone; the default changes nothing.
#[derive(Clone, Default)]
pub(crate) struct LogControl(Option<Arc<SetFilter>>);

type SetFilter = dyn Fn(&str) -> Result<(), String> + Send + Sync;

impl LogControl {
    /// Sets another filter.
    pub(crate) fn set(&self, filter: &str) -> Result<(), String> {
        match &self.0 {
            Some(set) => set(filter),
            None => Err("this process has no log to change".to_owned()),
        }
    }
}

/// Why there can be no log or no traces.
#[derive(Debug, thiserror::Error)]
pub enum TelemetryError {
    /// The exporter cannot be made.
    #[error("could not set up the export of traces")]
    Export(#[from] opentelemetry_otlp::ExporterBuildError),
    /// The process has a subscriber already.
    #[error("could not install the log")]
    Install(#[from] tracing_subscriber::util::TryInitError),
}

/// Keeps telemetry going; flushes traces at the end.
pub(crate) struct Telemetry {
    pub(crate) control: LogControl,
    traces: Option<SdkTracerProvider>,
}

impl Telemetry {
    /// Installs the log and, where an endpoint is known, the export of traces. Must be called in a tokio runtime.
    pub(crate) fn install(name: &'static str, shared: &Shared) -> Result<Self, TelemetryError> {
        let (filter, handle) = reload::Layer::new(EnvFilter::new(&shared.log.level));
        let traces = trace_provider(name, shared)?;
        let spans = traces
            .as_ref()
            .map(|provider| tracing_opentelemetry::layer().with_tracer(provider.tracer("patchbay")));
        opentelemetry::global::set_text_map_propagator(TraceContextPropagator::new());
        Registry::default().with(filter).with(spans).with(lines(shared.log.format)).try_init()?;
        let set = move |text: &str| {
            let filter = EnvFilter::try_new(text).map_err(|error| error.to_string())?;
            handle.reload(filter).map_err(|error| error.to_string())
        };
        Ok(Self { control: LogControl(Some(Arc::new(set))), traces })
    }

    /// Sends what is still held; bounded by the exporter's own timeout.
    pub(crate) fn flush(self) {
        if let Some(Err(error)) = self.traces.map(|provider| provider.shutdown()) {
            tracing::warn!(%error, "could not send the last traces");
        }
    }
}

fn lines<S>(format: LogFormat) -> Box<dyn Layer<S> + Send + Sync>
where
    S: tracing::Subscriber + for<'a> tracing_subscriber::registry::LookupSpan<'a>,
{
    let is_pretty = match format {
        LogFormat::Auto => std::io::stderr().is_terminal(),
        LogFormat::Json => false,
        LogFormat::Pretty => true,
    };
    let layer = tracing_subscriber::fmt::layer().with_writer(std::io::stderr);
    if is_pretty {
        return layer.compact().boxed();
    }
    layer.json().flatten_event(true).with_current_span(true).with_span_list(false).boxed()
}

/// The standard variable counts where the configuration names no endpoint.
#[expect(clippy::disallowed_methods, reason = "OpenTelemetry's own variable, not one of ours")]
fn trace_provider(name: &'static str, shared: &Shared) -> Result<Option<SdkTracerProvider>, TelemetryError> {
    let standard =
        || std::env::var("OTEL_EXPORTER_OTLP_ENDPOINT").ok().filter(|endpoint| !endpoint.is_empty());
    let Some(endpoint) = shared.telemetry.endpoint.clone().or_else(standard) else { return Ok(None) };
    let exporter =
        opentelemetry_otlp::SpanExporter::builder().with_tonic().with_endpoint(endpoint).build()?;
    let version = KeyValue::new("service.version", crate::VERSION);
    let resource = Resource::builder().with_service_name(name).with_attribute(version).build();
    let sampler = Sampler::ParentBased(Box::new(Sampler::TraceIdRatioBased(shared.telemetry.sample_ratio)));
    let provider = SdkTracerProvider::builder()
        .with_batch_exporter(exporter)
        .with_resource(resource)
        .with_sampler(sampler);
    Ok(Some(provider.build()))
}
