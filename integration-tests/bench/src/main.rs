//! `bench-chat`: chat-gateway and its peers under the same load, in the same run.
//!
//! `scripts/bench chat` builds and starts it. Each round starts every server anew, pinned to core 0, joins
//! the clients to one room, and sends into it at each rate on a schedule that does not wait for
//! answers; latencies count from the scheduled time, so a server that stalls cannot hide it. Every
//! client checks that it gets every message exactly once. The generator is one thread on core 1 and
//! prints its own load, since it must not be what limits the result.
#![expect(clippy::print_stdout, reason = "a command-line tool: its output is the result")]

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context as _, Result};
use clap::Parser;

mod client;
mod frames;
mod load;
mod machine;
mod report;
mod room;
mod round;
mod server;
mod slow;
mod tally;

use server::Kind;

/// What to measure.
#[derive(Debug, Parser)]
struct Options {
    /// The servers, in the order of the first round; each round starts with another one.
    #[arg(long, value_delimiter = ',', default_value = "patchbay,bun,ws,websockets")]
    servers: Vec<Kind>,
    /// How often each server is measured.
    #[arg(long, default_value_t = 5)]
    rounds: usize,
    /// Clients in the room.
    #[arg(long, default_value_t = 2000)]
    connections: usize,
    /// How often all of them connect and join before they stay.
    #[arg(long, default_value_t = 3)]
    bursts: u32,
    /// Messages per second into the room.
    #[arg(long, value_delimiter = ',', default_value = "25,200")]
    rates: Vec<u32>,
    /// How long each rate is measured, in seconds, after a second of warming up.
    #[arg(long, default_value_t = 8)]
    seconds: u64,
    /// The length of a message as its sender writes it, in bytes.
    #[arg(long, default_value_t = 100)]
    size: usize,
    /// The release binary of chat-gateway.
    #[arg(long, default_value = "target/release/chat-gateway")]
    gateway: PathBuf,
    /// Where the peers are: `bun`, `node_modules`, `venv` and the sources.
    #[arg(long, default_value = "target/bench/peers")]
    peers: PathBuf,
    /// Where the result goes as JSON.
    #[arg(long)]
    json: Option<PathBuf>,
    /// What to run besides the rounds.
    #[arg(long, value_enum, default_value = "with")]
    slow_consumers: SlowConsumers,
}

/// Whether the phase with clients that never read is part of the run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum SlowConsumers {
    /// After the rounds.
    With,
    /// Not at all.
    Without,
    /// Nothing else.
    Only,
}

impl Options {
    fn plan(&self) -> round::Plan {
        round::Plan {
            connections: self.connections,
            bursts: self.bursts.max(1),
            rates: self.rates.clone(),
            measured: Duration::from_secs(self.seconds),
            size: self.size,
        }
    }
}

fn main() -> ExitCode {
    match run(&Options::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            println!("bench-chat: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(options: &Options) -> Result<()> {
    let programs = server::Programs { gateway: options.gateway.clone(), peers: options.peers.clone() };
    let mut rounds = Vec::new();
    if options.slow_consumers != SlowConsumers::Only {
        for number in 1..=options.rounds {
            rounds.extend(interleaved(options, &programs, number)?);
        }
    }
    let slow = match options.slow_consumers {
        SlowConsumers::Without => None,
        SlowConsumers::With | SlowConsumers::Only => Some(slow::run(&programs)?),
    };
    let report = report::Report::new(options.plan(), rounds, slow);
    println!("\n{report}");
    if let Some(path) = &options.json {
        std::fs::write(path, serde_json::to_vec_pretty(&report)?).context("cannot write the JSON")?;
    }
    Ok(())
}

/// One round of every server. A peer that fails under the load is left out of this round, and said so.
fn interleaved(options: &Options, programs: &server::Programs, number: usize) -> Result<Vec<round::Round>> {
    let mut order = options.servers.clone();
    order.rotate_left((number - 1) % options.servers.len());
    let mut rounds = Vec::new();
    for kind in order {
        match round::run(kind, programs, &options.plan()) {
            Ok(round) => {
                println!("round {number}: {kind}: {round}");
                rounds.push(round);
            }
            Err(error) if kind == Kind::Patchbay => {
                return Err(error.context(format!("round {number} of {kind}")));
            }
            Err(error) => println!("round {number}: {kind} failed: {error:#}"),
        }
    }
    Ok(rounds)
}
