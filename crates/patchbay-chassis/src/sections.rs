//! Sections that every service has. Doc comments here are the reference that operators read.

use patchbay_auth::AuthConfig;
use patchbay_backplane::BackplaneConfig;
use patchbay_config::{Problems, Span};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::{
    net::{Ipv4Addr, SocketAddr},
    path::PathBuf,
};

/// Sections that the process has once, whatever services run in it.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Shared {
    /// The port for operators: health, metrics, effective configuration, log level.
    pub ops: Ops,
    /// What is logged, and how.
    pub log: Log,
    /// Traces.
    pub telemetry: Telemetry,
    /// What replicas share.
    pub backplane: BackplaneConfig,
    /// Who may do what.
    pub auth: AuthConfig,
    /// How the process stops.
    pub drain: Drain,
    /// Files that the process keeps.
    pub data: Data,
}

impl Shared {
    /// Names of the sections.
    pub(crate) const KEYS: [&'static str; 7] =
        ["ops", "log", "telemetry", "backplane", "auth", "drain", "data"];

    pub(crate) fn defaults(ops_port: u16) -> Self {
        Self {
            ops: Ops { listen: loopback(ops_port) },
            log: Log::default(),
            telemetry: Telemetry::default(),
            backplane: BackplaneConfig::default(),
            auth: AuthConfig::default(),
            drain: Drain::default(),
            data: Data::default(),
        }
    }

    pub(crate) fn validate(&self, problems: &mut Problems) {
        if tracing_subscriber::EnvFilter::try_new(&self.log.level).is_err() {
            problems.add("log.level", "is not a filter such as \"info\" or \"info,chat_gateway=debug\"");
        }
        if !(0.0..=1.0).contains(&self.telemetry.sample_ratio) {
            problems.add("telemetry.sample_ratio", "must be between 0 and 1");
        }
        if self.drain.deadline < self.drain.spread {
            problems.add("drain.deadline", "must not be shorter than drain.spread");
        }
        if self.backplane.url.is_some() && self.backplane.file.is_some() {
            problems.add("backplane.file", "is for the memory backplane only, and backplane.url is set");
        }
        if self.backplane.password_file.is_some() && self.backplane.url.is_none() {
            problems.add("backplane.password_file", "needs backplane.url");
        }
    }
}

/// The gRPC server.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Grpc {
    /// Address of the gRPC server; it speaks grpc-web too. Every call needs a token.
    pub listen: SocketAddr,
}

impl Grpc {
    pub(crate) fn on_port(port: u16) -> Self {
        Self { listen: loopback(port) }
    }
}

/// The port for operators.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Ops {
    /// Address of `/livez`, `/readyz`, `/metrics`, `/version`, `/config` and `/log-level`. Never publish it.
    pub listen: SocketAddr,
}

/// What is logged.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Log {
    /// Filter: a level, or levels by module such as `info,chat_gateway=debug`.
    pub level: String,
    /// `json` for machines, `pretty` for people, `auto` for pretty on a terminal.
    pub format: LogFormat,
}

impl Default for Log {
    fn default() -> Self {
        Self { level: "info".to_owned(), format: LogFormat::Auto }
    }
}

/// Form of a log line.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    /// Pretty on a terminal, JSON elsewhere.
    #[default]
    Auto,
    /// One JSON object a line.
    Json,
    /// For people.
    Pretty,
}

/// Traces, sent by OTLP over gRPC when an endpoint is known.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Telemetry {
    /// Collector, such as `http://otel-collector:4317`; `OTEL_EXPORTER_OTLP_ENDPOINT` where it is not set.
    pub endpoint: Option<String>,
    /// Share of traces begun here that are sent, from 0 to 1.
    pub sample_ratio: f64,
}

impl Default for Telemetry {
    fn default() -> Self {
        Self { endpoint: None, sample_ratio: 1.0 }
    }
}

/// How the process stops.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Drain {
    /// Time between saying "not ready" and refusing new clients, for load balancers to notice.
    pub delay: Span,
    /// Time over which clients are told to come back, so that they do not all return at once.
    pub spread: Span,
    /// Time from refusing new clients to the hard stop.
    pub deadline: Span,
}

impl Default for Drain {
    fn default() -> Self {
        Self { delay: Span::seconds(2), spread: Span::seconds(10), deadline: Span::seconds(20) }
    }
}

/// Files that the process keeps.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Data {
    /// Folder; nothing is kept where it is not set.
    pub dir: Option<PathBuf>,
}

/// Loopback, because a port must not be open to a network before somebody has said so.
fn loopback(port: u16) -> SocketAddr {
    (Ipv4Addr::LOCALHOST, port).into()
}
