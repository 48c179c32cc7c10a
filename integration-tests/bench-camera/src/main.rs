//! Measures camera-relay with real browsers, with viewers of another stack, and beside peers.

mod fanout;
mod load;
mod relay;
mod report;
mod whep;

use anyhow::Result;
use clap::{Parser, Subcommand};
use std::{path::PathBuf, time::Duration};

#[derive(Parser, Debug)]
#[command(about)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand, Debug)]
enum Command {
    /// All tables.
    Run(Run),
    /// Viewers in a process of their own; used by `run`.
    Load(load::Load),
}

#[derive(clap::Args, Debug)]
struct Run {
    /// The server.
    #[arg(long, default_value = "target/release/camera-relay")]
    relay: PathBuf,
    /// Rounds; medians are printed.
    #[arg(long, default_value_t = 5)]
    rounds: usize,
    /// Seconds that a load is watched.
    #[arg(long, default_value_t = 8)]
    window: u64,
}

#[tokio::main]
async fn main() -> Result<()> {
    match Arguments::parse().command {
        Command::Run(run) => fanout::run(&run.relay, run.rounds, Duration::from_secs(run.window)).await,
        Command::Load(load) => load::run(load).await,
    }
}
