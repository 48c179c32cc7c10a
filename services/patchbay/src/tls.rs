//! `patchbay tls`: certificates of this suite, and TLS of others.

use crate::{
    certificate::{self, CertificateArgs},
    probe::{self, ProbeArgs},
};
use clap::Subcommand;

/// What `patchbay tls` can do.
#[derive(Subcommand)]
pub(crate) enum TlsCommand {
    /// Signs a certificate for a server by the local authority.
    Certificate(CertificateArgs),
    /// Finds out what a server speaks and shows, and grades it.
    Probe(ProbeArgs),
}

/// Does it.
pub(crate) fn run(command: TlsCommand) -> anyhow::Result<()> {
    match command {
        TlsCommand::Certificate(args) => certificate::run(&args),
        TlsCommand::Probe(args) => probe::run(&args),
    }
}
