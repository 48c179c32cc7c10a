//! Reaches a host and reads its certificate, with a few connections and within the deadline of a probe.

use super::{round::Look, seen::Found, target::Target};
use crate::core::Core;
use futures_util::{FutureExt, future::BoxFuture};
use patchbay_tls_probe::certificates;
use std::sync::Arc;

/// Characters of a subject that are kept.
const MAX_SUBJECT: usize = 512;

/// The real network, behind the guard of `tls_probe.egress`.
pub(super) struct Probe {
    core: Arc<Core>,
}

impl Probe {
    pub(super) fn of(core: &Arc<Core>) -> Self {
        Self { core: Arc::clone(core) }
    }

    async fn certificate(&self, target: Target) -> Result<Found, String> {
        let prober = &self.core.tls_probe;
        let report = certificates(target.probed(), prober.guard(), &prober.options()).await;
        let report = report.map_err(|error| error.to_string())?;
        let shown = report.chain.and_then(|chain| chain.certificates.into_iter().next());
        let Some(certificate) = shown else {
            let why = report.failure_message;
            return Err(if why.is_empty() { "it showed no certificate".to_owned() } else { why });
        };
        Ok(Found {
            not_after: certificate.not_after.as_second(),
            sha256: certificate.sha256,
            subject: certificate.subject.chars().take(MAX_SUBJECT).collect(),
            grade: String::new(),
        })
    }
}

impl Look for Probe {
    fn look(&self, target: &Target) -> BoxFuture<'_, Result<Found, String>> {
        self.certificate(target.clone()).boxed()
    }
}
