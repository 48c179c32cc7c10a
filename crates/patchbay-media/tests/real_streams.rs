//! Headers of streams that real encoders made; `ffprobe` and `ffmpeg` judge.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod ffmpeg;

use bytes::Bytes;
use ffmpeg::{Probe, make, make_video, pictures, probe};
use patchbay_media::{
    Codec,
    codec::{
        Normalised, VideoFormat,
        aac::{AudioSpecificConfig, adts_frames},
        av1, g711, h264, h265, mime, nal, opus,
        parameter_sets::ParameterSets,
        vp8, vp9,
    },
};
use std::path::Path;

/// What `ffprobe` says in our words.
fn judged(probe: &Probe) -> VideoFormat {
    let reordered = probe.number::<u32>("has_b_frames") > 0;
    VideoFormat { width: probe.number("width"), height: probe.number("height"), reordered }
}

/// All units of a raw stream in the hub's form, the key flags compared; written back with start codes, it decodes to the same pictures.
fn pass_through(path: &Path, codec: Codec, mut sets: ParameterSets) -> (Probe, ParameterSets) {
    let probe = probe(path);
    let mut stream = Vec::new();
    for packet in &probe.packets {
        let data = nal::from_annex_b(&packet.data).unwrap();
        let Normalised { data, key, .. } = sets.normalise(&data).unwrap();
        assert_eq!((key, codec.is_key(&data).unwrap()), (packet.key, packet.key));
        stream.extend(nal::to_annex_b(&data).unwrap());
    }
    assert_eq!(probe.packets.len(), 15);
    let written = path.with_extension(format!("again.{}", path.extension().unwrap().to_str().unwrap()));
    std::fs::write(&written, stream).unwrap();
    assert_eq!(pictures(&written), pictures(path));
    assert_eq!(sets.format().unwrap(), judged(&probe));
    (probe, sets)
}

fn h264_stream(name: &str, size: &str, arguments: &str) -> (Probe, h264::Sps) {
    let path = make_video(name, size, &format!("-c:v libx264 -g 10 {arguments}"));
    let (probe, sets) = pass_through(&path, Codec::H264, ParameterSets::h264());
    let sps = h264::Sps::parse(sets.sps().unwrap()).unwrap();
    assert_eq!(sps.level, probe.number::<u8>("level"));
    let bidirectional = probe.packets.iter().filter(|packet| {
        let data = nal::from_annex_b(&packet.data).unwrap();
        h264::is_bidirectional(&data).unwrap()
    });
    assert_eq!(bidirectional.count() > 0, judged(&probe).reordered);
    (probe, sps)
}

#[test]
fn h264_baseline() {
    let (probe, sps) =
        h264_stream("baseline.h264", "320x240", "-profile:v baseline -pix_fmt yuv420p -x264-params aud=1");
    assert_eq!((probe.text("profile"), sps.profile_level_id().as_str()), ("Constrained Baseline", "42c00d"));
    assert_eq!(sps.timing, Some((1, 60)));
}

#[test]
fn h264_high_with_b_frames_and_cropping() {
    let (probe, sps) = h264_stream(
        "high.h264",
        "322x242",
        "-profile:v high -pix_fmt yuv420p -bf 2 -x264-params nal-hrd=vbr -b:v 1M -maxrate 1M -bufsize 1M",
    );
    assert_eq!((probe.text("profile"), sps.profile), ("High", 100));
}

#[test]
fn h264_interlaced_with_scaling_lists() {
    let (probe, sps) =
        h264_stream("interlaced.h264", "720x568", "-pix_fmt yuv420p -x264-params tff=1:cqm=jvt -bf 0");
    assert_eq!((probe.text("profile"), sps.height), ("High", 568));
}

#[test]
fn h264_of_other_depths_and_colours() {
    let (probe, sps) = h264_stream("full.h264", "322x243", "-pix_fmt yuv444p");
    assert_eq!((probe.text("profile"), sps.chroma_format), ("High 4:4:4 Predictive", 3));
    let (probe, sps) = h264_stream("deep.h264", "322x242", "-pix_fmt yuv422p10le");
    assert_eq!((probe.text("profile"), sps.luma_bits, sps.chroma_format), ("High 4:2:2", 10, 2));
}

