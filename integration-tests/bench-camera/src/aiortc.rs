//! The course's way beside ours: a webcam server of aiortc and camera-relay, with the same page and the same load, in the same round.

use crate::{
    browser::{Addresses, Browser, Door, Experiment, Join, Plan},
    fanout::STREAMS,
    load::Viewers,
    relay::{Relay, cpu},
    report::{Figure, Report, median},
    whep::Whep,
};
use anyhow::{Context as _, Result, bail, ensure};
use std::{
    fs::{self, File},
    net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream},
    path::Path,
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

/// Time for Python and its libraries to start.
const START: Duration = Duration::from_secs(30);

/// Viewers with which CPU time and encoders are looked at.
const VIEWERS: [usize; 2] = [1, 4];

/// The two that are compared.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Peers<'a> {
    pub(crate) relay: &'a Path,
    /// Python with aiortc and aiohttp.
    pub(crate) python: &'a Path,
    pub(crate) webcam: &'a Path,
}

/// What one of them has reached.
#[derive(Clone, Copy, Debug)]
struct Reached {
    /// POST to the first picture, in milliseconds.
    first: f64,
    /// For each number of viewers.
    costs: [Cost; VIEWERS.len()],
}

#[derive(Clone, Copy, Debug, Default)]
struct Cost {
    /// CPU seconds a second.
    cpu: f64,
    encoders: f64,
}

impl Peers<'_> {
    /// Both, one after the other.
    pub(crate) async fn round(
        &self,
        browser: &Browser,
        joins: usize,
        window: Duration,
        report: &mut Report,
    ) -> Result<()> {
        let browser = Browser { addresses: Addresses::Told, ..browser.clone() };
        let ours = self.ours(&browser, joins, window).await?;
        let theirs = self.theirs(&browser, joins, window).await.context("aiortc")?;
        let mut add = |figure: Figure, ours: f64, theirs: f64| {
            report.add(figure.clone(), ours);
            report.add_peer(figure, "aiortc", theirs);
        };
        add(Figure::new("POST to the first picture, beside aiortc, p50", "ms"), ours.first, theirs.first);
        for (index, viewers) in VIEWERS.into_iter().enumerate() {
            let (ours, theirs) = (ours.costs[index], theirs.costs[index]);
            add(
                Figure::new(format!("CPU with {viewers} viewers, beside aiortc"), "cores"),
                ours.cpu,
                theirs.cpu,
            );
            let encoders = Figure::new(format!("encoders with {viewers} viewers, beside aiortc"), "");
            add(encoders.exactly(1.0), ours.encoders, theirs.encoders);
        }
        add(
            Figure::new("CPU of each further viewer, beside aiortc", "cores"),
            ours.further(),
            theirs.further(),
        );
        Ok(())
    }

    async fn ours(&self, browser: &Browser, joins: usize, window: Duration) -> Result<Reached> {
        let folder = tempfile::tempdir()?;
        let camera = STREAMS[0].name;
        let relay = Relay::start(self.relay, folder.path(), &[STREAMS[0]])?;
        let url = relay.url();
        let first = first(
            browser,
            &Plan { experiment: Experiment::First { joins }, url: &url, camera, door: Door::Whep },
        )
        .await?;
        let mut costs = [Cost::default(); VIEWERS.len()];
        for (cost, viewers) in costs.iter_mut().zip(VIEWERS) {
            let load = Viewers::start(&url, camera, viewers)?;
            cost.cpu = watch(window, || relay.cpu()).await?;
            let statistics = Whep::new(&url).get(&format!("/v1/cameras/{camera}/statistics")).await?;
            cost.encoders =
                statistics["status"]["encoders"].as_f64().context("the statistics have no encoders")?;
            stop(load)?;
        }
        Ok(Reached { first, costs })
    }

    async fn theirs(&self, browser: &Browser, joins: usize, window: Duration) -> Result<Reached> {
        let folder = tempfile::tempdir()?;
        let webcam = Webcam::start(self.python, self.webcam, folder.path()).await?;
        let url = webcam.url();
        let plan =
            Plan { experiment: Experiment::First { joins }, url: &url, camera: "webcam", door: Door::Aiortc };
        let first = first(browser, &plan).await?;
        let mut costs = [Cost::default(); VIEWERS.len()];
        for (cost, viewers) in costs.iter_mut().zip(VIEWERS) {
            let load = Viewers::start(&url, "webcam", viewers)?;
            cost.cpu = watch(window, || webcam.cpu()).await?;
            let statistics = Whep::new(&url).get("/statistics").await?;
            cost.encoders = statistics["encoders"].as_f64().context("the statistics have no encoders")?;
            stop(load)?;
        }
        Ok(Reached { first, costs })
    }
}

impl Reached {
    /// CPU of a viewer when there is one already.
    fn further(&self) -> f64 {
        let [one, several] = self.costs;
        #[expect(clippy::cast_precision_loss, reason = "a few viewers")]
        let viewers = (VIEWERS[1] - VIEWERS[0]) as f64;
        (several.cpu - one.cpu) / viewers
    }
}

async fn first(browser: &Browser, plan: &Plan<'_>) -> Result<f64> {
    let joins = browser.run(plan).await?.joins;
    let times = joins.iter().map(|join: &Join| join.first.context("a join has shown nothing"));
    Ok(median(&mut times.collect::<Result<Vec<_>>>()?))
}

/// Time in which those who have come settle: what connecting costs is not what watching costs. A look that is short waits no longer than it lasts.
pub(crate) async fn settle(window: Duration) {
    tokio::time::sleep(window.min(Duration::from_secs(2))).await;
}

/// CPU seconds a second, when those who have come have settled.
pub(crate) async fn watch(window: Duration, cpu: impl Fn() -> Result<f64>) -> Result<f64> {
    settle(window).await;
    let before = cpu()?;
    tokio::time::sleep(window).await;
    Ok((cpu()? - before) / window.as_secs_f64())
}

fn stop(load: Viewers) -> Result<()> {
    let got = load.stop()?;
    ensure!(got.least > 1, "a viewer has got nothing: {got:?}");
    Ok(())
}

/// The server of aiortc, which runs until it is dropped.
pub(crate) struct Webcam {
    child: Child,
    http: SocketAddr,
}

impl Webcam {
    async fn start(python: &Path, program: &Path, folder: &Path) -> Result<Self> {
        Self::start_with(python, program, folder, &[]).await
    }

    pub(crate) async fn start_with(
        python: &Path,
        program: &Path,
        folder: &Path,
        options: &[&str],
    ) -> Result<Self> {
        let http = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?;
        let log = File::create(folder.join("webcam.log"))?;
        let child = Command::new(python)
            .arg(program)
            .args(["--port", &http.port().to_string()])
            .args(options)
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log)
            .spawn();
        let child = child.with_context(|| {
            format!("cannot start {}; `scripts/bench camera` installs it", python.display())
        })?;
        let mut webcam = Self { child, http };
        let deadline = Instant::now() + START;
        while TcpStream::connect_timeout(&http, Duration::from_secs(1)).is_err() {
            let ended = webcam.child.try_wait()?;
            if ended.is_some() || Instant::now() > deadline {
                bail!("it does not listen ({ended:?}):\n{}", fs::read_to_string(folder.join("webcam.log"))?);
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        Ok(webcam)
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.http)
    }

    pub(crate) fn cpu(&self) -> Result<f64> {
        cpu(self.child.id())
    }
}

impl Drop for Webcam {
    fn drop(&mut self) {
        // Both fail only if it has ended already.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}
