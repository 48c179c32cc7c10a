//! RTSP cameras: what passing them through costs and how far viewers are behind, beside `OpenCV` that reads the same cameras, and aiortc that reads one and sends it to viewers.

use crate::{
    Size,
    aiortc::{Webcam, watch},
    film::{BITRATE, FPS, Served},
    load::{Got, Viewers},
    relay::{Relay, cpu},
    report::{Figure, Report, percentile},
};
use anyhow::{Context as _, Result, bail, ensure};
use serde::Deserialize;
use std::{
    io::{BufRead as _, BufReader, Lines},
    path::Path,
    process::{Child, ChildStdout, Command, Stdio},
    time::Duration,
};

/// Viewers with which CPU time of one camera is looked at.
const VIEWERS: [usize; 2] = [1, 4];

/// What is compared.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Subjects<'a> {
    pub(crate) relay: &'a Path,
    /// Python with aiortc, aiohttp and `OpenCV`.
    pub(crate) python: &'a Path,
    pub(crate) webcam: &'a Path,
    pub(crate) reader: &'a Path,
}

/// What one camera with some viewers costs, and how far they are behind.
#[derive(Clone, Debug, Default)]
struct One {
    /// CPU seconds a second, for each number of viewers.
    cpu: [f64; VIEWERS.len()],
    lags: Vec<f64>,
}

impl Subjects<'_> {
    pub(crate) async fn round(&self, window: Duration, size: Size, report: &mut Report) -> Result<()> {
        self.sound(window, report).await.context("sound")?;
        let count = if size == Size::Quick { 3 } else { 20 };
        let many = self.ours(count, window).await?;
        let figure =
            Figure::new(format!("CPU of a passed-through camera with a viewer, {count} of them"), "cores");
        report.add(figure.clone(), many);
        if !self.python.exists() {
            bail!("{} is not there: `scripts/bench camera` installs it", self.python.display());
        }
        let read = self.read(count, window).await.context("OpenCV")?;
        report.add_peer(&figure, "OpenCV reads it", read.cpu);
        let ours = self.our_one(window).await?;
        let theirs = self.their_one(window).await.context("aiortc")?;
        let add = |report: &mut Report, name: &str, unit, ours: f64, theirs: f64| {
            let figure = Figure::new(name, unit);
            report.add(figure.clone(), ours);
            report.add_peer(&figure, "aiortc relays it", theirs);
            figure
        };
        add(report, "CPU of a camera with one viewer", "cores", ours.cpu[0], theirs.cpu[0]);
        add(report, "CPU of each further viewer of a camera", "cores", ours.further(), theirs.further());
        for (name, part) in [("p50", 0.5), ("p95", 0.95)] {
            let figure = add(
                report,
                &format!("camera to decoded picture, {name}"),
                "ms",
                percentile(&mut ours.lags.clone(), part),
                percentile(&mut theirs.lags.clone(), part),
            );
            report.add_peer(&figure, "OpenCV reads it", percentile(&mut read.lags.clone(), part));
        }
        Ok(())
    }

    /// What making Opus of AAC costs: a viewer who listens beside one who only looks, at a file with both.
    async fn sound(&self, window: Duration, report: &mut Report) -> Result<()> {
        let folder = tempfile::tempdir()?;
        make_film(&folder.path().join("film.mp4"))?;
        let relay = Relay::start_file(self.relay, folder.path(), "film.mp4")?;
        let mut cores = [0.0; 2];
        for (place, start) in [Viewers::start, Viewers::start_listening].into_iter().enumerate() {
            let load = start(&relay.url(), "film", 1)?;
            cores[place] = watch(window, || relay.cpu()).await?;
            let got = load.stop()?;
            ensure!((got.sounds > 0) == (place == 1), "sound came where none was due, or none: {got:?}");
        }
        let figure = Figure::new("CPU of AAC made Opus, and sent", "% of a core").reference("ffmpeg 1");
        report.add(figure.at_most(1.5), (cores[1] - cores[0]) * 100.0);
        Ok(())
    }

    /// Cores a camera, when each of many has a viewer.
    async fn ours(&self, count: usize, window: Duration) -> Result<f64> {
        let folder = tempfile::tempdir()?;
        let served = Served::start(count, folder.path())?;
        let urls: Vec<_> = (0..count).map(|number| served.url(number)).collect();
        let relay = Relay::start_rtsp(self.relay, folder.path(), &urls)?;
        let names: Vec<_> = (0..count).map(|number| number.to_string()).collect();
        let load = Viewers::start_measuring(&relay.url(), &names.join(","), 1, None)?;
        let cpu = watch(window, || relay.cpu()).await?;
        check(&load.stop()?, count, window)?;
        #[expect(clippy::cast_precision_loss, reason = "a few cameras")]
        Ok(cpu / count as f64)
    }

    async fn our_one(&self, window: Duration) -> Result<One> {
        let folder = tempfile::tempdir()?;
        let served = Served::start(1, folder.path())?;
        let relay = Relay::start_rtsp(self.relay, folder.path(), &[served.url(0)])?;
        one(&relay.url(), &served, window, || relay.cpu()).await
    }

    async fn their_one(&self, window: Duration) -> Result<One> {
        let folder = tempfile::tempdir()?;
        let served = Served::start(1, folder.path())?;
        let url = served.url(0);
        let webcam = Webcam::start_with(self.python, self.webcam, folder.path(), &["--rtsp", &url]).await?;
        one(&webcam.url(), &served, window, || webcam.cpu()).await
    }

    async fn read(&self, count: usize, window: Duration) -> Result<Read> {
        let folder = tempfile::tempdir()?;
        let served = Served::start(count, folder.path())?;
        let reader = Reader::start(self.python, self.reader, &served, count)?;
        let cpu = watch(window, || cpu(reader.child.id())).await?;
        let told = reader.stop()?;
        let least = told.pictures.iter().copied().min().unwrap_or(0);
        ensure!(least > 0, "a camera gave nothing");
        #[expect(clippy::cast_precision_loss, reason = "a few cameras")]
        Ok(Read { cpu: cpu / count as f64, lags: told.lags })
    }
}

