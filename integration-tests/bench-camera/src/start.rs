//! What a newcomer sees in Chromium, and when: the newest picture whatever the interval between key frames, and how far behind live it is from then on.

use crate::{
    Size,
    browser::{Browser, Door, Experiment, Join, Plan},
    fanout::BYTES,
    load::Viewers,
    relay::{Camera, Relay, Requests},
    report::{Figure, Report, median, percentile},
};
use anyhow::{Result, ensure};
use std::{path::Path, time::Duration};

/// A camera that newcomers come to.
#[derive(Clone, Copy, Debug)]
struct Case {
    camera: Camera,
    /// Until the newest picture: what is known of a prototype, and the most that it may be.
    reference: &'static str,
    most: Option<f64>,
}

const CASES: [Case; 5] = [
    Case {
        camera: Camera {
            name: "480p-10s",
            width: 640,
            height: 480,
            bitrate: 1_470_000,
            key_frames: 10,
            requests: Requests::Ignored,
        },
        reference: "prototype 264; waiting for the key frame 5500",
        most: Some(280.0),
    },
    Case {
        camera: Camera {
            name: "720p-10s",
            width: 1280,
            height: 720,
            bitrate: 2_450_000,
            key_frames: 10,
            requests: Requests::Ignored,
        },
        reference: "prototype 375; waiting for the key frame 5500",
        most: Some(400.0),
    },
    Case {
        camera: Camera {
            name: "480p-2s",
            width: 640,
            height: 480,
            bitrate: 1_470_000,
            key_frames: 2,
            requests: Requests::Ignored,
        },
        reference: "waiting for the key frame 1000",
        most: Some(150.0),
    },
    Case {
        camera: Camera {
            name: "720p-2s",
            width: 1280,
            height: 720,
            bitrate: 2_450_000,
            key_frames: 2,
            requests: Requests::Ignored,
        },
        reference: "waiting for the key frame 1000",
        most: Some(150.0),
    },
    Case { camera: OBEDIENT, reference: "a key frame is made for the newcomer", most: None },
];

/// A camera that makes a key frame for a newcomer.
const OBEDIENT: Camera = Camera {
    name: "480p-obeys",
    width: 640,
    height: 480,
    bitrate: 1_470_000,
    key_frames: 10,
    requests: Requests::Obeyed,
};

/// A camera that runs, as someone watches it who is no part of what is measured.
struct Running {
    relay: Relay,
    viewer: Viewers,
    /// What a viewer is sent, in bits a second.
    bit_rate: f64,
    _folder: tempfile::TempDir,
}

/// One round of joins to every camera.
pub(crate) async fn round(
    binary: &Path,
    browser: &Browser,
    joins: usize,
    size: Size,
    report: &mut Report,
) -> Result<()> {
    for case in CASES {
        let Camera { name, height, key_frames, requests, .. } = case.camera;
        // Quick are those of 640x480 that need no long wait.
        if size == Size::Quick && (height > 480 || (key_frames > 2 && requests == Requests::Ignored)) {
            continue;
        }
        let running = Running::start(binary, case.camera).await?;
        let group = Duration::from_secs(key_frames.into());
        let url = running.relay.url();
        let plan = Plan {
            experiment: Experiment::Start { joins, group },
            url: &url,
            camera: name,
            door: Door::Whep,
        };
        let measured = browser.run(&plan).await?;
        let rate = Figure::new(format!("sent to a viewer, {name}"), "Mbit/s");
        let asked = f64::from(case.camera.bitrate) / 1e6;
        report.add(rate.reference(format!("asked for {asked}")), running.bit_rate / 1e6);
        running.stop()?;
        ensure!(
            measured.joins.len() == joins,
            "{name}: of {joins} joins {} were measured",
            measured.joins.len()
        );
        count(case, &measured.joins, report);
        if let Some(warm) = measured.warm {
            let figure =
                Figure::new("POST to the newest picture, all cameras, first join of a browser", "ms");
            report.add(figure, warm.newest.unwrap_or(NEVER));
        }
    }
    Ok(())
}