#[test]
fn h265() {
    for (name, size, arguments, profile, bits) in [
        ("main.hevc", "320x240", "-pix_fmt yuv420p -x265-params bframes=0:aud=1:log-level=error", "Main", 8),
        (
            "cropped.hevc",
            "322x242",
            "-pix_fmt yuv420p -x265-params bframes=3:temporal-layers=1:log-level=error",
            "Main",
            8,
        ),
        ("deep.hevc", "322x242", "-pix_fmt yuv420p10le -x265-params log-level=error", "Main 10", 10),
    ] {
        let path = make_video(name, size, &format!("-c:v libx265 -g 10 {arguments}"));
        let (probe, sets) = pass_through(&path, Codec::H265, ParameterSets::h265());
        let sps = h265::Sps::parse(sets.sps().unwrap()).unwrap();
        assert_eq!((probe.text("profile"), sps.luma_bits), (profile, bits));
        assert_eq!(sps.profile.level, probe.number::<u8>("level"));
    }
}

/// Parameter sets stand in the container only; a unit that gets them decodes without it.
#[test]
fn h264_and_h265_out_of_mp4() {
    for (codec, encoder, name) in
        [(Codec::H264, "libx264 -bf 2", "mp4"), (Codec::H265, "libx265 -tag:v hvc1", "mp4")]
    {
        let path = make_video(
            &format!("{codec:?}.{name}"),
            "322x242",
            &format!("-c:v {encoder} -g 10 -pix_fmt yuv420p"),
        );
        let probe = probe(&path);
        let (mut sets, record, configuration) = if codec == Codec::H264 {
            let configuration = h264::Avcc::parse(&probe.extradata).unwrap().configuration;
            (ParameterSets::h264(), h264::Avcc::build(&configuration).unwrap(), configuration)
        } else {
            let configuration = h265::Hvcc::parse(&probe.extradata).unwrap().configuration;
            (ParameterSets::h265(), h265::Hvcc::build(&configuration).unwrap(), configuration)
        };
        assert_eq!(
            record[..13.min(record.len())],
            probe.extradata[..13.min(record.len())],
            "profile and level"
        );
        sets.learn(&configuration).unwrap();
        assert_eq!(sets.format().unwrap(), judged(&probe));
        let mut stream = Vec::new();
        for packet in &probe.packets {
            let unit = sets.normalise(&packet.data).unwrap();
            assert_eq!((unit.key, unit.configuration), (packet.key, None));
            stream.extend(nal::to_annex_b(&unit.data).unwrap());
        }
        let raw = path.with_extension(if codec == Codec::H264 { "h264" } else { "hevc" });
        std::fs::write(&raw, stream).unwrap();
        assert_eq!(pictures(&raw), pictures(&path));
    }
}

/// The DASH muxer writes names of its own making.
#[test]
fn media_types() {
    let path =
        make_video("mime.mp4", "320x240", "-c:v libx264 -profile:v baseline -level 3.1 -pix_fmt yuv420p");
    let configuration = h264::Avcc::parse(&probe(&path).extradata).unwrap().configuration;
    let name = mime::codec_string(Codec::H264, &configuration).unwrap();
    assert_eq!(name, "avc1.42c01f");
    assert!(dash_manifest(&path).contains(&format!("codecs=\"{name}\"")));
    let path =
        make_video("mime-av1.mp4", "320x240", "-c:v libaom-av1 -usage realtime -cpu-used 8 -pix_fmt yuv420p");
    let configuration = av1::parse_av1c(&probe(&path).extradata).unwrap();
    let name = mime::codec_string(Codec::Av1, &configuration).unwrap();
    assert!(dash_manifest(&path).contains(&format!("codecs=\"{name}\"")), "{name}");
    // It has no name for H.265; this one is Main, level 2 (60), of progressive frames only (90).
    let path =
        make_video("mime-h265.mp4", "320x240", "-c:v libx265 -x265-params log-level=error -pix_fmt yuv420p");
    let configuration = h265::Hvcc::parse(&probe(&path).extradata).unwrap().configuration;
    assert_eq!(mime::codec_string(Codec::H265, &configuration).unwrap(), "hvc1.1.6.L60.90");
}

fn dash_manifest(path: &Path) -> String {
    let name = format!("{}.mpd", path.file_stem().unwrap().to_str().unwrap());
    std::fs::read_to_string(make(&name, &format!("-i {} -c copy -f dash", path.display()))).unwrap()
}

#[test]
fn vp8() {
    let path = make_video("vp8.ivf", "322x242", "-c:v libvpx -g 5 -deadline realtime -cpu-used 8");
    let vp8 = probe(&path);
    for packet in &vp8.packets {
        let header = vp8::FrameHeader::parse(&packet.data).unwrap();
        let expected = if packet.key {
            vp8::FrameHeader::Key { width: 322, height: 242 }
        } else {
            vp8::FrameHeader::Inter
        };
        assert_eq!((header, Codec::Vp8.is_key(&packet.data)), (expected, Ok(packet.key)));
    }
}

