use super::*;
use crate::{
    AudioDecoder, AvError, Picture, PictureSize, TestPattern, TimeCode, Tone, VideoDecoder, quality::psnr,
};
use patchbay_media::{Codec, MediaTime, TrackId};
use std::time::Instant;

const START: u64 = 1_795_413_053_042;

fn at(number: u64, fps: u64) -> MediaTime {
    MediaTime::from_nanos(i64::try_from(number * 1_000_000_000 / fps).unwrap())
}

fn size(width: u32, height: u32) -> PictureSize {
    PictureSize::new(width, height).unwrap()
}

#[test]
fn the_time_code_survives_50_kbit_s() {
    for codec in [Codec::H264, Codec::Vp8] {
        let mut settings = VideoSettings::h264(TrackId(0), size(640, 480), 30);
        (settings.codec, settings.bitrate) = (codec, 50_000);
        let pattern = TestPattern::new(settings.size, "test").unwrap();
        let mut encoder = VideoEncoder::open(settings).unwrap();
        let mut decoder = VideoDecoder::open(&encoder.info()).unwrap();
        let (mut bytes, mut units, mut read, mut wrong) = (0, 0_u64, 0, 0);
        for number in 0..300 {
            let unix_ms = START + number * 1_000 / 30;
            let picture = pattern.draw(unix_ms, number).unwrap();
            let Some(unit) = encoder.encode(&picture, at(number, 30), KeyFrame::AsDue).unwrap() else {
                continue;
            };
            bytes += unit.data.len();
            units += 1;
            for decoded in decoder.decode(&unit).unwrap() {
                match TimeCode::read(&decoded.picture) {
                    Some(code) if code.unix_ms == unix_ms && u64::from(code.number) == number => read += 1,
                    Some(code) => panic!("a wrong code at picture {number}: {code:?}"),
                    None => wrong += 1,
                }
            }
        }
        let rate = bytes * 8 / 10;
        println!("{codec:?}: {units} units, {read} codes read, {wrong} not, {rate} bit/s");
        assert!(read == units && wrong == 0, "each picture that was encoded can be read");
        assert!(units > 100);
    }
}

#[test]
fn a_key_frame_comes_exactly_when_asked_for() {
    for codec in [Codec::H264, Codec::Vp8] {
        let mut settings = VideoSettings::h264(TrackId(3), size(320, 240), 30);
        settings.codec = codec;
        let pattern = TestPattern::new(settings.size, "test").unwrap();
        let mut encoder = VideoEncoder::open(settings).unwrap();
        for number in 0..60 {
            let key = if [7, 8, 41].contains(&number) { KeyFrame::Now } else { KeyFrame::AsDue };
            let picture = pattern.draw(START + number * 33, number).unwrap();
            let unit = encoder.encode(&picture, at(number, 30), key).unwrap().expect("a unit a picture");
            assert_eq!(unit.key, [0, 7, 8, 41].contains(&number), "{codec:?} picture {number}");
            assert_eq!((unit.track, unit.pts, unit.dts), (TrackId(3), at(number, 30), at(number, 30)));
            if codec == Codec::H264 {
                let kinds: Vec<u8> = nal_kinds(&unit.data);
                let expected: &[u8] = if unit.key { &[7, 8, 5] } else { &[1] };
                assert_eq!(kinds, expected, "picture {number}");
            }
            if unit.key {
                let mut fresh = VideoDecoder::open(&encoder.info()).unwrap();
                assert_eq!(fresh.decode(&unit).unwrap().len(), 1, "one can begin here");
            }
        }
    }
}

fn nal_kinds(data: &bytes::Bytes) -> Vec<u8> {
    patchbay_media::codec::nal::units(data).map(|unit| unit.unwrap()[0] & 0x1F).collect()
}

