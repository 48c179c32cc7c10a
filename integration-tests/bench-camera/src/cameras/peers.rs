//! Others at such cameras: `OpenCV` that reads them, and aiortc that reads one and sends it to viewers.

use super::{One, cost_of_each, delays, many};
use crate::{
    Size,
    aiortc::{Webcam, watch},
    cold::{self, Starts},
    film::Served,
    load::{SeenFilm, Viewers},
    relay::cpu,
    report::Report,
};
use anyhow::{Context as _, Result, ensure};
use serde::Deserialize;
use std::{
    io::{BufRead as _, BufReader, Lines},
    path::Path,
    process::{Child, ChildStdout, Command, Stdio},
    time::Duration,
};

const READS: &str = "OpenCV reads it";
const RELAYS: &str = "aiortc relays it";

/// What stands beside camera-relay.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Peers<'a> {
    /// Python with aiortc, aiohttp and `OpenCV`.
    pub(crate) python: &'a Path,
    pub(crate) webcam: &'a Path,
    pub(crate) reader: &'a Path,
}

impl Peers<'_> {
    /// One round of all that they can do, too.
    pub(crate) async fn round(&self, window: Duration, size: Size, report: &mut Report) -> Result<()> {
        ensure!(
            self.python.exists(),
            "{} is not there: `scripts/bench camera` installs it",
            self.python.display()
        );
        self.reads(many(size), window, report).await.context("OpenCV")?;
        self.relays(window, report).await.context("aiortc")?;
        self.start_cold(size, report).await
    }

    async fn reads(&self, count: usize, window: Duration, report: &mut Report) -> Result<()> {
        let folder = tempfile::tempdir()?;
        let served = Served::start(count, folder.path())?;
        let reader = Reader::start(self, &served.began(0), &served.urls())?;
        let cpu = watch(window, || cpu(reader.child.id())).await?;
        let read = reader.stop()?;
        ensure!(read.pictures.iter().all(|pictures| *pictures > 0), "a camera gave nothing");
        #[expect(clippy::cast_precision_loss, reason = "a few cameras")]
        report.add_peer(cost_of_each(count), READS, cpu / count as f64);
        for (figure, value) in delays(&read.film.lags) {
            report.add_peer(figure, READS, value);
        }
        Ok(())
    }

    async fn relays(&self, window: Duration, report: &mut Report) -> Result<()> {
        let folder = tempfile::tempdir()?;
        let served = Served::start(1, folder.path())?;
        let webcam = self.webcam(folder.path(), &served.url(0)).await?;
        let one = One::measure(&webcam.url(), &served, window, || webcam.cpu()).await?;
        for (figure, value) in one.figures() {
            report.add_peer(figure, RELAYS, value);
        }
        Ok(())
    }

    /// Both in turns, each at a camera that was not played before.
    async fn start_cold(&self, size: Size, report: &mut Report) -> Result<()> {
        let folder = tempfile::tempdir()?;
        let count = cold::starts(size);
        let served = Served::start(2 * count, folder.path())?;
        let (mut read, mut relayed) = (Starts::default(), Starts::default());
        for number in (0..2 * count).step_by(2) {
            read.add(&served, number, async |began| {
                let reader = Reader::start(self, began, &[served.url(number)])?;
                Ok(reader.stop()?.film)
            })
            .await
            .context("OpenCV")?;
            relayed
                .add(&served, number + 1, async |began| {
                    let webcam = self.webcam(folder.path(), &served.url(number + 1)).await?;
                    Ok(Viewers::start_decoding(&webcam.url(), "0", 1, began)?.stop()?.film)
                })
                .await
                .context("aiortc")?;
        }
        for (peer, starts) in [(READS, read), (RELAYS, relayed)] {
            for (figure, value) in starts.figures() {
                report.add_peer(figure, peer, value);
            }
        }
        Ok(())
    }

    async fn webcam(&self, folder: &Path, url: &str) -> Result<Webcam> {
        Webcam::start_with(self.python, self.webcam, folder, &["--rtsp", url]).await
    }
}

/// A program that reads cameras.
struct Reader {
    child: Child,
    lines: Lines<BufReader<ChildStdout>>,
}

/// What it has read.
#[derive(Debug, Deserialize)]
struct Read {
    /// Pictures of each camera.
    pictures: Vec<u64>,
    /// That of the first camera.
    #[serde(flatten)]
    film: SeenFilm,
}

impl Reader {
    fn start(peers: &Peers<'_>, began: &Path, urls: &[String]) -> Result<Self> {
        let mut child = Command::new(peers.python)
            .arg(peers.reader)
            .arg(began)
            .args(urls)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .with_context(|| format!("cannot start {}", peers.python.display()))?;
        let output = child.stdout.take().context("the output is not there")?;
        let mut reader = Self { child, lines: BufReader::new(output).lines() };
        let line = reader.lines.next().context("it has ended")??;
        ensure!(line == "ready", "it said {line}");
        Ok(reader)
    }

    fn stop(mut self) -> Result<Read> {
        drop(self.child.stdin.take());
        let line = self.lines.next().context("it has ended without a word")??;
        Ok(serde_json::from_str(&line)?)
    }
}

impl Drop for Reader {
    fn drop(&mut self) {
        // Both fail only if it has ended already.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}
