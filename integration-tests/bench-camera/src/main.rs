//! `bench-camera`: camera-relay with real browsers, with viewers of another stack, and beside its peers.
//!
//! `scripts/bench camera` builds and starts it. Every round measures everything once, in turns, with servers and browsers started anew.
#![expect(clippy::print_stdout, reason = "a command-line tool: its output is the result")]

mod added;
mod aiortc;
mod browser;
mod cameras;
mod cold;
mod fanout;
mod film;
mod load;
mod relay;
mod report;
mod sound;
mod start;
mod whep;

use anyhow::{Context as _, Result, ensure};
use browser::{Addresses, Browser};
use clap::{Parser, Subcommand, ValueEnum};
use report::Report;
use std::{path::PathBuf, time::Duration};

#[derive(Parser, Debug)]
#[command(about)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand, Debug)]
enum Command {
    /// Measures and prints the table.
    Run(Run),
    /// Viewers in a process of their own; used by `run`.
    Load(load::Load),
    /// RTSP cameras in a process of their own; used by `run`.
    Cameras(film::Cameras),
    /// A server that hands on what it gets, by WebRTC and by bare UDP; used by `run`.
    Forward,
}

/// What is measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Part {
    /// When a newcomer sees the newest picture, in Chromium.
    Start,
    /// From drawing to presenting, in Chromium.
    Delay,
    /// What viewers cost the server.
    Fanout,
    /// Delay that the server adds, beside a bare forwarder.
    Added,
    /// A webcam server of aiortc beside camera-relay.
    Aiortc,
    /// What making Opus of AAC costs.
    Sound,
    /// When the first viewer of an RTSP camera sees a picture.
    Cold,
    /// RTSP cameras with a viewer each.
    Cameras,
    /// `OpenCV` that reads such cameras and aiortc that relays one, beside what `cold` and `cameras` have found.
    Peers,
}

#[derive(clap::Args, Debug)]
struct Run {
    /// The server.
    #[arg(long, default_value = "target/release/camera-relay")]
    relay: PathBuf,
    /// Chromium.
    #[arg(long, default_value = "/usr/bin/chromium")]
    browser: PathBuf,
    /// Python with aiortc and aiohttp.
    #[arg(long, default_value = "target/bench/peers/camera/bin/python")]
    python: PathBuf,
    /// The peer.
    #[arg(long, default_value = "integration-tests/bench-camera/peers/webcam.py")]
    webcam: PathBuf,
    /// A program that reads cameras with `OpenCV`; its Python is the same.
    #[arg(long, default_value = "integration-tests/bench-camera/peers/reader.py")]
    reader: PathBuf,
    /// Parts; all of them when not given.
    #[arg(long, value_delimiter = ',')]
    only: Vec<Part>,
    /// Rounds; medians are printed.
    #[arg(long, default_value_t = 5)]
    rounds: usize,
    /// Joins of a round to each camera.
    #[arg(long, default_value_t = 12)]
    joins: usize,
    /// Seconds that a load is watched.
    #[arg(long, default_value_t = 8)]
    window: u64,
    /// Few viewers, short windows and no camera that takes long: shows that it works, and measures little.
    #[arg(long)]
    quick: bool,
    /// Where the result goes as JSON.
    #[arg(long)]
    json: Option<PathBuf>,
}

fn main() -> Result<()> {
    match Arguments::parse().command {
        Command::Run(run) => on_runtime(run.all()),
        Command::Load(load) => on_runtime(load::run(load)),
        Command::Cameras(cameras) => film::serve(&cameras),
        Command::Forward => on_runtime(added::forward()),
    }
}

fn on_runtime(work: impl Future<Output = Result<()>>) -> Result<()> {
    tokio::runtime::Builder::new_multi_thread().enable_all().build()?.block_on(work)
}

impl Run {
    async fn all(self) -> Result<()> {
        ensure!(
            self.rounds > 0 && self.joins > 0 && self.window > 0,
            "there has to be a round, a join and a second at least"
        );
        let mut report = Report::default();
        for round in 1..=self.rounds {
            for part in Part::value_variants() {
                if (self.only.is_empty() || self.only.contains(part))
                    && let Err(error) = self.measure(*part, &mut report).await
                {
                    println!("round {round}: {part:?} has failed: {error:#}");
                    report.add_failure(format!("{part:?} in round {round}: {error:#}"));
                }
            }
            println!("round {round} of {} done", self.rounds);
            // After every round: a run is long, and may be ended.
            if let Some(path) = &self.json {
                std::fs::write(path, serde_json::to_vec_pretty(&report)?).context("cannot write the JSON")?;
            }
        }
        println!("\n{report}");
        ensure!(report.failures().is_empty(), "{} measurements have failed", report.failures().len());
        Ok(())
    }

    async fn measure(&self, part: Part, report: &mut Report) -> Result<()> {
        let browser = Browser { program: self.browser.clone(), addresses: Addresses::Hidden };
        let (window, size) = if self.quick {
            (Duration::from_secs(self.window.min(2)), Size::Quick)
        } else {
            (Duration::from_secs(self.window), Size::Full)
        };
        match part {
            Part::Start => start::round(&self.relay, &browser, self.joins, size, report).await,
            Part::Delay => start::delay(&self.relay, &browser, size, report).await,
            Part::Fanout => fanout::round(&self.relay, window, size, report).await,
            Part::Added => added::round(window, report).await,
            Part::Aiortc => {
                let peers = aiortc::Peers { relay: &self.relay, python: &self.python, webcam: &self.webcam };
                peers.round(&browser, self.joins, window, report).await
            }
            Part::Sound => sound::round(&self.relay, window, report).await,
            Part::Cold => cold::round(&self.relay, size, report).await,
            Part::Cameras => cameras::round(&self.relay, window, size, report).await,
            Part::Peers => {
                let (python, webcam, reader) = (&self.python, &self.webcam, &self.reader);
                cameras::peers::Peers { python, webcam, reader }.round(window, size, report).await
            }
        }
    }
}

/// How much is measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Size {
    Full,
    /// Enough to show that it works.
    Quick,
}
