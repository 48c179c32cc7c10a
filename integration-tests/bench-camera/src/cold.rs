//! RTSP cameras that nobody watches: how long after its first key frame the first viewer has a picture.

use crate::{
    Size,
    film::Served,
    load::{SeenFilm, Viewers},
    relay::Relay,
    report::{Figure, Report, median, percentile},
};
use anyhow::{Context as _, Result, ensure};
use std::path::Path;

/// Starts of a round, each of a camera of its own.
pub(crate) fn starts(size: Size) -> usize {
    if size == Size::Quick { 2 } else { 6 }
}

/// One round: cameras that are captured on demand, and a viewer of one after another.
pub(crate) async fn round(relay: &Path, size: Size, report: &mut Report) -> Result<()> {
    let folder = tempfile::tempdir()?;
    let served = Served::start(starts(size), folder.path())?;
    let relay = Relay::start_rtsp(relay, folder.path(), &served.urls())?;
    let mut cold = Starts::default();
    for number in 0..starts(size) {
        let camera = number.to_string();
        cold.add(&served, number, async |began| {
            Ok(Viewers::start_decoding(&relay.url(), &camera, 1, began)?.stop()?.film)
        })
        .await?;
    }
    for (figure, value) in cold.figures() {
        report.add(figure, value);
    }
    Ok(())
}

/// Times from the first key frame to the first picture, in milliseconds.
#[derive(Debug, Default)]
pub(crate) struct Starts(Vec<f64>);

impl Starts {
    /// Looks at a camera that was not played before; `look` is told where it is written when its film began.
    pub(crate) async fn add(
        &mut self,
        served: &Served,
        number: usize,
        look: impl AsyncFnOnce(&Path) -> Result<SeenFilm>,
    ) -> Result<()> {
        let began = served.began(number);
        ensure!(!began.exists(), "camera {number} was played before anybody came");
        self.0.push(look(&began).await?.first.context("no picture was decoded")?);
        Ok(())
    }

    pub(crate) fn figures(&self) -> [(Figure, f64); 2] {
        let figure =
            |part: &str| Figure::new(format!("first key frame to the first decoded picture, {part}"), "ms");
        [
            (figure("p50").at_most(300.0), median(&mut self.0.clone())),
            (figure("the longest").worst(), percentile(&mut self.0.clone(), 1.0)),
        ]
    }
}
