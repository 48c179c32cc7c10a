//! AV1 over RTP against another implementation, which is a port of the one in browsers: each puts together what the other cut.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use bytes::Bytes;
use patchbay_media::{
    Codec,
    codec::av1::Sequence,
    rtp::{
        depacketize::{Depacketizer, Incoming, Unit},
        packetize::Packetizer,
    },
};
use rtc_rtp::{
    codec::av1::{Av1Depacketizer, Av1Payloader},
    packetizer::{Depacketizer as _, Payloader as _},
};
use std::process::Command;

const ENCODE: &str =
    "-c:v libaom-av1 -usage realtime -cpu-used 8 -lag-in-frames 0 -b:v 1M -g 10 -tiles 2x2 -f ivf";

/// Temporal units of a real encoder in the form of the hub, and which of them are key frames.
fn units() -> Vec<(Bytes, bool)> {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("made.ivf");
    let mut command = Command::new("ffmpeg");
    command.args(["-v", "error", "-f", "lavfi", "-i", "testsrc2=s=640x360:r=30:d=1"]);
    command.args(ENCODE.split(' ')).arg(&file);
    assert!(command.status().expect("ffmpeg is installed by the set-up of the tests").success());
    let bytes = std::fs::read(&file).unwrap();
    let (mut rest, mut units, mut sequence) = (&bytes[32..], Vec::new(), Sequence::default());
    while let Some((length, behind)) = rest.split_first_chunk() {
        let (frame, behind) = behind[8..].split_at(usize::try_from(u32::from_le_bytes(*length)).unwrap());
        let unit = sequence.normalise(&Bytes::copy_from_slice(frame)).unwrap();
        units.push((unit.data, unit.key));
        rest = behind;
    }
    assert_eq!((units.len(), units.iter().filter(|(_, key)| *key).count()), (30, 3));
    units
}

#[test]
fn the_other_one_reads_our_packets() {
    let units = units();
    for limit in [200, 300, 1188] {
        let mut packetizer = Packetizer::new(Codec::Av1, limit);
        let mut packets = 0;
        for (unit, key) in &units {
            let mut theirs = Av1Depacketizer::new();
            let mut made = Vec::new();
            let cut = packetizer.packetize(unit).unwrap();
            for (index, payload) in cut.iter().enumerate() {
                made.extend(theirs.depacketize(&Bytes::copy_from_slice(payload)).unwrap());
                assert_eq!(theirs.n, *key && index == 0, "the mark of a new sequence");
            }
            assert!(made == *unit, "{} and {} bytes at a limit of {limit}", made.len(), unit.len());
            packets += cut.len();
        }
        println!("limit {limit}: {} units in {packets} packets", units.len());
    }
}

#[test]
fn we_read_the_other_ones_packets() {
    let units = units();
    for limit in [200, 300, 1188] {
        let (mut depacketizer, mut made, mut sequence) =
            (Depacketizer::new(Codec::Av1), Vec::<Unit>::new(), 0_u16);
        for (timestamp, (unit, _)) in (0_u32..).zip(&units) {
            let payloads = Av1Payloader::default().payload(limit, unit).unwrap();
            for (index, payload) in payloads.iter().enumerate() {
                let marker = index + 1 == payloads.len();
                depacketizer.push(Incoming { sequence, timestamp, marker, payload }, &mut made).unwrap();
                sequence = sequence.wrapping_add(1);
            }
        }
        let made: Vec<_> = made.into_iter().map(|unit| (unit.data, unit.key)).collect();
        assert!(made == units, "{} units of {} at a limit of {limit}", made.len(), units.len());
    }
}
