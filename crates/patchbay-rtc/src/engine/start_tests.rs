use super::*;
use crate::feed::FeedConfig;
use bytes::Bytes;
use patchbay_media::{AccessUnit, Codec, MediaTime, TrackId, track::TrackInfo};

fn feed(codec: Codec, key_frames: KeyFrames, keys: &[i64]) -> Arc<Feed> {
    let info = TrackInfo {
        id: TrackId(0),
        codec,
        clock_rate: 90_000,
        channels: 0,
        width: 640,
        height: 480,
        configuration: Bytes::new(),
        reordered: false,
    };
    let (feed, mut writer) = Feed::new(&info, FeedConfig { key_frames, ..FeedConfig::default() });
    for millis in keys {
        let time = MediaTime::from_nanos(millis * 1_000_000);
        writer
            .write(&AccessUnit {
                track: TrackId(0),
                dts: time,
                pts: time,
                key: true,
                data: Bytes::from_static(&[0; 99]),
            })
            .unwrap();
    }
    feed
}

fn plan(feed: &Feed, frames: usize, bytes: u64, age: u64) -> Plan {
    let cached = Cached { key: 7, frames, bytes, age: Duration::from_millis(age) };
    Plan::choose(feed, Some(cached), &InstantStart::default())
}

#[test]
fn a_camera_that_cannot_be_asked_is_caught_up_with() {
    let feed = feed(Codec::Vp8, KeyFrames::AsTheyCome, &[0, 10_000]);
    assert_eq!(plan(&feed, 90, 500_000, 3000), Plan::Burst { key: 7 });
    assert_eq!(
        plan(&feed, 285, 1_700_000, 9500),
        Plan::Burst { key: 7 },
        "0.34 s of decoding against 0.5 s of waiting"
    );
    assert_eq!(plan(&feed, 297, 1_750_000, 9900), Plan::Still { key: 7 }, "the next key frame is sooner");
    assert_eq!(plan(&feed, 700, 1_750_000, 1000), Plan::Still { key: 7 }, "more than a browser keeps");
    assert_eq!(plan(&feed, 100, 20_000_000, 1000), Plan::Still { key: 7 });
    assert_eq!(Plan::choose(&feed, None, &InstantStart::default()), Plan::Wait);
}

#[test]
fn an_encoder_of_ours_is_asked_unless_the_cache_is_quicker() {
    let feed = feed(Codec::Vp8, KeyFrames::OnRequest, &[0]);
    assert_eq!(plan(&feed, 20, 50_000, 700), Plan::Burst { key: 7 });
    assert_eq!(plan(&feed, 60, 200_000, 2000), Plan::Wait);
}

#[test]
fn sound_has_no_past() {
    let feed = feed(Codec::Opus, KeyFrames::AsTheyCome, &[0, 20]);
    assert_eq!(plan(&feed, 20, 5000, 700), Plan::Live);
}
