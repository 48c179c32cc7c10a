//! Real streams of real encoders, written here and read by `ffprobe` and `ffmpeg`: the same units, times and pictures come out.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod ffmpeg;

use bytes::Bytes;
use ffmpeg::{Packet, Probe, make, pictures, probe};
use patchbay_fmp4::{
    Description, Muxer, Sample,
    timing::{Exact, Immediate},
};
use patchbay_media::{
    AccessUnit, Codec, Kind, MediaTime, TrackId,
    codec::{av1, h264, h265, parameter_sets::ParameterSets},
    track::TrackInfo,
};
use std::{path::PathBuf, time::Duration};

const VIDEO: &str = "-f lavfi -i testsrc2=size=320x240:rate=30:duration=1.5";
const SOUND: &str = "-f lavfi -i sine=frequency=440:sample_rate=48000:duration=1.5 -ac 2";

/// Files begin before zero, where encoders need time to warm up; in MP4 nothing is.
const SHIFT: Duration = Duration::from_secs(1);

/// A stream as the hub has it: its track, and its units.
struct Stream {
    info: TrackInfo,
    units: Vec<AccessUnit>,
}

/// Brings packets into the hub's form.
enum Shaper {
    Sets(ParameterSets),
    Av1(av1::Sequence),
    Plain,
}

impl Shaper {
    fn shape(&mut self, data: &Bytes) -> Bytes {
        match self {
            Self::Sets(sets) => sets.normalise(data).unwrap().data,
            Self::Av1(sequence) => sequence.normalise(data).unwrap().data,
            Self::Plain => data.clone(),
        }
    }
}

fn configuration(codec: Codec, extra: &Bytes) -> (Bytes, Shaper) {
    let learnt = |mut sets: ParameterSets, configuration: Bytes| {
        sets.learn(&configuration).unwrap();
        (configuration, Shaper::Sets(sets))
    };
    match codec {
        Codec::H264 => learnt(ParameterSets::h264(), h264::Avcc::parse(extra).unwrap().configuration),
        Codec::H265 => learnt(ParameterSets::h265(), h265::Hvcc::parse(extra).unwrap().configuration),
        Codec::Av1 => {
            let configuration = av1::parse_av1c(extra).unwrap();
            let mut sequence = av1::Sequence::default();
            sequence.learn(&configuration).unwrap();
            (configuration, Shaper::Av1(sequence))
        }
        Codec::Aac => (extra.clone(), Shaper::Plain),
        _ => (Bytes::new(), Shaper::Plain),
    }
}

fn stream(id: u8, codec: Codec, probe: &Probe) -> Stream {
    let id = TrackId(id);
    let (configuration, mut shaper) = configuration(codec, &probe.extradata);
    let info = TrackInfo {
        id,
        codec,
        clock_rate: if codec.kind() == Kind::Video { 90_000 } else { probe.number("sample_rate") },
        channels: probe.number("channels"),
        width: probe.number("width"),
        height: probe.number("height"),
        configuration,
        reordered: probe.number::<u8>("has_b_frames") > 0,
    };
    let units = probe.packets.iter().map(|packet| {
        let (dts, pts) = (packet.dts + SHIFT, packet.pts + SHIFT);
        AccessUnit { track: id, dts, pts, key: packet.key, data: shaper.shape(&packet.data) }
    });
    Stream { units: units.collect(), info }
}

/// How long units last.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Timing {
    Exact,
    Immediate,
}

fn samples(stream: &Stream, timing: Timing) -> Vec<Sample> {
    let units = stream.units.iter().cloned();
    match timing {
        Timing::Exact => {
            let mut exact = Exact::new();
            let mut samples: Vec<_> = units.filter_map(|unit| exact.push(unit)).collect();
            let last = samples.last().unwrap().duration;
            samples.extend(exact.finish(last));
            samples
        }
        Timing::Immediate => {
            let mut immediate = Immediate::new(&stream.info);
            units.map(|unit| immediate.push(unit)).collect()
        }
    }
}

/// Writes streams as a file, each fragment with so many units of each.
fn write(name: &str, streams: &[Stream], timing: Timing, together: usize) -> PathBuf {
    let described = streams.iter().map(|stream| {
        let first = stream.units.iter().find(|unit| unit.key).map(|unit| &unit.data);
        Description::of(&stream.info, first).unwrap()
    });
    let mut muxer = Muxer::with(described.collect()).unwrap();
    let mut file = muxer.init().to_vec();
    let samples: Vec<_> = streams.iter().map(|stream| samples(stream, timing)).collect();
    let longest = samples.iter().map(Vec::len).max().unwrap();
    for begin in (0..longest).step_by(together) {
        let of_each = samples.iter().flat_map(|samples| samples.iter().skip(begin).take(together).cloned());
        let fragment = muxer.fragment(&of_each.collect::<Vec<_>>()).unwrap();
        file.extend_from_slice(&fragment.to_bytes());
    }
    let path = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(format!("{name}.{timing:?}.{together}.mp4"));
    std::fs::write(&path, file).unwrap();
    path
}

