use super::*;
use bytes::Bytes;
use patchbay_media::TrackId;
use proptest::prelude::*;

fn info(codec: Codec, configuration: &'static [u8]) -> TrackInfo {
    let configuration = Bytes::from_static(configuration);
    let (clock_rate, channels) = if codec == Codec::H264 { (90_000, 0) } else { (48_000, 2) };
    TrackInfo {
        id: TrackId(0),
        codec,
        clock_rate,
        channels,
        width: 0,
        height: 0,
        configuration,
        reordered: false,
    }
}

fn unit(millis: i64, data: &'static [u8]) -> AccessUnit {
    let at = MediaTime::from_nanos(millis * 1_000_000);
    AccessUnit { track: TrackId(0), dts: at, pts: at, key: false, data: Bytes::from_static(data) }
}

fn millis(time: MediaTime) -> i64 {
    time.nanos() / 1_000_000
}

#[test]
fn exact_durations_come_with_the_next_unit() {
    let mut exact = Exact::new();
    assert_eq!(exact.push(unit(0, b"a")), None);
    let first = exact.push(unit(40, b"b")).unwrap();
    assert_eq!((first.unit.data.as_ref(), first.duration), (&b"a"[..], Duration::from_millis(40)));
    let last = exact.finish(Duration::from_millis(7)).unwrap();
    assert_eq!((last.unit.data.as_ref(), last.duration), (&b"b"[..], Duration::from_millis(7)));
}

/// The one property that players insist on.
fn assert_seamless(samples: &[Sample]) {
    for pair in samples.windows(2) {
        assert_eq!(pair[0].unit.dts + pair[0].duration, pair[1].unit.dts);
        assert!(pair[0].duration > Duration::ZERO);
    }
}

#[test]
fn an_even_track_lags_by_one_picture_and_no_more() {
    let mut immediate = Immediate::new(&info(Codec::H264, b""));
    let samples: Vec<_> = (0..3000).map(|index| immediate.push(unit(1000 + index * 33, b"x"))).collect();
    assert_seamless(&samples);
    for sample in samples.iter().skip(30) {
        let lag = sample.unit.pts.since(sample.unit.dts);
        assert_eq!((lag, sample.duration), (Duration::from_millis(33), Duration::from_millis(33)));
    }
}

#[test]
fn a_stall_is_caught_up_with_and_no_picture_lasts_long() {
    let mut immediate = Immediate::new(&info(Codec::H264, b""));
    let times = (0..60).map(|index| index * 40).chain((0..400).map(|index| 60 * 40 + 5000 + index * 40));
    let samples: Vec<_> = times.map(|at| immediate.push(unit(at + 1000, b"x"))).collect();
    assert_seamless(&samples);
    assert!(samples.iter().all(|sample| sample.duration < Duration::from_millis(500)));
    let last = samples.last().unwrap();
    assert_eq!(millis(last.unit.pts) - millis(last.unit.dts), 40);
}

#[test]
fn slow_cameras_are_learnt() {
    let mut immediate = Immediate::new(&info(Codec::H264, b""));
    let samples: Vec<_> = (0..30).map(|index| immediate.push(unit(1000 + index * 1000, b"x"))).collect();
    assert_seamless(&samples);
    assert_eq!(samples.last().unwrap().duration, Duration::from_secs(1));
}

#[test]
fn sound_tells_its_length() {
    let mut opus = Immediate::new(&info(Codec::Opus, b""));
    let samples: Vec<_> = (0..50).map(|index| opus.push(unit(index * 20, &[0xfc, 1]))).collect();
    assert_seamless(&samples);
    assert!(
        samples.iter().all(|sample| sample.unit.dts == sample.unit.pts && sample.duration.as_millis() == 20)
    );

    let mut aac = Immediate::new(&info(Codec::Aac, &[0x11, 0x90]));
    let sample = aac.push(unit(500, b"x"));
    assert_eq!((millis(sample.unit.dts), sample.duration), (500, Duration::from_nanos(21_333_333)));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn whatever_the_distances_nothing_overlaps_and_the_end_is_near(distances in prop::collection::vec(0_i64..4000, 1..200)) {
        let mut immediate = Immediate::new(&info(Codec::H264, b""));
        let mut at = 10_000;
        let mut samples: Vec<_> = distances.iter().map(|distance| {
            at += distance;
            immediate.push(unit(at, b"x"))
        }).collect();
        // An even track from here on makes up for what it lags behind at least half as fast as time goes, once the distance is learnt.
        let lag = samples.last().map_or(0, |last| millis(last.unit.pts) - millis(last.unit.dts)).abs();
        for _ in 0..lag / 20 + 600 {
            at += 40;
            samples.push(immediate.push(unit(at, b"x")));
        }
        assert_seamless(&samples);
        for sample in &samples {
            prop_assert!(sample.duration <= LONGEST);
        }
        let last = samples.last().map(|last| last.unit.pts.nanos().abs_diff((last.unit.dts + last.duration).nanos()));
        prop_assert!(last.is_some_and(|apart| apart <= 40_000_000), "it ends {last:?} ns from its time");
    }
}

#[test]
fn times_that_go_back_and_long_silences_still_fit_into_fragments() {
    let info = TrackInfo { id: TrackId(1), ..info(Codec::Opus, b"") };
    let mut muxer = crate::Muxer::new(std::slice::from_ref(&info)).unwrap();
    let mut immediate = Immediate::new(&info);
    // A silence of an hour, a step back of a minute, and the same time again and again.
    let times = (0..50).map(|index| index * 20).chain([3_600_000, 3_540_000]).chain([3_540_000; 200]);
    let samples: Vec<_> = times
        .map(|at| {
            let unit = AccessUnit { track: TrackId(1), ..unit(100_000 + at, &[0xfc, 1]) };
            let sample = immediate.push(unit);
            muxer.fragment(std::slice::from_ref(&sample)).unwrap();
            sample
        })
        .collect();
    assert_seamless(&samples);
}
