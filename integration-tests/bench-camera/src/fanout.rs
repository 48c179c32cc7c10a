//! What viewers cost the server: CPU time a packet, memory, captures and encoders.

use crate::{
    Size,
    aiortc::settle,
    load::{Got, Viewers},
    relay::{Camera, Relay, Requests},
    report::{Figure, Report},
    whep::Whep,
};
use anyhow::{Context as _, Result, ensure};
use std::{path::Path, time::Duration};

/// Streams that viewers are sent.
pub(crate) const STREAMS: [Camera; 2] = [
    Camera {
        name: "600k",
        width: 640,
        height: 480,
        bitrate: 600_000,
        key_frames: 2,
        requests: Requests::Obeyed,
    },
    Camera {
        name: "2600k",
        width: 1280,
        height: 720,
        bitrate: 2_600_000,
        key_frames: 2,
        requests: Requests::Obeyed,
    },
];

/// A measurement with some viewers.
#[derive(Clone, Copy, Debug, Default)]
struct Sample {
    /// CPU seconds a second.
    cpu: f64,
    /// Packets a second.
    packets: f64,
    /// Bits a second to each viewer.
    bit_rate: f64,
    /// Bytes in use.
    memory: f64,
}

/// One round of all streams. The difference between few and many viewers is what viewers cost.
pub(crate) async fn round(binary: &Path, window: Duration, size: Size, report: &mut Report) -> Result<()> {
    let (few, many) = if size == Size::Quick { (2, 10) } else { (10, 100) };
    for (stream, most, reference) in
        [(STREAMS[0], 12.0, "prototype 14, str0m 11"), (STREAMS[1], 10.0, "prototype 14, str0m 11")]
    {
        let folder = tempfile::tempdir()?;
        let relay = Relay::start(binary, folder.path(), &[stream])?;
        let low = sample(&relay, stream.name, few, window).await?;
        let high = sample(&relay, stream.name, many, window).await?;
        let name = stream.name;
        let asked = format!("asked for {}", f64::from(stream.bitrate) / 1e6);
        report.add(
            Figure::new(format!("sent to a viewer, {name}"), "Mbit/s").reference(asked),
            high.bit_rate / 1e6,
        );
        let cost = Figure::new(format!("CPU of a packet, {few} to {many} viewers, {name}"), "us")
            .reference(reference)
            .at_most(most);
        report.add(cost, (high.cpu - low.cpu) / (high.packets - low.packets) * 1e6);
        report.add(Figure::new(format!("CPU with {few} viewers, {name}"), "cores"), low.cpu);
        report.add(Figure::new(format!("CPU with {many} viewers, {name}"), "cores"), high.cpu);
        #[expect(clippy::cast_precision_loss, reason = "a small count")]
        let memory = (high.memory - low.memory) / (many - few) as f64 / 1e6;
        let figure =
            Figure::new(format!("memory of a viewer, {name}"), "MB").reference("prototype 0.32, str0m 0.57");
        report.add(figure.at_most(0.3), memory);
    }
    captures(binary, window, report).await
}

/// Viewers for the count of captures and encoders.
const CROWD: usize = 50;

/// One capture and one encoder, however many viewers.
async fn captures(binary: &Path, window: Duration, report: &mut Report) -> Result<()> {
    let folder = tempfile::tempdir()?;
    let relay = Relay::start(binary, folder.path(), &[STREAMS[0]])?;
    for viewers in [1, CROWD] {
        let load = Viewers::start(&relay.url(), STREAMS[0].name, viewers)?;
        // All are to watch at the same time for a while.
        settle(window).await;
        add_counts(&relay, STREAMS[0].name, viewers, report).await?;
        check(&load.stop()?, viewers)?;
    }
    Ok(())
}

async fn sample(relay: &Relay, camera: &str, viewers: usize, window: Duration) -> Result<Sample> {
    let load = Viewers::start(&relay.url(), camera, viewers)?;
    settle(window).await;
    let (cpu, packets, bytes) = (relay.cpu()?, relay.metric(PACKETS).await?, relay.metric(BYTES).await?);
    tokio::time::sleep(window).await;
    let (cpu, packets) = (relay.cpu()? - cpu, relay.metric(PACKETS).await? - packets);
    let bytes = relay.metric(BYTES).await? - bytes;
    let memory = relay.memory()?;
    let got = load.stop()?;
    check(&got, viewers)?;
    let seconds = window.as_secs_f64();
    #[expect(clippy::cast_precision_loss, reason = "a small count")]
    let bit_rate = bytes * 8.0 / seconds / viewers as f64;
    Ok(Sample { cpu: cpu / seconds, packets: packets / seconds, bit_rate, memory })
}

const PACKETS: &str = "patchbay_camera_relay_packets_sent_total";
/// With the headers of RTP and the tags of SRTP.
pub(crate) const BYTES: &str = "patchbay_camera_relay_bytes_sent_total";

async fn add_counts(relay: &Relay, camera: &str, viewers: usize, report: &mut Report) -> Result<()> {
    let statistics = Whep::new(&relay.url()).get(&format!("/v1/cameras/{camera}/statistics")).await?;
    for name in ["captures", "encoders"] {
        let count =
            statistics["status"][name].as_f64().with_context(|| format!("the statistics have no {name}"))?;
        let figure = Figure::new(format!("{name} with {viewers} viewers"), "")
            .reference("aiortc: an encoder a viewer");
        report.add(figure.exactly(1.0), count);
    }
    Ok(())
}

fn check(got: &Got, viewers: usize) -> Result<()> {
    ensure!(
        got.viewers == viewers && got.without_key == 0 && got.breaks == 0,
        "viewers could not decode all: {got:?}"
    );
    ensure!(
        got.least * 10 > got.frames / got.viewers as u64 * 9,
        "a viewer got less than the others: {got:?}"
    );
    Ok(())
}
