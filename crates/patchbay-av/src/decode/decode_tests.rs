use super::*;
use crate::{
    AudioDecoder, AudioEncoder, AudioSettings, KeyFrame, TestPattern, Tone, VideoEncoder, VideoSettings,
};
use patchbay_media::TrackId;
use std::time::Instant;

/// Numbers that look random and are the same in each run.
fn numbers() -> impl FnMut(usize) -> usize {
    let mut state = 7_u64;
    move |below| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(state >> 33).unwrap() % below
    }
}

fn damage(unit: &AccessUnit, next: &mut impl FnMut(usize) -> usize) -> AccessUnit {
    let mut data = unit.data.to_vec();
    if next(8) == 0 {
        data.truncate(1 + next(data.len()));
    }
    for _ in 0..next(6) {
        let at = next(data.len());
        data[at] = u8::try_from(next(256)).unwrap();
    }
    AccessUnit { data: data.into(), ..unit.clone() }
}

#[test]
fn damaged_pictures_never_harm_and_a_key_frame_heals() {
    for codec in [Codec::H264, Codec::Vp8] {
        let settings = VideoSettings::h264(TrackId(0), PictureSize::new(320, 240).unwrap(), 30);
        let pattern = TestPattern::new(settings.size, "test").unwrap();
        let mut encoder = VideoEncoder::open(VideoSettings { codec, ..settings }).unwrap();
        let mut decoder = VideoDecoder::open(&encoder.info()).unwrap();
        let (mut next, start, mut failed) = (numbers(), Instant::now(), 0);
        let mut encode = |number: u64| {
            let pts = MediaTime::from_ticks(i64::try_from(number).unwrap(), 30);
            let key = if number.is_multiple_of(50) { KeyFrame::Now } else { KeyFrame::AsDue };
            encoder.encode(&pattern.draw(number * 33, number).unwrap(), pts, key).unwrap().unwrap()
        };
        for number in 0..600 {
            failed += u32::from(decoder.decode(&damage(&encode(number), &mut next)).is_err());
        }
        let shown = decoder.decode(&encode(600)).unwrap();
        println!("{codec:?}: {failed} of 600 refused in {:?}", start.elapsed());
        let code = crate::TimeCode::read(&shown.last().unwrap().picture);
        assert_eq!(code.unwrap().number, 600, "a key frame makes everything good");
    }
}

#[test]
fn damaged_sound_never_harms() {
    for settings in [AudioSettings::opus(TrackId(0)), AudioSettings::aac(TrackId(0))] {
        let mut encoder = AudioEncoder::open(settings).unwrap();
        let mut decoder = AudioDecoder::open(&encoder.info(), 48_000, 2).unwrap();
        let (mut tone, mut next, mut failed) = (Tone::new(0), numbers(), 0);
        for _ in 0..500 {
            for unit in encoder.encode(&tone.next_block()).unwrap() {
                failed += u32::from(decoder.decode(&damage(&unit, &mut next)).is_err());
            }
        }
        println!("{:?}: {failed} refused", encoder.info().codec);
    }
}

#[test]
fn what_is_no_unit_is_refused() {
    let settings = VideoSettings::h264(TrackId(0), PictureSize::new(320, 240).unwrap(), 30);
    let info = VideoEncoder::open(settings).unwrap().info();
    let time = MediaTime::ZERO;
    for data in [&b""[..], &[0, 0, 0, 9, 1], &[255; 100]] {
        let data = Bytes::copy_from_slice(data);
        let unit = AccessUnit { track: TrackId(0), dts: time, pts: time, key: true, data };
        assert!(VideoDecoder::open(&info).unwrap().decode(&unit).is_err());
    }
    let sound = AudioEncoder::open(AudioSettings::opus(TrackId(0))).unwrap().info();
    assert!(VideoDecoder::open(&sound).is_err());
    assert!(AudioDecoder::open(&info, 48_000, 2).is_err());
}

/// A few bytes of G.711 are hours of sound when the header says so: they are not made into gigabytes.
#[test]
fn sound_that_lasts_too_long_is_refused() {
    let opus = AudioEncoder::open(AudioSettings::opus(TrackId(0))).unwrap().info();
    let time = MediaTime::ZERO;
    for (rate, length, fits) in
        [(8_000, 80_000, true), (8_000, 80_001, false), (10, 90, false), (1_000, 10_000, true)]
    {
        let info = TrackInfo { codec: Codec::Pcma, clock_rate: rate, channels: 1, ..opus.clone() };
        let unit = AccessUnit {
            track: TrackId(0),
            dts: time,
            pts: time,
            key: true,
            data: vec![0x55; length].into(),
        };
        let decoded = AudioDecoder::open(&info, 48_000, 2).and_then(|mut decoder| decoder.decode(&unit));
        assert_eq!(decoded.is_ok(), fits, "{length} samples at {rate} Hz");
    }
}