impl One {
    fn further(&self) -> f64 {
        let [one, several] = self.cpu;
        #[expect(clippy::cast_precision_loss, reason = "a few viewers")]
        let viewers = (VIEWERS[1] - VIEWERS[0]) as f64;
        (several - one) / viewers
    }
}

async fn one(url: &str, served: &Served, window: Duration, cpu: impl Fn() -> Result<f64>) -> Result<One> {
    let mut one = One::default();
    for (place, viewers) in VIEWERS.into_iter().enumerate() {
        // The viewer that measures decodes, which is not the server's work.
        let load = Viewers::start_measuring(url, "0", viewers, Some(&served.folder))?;
        one.cpu[place] = watch(window, &cpu).await?;
        let got = load.stop()?;
        ensure!(got.least > 1, "a viewer has got nothing: {got:?}");
        if place == 0 {
            ensure!(!got.lags.is_empty(), "no time code could be read");
            one.lags = got.lags;
        }
    }
    Ok(one)
}

/// Pictures that pass through, and stereo AAC at 48 kHz.
fn make_film(path: &Path) -> Result<()> {
    let inputs = "-v error -y -f lavfi -i testsrc2=size=640x360:rate=25 -f lavfi -i sine=frequency=440:sample_rate=48000";
    let output = "-t 10 -c:v libx264 -profile:v baseline -preset ultrafast -g 50 -pix_fmt yuv420p -c:a aac -b:a 128k -ac 2";
    let made = Command::new("ffmpeg")
        .args(inputs.split(' '))
        .args(output.split(' '))
        .arg(path)
        .output()
        .context("cannot start ffmpeg")?;
    ensure!(made.status.success(), "ffmpeg: {}", String::from_utf8_lossy(&made.stderr));
    Ok(())
}

/// Each viewer got what the cameras send.
fn check(got: &Got, viewers: usize, window: Duration) -> Result<()> {
    let due = window.as_secs() * u64::from(FPS);
    ensure!(
        got.viewers == viewers && got.without_key == 0 && got.breaks == 0 && got.least * 10 > due * 9,
        "viewers did not get all of {BITRATE} bits a second: {got:?}"
    );
    Ok(())
}

/// What `OpenCV` took to read cameras.
struct Read {
    /// Cores a camera.
    cpu: f64,
    lags: Vec<f64>,
}

/// A program that reads cameras.
struct Reader {
    child: Child,
    lines: Lines<BufReader<ChildStdout>>,
}

#[derive(Debug, Deserialize)]
struct Told {
    pictures: Vec<u64>,
    lags: Vec<f64>,
}

impl Reader {
    fn start(python: &Path, program: &Path, served: &Served, count: usize) -> Result<Self> {
        let mut child = Command::new(python)
            .arg(program)
            .arg(&served.folder)
            .args((0..count).map(|number| served.url(number)))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .with_context(|| format!("cannot start {}", python.display()))?;
        let output = child.stdout.take().context("the output is not there")?;
        let mut reader = Self { child, lines: BufReader::new(output).lines() };
        let line = reader.lines.next().context("it has ended")??;
        ensure!(line == "ready", "it said {line}");
        Ok(reader)
    }

    fn stop(mut self) -> Result<Told> {
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
