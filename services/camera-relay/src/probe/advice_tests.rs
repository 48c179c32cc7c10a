//! What is advised when.

use super::*;
use crate::cameras::{Address, ClearPassword, LoginSpec, RtspSpec};
use bytes::Bytes;
use patchbay_media::{TrackId, hub::Figures, track::TrackInfo};

fn found(codec: Codec) -> Found {
    let is_video = codec.kind() == Kind::Video;
    let (width, height) = if is_video { (1280, 720) } else { (0, 0) };
    let info = TrackInfo {
        id: TrackId(0),
        codec,
        clock_rate: 90_000,
        channels: u8::from(!is_video),
        width,
        height,
        configuration: Bytes::new(),
        reordered: false,
    };
    let key_frame_interval = is_video.then_some(Duration::from_secs(2));
    let figures = Figures { rate: 25.0, bitrate: 2_000_000, key_frame_interval, ..Figures::default() };
    Found { delivery: super::super::delivery::of(&info), profile: String::new(), info, figures }
}

fn advised(change: impl Fn(&mut Found)) -> Vec<Advice> {
    let mut video = found(Codec::H264);
    change(&mut video);
    on(&[video, found(Codec::Opus)], HealthFigures::default())
}

#[test]
fn a_good_camera_is_left_alone() {
    assert_eq!(advised(|_| {}), []);
}

#[test]
fn each_thing_that_could_be_better_is_said_once() {
    type Change = fn(&mut Found);
    let cases: [(Topic, &str, Change); 6] = [
        (Topic::RareKeyFrames, "4.5 s apart", |found| {
            found.figures.key_frame_interval = Some(Duration::from_millis(4500));
        }),
        (Topic::LoneKeyFrame, "no second key frame", |found| found.figures.key_frame_interval = None),
        (Topic::H265, "H265", |found| found.info.codec = Codec::H265),
        (Topic::Reordered, "B-frames", |found| found.info.reordered = true),
        (Topic::LargePicture, "3840x2160", |found| {
            (found.info.width, found.info.height) = (3840, 2160);
        }),
        (Topic::HighBitRate, "12 Mbit", |found| found.figures.bitrate = 12_000_000),
    ];
    for (topic, words, change) in cases {
        let advice = advised(change);
        assert!(
            advice.len() == 1 && advice[0].topic == topic && advice[0].words.contains(words),
            "{words}: {advice:?}"
        );
    }
    // 1080p, also upright, is not too much.
    assert!(advised(|found| (found.info.width, found.info.height) = (1080, 1920)).is_empty());
}

#[test]
fn silence_and_a_bad_way_are_told() {
    let health = HealthFigures { lost: 7, discarded: 2, jumps: 1 };
    let advice = on(&[found(Codec::H264)], health);
    let expected = [
        (Topic::NoSound, "no sound"),
        (Topic::Loss, "7 packets"),
        (Topic::Damage, "2 pictures"),
        (Topic::ClockJumps, "jumped 1"),
    ];
    for (topic, words) in expected {
        assert!(
            advice.iter().any(|one| one.topic == topic && one.words.contains(words)),
            "{words}: {advice:?}"
        );
    }
}

#[test]
fn a_login_over_a_plain_connection_is_told_and_not_shown() {
    let spec = |scheme: &str, login: Option<LoginSpec>| {
        let (url, _) = Address::split(&format!("{scheme}://camera.example/"));
        SourceSpec::Rtsp(RtspSpec { url, login, ..RtspSpec::default() })
    };
    let with = || {
        let given = Some(ClearPassword::new("s3cret".to_owned()));
        Some(LoginSpec { username: "admin".to_owned(), given, ..LoginSpec::default() })
    };
    let Advice { words: advice, .. } = login(&spec("rtsp", with())).unwrap();
    assert!(
        advice.contains("rtsps://") && !advice.contains("s3cret") && !advice.contains("admin"),
        "{advice}"
    );
    assert_eq!(login(&spec("rtsps", with())), None);
    assert_eq!(login(&spec("rtsp", None)), None);
}

#[test]
fn after_a_wrong_path_those_of_makers_are_named() {
    let problem =
        |reason| Problem { step: super::super::findings::StepName::Open, reason, detail: String::new() };
    let advice = after(&problem(Reason::NotFound), "rtsp");
    assert!(advice[0].words.contains("Hikvision /Streaming/Channels/101"), "{advice:?}");
    assert!(after(&problem(Reason::Refused), "rtsp").is_empty());
    assert!(after(&problem(Reason::NotFound), "mjpeg").is_empty());
}
