//! `bench-crypto`: what crypto-service's calls cost, beside the same work in process and in other programs, in one run.
//!
//! `scripts/bench crypto` builds and starts it. Everything is counted in seconds of CPU time, not of wall time: for servers the
//! time of all their threads, for peers that of their own process. Each round measures every subject once, in turns.
#![expect(clippy::print_stdout, reason = "a command-line tool: its output is the result")]

mod calls;
mod latency;
mod peers;
mod report;
mod server;
mod streams;

use anyhow::{Context as _, Result};
use clap::Parser;
use report::Report;
use std::{path::PathBuf, process::ExitCode};

/// What to measure.
#[derive(Debug, Parser)]
struct Options {
    /// How often everything is measured.
    #[arg(long, default_value_t = 5)]
    rounds: usize,
    /// Calls of a kind in a round are this many hundredths of the usual number.
    #[arg(long, default_value_t = 100)]
    percent: u32,
    /// The release binary of crypto-service.
    #[arg(long, default_value = "target/release/crypto-service")]
    crypto: PathBuf,
    /// The release binary of the echo.
    #[arg(long, default_value = "target/release/bench-echo")]
    echo: PathBuf,
    /// Python with `cryptography` and `argon2-cffi`.
    #[arg(long, default_value = "target/bench/peers/venv/bin/python")]
    python: PathBuf,
    /// Folder of the Python peer.
    #[arg(long, default_value = "integration-tests/bench-crypto/peers")]
    peers: PathBuf,
    /// Where the result goes as JSON.
    #[arg(long)]
    json: Option<PathBuf>,
}

fn main() -> ExitCode {
    match run(&Options::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            println!("bench-crypto: {error:#}");
            ExitCode::FAILURE
        }
    }
}

#[tokio::main(flavor = "current_thread")]
async fn run(options: &Options) -> Result<()> {
    let folder = tempfile::tempdir()?;
    let installation = server::Installation::create(folder.path())?;
    let mut report = Report::default();
    {
        let crypto = installation.start("crypto-service", &options.crypto, server::Cores::First).await?;
        let echo = installation.start("echo", &options.echo, server::Cores::First).await?;
        let streams = streams::Streams::prepare(&installation, &crypto, &echo, options.percent).await?;
        let subjects = calls::Subjects::prepare(&installation, crypto, echo, options.percent).await?;
        for round in 1..=options.rounds {
            subjects.measure(&mut report).await?;
            let (crypto, echo) = subjects.servers();
            streams.measure(crypto, echo, &mut report).await?;
            peers::measure(options, &mut report)?;
            println!("round {round} of {} done", options.rounds);
        }
    }
    let crypto = installation.start("crypto-service", &options.crypto, server::Cores::All).await?;
    report.large = Some(streams::large(&installation, &crypto, options.percent).await?);
    latency::measure(&installation, &crypto, options.rounds, &mut report).await?;
    println!("\n{report}");
    if let Some(path) = &options.json {
        std::fs::write(path, serde_json::to_vec_pretty(&report)?).context("cannot write the JSON")?;
    }
    Ok(())
}
