//! What viewers cost the server: CPU time a packet, memory, captures and encoders.

use crate::{
    load::{Got, Viewers},
    relay::{Camera, Relay, Requests},
    report::{median, row},
    whep::Whep,
};
use anyhow::{Result, ensure};
use std::{path::Path, time::Duration};

/// Streams that viewers are sent.
pub(crate) const STREAMS: [Camera; 2] = [
    Camera { name: "600k", width: 640, height: 480, bitrate: 600_000, key_frames: 2, requests: Requests::Obeyed },
    Camera { name: "2600k", width: 1280, height: 720, bitrate: 2_600_000, key_frames: 2, requests: Requests::Obeyed },
];

/// Few and many viewers: the difference is what viewers cost.
const FEW: usize = 10;
const MANY: usize = 100;

/// A measurement with some viewers.
#[derive(Clone, Copy, Debug, Default)]
struct Sample {
    /// CPU seconds a second.
    cpu: f64,
    /// Packets a second.
    packets: f64,
    /// Bytes in use.
    memory: f64,
}

/// Prints the table of the costs.
pub(crate) async fn run(binary: &Path, rounds: usize, window: Duration) -> Result<()> {
    for stream in STREAMS {
        let (mut costs, mut few, mut many, mut sizes) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
        for _ in 0..rounds {
            let folder = tempfile::tempdir()?;
            let relay = Relay::start(binary, folder.path(), &[stream])?;
            let low = sample(&relay, stream.name, FEW, window).await?;
            let high = sample(&relay, stream.name, MANY, window).await?;
            costs.push((high.cpu - low.cpu) / (high.packets - low.packets) * 1e6);
            few.push(low.cpu);
            many.push(high.cpu);
            #[expect(clippy::cast_precision_loss, reason = "a small count")]
            sizes.push((high.memory - low.memory) / (MANY - FEW) as f64 / 1e6);
        }
        row(&[
            format!("CPU a packet, {FEW} to {MANY} viewers, {}", stream.name),
            format!("{:.1} us", median(&mut costs)),
            format!("{FEW} viewers {:.3} cores, {MANY} viewers {:.3} cores", median(&mut few), median(&mut many)),
        ]);
        row(&[format!("memory a viewer, {}", stream.name), format!("{:.3} MB", median(&mut sizes)), String::new()]);
    }
    Ok(())
}

async fn sample(relay: &Relay, camera: &str, viewers: usize, window: Duration) -> Result<Sample> {
    let load = Viewers::start(&relay.url(), camera, viewers)?;
    // What connecting costs is not what watching costs.
    tokio::time::sleep(Duration::from_secs(2)).await;
    let (cpu, packets) = (relay.cpu()?, relay.metric(PACKETS).await?);
    tokio::time::sleep(window).await;
    let (cpu, packets) = (relay.cpu()? - cpu, relay.metric(PACKETS).await? - packets);
    let memory = relay.memory()?;
    check_counts(relay, camera, viewers).await?;
    let got = load.stop()?;
    check(&got, viewers)?;
    let seconds = window.as_secs_f64();
    Ok(Sample { cpu: cpu / seconds, packets: packets / seconds, memory })
}

const PACKETS: &str = "patchbay_camera_relay_packets_sent_total";

/// One capture and one encoder, however many viewers.
async fn check_counts(relay: &Relay, camera: &str, viewers: usize) -> Result<()> {
    let statistics = Whep::new(&relay.url()).get(&format!("/v1/cameras/{camera}/statistics")).await?;
    let status = &statistics["status"];
    let count = |name: &str| status[name].as_u64();
    ensure!(
        count("captures") == Some(1) && count("encoders") == Some(1),
        "with {viewers} viewers there are {:?} captures and {:?} encoders",
        count("captures"),
        count("encoders")
    );
    Ok(())
}

fn check(got: &Got, viewers: usize) -> Result<()> {
    ensure!(got.viewers == viewers && got.without_key == 0 && got.breaks == 0, "viewers could not decode all: {got:?}");
    ensure!(got.least * 10 > got.frames / got.viewers as u64 * 9, "a viewer got less than the others: {got:?}");
    Ok(())
}
