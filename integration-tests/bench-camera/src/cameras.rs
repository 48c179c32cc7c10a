//! RTSP cameras that are passed through: what they cost, and how far viewers are behind. `peers` has others at the same cameras.

pub(crate) mod peers;

use crate::{
    Size,
    aiortc::watch,
    film::{BITRATE, FPS, Served},
    load::{Got, Viewers},
    relay::Relay,
    report::{Figure, Report, percentile},
};
use anyhow::{Result, ensure};
use std::{path::Path, time::Duration};

/// Viewers with which CPU time of one camera is looked at.
const VIEWERS: [usize; 2] = [1, 4];

/// What one camera with some viewers costs, and how far they are behind.
#[derive(Clone, Debug, Default)]
struct One {
    /// CPU seconds a second, for each number of viewers.
    cpu: [f64; VIEWERS.len()],
    lags: Vec<f64>,
}

/// One round of many cameras, and of one.
pub(crate) async fn round(relay: &Path, window: Duration, size: Size, report: &mut Report) -> Result<()> {
    let (folder, count) = (tempfile::tempdir()?, many(size));
    let served = Served::start(count, folder.path())?;
    report.add(cost_of_each(count), cost(relay, &served.urls(), window).await?);
    for (figure, value) in one(relay, &served, window).await?.figures() {
        report.add(figure, value);
    }
    Ok(())
}

/// Cameras at the same time.
fn many(size: Size) -> usize {
    if size == Size::Quick { 3 } else { 20 }
}

fn cost_of_each(count: usize) -> Figure {
    Figure::new(format!("CPU of a passed-through camera with a viewer, {count} of them"), "cores")
}

/// How far decoded pictures were behind.
fn delays(lags: &[f64]) -> [(Figure, f64); 2] {
    [("p50", 0.5), ("p95", 0.95)].map(|(name, part)| {
        let figure = Figure::new(format!("camera to decoded picture, {name}"), "ms");
        (figure, percentile(&mut lags.to_vec(), part))
    })
}

/// Cores a camera, when each of many has a viewer.
async fn cost(relay: &Path, urls: &[String], window: Duration) -> Result<f64> {
    let (folder, count) = (tempfile::tempdir()?, urls.len());
    let relay = Relay::start_rtsp(relay, folder.path(), urls)?;
    let names: Vec<_> = (0..count).map(|number| number.to_string()).collect();
    let load = Viewers::start(&relay.url(), &names.join(","), 1)?;
    let cpu = watch(window, || relay.cpu()).await?;
    check(&load.stop()?, count, window)?;
    #[expect(clippy::cast_precision_loss, reason = "a few cameras")]
    Ok(cpu / count as f64)
}

/// The first of the cameras, alone.
async fn one(relay: &Path, served: &Served, window: Duration) -> Result<One> {
    let folder = tempfile::tempdir()?;
    let relay = Relay::start_rtsp(relay, folder.path(), &[served.url(0)])?;
    One::measure(&relay.url(), served, window, || relay.cpu()).await
}

impl One {
    /// Watches the first camera, which is the only one of a server.
    async fn measure(
        url: &str,
        served: &Served,
        window: Duration,
        cpu: impl Fn() -> Result<f64>,
    ) -> Result<Self> {
        let mut one = Self::default();
        for (place, viewers) in VIEWERS.into_iter().enumerate() {
            // The viewer that measures decodes, which is not the server's work.
            let load = Viewers::start_decoding(url, "0", viewers, &served.began(0))?;
            one.cpu[place] = watch(window, &cpu).await?;
            let got = load.stop()?;
            ensure!(got.least > 1, "a viewer has got nothing: {got:?}");
            if place == 0 {
                ensure!(!got.film.lags.is_empty(), "no time code could be read");
                one.lags = got.film.lags;
            }
        }
        Ok(one)
    }

    fn figures(&self) -> Vec<(Figure, f64)> {
        let [one, several] = self.cpu;
        #[expect(clippy::cast_precision_loss, reason = "a few viewers")]
        let further = (VIEWERS[1] - VIEWERS[0]) as f64;
        let costs = [
            (Figure::new("CPU of a camera with one viewer", "cores"), one),
            (Figure::new("CPU of each further viewer of a camera", "cores"), (several - one) / further),
        ];
        costs.into_iter().chain(delays(&self.lags)).collect()
    }
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
