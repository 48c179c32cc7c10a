//! `patchbay tls probe`: what a server speaks and shows, found out from this machine. No service is asked, and nothing is off limits: it goes where its user may go.

mod text;

use anyhow::{Context, bail};
use clap::{Args, ValueEnum};
use jiff::Timestamp;
use patchbay_chassis::cli;
use patchbay_egress::Guard;
use patchbay_tls_probe::{
    Options, Target,
    chain::Roots,
    probe,
    report::{Grade, Report, StartTls},
};
use std::{
    fs,
    path::{Path, PathBuf},
    time::Duration,
};

/// Exit codes: 0 for grades from A+ to E; 1 for F, for T (not trusted), for M (for another name), and where there is nothing to grade.
#[derive(Args)]
#[command(
    after_help = "Exit code 0 for grades from A+ to E; 1 for F, T (not trusted) and M (for another name), and when the server could not be probed."
)]
pub(crate) struct ProbeArgs {
    /// Server: `example.com`, `example.com:8443`, `[::1]:443`.
    #[arg(value_name = "HOST")]
    host: String,
    /// How the connection becomes TLS; without it the port decides: 21 is ftp, 25 and 587 are smtp, 143 is imap.
    #[arg(long, value_enum, value_name = "PROTOCOL")]
    starttls: Option<Protocol>,
    /// Name to ask for and to check the certificate against, where it is not the host.
    #[arg(long, value_name = "NAME")]
    server_name: Option<String>,
    /// File with roots of your own (PEM) that are trusted beside the public ones.
    #[arg(long, value_name = "FILE")]
    roots: Option<PathBuf>,
    /// Seconds that it may take.
    #[arg(long, value_name = "SECONDS", default_value_t = 10, value_parser = clap::value_parser!(u64).range(1..=600))]
    deadline: u64,
    /// Writes JSON instead of text.
    #[arg(long)]
    json: bool,
}

#[derive(Clone, Copy, ValueEnum)]
enum Protocol {
    Ftp,
    Smtp,
    Imap,
    None,
}

/// Probes, prints the report, and fails where the grade is bad.
#[tokio::main(flavor = "current_thread")]
pub(crate) async fn run(args: &ProbeArgs) -> anyhow::Result<()> {
    let start_tls = args.starttls.map(|protocol| match protocol {
        Protocol::Ftp => StartTls::Ftp,
        Protocol::Smtp => StartTls::Smtp,
        Protocol::Imap => StartTls::Imap,
        Protocol::None => StartTls::None,
    });
    let target = Target::parse(&args.host, start_tls, args.server_name.as_deref())?;
    let deadline = Duration::from_secs(args.deadline);
    let options = Options { deadline, ..Options::new(roots(args.roots.as_deref())?, Timestamp::now()) };
    let report = probe(&target, &Guard::open(), &options).await?;
    if args.json {
        cli::print(&serde_json::to_string_pretty(&report)?)?;
    } else {
        cli::print(&text::report(&report))?;
    }
    judge(&report)
}

fn roots(file: Option<&Path>) -> anyhow::Result<Roots> {
    let Some(file) = file else { return Ok(Roots::public()) };
    let bytes = fs::read(file).with_context(|| format!("cannot read {}", file.display()))?;
    Roots::public().and(&bytes).with_context(|| format!("cannot use {}", file.display()))
}

fn judge(report: &Report) -> anyhow::Result<()> {
    match report.grade {
        Some(grade @ (Grade::F | Grade::T | Grade::M)) => bail!("the grade is {grade}"),
        Some(_) => Ok(()),
        None => bail!("the server could not be probed: {}", report.failure_message),
    }
}
