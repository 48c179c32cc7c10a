//! `patchbay net`: small servers for looking at a network. They keep nothing and need no running suite.

mod echo;
mod page;

use clap::{Args, Subcommand};
use std::{net::SocketAddr, path::PathBuf};

/// What `patchbay net` can do.
#[derive(Subcommand)]
pub(crate) enum NetCommand {
    /// Tells clients how their connection looks from here.
    Echo {
        #[command(subcommand)]
        command: EchoCommand,
    },
}

/// What can be told.
#[derive(Subcommand)]
pub(crate) enum EchoCommand {
    /// Serves a page over HTTPS that shows the version, suite and group of the connection it came by.
    Tls(EchoArgs),
}

/// Flags of `patchbay net echo tls`.
#[derive(Args)]
pub(crate) struct EchoArgs {
    /// Address to listen on; port 0 asks the system for a free one.
    #[arg(long, value_name = "ADDRESS", default_value = "0.0.0.0:8443")]
    listen: SocketAddr,
    /// File with a certificate chain (PEM), read again when it changes.
    #[arg(long, value_name = "FILE", requires = "key")]
    certificate: Option<PathBuf>,
    /// File with its private key (PEM).
    #[arg(long, value_name = "FILE", requires = "certificate")]
    key: Option<PathBuf>,
    /// Folder of the local authority, where no certificate is given; it is made there if there is none.
    #[arg(long, value_name = "DIR", default_value = crate::cli::DATA, conflicts_with = "certificate")]
    data: PathBuf,
    /// Name or address for the local authority's certificate, beside those of this machine; may be given several times.
    #[arg(long, value_name = "NAME", conflicts_with = "certificate")]
    host_name: Vec<String>,
}

/// Runs until it is told to stop.
pub(crate) fn run(command: NetCommand) -> anyhow::Result<()> {
    let NetCommand::Echo { command: EchoCommand::Tls(args) } = command;
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    let ended = runtime.block_on(echo::serve(args));
    runtime.shutdown_timeout(std::time::Duration::from_secs(1));
    ended
}
