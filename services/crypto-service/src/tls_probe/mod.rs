//! Looking at other people's TLS for callers: how many at a time, what may be reached, and what is counted. The probe itself is `patchbay-tls-probe`.

mod config;

pub use config::TlsProbe;

use crate::error::Error;
use jiff::Timestamp;
use patchbay_chassis::{Clock, Context, StartError};
use patchbay_egress::Guard;
use patchbay_tls_probe::{
    Options, ProbeError, Target,
    chain::{Roots, RootsError},
    probe,
    report::{Failure, Report},
};
use prometheus_client::{
    encoding::EncodeLabelSet,
    metrics::{counter::Counter, family::Family},
};
use std::{fs, io, path::Path};
use tokio::sync::Semaphore;

/// Largest file of roots.
const MAX_ROOTS_FILE: u64 = 16 * 1024 * 1024;

/// The probe of a replica.
pub struct TlsProber {
    config: TlsProbe,
    guard: Guard,
    roots: Roots,
    /// One for each probe under way; who finds none is refused at once.
    turns: Semaphore,
    clock: Clock,
    probes: Family<Outcome, Counter>,
}

/// Label of a probe: what came of it.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Outcome {
    outcome: &'static str,
}

/// All of them: a figure that is not there yet would look like one that is gone.
const OUTCOMES: [&str; 11] = [
    "answered",
    "busy",
    "forbidden",
    "name_not_found",
    "connection_refused",
    "unreachable",
    "timed_out",
    "connection_closed",
    "not_tls",
    "start_tls_refused",
    "handshake_refused",
];

/// Why the file of roots cannot be used.
#[derive(Debug, thiserror::Error)]
enum RootsFileError {
    #[error("cannot read the file")]
    Read(#[source] io::Error),
    #[error("the file is larger than {MAX_ROOTS_FILE} bytes")]
    TooLarge,
    #[error(transparent)]
    Roots(#[from] RootsError),
}

impl TlsProber {
    /// Reads the roots that are trusted.
    pub(crate) fn open(config: &TlsProbe, context: &Context) -> Result<Self, StartError> {
        let roots = match &config.roots_file {
            None => Roots::public(),
            Some(file) => {
                read_roots(file).map_err(|error| StartError::failed("use tls_probe.roots_file", error))?
            }
        };
        let (name, help) = (
            "tls_probes",
            "Probes of TLS servers, by what came of them: `answered`, `busy`, `forbidden`, or the failure",
        );
        let probes = context.metrics.register(name, help, Family::default());
        for outcome in OUTCOMES {
            drop(probes.get_or_create(&Outcome { outcome }));
        }
        Ok(Self {
            config: config.clone(),
            guard: Guard::new(&config.egress, "tls_probe.egress"),
            roots,
            turns: Semaphore::new(config.at_once),
            clock: context.clock.clone(),
            probes,
        })
    }

    /// What may be reached.
    pub fn guard(&self) -> &Guard {
        &self.guard
    }

    /// Roots that are trusted.
    pub fn roots(&self) -> &Roots {
        &self.roots
    }

    /// How a probe is made now.
    pub fn options(&self) -> Options {
        Options {
            deadline: self.config.deadline.duration(),
            connections: self.config.connections,
            ..Options::new(self.roots.clone(), self.now())
        }
    }

    /// The time to judge for.
    pub(crate) fn now(&self) -> Timestamp {
        let millis = i64::try_from(self.clock.now_millis()).unwrap_or(i64::MAX);
        Timestamp::from_millisecond(millis).unwrap_or(Timestamp::MAX)
    }

    /// Probes a server. Dropping this ends the probe and closes its connections.
    pub(crate) async fn probe(&self, target: &Target) -> Result<Report, Error> {
        let Ok(_turn) = self.turns.try_acquire() else {
            self.count("busy");
            return Err(Error::Busy);
        };
        match probe(target, &self.guard, &self.options()).await {
            Ok(report) => {
                self.count(outcome(&report));
                Ok(report)
            }
            Err(ProbeError::Forbidden(why)) => {
                self.count("forbidden");
                Err(Error::AddressForbidden(why))
            }
            Err(error) => Err(Error::internal(error)),
        }
    }

    fn count(&self, outcome: &'static str) {
        self.probes.get_or_create(&Outcome { outcome }).inc();
    }
}

fn read_roots(file: &Path) -> Result<Roots, RootsFileError> {
    let length = fs::metadata(file).map_err(RootsFileError::Read)?.len();
    if length > MAX_ROOTS_FILE {
        return Err(RootsFileError::TooLarge);
    }
    let bytes = fs::read(file).map_err(RootsFileError::Read)?;
    Ok(Roots::public().and(&bytes)?)
}

fn outcome(report: &Report) -> &'static str {
    match report.failure {
        None => "answered",
        Some(Failure::NameNotFound) => "name_not_found",
        Some(Failure::ConnectionRefused) => "connection_refused",
        Some(Failure::Unreachable) => "unreachable",
        Some(Failure::TimedOut) => "timed_out",
        Some(Failure::ConnectionClosed) => "connection_closed",
        Some(Failure::NotTls) => "not_tls",
        Some(Failure::StartTlsRefused) => "start_tls_refused",
        Some(Failure::HandshakeRefused) => "handshake_refused",
    }
}