/// Ticks of 90 kHz may be rounded once.
fn apart(one: MediaTime, other: MediaTime) -> Duration {
    one.since(other).max(other.since(one))
}

fn compare(written: &[Packet], original: &[Packet], timing: Timing) {
    assert_eq!(written.len(), original.len());
    for (index, (written, original)) in written.iter().zip(original).enumerate() {
        assert_eq!((written.key, written.data.len()), (original.key, original.data.len()), "packet {index}");
        assert_eq!(written.data, original.data, "packet {index}");
        assert!(apart(written.pts, original.pts + SHIFT) < Duration::from_micros(12), "packet {index}");
        if timing == Timing::Exact {
            assert!(apart(written.dts, original.dts + SHIFT) < Duration::from_micros(12), "packet {index}");
        }
    }
    assert!(written.is_sorted_by(|one, other| one.dts < other.dts));
}

/// Writes a file's stream in several ways and reads it again.
fn round(name: &str, codec: Codec, arguments: &str, codecs: &str) {
    let (kind, input) = if codec.kind() == Kind::Video { ("v", VIDEO) } else { ("a", SOUND) };
    let original = make(name, &format!("{input} -threads 1 -g 15 {arguments}"));
    let probed = probe(&original, kind);
    let streams = [stream(0, codec, &probed)];
    let first = streams[0].units.first().map(|unit| &unit.data);
    assert_eq!(Description::of(&streams[0].info, first).unwrap().codecs(), codecs);
    for (timing, together) in
        [(Timing::Exact, 1), (Timing::Exact, 15), (Timing::Immediate, 1), (Timing::Immediate, 7)]
    {
        let path = write(name, &streams, timing, together);
        let again = probe(&path, kind);
        assert_eq!(again.text("codec_name"), probed.text("codec_name"));
        compare(&again.packets, &probed.packets, timing);
        if kind == "v" {
            assert_eq!(pictures(&path), pictures(&original), "{}", path.display());
            assert_eq!((again.text("width"), again.text("height")), ("320", "240"));
        } else {
            assert_eq!((again.text("sample_rate"), again.text("channels")), ("48000", "2"));
        }
    }
}

#[test]
fn h264_without_b_frames() {
    let arguments = "-c:v libx264 -pix_fmt yuv420p -profile:v baseline";
    round("plain.mp4", Codec::H264, arguments, "avc1.42c00d");
}

#[test]
fn h264_with_b_frames() {
    round("reordered.mp4", Codec::H264, "-c:v libx264 -pix_fmt yuv420p -profile:v high -bf 3", "avc1.64000d");
}

#[test]
fn h265_with_b_frames() {
    let arguments = "-c:v libx265 -pix_fmt yuv420p -tag:v hvc1 -x265-params bframes=3:log-level=none";
    round("h265.mp4", Codec::H265, arguments, "hvc1.1.6.L60.90");
}

#[test]
fn av1() {
    round("av1.mp4", Codec::Av1, "-c:v libaom-av1 -pix_fmt yuv420p -cpu-used 8 -row-mt 0", "av01.0.00M.08");
}

#[test]
fn vp9() {
    let arguments = "-c:v libvpx-vp9 -pix_fmt yuv420p -deadline realtime -cpu-used 8";
    round("vp9.mp4", Codec::Vp9, arguments, "vp09.00.20.08");
    let deep = "-c:v libvpx-vp9 -pix_fmt yuv420p10le -deadline realtime -cpu-used 8";
    round("vp9-deep.mp4", Codec::Vp9, deep, "vp09.02.20.10");
}

#[test]
fn aac() {
    round("aac.mp4", Codec::Aac, "-c:a aac", "mp4a.40.2");
}

#[test]
fn opus() {
    round("opus.mp4", Codec::Opus, "-c:a libopus", "opus");
}

#[test]
fn pictures_and_sound_in_one_file() {
    let original = make(
        "both.mp4",
        &format!("{VIDEO} {SOUND} -threads 1 -g 15 -c:v libx264 -pix_fmt yuv420p -bf 2 -c:a aac"),
    );
    let (video, audio) = (probe(&original, "v"), probe(&original, "a"));
    let streams = [stream(0, Codec::H264, &video), stream(1, Codec::Aac, &audio)];
    for timing in [Timing::Exact, Timing::Immediate] {
        let path = write("both", &streams, timing, 5);
        compare(&probe(&path, "v").packets, &video.packets, timing);
        compare(&probe(&path, "a").packets, &audio.packets, timing);
        assert_eq!(pictures(&path), pictures(&original));
    }
}
