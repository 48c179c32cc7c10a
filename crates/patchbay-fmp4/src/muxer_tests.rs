use super::*;
use patchbay_media::{Codec, MediaTime, codec::nal};
use proptest::prelude::*;

const SPS: &[u8] = &[
    0x67, 0x42, 0xc0, 0x1e, 0xd9, 0x00, 0xa0, 0x47, 0xfe, 0x88, 0x80, 0x00, 0x00, 0x03, 0x00, 0x80, 0x00,
    0x00, 0x1e, 0x07, 0x8b, 0x16, 0xcb,
];
const PPS: &[u8] = &[0x68, 0xcb, 0x83, 0xcb, 0x20];
const IDR: &[u8] = &[0x65, 0x88, 0x84, 0x00, 0x10];
const SLICE: &[u8] = &[0x41, 0x9a, 0x02, 0x04];

fn info(id: u8, codec: Codec, configuration: Bytes) -> TrackInfo {
    let (clock_rate, channels) = if codec.kind() == Kind::Video { (90_000, 0) } else { (48_000, 2) };
    let id = TrackId(id);
    TrackInfo { id, codec, clock_rate, channels, width: 320, height: 240, configuration, reordered: false }
}

fn h264() -> TrackInfo {
    info(0, Codec::H264, nal::join(&[SPS, PPS]).unwrap())
}

fn opus() -> TrackInfo {
    info(1, Codec::Opus, Bytes::new())
}

fn sample(track: u8, millis: i64, key: bool, data: Bytes) -> Sample {
    let at = MediaTime::from_nanos(millis * 1_000_000);
    let unit = AccessUnit { track: TrackId(track), dts: at, pts: at, key, data };
    Sample { unit, duration: Duration::from_millis(20) }
}

fn key(millis: i64) -> Sample {
    sample(0, millis, true, nal::join(&[SPS, PPS, IDR]).unwrap())
}

fn slice(millis: i64) -> Sample {
    sample(0, millis, false, nal::join(&[SLICE]).unwrap())
}

fn sound(millis: i64) -> Sample {
    sample(1, millis, true, Bytes::from_static(&[0xfc, 1, 2]))
}

#[test]
fn a_fragment_shares_the_units_and_leaves_parameter_sets_out() {
    let mut muxer = Muxer::new(&[h264(), opus()]).unwrap();
    assert_eq!(muxer.mime(), "video/mp4; codecs=\"avc1.42c01e,opus\"");
    let fragment = muxer.fragment(&[key(0), sound(0), slice(20), sound(20)]).unwrap();
    assert!(fragment.is_key());
    let expected =
        [&nal::join(&[IDR]).unwrap()[..], &nal::join(&[SLICE]).unwrap(), &[0xfc, 1, 2], &[0xfc, 1, 2]];
    let chunks: Vec<_> = fragment.chunks().skip(1).map(AsRef::as_ref).collect();
    assert_eq!(chunks, expected);
    let whole = fragment.to_bytes();
    assert_eq!((whole.len(), &whole[4..8]), (fragment.size(), &b"moof"[..]));
    assert!(!muxer.fragment(&[slice(40)]).unwrap().is_key());
}

#[test]
fn the_same_units_give_the_same_bytes() {
    let write = || {
        let mut muxer = Muxer::new(&[h264()]).unwrap();
        let parts = [muxer.fragment(&[key(0)]).unwrap(), muxer.fragment(&[slice(20), slice(40)]).unwrap()];
        [muxer.init(), parts[0].to_bytes(), parts[1].to_bytes()].concat()
    };
    assert_eq!(write(), write());
}

