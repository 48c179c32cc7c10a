use super::*;
use crate::{
    Codec, TrackId,
    hub::testing,
    ring::Caps,
    track::{KeyFrames, TrackWriter},
};
use bytes::Bytes;

fn write(writer: &mut TrackWriter, millis: i64, size: usize, key: bool) {
    let at = MediaTime::from_nanos(millis * 1_000_000);
    let data = Bytes::from(vec![0; size]);
    writer.write(AccessUnit { track: TrackId(0), dts: at, pts: at, key, data });
}

fn track(codec: Codec, caps: Caps) -> (Arc<Track>, TrackWriter) {
    Track::new(testing::info(0, codec), KeyFrames::OnRequest, caps)
}

#[test]
fn rates_are_those_of_the_last_seconds() {
    let (track, mut writer) = track(Codec::H264, Caps::default());
    let begun = Instant::now();
    let mut meter = Meter::new(track, begun);
    assert_eq!(meter.figures().rate.to_bits(), 0);
    for tick in 1..=20_u32 {
        // Ten units of 100 bytes in half a second, and twice the size after five seconds.
        let size = if tick > 10 { 200 } else { 100 };
        for unit in 0..10 {
            write(&mut writer, i64::from(tick) * 500 + unit * 50, size, false);
        }
        meter.sample(begun + Duration::from_millis(500) * tick);
        let figures = meter.figures();
        assert!((figures.rate - 20.0).abs() < 0.01, "{figures:?}");
        match tick {
            1..=10 => assert_eq!(figures.bitrate, 16_000),
            11..=15 => assert!((16_001..32_000).contains(&figures.bitrate)),
            _ => assert_eq!(figures.bitrate, 32_000),
        }
    }
    assert_eq!((meter.figures().units, meter.figures().bytes), (200, 30_000));
    meter.track().request_key_frame();
    assert_eq!(meter.figures().key_frame_requests, 1);
    // Nothing more comes.
    for tick in 21..=27_u32 {
        meter.sample(begun + Duration::from_millis(500) * tick);
    }
    assert_eq!((meter.figures().bitrate, meter.figures().rate.to_bits()), (0, 0));
    assert_eq!(meter.last_unit(), begun + Duration::from_secs(10));
}

#[test]
fn the_middle_one_of_five_times_between_key_frames_is_told() {
    let (track, mut writer) = track(Codec::H264, Caps::default());
    let mut meter = Meter::new(track, Instant::now());
    write(&mut writer, 0, 1, true);
    meter.sample(Instant::now());
    assert_eq!(meter.figures().key_frame_interval, None);
    // One that was asked for in between does not count.
    for millis in [2000, 4000, 4300, 6000, 8000, 10_000] {
        write(&mut writer, millis - 100, 1, false);
        write(&mut writer, millis, 1, true);
    }
    meter.sample(Instant::now());
    assert_eq!(meter.figures().key_frame_interval, Some(Duration::from_secs(2)));
}

#[test]
fn what_was_overwritten_before_it_was_seen_does_no_harm() {
    let (track, mut writer) = track(Codec::H264, Caps { items: 4, ..Caps::default() });
    let begun = Instant::now();
    let mut meter = Meter::new(track, begun);
    for number in 0..100 {
        write(&mut writer, number, 10, number % 10 == 0);
    }
    meter.sample(begun + Duration::from_secs(1));
    let figures = meter.figures();
    assert_eq!((figures.units, figures.bytes), (100, 40));
    assert!((figures.rate - 100.0).abs() < 0.01);
}

#[test]
fn sound_has_no_key_frames() {
    let (track, mut writer) = track(Codec::Opus, Caps::default());
    let mut meter = Meter::new(track, Instant::now());
    for millis in [0, 20, 40] {
        write(&mut writer, millis, 1, true);
    }
    meter.sample(Instant::now());
    assert_eq!((meter.figures().units, meter.figures().key_frame_interval), (3, None));
}
