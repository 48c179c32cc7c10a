use super::*;
use crate::{
    TrackId,
    ring::Caps,
    track::{KeyFrames, TrackInfo},
};
use bytes::Bytes;
use proptest::prelude::*;

fn track(id: u8, codec: Codec, reordered: bool) -> Arc<Track> {
    let info = TrackInfo {
        id: TrackId(id),
        codec,
        clock_rate: 90_000,
        channels: 0,
        width: 0,
        height: 0,
        configuration: Bytes::new(),
        reordered,
    };
    Track::new(info, KeyFrames::AsTheyCome, Caps { items: 2, ..Caps::default() }).0
}

fn wants(video: &[Codec], reordered: Reordering) -> Wanted {
    Wanted { video: video.to_vec(), reordered, ..Wanted::default() }
}

#[test]
fn the_consumers_order_decides_among_tracks_that_it_can_take() {
    let tracks = [track(0, Codec::H265, false), track(1, Codec::Vp8, false), track(2, Codec::H264, false)];
    let choice = wants(&[Codec::H264, Codec::Vp8], Reordering::Allowed).choose(Kind::Video, &tracks);
    assert!(matches!(choice, Choice::AsItCame(track) if track.info().id == TrackId(2)));
}

#[test]
fn a_track_without_reordering_wins_over_one_that_would_have_to_be_made() {
    let tracks = [track(0, Codec::H264, true), track(1, Codec::Vp8, false), track(2, Codec::H264, false)];
    let choice = wants(&[Codec::H264], Reordering::NotAllowed).choose(Kind::Video, &tracks);
    assert!(matches!(choice, Choice::AsItCame(track) if track.info().id == TrackId(2)));
    let choice = wants(&[Codec::H264, Codec::Vp8], Reordering::NotAllowed).choose(Kind::Video, &tracks[..2]);
    assert!(matches!(choice, Choice::AsItCame(track) if track.info().codec == Codec::Vp8));
}

#[test]
fn names_are_listed_as_people_do() {
    assert_eq!(names(&[Codec::H264]), "H264");
    assert_eq!(names(&[Codec::H264, Codec::Vp8, Codec::Av1]), "H264, VP8 or AV1");
}

fn codecs(kind: Kind) -> impl Strategy<Value = Vec<Codec>> {
    let all: Vec<Codec> = Codec::ALL.into_iter().filter(|codec| codec.kind() == kind).collect();
    let most = all.len();
    proptest::sample::subsequence(all, 0..=most).prop_shuffle()
}

#[test]
fn who_has_little_bandwidth_gets_what_is_small_or_has_it_made() {
    let limit = Limit { height: 240, bit_rate: 200_000 };
    let wanted = Wanted { limit: Some(limit), ..wants(&[Codec::H264], Reordering::NotAllowed) };
    let written = |height: u16, bytes: usize, seconds: i64| {
        let info = TrackInfo { height, ..track(0, Codec::H264, false).info().clone() };
        let (track, mut writer) = Track::new(info, KeyFrames::AsTheyCome, Caps::default());
        for number in 0..seconds * 10 {
            let at = crate::MediaTime::from_nanos(number * 100_000_000);
            let data = vec![0; bytes].into();
            writer.write(AccessUnit { track: TrackId(0), dts: at, pts: at, key: number == 0, data });
        }
        [track]
    };
    // 80 kbit/s, and 800.
    let small = wanted.choose(Kind::Video, &written(240, 1_000, 3));
    assert!(matches!(small, Choice::AsItCame(_)), "{small:?}");
    for tracks in
        [written(240, 10_000, 3), written(480, 1_000, 3), written(0, 1_000, 3), written(240, 1_000, 0)]
    {
        let Choice::Make { to, why, .. } = wanted.choose(Kind::Video, &tracks) else {
            panic!("it is too much")
        };
        assert_eq!(to, [Target { codec: Codec::H264, limit: Some(limit) }]);
        assert_eq!(why, "a smaller picture for viewers with little bandwidth");
    }
    let sound = Wanted { audio: vec![Codec::Opus], ..wanted };
    assert!(matches!(sound.choose(Kind::Audio, &[track(1, Codec::Opus, false)]), Choice::AsItCame(_)));
}

proptest! {
    #[test]
    fn what_is_chosen_can_be_taken(
        offered in proptest::collection::vec((proptest::sample::select(Codec::ALL.to_vec()), any::<bool>()), 0..6),
        video in codecs(Kind::Video),
        audio in codecs(Kind::Audio),
        allowed in any::<bool>(),
    ) {
        let tracks: Vec<_> =
            (0..).zip(&offered).map(|(id, (codec, reordered))| track(id, *codec, *reordered)).collect();
        let reordered = if allowed { Reordering::Allowed } else { Reordering::NotAllowed };
        let wanted = Wanted { video, audio, reordered, limit: None };
        for kind in [Kind::Video, Kind::Audio] {
            let fits = |track: &Track| {
                wanted.of(kind).contains(&track.info().codec) && (allowed || !track.info().reordered)
            };
            let of_kind = tracks.iter().filter(|track| track.info().codec.kind() == kind).count();
            match wanted.choose(kind, &tracks) {
                Choice::NotWanted => prop_assert!(wanted.of(kind).is_empty()),
                Choice::AsItCame(track) => prop_assert!(fits(&track)),
                Choice::Make { from, to, why } => {
                    prop_assert!(!tracks.iter().any(|track| fits(track)) && !why.is_empty());
                    let codecs = to.iter().map(|target| target.codec).collect::<Vec<_>>();
                    prop_assert_eq!((from.info().codec.kind(), &codecs[..]), (kind, wanted.of(kind)));
                }
                Choice::Nothing(_) => prop_assert_eq!(of_kind, 0),
            }
        }
    }
}