#[test]
fn bad_units_are_refused_and_others_go_on() {
    let mut muxer = Muxer::new(&[h264(), opus()]).unwrap();
    let mut refused = |samples: &[Sample]| muxer.fragment(samples).map(|_| ()).unwrap_err();
    assert!(matches!(refused(&[]), MuxError::Nothing));
    assert!(matches!(
        refused(&[sample(7, 0, true, Bytes::from_static(b"x"))]),
        MuxError::UnknownTrack(TrackId(7))
    ));
    assert!(matches!(refused(&[sample(1, 0, true, Bytes::new())]), MuxError::EmptyUnit(TrackId(1))));
    assert!(matches!(refused(&[key(0), slice(-1)]), MuxError::Time(TrackId(0))));
    assert!(matches!(refused(&[key(-5)]), MuxError::Time(TrackId(0))));
    let torn = Bytes::from_static(&[0, 0, 0, 9, 0x65]);
    assert!(matches!(refused(&[sample(0, 0, true, torn)]), MuxError::Header { codec: Codec::H264, .. }));
    let only_sets = nal::join(&[SPS, PPS]).unwrap();
    assert!(matches!(refused(&[sample(0, 0, true, only_sets)]), MuxError::EmptyUnit(_)));
    let mut far = key(0);
    far.unit.pts = MediaTime::from_nanos(i64::MAX);
    assert!(matches!(refused(&[far]), MuxError::Time(_)));
    let many: Vec<_> = (0..=MAX_FRAGMENT_UNITS).map(|_| sound(0)).collect();
    assert!(matches!(refused(&many), MuxError::TooLarge { .. }));
    assert!(muxer.fragment(&[key(0)]).is_ok());
}

#[test]
fn a_track_that_changes_is_told_and_described_anew() {
    let mut muxer = Muxer::new(&[h264()]).unwrap();
    let mut other = SPS.to_vec();
    other[3] = 0x28;
    let unit = nal::join(&[&other, PPS, IDR]).unwrap();
    let changed = sample(0, 0, true, unit.clone());
    assert!(matches!(muxer.fragment(std::slice::from_ref(&changed)), Err(MuxError::Changed(TrackId(0)))));
    let anew = Description::of(&h264(), Some(&unit)).unwrap();
    assert_eq!(anew.codecs(), "avc1.42c028");
    assert!(Muxer::with(vec![anew]).unwrap().fragment(&[changed]).is_ok());
}

#[test]
fn a_track_without_a_configuration_is_described_by_its_key_frame() {
    let info = TrackInfo { configuration: Bytes::new(), width: 0, height: 0, ..h264() };
    assert!(matches!(Muxer::new(std::slice::from_ref(&info)), Err(MuxError::NotDescribed(Codec::H264))));
    let described = Description::of(&info, Some(&key(0).unit.data)).unwrap();
    assert_eq!((described.codecs(), described.size()), ("avc1.42c01e", (640, 128)));
}

#[test]
fn what_mp4_has_no_place_for_is_refused() {
    for codec in [Codec::Vp8, Codec::Pcma, Codec::Pcmu] {
        let refused = Muxer::new(&[info(0, codec, Bytes::new())]).unwrap_err();
        assert!(matches!(refused, MuxError::Codec(named) if named == codec));
        assert!(refused.to_string().contains("another codec"), "{refused}");
    }
    assert!(matches!(Muxer::new(&[info(0, Codec::Aac, Bytes::new())]), Err(MuxError::NotDescribed(_))));
    assert!(matches!(Muxer::new(&[h264(), h264()]), Err(MuxError::TwoTracks(_))));
    assert!(matches!(Muxer::new(&[]), Err(MuxError::Nothing)));
}

proptest! {
    /// Whatever stands in units and configurations is written or refused.
    #[test]
    fn nothing_panics(
        codec in prop::sample::select(Codec::ALL.to_vec()),
        configuration in prop::collection::vec(any::<u8>(), 0..64),
        units in prop::collection::vec((any::<i64>(), any::<i64>(), any::<bool>(), prop::collection::vec(any::<u8>(), 0..64)), 0..4),
    ) {
        let info = info(0, codec, configuration.into());
        let samples: Vec<_> = units.into_iter().map(|(dts, pts, key, data)| {
            let (dts, pts) = (MediaTime::from_nanos(dts), MediaTime::from_nanos(pts));
            Sample { unit: AccessUnit { track: TrackId(0), dts, pts, key, data: data.into() }, duration: Duration::from_millis(1) }
        }).collect();
        let described = Description::of(&info, samples.first().map(|sample| &sample.unit.data));
        for description in [described, Description::of(&info, None)].into_iter().flatten() {
            if let Ok(mut muxer) = Muxer::with(vec![description]) {
                drop(muxer.fragment(&samples));
            }
        }
    }
}