#[test]
fn vp9() {
    for (name, format, bit_depth) in
        [("vp9.ivf", "yuv420p", 8), ("vp9-1.ivf", "yuv444p", 8), ("vp9-2.ivf", "yuv420p10le", 10)]
    {
        let arguments = format!("-c:v libvpx-vp9 -g 10 -deadline realtime -cpu-used 8 -pix_fmt {format}");
        check_vp9(&probe(&make_video(name, "322x242", &arguments)), bit_depth);
    }
}

/// Frames that are not shown travel with the next one that is; encoders make them in a second pass.
#[test]
fn vp9_superframes() {
    let log = Path::new(env!("CARGO_TARGET_TMPDIR")).join("vp9");
    let arguments = format!(
        "-f lavfi -i testsrc2=size=322x242:rate=30 -frames:v 40 -threads 1 -c:v libvpx-vp9 -g 40 -auto-alt-ref 1 -lag-in-frames 25 -cpu-used 5 -b:v 200k -passlogfile {}",
        log.display()
    );
    make("vp9-pass1.ivf", &format!("{arguments} -pass 1"));
    let superframes = check_vp9(&probe(&make("vp9-pass2.ivf", &format!("{arguments} -pass 2"))), 8);
    assert!(superframes > 0);
}

fn check_vp9(probe: &Probe, bit_depth: u8) -> usize {
    let mut superframes = 0;
    for packet in &probe.packets {
        let frames = vp9::frames(&packet.data).unwrap();
        superframes += usize::from(frames.len() > 1);
        let headers: Vec<_> = frames.iter().map(|frame| vp9::FrameHeader::parse(frame).unwrap()).collect();
        assert_eq!(headers.iter().filter(|header| header.shown).count(), 1);
        assert!(headers.iter().all(|header| probe.text("profile").ends_with(&header.profile.to_string())));
        let key = packet.key.then_some(vp9::KeyHeader { width: 322, height: 242, bit_depth });
        assert_eq!((headers[0].key, Codec::Vp9.is_key(&packet.data)), (key, Ok(packet.key)));
    }
    assert!(!probe.packets.is_empty());
    superframes
}

#[test]
fn av1() {
    for (name, arguments) in [
        ("av1.obu", "-c:v libaom-av1 -usage realtime -cpu-used 8 -pix_fmt yuv420p"),
        ("deep.obu", "-c:v libaom-av1 -usage good -cpu-used 8 -pix_fmt yuv420p10le"),
        ("full.obu", "-c:v libaom-av1 -usage realtime -cpu-used 8 -pix_fmt yuv444p"),
        ("mono.obu", "-c:v libaom-av1 -usage realtime -cpu-used 8 -pix_fmt gray"),
    ] {
        let path = make_video(name, "322x242", &format!("{arguments} -g 10"));
        let probe = probe(&path);
        let mut sequence = av1::Sequence::default();
        let (mut stream, mut configuration) = (Vec::new(), Bytes::new());
        for packet in &probe.packets {
            let unit = sequence.normalise(&packet.data).unwrap();
            assert_eq!((unit.key, Codec::Av1.is_key(&unit.data)), (packet.key, Ok(packet.key)));
            configuration = unit.configuration.unwrap_or(configuration);
            stream.extend([&[0x12, 0][..], &unit.data].concat());
        }
        let header = sequence.header().unwrap().unwrap();
        assert_eq!(header.format(), VideoFormat { reordered: false, ..judged(&probe) });
        assert_eq!(header.level, probe.number::<u8>("level"));
        let depth = if name == "deep.obu" { 10 } else { 8 };
        assert_eq!(
            (header.color.bit_depth, header.color.monochrome, header.color.subsampling_x),
            (depth, name == "mono.obu", name != "full.obu")
        );
        let profile = ["Main", "High", "Professional"][usize::from(header.profile)];
        assert_eq!(profile, probe.text("profile"));
        assert!(
            mime::codec_string(Codec::Av1, &configuration)
                .unwrap()
                .starts_with(&format!("av01.{}.0", header.profile))
        );
        let written = path.with_extension("again.obu");
        std::fs::write(&written, stream).unwrap();
        assert_eq!(pictures(&written), pictures(&path));
        let mp4 = make(&format!("{name}.mp4"), &format!("-i {} -c copy", path.display()));
        let extradata = ffmpeg::probe(&mp4).extradata;
        let record = av1::build_av1c(&configuration).unwrap();
        assert_eq!(record[..], extradata[..record.len()], "{name}");
    }
}

