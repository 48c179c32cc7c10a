//! Pictures that come in another order although nothing says so.

use super::{film::*, harness::*};
use patchbay_media::{
    Codec,
    codec::{bits::BitReader, nal},
    rtp::{header::Header, packetize::Packetizer},
};
use patchbay_testkit::rtsp::scripted::{Film, Media, Script, ScriptedServer, Step};
use std::{process::Command, sync::Arc};

/// Pictures in the order of decoding; two are predicted from both sides between two others.
fn pictures() -> Vec<Vec<Vec<u8>>> {
    let output = Command::new("ffmpeg")
        .args([
            "-v",
            "error",
            "-f",
            "lavfi",
            "-i",
            "testsrc2=size=320x240:rate=25:duration=1",
            "-c:v",
            "libx264",
        ])
        .args(["-preset", "veryfast", "-bf", "2", "-g", "100", "-threads", "1", "-x264-params"])
        .args(["b-adapt=0:b-pyramid=none:aud=1:scenecut=0:open-gop=0:slices=1:weightp=0", "-f", "h264", "-"])
        .output()
        .expect("this test needs the program ffmpeg");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let mut pictures: Vec<Vec<Vec<u8>>> = Vec::new();
    for unit in nal::annex_b_units(&output.stdout) {
        match unit[0] & 0x1f {
            9 => pictures.push(Vec::new()),
            7 => pictures.last_mut().unwrap().push(without_vui(unit)),
            6 => {}
            _ => pictures.last_mut().unwrap().push(unit.to_vec()),
        }
    }
    pictures
}

/// A sequence parameter set that says nothing of the order of pictures, as those of many cameras: it ends in front of `vui_parameters_present_flag`.
fn without_vui(sps: &[u8]) -> Vec<u8> {
    let clean = nal::without_emulation_prevention(sps, sps.len());
    let mut bits = BitReader::new(&clean);
    bits.skip(32).unwrap();
    let skip = |bits: &mut BitReader<'_>, fields: usize| {
        for _ in 0..fields {
            bits.ue().unwrap();
        }
    };
    skip(&mut bits, 1);
    assert_eq!(sps[1], 100, "High");
    skip(&mut bits, 3);
    bits.skip(2).unwrap();
    skip(&mut bits, 2);
    skip(&mut bits, 2);
    bits.skip(1).unwrap();
    skip(&mut bits, 2);
    bits.skip(2).unwrap();
    if bits.flag().unwrap() {
        skip(&mut bits, 4);
    }
    let end = bits.position();
    let mut short = clean[..=end / 8].to_vec();
    // What is left of the last byte: the flag, which is 0, the stop bit, and zeros.
    let used = end % 8;
    let last = short.last_mut().unwrap();
    *last &= !(0xff_u8 >> used);
    if used == 7 {
        short.push(0x80);
    } else {
        *last |= 0x40 >> used;
    }
    let mut escaped = Vec::new();
    for byte in short {
        if escaped.ends_with(&[0, 0]) && byte <= 3 {
            escaped.push(3);
        }
        escaped.push(byte);
    }
    escaped
}

/// Which picture is shown as the how-manyth, in the order of decoding.
fn shown(decoded: u32, count: u32) -> u32 {
    if decoded == 0 {
        return 0;
    }
    let group = (decoded - 1) / 3 * 3;
    let place = match (decoded - 1) % 3 {
        0 => 3,
        other => other,
    };
    (group + place).min(count - 1)
}

#[tokio::test(flavor = "multi_thread")]
async fn the_first_picture_that_proves_it_changes_the_track_and_nothing_is_lost() {
    let pictures = pictures();
    let count = u32::try_from(pictures.len()).unwrap();
    let mut packetizer = Packetizer::new(Codec::H264, 1188);
    let mut packets = Vec::new();
    let mut sequence = 0_u16;
    for (decoded, picture) in (0..).zip(&pictures) {
        let payloads = packetizer.packetize(&nal::join(picture).unwrap()).unwrap();
        let mut steps = vec![Step::Until(due(u64::from(decoded)))];
        for index in 0..payloads.len() {
            let timestamp = 5000 + shown(decoded, count) * 3600;
            let header =
                Header { marker: payloads.marker(index), payload_type: 96, sequence, timestamp, ssrc: SSRC };
            sequence += 1;
            steps.push(Step::Packet([&header.to_bytes()[..], payloads.payload(index).unwrap()].concat()));
        }
        packets.push(steps);
    }
    let film: Film = Arc::new(move |number| {
        let number = usize::try_from(number).unwrap();
        packets.get(number).cloned().unwrap_or_else(|| vec![Step::Hang])
    });
    let server = ScriptedServer::start(Script::new(sdp(&[(96, "H264")]), Media::Film(film))).unwrap();
    let mut viewer = Viewer::of(settings(server.address()));
    let mut track = viewer.video().await;
    if !track.info().reordered {
        // Whoever comes in that moment sees both.
        track = viewer.video().await;
    }
    assert!(track.info().reordered);
    let units = units(&track, 20).await;
    assert!(units[0].key, "what was there before is written again");
    let first = units[0].pts;
    for (decoded, unit) in (0_u32..).zip(&units) {
        let at = unit.pts.since(first).as_millis();
        assert_eq!(at, u128::from(shown(decoded, count)) * 40, "picture {decoded}");
        assert!(unit.dts <= unit.pts);
    }
    assert!(units.windows(2).all(|pair| pair[1].dts >= pair[0].dts));
}
