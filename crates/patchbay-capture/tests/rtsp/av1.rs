//! AV1, which Debian's `GStreamer` does not packetise yet: encoded by ffmpeg, packetised by us.

use super::{film::*, harness::*};
use bytes::Bytes;
use patchbay_av::VideoDecoder;
use patchbay_media::{
    Codec,
    codec::av1::Sequence,
    rtp::{header::Header, packetize::Packetizer},
};
use patchbay_testkit::rtsp::scripted::{Film, Media, Script, ScriptedServer, Step};
use std::{process::Command, sync::Arc};

/// The frames of an IVF file: 32 bytes of header, then each frame behind 12 bytes.
fn frames(ivf: &[u8]) -> Vec<Bytes> {
    let mut rest = &ivf[32..];
    let mut frames = Vec::new();
    while let Some((head, behind)) = rest.split_first_chunk::<12>() {
        let size = usize::try_from(u32::from_le_bytes(head[..4].try_into().unwrap())).unwrap();
        frames.push(Bytes::copy_from_slice(&behind[..size]));
        rest = &behind[size..];
    }
    frames
}

#[tokio::test(flavor = "multi_thread")]
async fn av1_passes() {
    let output = Command::new("ffmpeg")
        .args([
            "-v",
            "error",
            "-f",
            "lavfi",
            "-i",
            "testsrc2=size=320x240:rate=25:duration=2",
            "-c:v",
            "libaom-av1",
        ])
        .args(["-usage", "realtime", "-cpu-used", "8", "-g", "25", "-lag-in-frames", "0", "-f", "ivf", "-"])
        .output()
        .expect("this test needs the program ffmpeg");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let (mut sequence, mut packetizer) = (Sequence::default(), Packetizer::new(Codec::Av1, 1188));
    let (mut pictures, mut number) = (Vec::new(), 0_u16);
    for (index, frame) in (0_u32..).zip(frames(&output.stdout)) {
        let unit = sequence.normalise(&frame).unwrap();
        let payloads = packetizer.packetize(&unit.data).unwrap();
        let mut steps = vec![Step::Until(due(u64::from(index)))];
        for at in 0..payloads.len() {
            let (marker, timestamp) = (payloads.marker(at), index * 3600);
            let header = Header { marker, payload_type: 96, sequence: number, timestamp, ssrc: SSRC };
            number += 1;
            steps.push(Step::Packet([&header.to_bytes()[..], payloads.payload(at).unwrap()].concat()));
        }
        pictures.push(steps);
    }
    let film: Film = Arc::new(move |number| {
        let number = usize::try_from(number).unwrap();
        pictures.get(number).cloned().unwrap_or_else(|| vec![Step::Hang])
    });
    let server = ScriptedServer::start(Script::new(sdp(&[(96, "AV1")]), Media::Film(film))).unwrap();
    let mut viewer = Viewer::of(settings(server.address()));
    let track = viewer.video().await;
    let info = track.info();
    assert_eq!((info.codec, info.width, info.height, info.reordered), (Codec::Av1, 320, 240, false));
    assert!(!info.configuration.is_empty());
    let mut decoder = VideoDecoder::open(info).unwrap();
    let mut shown = 0;
    for unit in units(&track, 30).await {
        shown += decoder.decode(&unit).expect("a unit that can be decoded").len();
    }
    println!("{shown} of 30 pictures");
    assert!(shown >= 25);
}
