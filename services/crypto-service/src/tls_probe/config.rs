//! The section of the configuration for looking at other people's TLS.

use patchbay_chassis::{Problems, Span};
use patchbay_egress::EgressConfig;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::{path::PathBuf, time::Duration};

/// The longest deadline of a probe: calls last 30 s at most.
const MAX_DEADLINE: Duration = Duration::from_secs(25);

/// The probe of TLS servers.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct TlsProbe {
    /// How long a probe may take; what is not known by then is named in its answer.
    pub deadline: Span,
    /// Connections that one probe makes at most.
    pub connections: u32,
    /// Probes at the same time; more are refused with BUSY.
    pub at_once: usize,
    /// File with roots of your own (PEM) that are trusted beside the public ones.
    pub roots_file: Option<PathBuf>,
    /// What may be reached; it holds for the hosts of `certificates.watch` too.
    pub egress: EgressConfig,
}

impl Default for TlsProbe {
    fn default() -> Self {
        Self {
            deadline: Span::seconds(10),
            connections: 300,
            at_once: 4,
            roots_file: None,
            egress: EgressConfig::default(),
        }
    }
}

impl TlsProbe {
    /// Says what is wrong with it.
    pub(crate) fn validate(&self, problems: &mut Problems) {
        if !(Duration::from_secs(1)..=MAX_DEADLINE).contains(&self.deadline.duration()) {
            problems.add("tls_probe.deadline", format!("must be from 1s to {}s", MAX_DEADLINE.as_secs()));
        }
        if !(10..=10_000).contains(&self.connections) {
            problems.add("tls_probe.connections", "must be from 10 to 10000");
        }
        if !(1..=1000).contains(&self.at_once) {
            problems.add("tls_probe.at_once", "must be from 1 to 1000");
        }
    }
}