/// One round of watching.
pub(crate) async fn delay(binary: &Path, browser: &Browser, size: Size, report: &mut Report) -> Result<()> {
    let time = Duration::from_secs(if size == Size::Quick { 5 } else { 15 });
    let running = Running::start(binary, OBEDIENT).await?;
    let url = running.relay.url();
    let plan =
        Plan { experiment: Experiment::Delay { time }, url: &url, camera: OBEDIENT.name, door: Door::Whep };
    let measured = browser.run(&plan).await?;
    running.stop()?;
    let pictures = measured.joins.iter().flat_map(|join| &join.pictures);
    let lags = pictures.filter_map(|picture| picture.lag.map(|lag| (picture.at, lag))).collect::<Vec<_>>();
    let (mut middle, mut late) = (Vec::new(), Vec::new());
    // The first two seconds are those of the newcomer, which `start` looks at.
    for second in 2..time.as_secs() {
        #[expect(clippy::cast_precision_loss, reason = "a few seconds")]
        let (from, to) = (second as f64 * 1e3, (second + 1) as f64 * 1e3);
        let mut window =
            lags.iter().filter(|(at, _)| (from..to).contains(at)).map(|(_, lag)| *lag).collect::<Vec<_>>();
        if window.is_empty() {
            // A second without a picture.
            window.push(NEVER);
        }
        middle.push(median(&mut window));
        late.push(percentile(&mut window, 0.95));
    }
    let figure = |part: &str| Figure::new(format!("drawn to presented, 640x480, {part} of a second"), "ms");
    report.add(figure("p50").reference("prototype 27").at_most(40.0), median(&mut middle));
    report.add(figure("p95").reference("prototype 44").at_most(70.0), median(&mut late));
    Ok(())
}

/// Times of a join that has failed: the limit of its time stands for it.
const NEVER: f64 = 15_000.0;

fn count(case: Case, joins: &[Join], report: &mut Report) {
    let name = case.camera.name;
    let times = |time: fn(&Join) -> Option<f64>| {
        joins.iter().map(|join| time(join).unwrap_or(NEVER)).collect::<Vec<_>>()
    };
    let newest =
        Figure::new(format!("POST to the newest picture, {name}, p50"), "ms").reference(case.reference);
    let newest = match case.most {
        Some(most) => newest.at_most(most),
        None => newest,
    };
    report.add(newest, median(&mut times(|join| join.newest)));
    report.add(
        Figure::new(format!("POST to the newest picture, {name}, the longest"), "ms").worst(),
        percentile(&mut times(|join| join.newest), 1.0),
    );
    report.add(
        Figure::new(format!("POST to the first picture, {name}, p50"), "ms"),
        median(&mut times(|join| join.first)),
    );
    // It tells that the joins were spread over the group of pictures.
    let mut old = joins.iter().filter_map(|join| join.pictures.first()?.lag).collect::<Vec<_>>();
    let spread = Figure::new(format!("the first picture behind live, {name}, p50"), "ms");
    report.add(
        spread.reference("a key frame, as old as the group of pictures is at the join"),
        median(&mut old),
    );
    let connected =
        Figure::new("POST to connected, all cameras, p50", "ms").reference("prototype 65").at_most(75.0);
    report.add(connected, median(&mut times(|join| join.connected)));
    let mut lags = joins.iter().flat_map(lags_afterwards).collect::<Vec<_>>();
    let afterwards = |part| Figure::new(format!("behind live afterwards, {name}, {part}"), "ms");
    report.add(afterwards("p50"), median(&mut lags));
    report.add(afterwards("p95").at_most(30.0), percentile(&mut lags, 0.95));
    let mut stills = joins.iter().map(longest_still).collect::<Vec<_>>();
    report.add(
        Figure::new(format!("longest still afterwards, {name}"), "ms").at_most(100.0).worst(),
        percentile(&mut stills, 1.0),
    );
    mishaps(joins, report);
}