#[test]
fn pictures_stay_like_themselves_and_key_frames_small() {
    for (width, height) in [(640, 480), (1280, 720)] {
        let settings = VideoSettings::h264(TrackId(0), size(width, height), 30);
        let (bitrate, most) = (settings.bitrate, u64::from(settings.bitrate) / 8 / 5);
        let pattern = TestPattern::new(settings.size, "test").unwrap();
        let mut encoder = VideoEncoder::open(settings).unwrap();
        let mut decoder = VideoDecoder::open(&encoder.info()).unwrap();
        let (mut worst, mut largest, mut total, mut cost) = (f64::MAX, 0, 0, 0.0);
        for number in 0..120 {
            let picture = pattern.draw(START + number * 33, number).unwrap();
            let start = Instant::now();
            let key = if number % 40 == 39 { KeyFrame::Now } else { KeyFrame::AsDue };
            let unit = encoder.encode(&picture, at(number, 30), key).unwrap().unwrap();
            cost += start.elapsed().as_secs_f64() * 1e3 / 120.0;
            total += unit.data.len();
            largest = largest.max(unit.data.len() as u64);
            let shown = decoder.decode(&unit).unwrap();
            let shown = &shown.last().expect("a picture at once").picture;
            // Among them the key frames.
            if number % 4 == 3 {
                worst = worst.min(psnr(&picture, shown));
            }
        }
        println!(
            "{width}x{height} at {bitrate} bit/s: worst PSNR {worst:.1} dB, {} bit/s, largest {largest} of {most} bytes, {cost:.2} ms a picture",
            total * 2
        );
        assert!(worst > 28.0);
        assert!(largest <= most * 5 / 4, "a key frame fits into the burst");
    }
}

#[test]
fn settings_and_pictures_are_checked() {
    let good = VideoSettings::h264(TrackId(0), size(320, 240), 30);
    for (field, settings) in [
        ("second", VideoSettings { fps: 0, ..good.clone() }),
        ("bit rate", VideoSettings { bitrate: 1, ..good.clone() }),
        ("H265", VideoSettings { codec: Codec::H265, ..good.clone() }),
    ] {
        let Err(error) = VideoEncoder::open(settings) else { panic!("{field} was accepted") };
        assert!(error.to_string().contains(field), "{error}");
    }
    let mut encoder = VideoEncoder::open(good).unwrap();
    let other = Picture::black(size(640, 480)).unwrap();
    assert!(matches!(encoder.encode(&other, at(0, 30), KeyFrame::AsDue), Err(AvError::OtherSize)));
    let picture = Picture::black(size(320, 240)).unwrap();
    encoder.encode(&picture, at(5, 30), KeyFrame::AsDue).unwrap();
    assert!(encoder.encode(&picture, at(5, 30), KeyFrame::AsDue).is_err(), "time stands still");
}

#[test]
fn sound_keeps_its_level_and_its_time() {
    for settings in [AudioSettings::opus(TrackId(1)), AudioSettings::aac(TrackId(1))] {
        let codec = settings.codec;
        let mut encoder = AudioEncoder::open(settings).unwrap();
        let info = encoder.info();
        let mut decoder = AudioDecoder::open(&info, 48_000, 2).unwrap();
        let mut tone = Tone::new(0);
        let (mut input, mut output, mut last) = (Vec::new(), Vec::new(), None);
        for _ in 0..100 {
            let block = tone.next_block();
            input.extend_from_slice(&block.data);
            for unit in encoder.encode(&block).unwrap() {
                if let Some(last) = last {
                    let step = unit.pts.since(last).as_secs_f64() * 1e3;
                    let wanted = if codec == Codec::Opus { 20.0 } else { 1024.0 / 48.0 };
                    assert!((step - wanted).abs() < 0.001, "{step} ms");
                }
                last = Some(unit.pts);
                output.extend(decoder.decode(&unit).unwrap().into_iter().flat_map(|samples| samples.data));
            }
        }
        let level = |data: Vec<i16>| {
            crate::Samples { rate: 48_000, channels: 2, pts: MediaTime::ZERO, data }.level_db()
        };
        let (before, after) = (level(input), level(output));
        println!(
            "{codec:?}: {before:.2} dB in, {after:.2} dB out, configuration {} bytes",
            info.configuration.len()
        );
        assert!((before - after).abs() < 1.0);
        assert_eq!(info.configuration.is_empty(), codec == Codec::Opus);
    }
}

#[test]
fn a_jump_in_the_sound_begins_a_new_line_of_time() {
    let mut encoder = AudioEncoder::open(AudioSettings::opus(TrackId(0))).unwrap();
    let mut tone = Tone::new(0);
    let mut times = Vec::new();
    for index in 0..10 {
        let mut block = tone.next_block();
        if index >= 5 {
            block.pts = block.pts + std::time::Duration::from_secs(3);
        }
        times.extend(encoder.encode(&block).unwrap().iter().map(|unit| unit.pts.nanos() / 1_000_000));
    }
    assert_eq!(times, [0, 20, 40, 60, 80, 3_100, 3_120, 3_140, 3_160, 3_180]);
}