#[test]
fn aac() {
    for (rate, channels) in [(48_000, 2), (44_100, 1), (7350, 1), (96_000, 6), (8000, 2)] {
        let sound = format!(
            "-f lavfi -i sine=sample_rate={rate}:duration=0.5 -flags +bitexact -c:a aac -ac {channels}"
        );
        let adts = make(&format!("{rate}.aac"), &sound);
        let mp4 = probe(&make(&format!("{rate}.mp4"), &sound));
        let config = AudioSpecificConfig::low_complexity(rate, channels);
        assert_eq!(AudioSpecificConfig::parse(&mp4.extradata), Ok(config));
        assert_eq!(
            (mp4.number::<u32>("sample_rate"), mp4.number::<u8>("channels")),
            (config.rate(), config.channels())
        );
        assert_eq!(mp4.extradata[..2], config.build().unwrap()[..2]);
        assert_eq!(mime::codec_string(Codec::Aac, &mp4.extradata).unwrap(), "mp4a.40.2");
        let frames = adts_frames(&std::fs::read(adts).unwrap().into()).map(Result::unwrap);
        let expected = mp4.packets.iter().map(|packet| (config, packet.data.clone()));
        assert!(frames.eq(expected), "the same blocks as in MP4 at {rate}");
    }
}

#[test]
fn opus() {
    for (millis, channels) in [("2.5", 2), ("5", 1), ("10", 2), ("20", 2), ("40", 1), ("60", 2)] {
        let arguments = format!(
            "-f lavfi -i sine=sample_rate=48000:duration=0.6 -c:a libopus -frame_duration {millis} -ac {channels}"
        );
        let probe = probe(&make(&format!("{millis}.mkv"), &arguments));
        let head = opus::Head::parse(&probe.extradata).unwrap();
        assert_eq!((head.channels, &head.build()[..]), (probe.number("channels"), &probe.extradata[..]));
        for packet in &probe.packets {
            let parsed = opus::Packet::parse(&packet.data).unwrap();
            assert!((parsed.duration.as_secs_f64() * 1000.0 - millis.parse::<f64>().unwrap()).abs() < 1e-9);
        }
        assert!(probe.packets.len() > 9);
    }
}

/// Its name in `ffmpeg`, and our two ways.
type Law = (&'static str, fn(i16) -> u8, fn(u8) -> i16);

/// Every code decodes to the same sample, and no sample becomes worse than `ffmpeg` makes it by more than one part in 64.
#[test]
fn g711() {
    let samples: Vec<_> = (i16::MIN..=i16::MAX).collect();
    let raw = Path::new(env!("CARGO_TARGET_TMPDIR")).join("all.raw");
    std::fs::write(&raw, samples.iter().flat_map(|sample| sample.to_le_bytes()).collect::<Vec<_>>()).unwrap();
    let codes = Path::new(env!("CARGO_TARGET_TMPDIR")).join("codes.raw");
    std::fs::write(&codes, (0..=u8::MAX).collect::<Vec<_>>()).unwrap();
    let laws: [Law; 2] = [
        ("alaw", g711::encode_a_law, g711::decode_a_law),
        ("mulaw", g711::encode_mu_law, g711::decode_mu_law),
    ];
    for (law, encode, decode) in laws {
        let decoded =
            make(&format!("{law}.s16"), &format!("-f {law} -ar 8000 -ac 1 -i {} -f s16le", codes.display()));
        let decoded = std::fs::read(decoded).unwrap();
        let decoded: Vec<_> = decoded.chunks(2).map(|pair| i16::from_le_bytes([pair[0], pair[1]])).collect();
        assert_eq!(decoded, (0..=u8::MAX).map(decode).collect::<Vec<_>>(), "{law}");
        let encoded =
            make(&format!("{law}.raw"), &format!("-f s16le -ar 8000 -ac 1 -i {} -f {law}", raw.display()));
        for (sample, theirs) in samples.iter().zip(std::fs::read(encoded).unwrap()) {
            let error = |code| (i32::from(decode(code)) - i32::from(*sample)).abs();
            let slack = i32::from(sample.unsigned_abs()) / 64 + 4;
            assert!(
                error(encode(*sample)) <= error(theirs) + slack,
                "{law} {sample}: {} {theirs}",
                encode(*sample)
            );
        }
    }
}
