//! The way to a source with an address, tried before the source itself is: so that a name that is not there, a network that is not allowed, a port where
//! nobody listens, and a host that does not answer are told apart.

use super::findings::{Problem, StepName, Steps};
use crate::{
    cameras::{SourceSpec, fingerprint_bytes},
    core::Core,
};
use patchbay_capture::{Trust, connect_tls};
use patchbay_egress::{EgressError, Guard, Host};
use patchbay_media::hub::{Reason, SourceError};
use std::{net::SocketAddr, time::Duration};
use tokio::{net::TcpStream, time::Instant};

/// The section of the configuration that says what may be reached.
pub(crate) const EGRESS: &str = "cameras.egress";

/// Where a source is.
#[derive(Debug)]
pub(super) struct Target {
    host: String,
    port: u16,
    scheme: String,
    /// How its certificate is checked; none without TLS.
    trust: Option<Trust>,
}

impl Target {
    /// Where a source is, where it has an address that names a host.
    pub(super) fn of(source: &SourceSpec) -> Option<Self> {
        let url = source.address()?.shown_url()?;
        let scheme = url.scheme();
        let port = url.port_or_known_default().or(match scheme {
            "rtsp" => Some(554),
            "rtsps" => Some(322),
            _ => None,
        })?;
        let fingerprint = match source {
            SourceSpec::Rtsp(rtsp) => rtsp.certificate_fingerprint.as_deref(),
            SourceSpec::Url(url) => url.certificate_fingerprint.as_deref(),
            SourceSpec::Mjpeg(mjpeg) => mjpeg.certificate_fingerprint.as_deref(),
            SourceSpec::Test(_) | SourceSpec::File(_) | SourceSpec::Device(_) | SourceSpec::OpenCv(_) => None,
        };
        let pinned = fingerprint.and_then(fingerprint_bytes).map(Trust::Fingerprint);
        let trust = matches!(scheme, "rtsps" | "https").then(|| pinned.unwrap_or(Trust::Authorities));
        Some(Self { host: url.host_str()?.to_owned(), port, scheme: scheme.to_owned(), trust })
    }

    /// Looks its name up, connects to it, and tries TLS where it has that. The connection is closed again.
    pub(super) async fn reach(
        &self,
        core: &Core,
        steps: &mut Steps,
        deadline: Instant,
    ) -> Result<(), Problem> {
        let guard = Guard::new(&core.config.cameras.egress, EGRESS);
        let patience = Patience { each: core.config.cameras.capture.connect_timeout.duration(), deadline };
        let (host, addresses) = self.resolve(&guard, patience).await?;
        steps.pass(StepName::Resolve, resolved(&host, &addresses));
        let connected = guard.connect_to(&addresses, patience.left()).await;
        let (stream, address) = connected.map_err(|error| self.problem(StepName::Connect, &error))?;
        steps.pass(StepName::Connect, format!("{address} answers"));
        match self.trust {
            Some(trust) => self.handshake(stream, &host, trust, steps, patience).await,
            None => Ok(()),
        }
    }

    async fn resolve(&self, guard: &Guard, patience: Patience) -> Result<(Host, Vec<SocketAddr>), Problem> {
        let host: Host = self
            .host
            .parse()
            .map_err(|error| Problem::new(StepName::Resolve, Reason::NameNotFound, format!("{error}")))?;
        let found = guard.resolve(&host, self.port, patience.left()).await;
        let addresses = found.map_err(|error| self.problem(StepName::Resolve, &error))?;
        Ok((host, addresses))
    }

    async fn handshake(
        &self,
        stream: TcpStream,
        host: &Host,
        trust: Trust,
        steps: &mut Steps,
        patience: Patience,
    ) -> Result<(), Problem> {
        let connected = connect_tls(stream, host, trust, patience.left()).await;
        let _stream = connected.map_err(|error| {
            let error = SourceError::from(error);
            Problem::new(StepName::Tls, error.reason(), error.to_string())
        })?;
        let how = match trust {
            Trust::Fingerprint(_) => "the certificate is the pinned one",
            Trust::Authorities => "the certificate is of a public authority and for this name",
        };
        steps.pass(StepName::Tls, how);
        Ok(())
    }

    /// What is wrong, and what to do about it.
    fn problem(&self, step: StepName, error: &EgressError) -> Problem {
        let (reason, advice) = match error {
            EgressError::NameNotFound { host, .. } if is_local(host) => (
                Reason::NameNotFound,
                "; names that end with `.local` are often unknown to servers: use the camera's address"
                    .to_owned(),
            ),
            EgressError::NameNotFound { .. } => (Reason::NameNotFound, String::new()),
            EgressError::Forbidden { .. } => (Reason::Forbidden, String::new()),
            EgressError::Refused { .. } => (Reason::Refused, self.port_advice()),
            EgressError::Unreachable { .. } => (
                Reason::Unreachable,
                "; is it on, and is there a way from this service into its network?".to_owned(),
            ),
            EgressError::TimedOut { .. } => (
                Reason::TimedOut,
                "; is it on, is the address right, and does no firewall stand between?".to_owned(),
            ),
        };
        Problem::new(step, reason, format!("{error}{advice}"))
    }

    fn port_advice(&self) -> String {
        let (name, usual) = match self.scheme.as_str() {
            "rtsp" => ("RTSP", "554, or 8554"),
            "rtsps" => ("RTSP over TLS", "322"),
            "https" => ("HTTPS", "443"),
            _ => ("HTTP", "80, or 8080"),
        };
        format!(
            "; look at the port ({name} is mostly at {usual}), and whether {name} is switched on in the camera"
        )
    }
}

fn is_local(host: &str) -> bool {
    host.rsplit('.').next() == Some("local")
}

fn resolved(host: &Host, addresses: &[SocketAddr]) -> String {
    match host {
        Host::Address(address) => format!("{address} is an address, and may be reached"),
        Host::Name(name) => {
            let each: Vec<_> = addresses.iter().map(|address| address.ip().to_string()).collect();
            format!("{name} is {}", each.join(", "))
        }
    }
}

/// Time for each of resolving, connecting and the TLS handshake: not more than a camera would have.
#[derive(Clone, Copy)]
struct Patience {
    each: Duration,
    deadline: Instant,
}

impl Patience {
    fn left(self) -> Duration {
        self.deadline.saturating_duration_since(Instant::now()).min(self.each)
    }
}