/// What should not happen, summed up over the joins to a camera.
fn mishaps(joins: &[Join], report: &mut Report) {
    let statistics = joins.iter().filter_map(|join| join.statistics);
    let (mut freezes, mut lost, mut asked, mut dropped) = (0, 0, 0, 0);
    for one in statistics {
        freezes += one.freeze_count;
        // Packets that came by retransmission count as lost first.
        lost +=
            u64::try_from(one.packets_lost).unwrap_or(0).saturating_sub(one.retransmitted_packets_received);
        asked += one.pli_count;
        dropped += one.frames_dropped;
    }
    let unreadable = joins.iter().map(|join| join.unreadable).sum();
    let mut add = |what: &str, value: u64| {
        #[expect(clippy::cast_precision_loss, reason = "a small count")]
        report.add(
            Figure::new(format!("{what}, the most in a round's joins to a camera"), "").worst(),
            value as f64,
        );
    };
    add("freezes", freezes);
    add("packets lost for good", lost);
    add("requests for a key frame", asked);
    add("pictures dropped", dropped);
    add("pictures without a time code", unreadable);
}

/// From the newest picture on; of a join without one nothing is left, and its longest still says it.
fn lags_afterwards(join: &Join) -> Vec<f64> {
    let Some(newest) = join.newest else { return Vec::new() };
    join.pictures.iter().filter(|picture| picture.at > newest).filter_map(|picture| picture.lag).collect()
}

/// Longest time between two pictures from the newest one on.
fn longest_still(join: &Join) -> f64 {
    let Some(newest) = join.newest else { return NEVER };
    let times = join.pictures.iter().map(|picture| picture.at).filter(|at| *at >= newest).collect::<Vec<_>>();
    times.windows(2).map(|pair| pair[1] - pair[0]).fold(if times.len() < 2 { NEVER } else { 0.0 }, f64::max)
}

impl Running {
    /// Starts a camera and waits until there were two key frames: the server learns from them when the next one is due.
    async fn start(binary: &Path, camera: Camera) -> Result<Self> {
        let folder = tempfile::tempdir()?;
        let relay = Relay::start(binary, folder.path(), &[camera])?;
        let viewer = Viewers::start(&relay.url(), camera.name, 1)?;
        let wait = match camera.requests {
            Requests::Ignored => Duration::from_secs(u64::from(camera.key_frames) + 1),
            Requests::Obeyed => Duration::from_secs(1),
        };
        let before = relay.metric(BYTES).await?;
        tokio::time::sleep(wait).await;
        let bit_rate = (relay.metric(BYTES).await? - before) * 8.0 / wait.as_secs_f64();
        Ok(Self { relay, viewer, bit_rate, _folder: folder })
    }

    /// Ends it; an error where the viewer has lost something, for then the machine was too busy to measure anything.
    fn stop(self) -> Result<()> {
        let got = self.viewer.stop()?;
        ensure!(got.breaks == 0, "a viewer beside the browser has lost something: {got:?}");
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::browser::Picture;

    fn join(newest: Option<f64>, pictures: &[(f64, f64)]) -> Join {
        let pictures = pictures.iter().map(|(at, lag)| Picture { at: *at, lag: Some(*lag) }).collect();
        Join { connected: Some(50.0), first: Some(60.0), newest, unreadable: 0, pictures, statistics: None }
    }

    #[test]
    fn a_still_counts_from_the_newest_picture_on() {
        let seen =
            join(Some(400.0), &[(60.0, 5000.0), (400.0, 20.0), (433.0, 10.0), (533.0, 30.0), (566.0, 12.0)]);
        assert!((longest_still(&seen) - 100.0).abs() < 1e-9);
        assert_eq!(lags_afterwards(&seen), [10.0, 30.0, 12.0]);
    }

    #[test]
    fn a_join_that_never_gets_there_misses_the_bars() {
        let mut report = Report::default();
        count(CASES[0], &[join(None, &[(60.0, 5000.0)])], &mut report);
        let table = report.to_string();
        let missed = |line: &str| table.lines().any(|row| row.contains(line) && row.contains("**missed**"));
        assert!(
            missed("to the newest picture") && missed("longest still") && missed("behind live"),
            "{table}"
        );
    }

    #[test]
    fn one_picture_alone_is_a_still() {
        assert!(longest_still(&join(Some(400.0), &[(400.0, 20.0)])) > 100.0);
    }
}
