#![expect(
    clippy::cast_possible_truncation,
    clippy::cast_precision_loss,
    clippy::cast_sign_loss,
    reason = "numbers of a test, all small"
)]

use super::*;
use crate::{
    Corner, Mask, MaskStyle, MotionSeen, MotionSettings, MotionSink, Overlay, Point, ProcessingSettings,
    WallClock,
    testing::{
        at_ms, clock_differs, coded,
        feed::{Act, add, browser, eventually, fed, hub, name, sound},
        light, resident_kib,
        scene::{DAY, Mover, Scene},
        size,
    },
};
use bytes::Bytes;
use parking_lot::Mutex;
use patchbay_av::{
    KeyFrame, Picture, PictureSize, Plane, TimeCode, VideoDecoder, VideoEncoder, VideoSettings,
};
use patchbay_media::{
    AccessUnit, MediaTime, TrackId,
    hub::{NotStarted, Selected, Source, State, Subscription},
    ring::{Read, Reader, Start},
    track::{KeyFrames, Track, TrackInfo},
};
use std::{
    sync::atomic::{AtomicU64, Ordering},
    time::{Duration, Instant},
};
use tokio::{sync::mpsc, time::timeout};

/// Longest wait for anything.
const PATIENCE: Duration = Duration::from_secs(10);
pub(super) const NOON: u64 = 1_795_413_053_042;

/// The time is that of the line: noon when it begins.
pub(super) fn noon() -> WallClock {
    let begun = Instant::now();
    Arc::new(move || NOON + u64::try_from(begun.elapsed().as_millis()).unwrap())
}

pub(super) fn info(width: u32, height: u32) -> TrackInfo {
    VideoEncoder::open(VideoSettings::h264(TrackId(0), size(width, height), 25)).unwrap().info()
}

fn opus(ms: u64) -> AccessUnit {
    let data = Bytes::from(ms.to_be_bytes().to_vec());
    AccessUnit { track: TrackId(1), dts: at_ms(ms), pts: at_ms(ms), key: true, data }
}

/// The next unit.
async fn next(reader: &mut Reader<AccessUnit>) -> Read<AccessUnit> {
    timeout(PATIENCE, reader.next()).await.expect("nothing comes").unwrap()
}

/// The tracks of a viewer.
async fn tracks(subscription: &mut Subscription) -> Selected {
    timeout(PATIENCE, subscription.tracks()).await.expect("there are no tracks").unwrap()
}

#[derive(Default)]
pub(super) struct Seen {
    motion: Mutex<Vec<MotionSeen>>,
    blind: Mutex<Vec<String>>,
}

impl MotionSink for Seen {
    fn motion(&self, seen: MotionSeen) {
        self.motion.lock().push(seen);
    }

    fn blind(&self, why: &str) {
        self.blind.lock().push(why.to_owned());
    }
}

pub(super) fn mask() -> Mask {
    let points = [(0.0, 0.0), (1.0, 0.0), (1.0, 0.3), (0.0, 0.3)];
    Mask { points: points.map(|(x, y)| Point::new(x, y)).to_vec(), style: MaskStyle::Black }
}

pub(super) fn overlay() -> Overlay {
    Overlay { corner: Corner::BottomRight, scale: 2.0, zone: "UTC".to_owned(), title: None }
}

/// A time that a test sets, and the clock that tells it.
fn settable(unix_ms: u64) -> (Arc<AtomicU64>, WallClock) {
    let now = Arc::new(AtomicU64::new(unix_ms));
    let told = Arc::clone(&now);
    (now, Arc::new(move || told.load(Ordering::Relaxed)))
}

/// Milliseconds from the beginning of a stream to a unit.
fn ms_of(unit: &AccessUnit) -> u64 {
    u64::try_from(unit.pts.nanos() / 1_000_000).unwrap()
}

/// Publishes pictures and sound, and writes each when it is due: 25 a second.
async fn feed(acts: &mpsc::Sender<Act>, units: Vec<AccessUnit>) {
    acts.send(Act::Publish(vec![info(640, 360), sound()])).await.unwrap();
    let begun = Instant::now();
    for (number, unit) in (0_u64..).zip(units) {
        tokio::time::sleep_until((begun + Duration::from_millis(number * 40)).into()).await;
        acts.send(Act::Write(unit)).await.unwrap();
        acts.send(Act::Write(opus(number * 40))).await.unwrap();
    }
}

/// Looks at 60 pictures, and asks for a key frame on the way; in how many of them the clock is right.
async fn right_clocks(video: &Track) -> u32 {
    let mut pictures = video.reader(Start::NewestKey);
    let mut decoder = VideoDecoder::open(video.info()).unwrap();
    let mut right = 0;
    for number in 0..60 {
        let unit = next(&mut pictures).await.entry.item.clone();
        assert_eq!(unit.pts.nanos() % 40_000_000, 0, "the times stay");
        assert_eq!(unit.key, number == 0 || unit.key && number > 20, "only when it was asked for");
        let picture = decoder.decode(&unit).unwrap().pop().unwrap().picture;
        assert!(TimeCode::read(&picture).is_none(), "the time code is masked");
        let upper = &light(&picture)[..480 * 76];
        assert!(upper.iter().all(|light| *light <= 20), "nothing of the upper part can be seen");
        right += u32::from(shows(&picture, &overlay(), NOON + ms_of(&unit)));
        if number == 20 {
            video.request_key_frame();
        }
    }
    right
}

#[tokio::test(flavor = "multi_thread")]
async fn viewers_get_what_was_worked_on_and_the_sound_as_it_is() {
    let (inner, acts) = fed();
    let settings = ProcessingSettings {
        overlay: Some(overlay()),
        size: Some(size(480, 270)),
        masks: vec![mask()],
        ..ProcessingSettings::default()
    };
    let units = coded(size(640, 360), 25, 75, 1_000_000);
    let processed = Processed::new(inner, settings, None, noon()).unwrap();
    let hub = hub();
    add(&hub, processed);
    let mut subscription = hub.subscribe(&name(), browser()).unwrap();
    let viewer = async {
        let selected = tracks(&mut subscription).await;
        let (video, audio) = (selected.video.unwrap(), selected.audio.unwrap());
        assert_eq!((video.info().width, video.info().height), (480, 270));
        assert!(!video.info().configuration.is_empty() && video.key_frames() == KeyFrames::OnRequest);
        let listener = async {
            let mut packets = audio.reader(Start::NewestKey);
            for _ in 0..50 {
                let packet = next(&mut packets).await.entry.item.clone();
                assert_eq!(packet, opus(ms_of(&packet)));
            }
        };
        let (right, ()) = tokio::join!(right_clocks(&video), listener);
        println!("the clock is right in {right} of 60 pictures");
        assert!(right >= 56, "it may lag behind by a few pictures at the turn of a second");
        assert!(video.ring().newest_key().unwrap() > 0, "a key frame came when it was asked for");
    };
    tokio::join!(feed(&acts, units), viewer);
    drop(subscription);
    eventually("the source is stopped", 5, || hub.state(&name()).unwrap().state == State::Idle).await;
}

/// Whether the clock in a picture is nearer to that of a time than to others.
fn shows(picture: &Picture, overlay: &Overlay, unix_ms: u64) -> bool {
    let right = clock_differs(picture, overlay, unix_ms);
    [1_000, 10_000, 3_600_000].iter().all(|by| {
        right < clock_differs(picture, overlay, unix_ms - by)
            && right < clock_differs(picture, overlay, unix_ms + by)
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn failures_and_health_come_out_as_they_are() {
    for processed in [true, false] {
        let (inner, acts) = fed();
        let hub = hub();
        if processed {
            add(&hub, Processed::new(inner, ProcessingSettings::default(), None, noon()).unwrap());
        } else {
            let sink = Arc::new(Seen::default());
            add(&hub, Watching::new(inner, MotionSettings::default(), sink, noon()).unwrap());
        }
        let mut subscription = hub.subscribe(&name(), browser()).unwrap();
        acts.send(Act::Lose(7)).await.unwrap();
        let told = SourceError::permanent("the camera wants another password").because(Reason::Unauthorized);
        acts.send(Act::Fail(told.clone())).await.unwrap();
        let Err(NotStarted::Failed(error)) = subscription.tracks_or_failure().await else {
            panic!("no failure")
        };
        assert_eq!(error, told);
        assert_eq!(hub.health(&name()).unwrap().lost, 7);
        // The subscription hears of it a moment before the state does.
        let reason = || hub.state(&name()).unwrap().reason;
        eventually("the reason is told", 5, || reason() == Some(Reason::Unauthorized)).await;
    }
}

/// Waits until so many pictures were decoded to be looked at: as fast as that goes, not as fast as time does.
async fn decoded(figures: &VisionFigures, pictures: u64) {
    let begun = Instant::now();
    while figures.pictures() < pictures {
        assert!(begun.elapsed() < PATIENCE, "it does not look any more");
        tokio::task::yield_now().await;
    }
}

/// Each motion that was told is one of the scene, ends, and has a picture.
fn check_motions(seen: &[MotionSeen], scene: &Scene) {
    assert!(seen.len() >= 4 && seen.len().is_multiple_of(2), "each beginning has its end");
    let truth: Vec<_> = scene.movers.iter().flat_map(Mover::moves).collect();
    for pair in seen.chunks(2) {
        let [MotionSeen::Began { at, zones, picture, width, height, .. }, MotionSeen::Ended { at: end, .. }] =
            pair
        else {
            panic!("{pair:?}")
        };
        let (from, to) = ((at - NOON) as f32 / 1e3, (end - NOON) as f32 / 1e3);
        assert!(truth.iter().any(|truth| from < truth.1 && to > truth.0), "{from} to {to}: {truth:?}");
        assert!(zones.is_empty());
        let still = VideoDecoder::jpeg().unwrap().decode_still(picture).unwrap();
        assert_eq!(still.size(), PictureSize::new((*width).into(), (*height).into()).unwrap());
    }
}

fn in_words(seen: &MotionSeen) -> String {
    match seen {
        MotionSeen::Began { at, score, boxes, picture, .. } => {
            format!("began {at}, score {score:.2}, {} boxes, {} bytes", boxes.len(), picture.len())
        }
        MotionSeen::Ended { at, lasted } => format!("ended {at} after {lasted:?}"),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_watched_is_not_touched_and_motion_is_told() {
    let scene = Scene::new(5, DAY, 2, 0.0);
    let units = camera(&scene);
    let (inner, acts) = fed();
    let sink = Arc::new(Seen::default());
    let motion = MotionSettings {
        warm_up: Duration::from_secs(10),
        hold: Duration::from_secs(2),
        ..MotionSettings::default()
    };
    let (now, clock) = settable(NOON);
    let watching = Watching::new(inner, motion, Arc::clone(&sink) as Arc<dyn MotionSink>, clock).unwrap();
    let figures = watching.figures();
    let hub = hub();
    add(&hub, watching);
    let mut whole = hub.subscribe_whole(&name()).unwrap();
    acts.send(Act::Publish(vec![info(640, 360), sound()])).await.unwrap();
    let tracks = whole.tracks().await.unwrap();
    let mut reader = tracks[0].reader(Start::NextKey);
    for unit in &units {
        now.store(NOON + ms_of(unit), Ordering::Relaxed);
        acts.send(Act::Write(unit.clone())).await.unwrap();
        let read = next(&mut reader).await;
        assert_eq!(read.entry.item.data.as_ptr(), unit.data.as_ptr(), "the very same bytes");
        decoded(&figures, tracks[0].ring().written()).await;
    }
    drop(whole);
    eventually("the source is stopped", 5, || hub.state(&name()).unwrap().state == State::Idle).await;
    let seen = sink.motion.lock().clone();
    let told: Vec<String> = seen.iter().map(in_words).collect();
    println!("{told:?}; {} looks at {} pictures", figures.looks(), figures.pictures());
    check_motions(&seen, &scene);
    assert!(sink.blind.lock().is_empty() && figures.looks() > units.len() as u64 / 4);
}

#[tokio::test(flavor = "multi_thread")]
async fn motion_ends_when_nothing_can_be_decoded_any_more() {
    let units = camera(&Scene::new(5, DAY, 1, 0.0));
    for processed in [false, true] {
        let (inner, acts) = fed();
        let sink = Arc::new(Seen::default());
        let motion = MotionSettings { hold: Duration::from_secs(2), ..MotionSettings::default() };
        let hub = hub();
        let told = Arc::clone(&sink) as Arc<dyn MotionSink>;
        let figures = if processed {
            let settings = ProcessingSettings { size: Some(size(160, 90)), ..ProcessingSettings::default() };
            let source = Processed::new(inner, settings, Some((motion, told)), noon()).unwrap();
            let figures = source.figures();
            add(&hub, source);
            figures
        } else {
            let source = Watching::new(inner, motion, told, noon()).unwrap();
            let figures = source.figures();
            add(&hub, source);
            figures
        };
        let _whole = hub.subscribe_whole(&name()).unwrap();
        acts.send(Act::Publish(vec![info(640, 360)])).await.unwrap();
        let mut last = at_ms(0);
        for (number, unit) in (1_u64..).zip(&units) {
            if !sink.motion.lock().is_empty() {
                break;
            }
            last = unit.pts;
            acts.send(Act::Write(unit.clone())).await.unwrap();
            decoded(&figures, number).await;
        }
        assert_eq!(sink.motion.lock().len(), 1, "something moves");
        // A camera that sends on what nobody can decode.
        let data = Bytes::from_static(&[0, 0, 0, 5, 0x65, 1, 2, 3, 4]);
        for second in 1..=20 {
            let at = last + Duration::from_secs(second);
            let unit = AccessUnit { track: TrackId(0), dts: at, pts: at, key: true, data: data.clone() };
            acts.send(Act::Write(unit)).await.unwrap();
        }
        eventually("the motion has ended", 5, || sink.motion.lock().len() == 2).await;
        let Some(MotionSeen::Ended { lasted, .. }) = sink.motion.lock().last().cloned() else { panic!() };
        assert!(lasted < Duration::from_secs(3), "with what was seen last: {lasted:?}");
    }
}

/// A scene as a camera codes it, 15 pictures a second.
fn camera(scene: &Scene) -> Vec<AccessUnit> {
    let settings = VideoSettings { bitrate: 700_000, ..VideoSettings::h264(TrackId(0), size(640, 360), 15) };
    let mut encoder = VideoEncoder::open(settings).unwrap();
    let pictures = 0..(scene.seconds * 15.0) as u64;
    let units = pictures.map(|number| {
        let picture = scene.draw(number as f32 / 15.0);
        encoder.encode(&picture, at_ms(number * 1_000 / 15), KeyFrame::AsDue).unwrap().unwrap()
    });
    units.collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn motion_that_cannot_be_looked_for_harms_no_viewer() {
    let (inner, acts) = fed();
    let sink = Arc::new(Seen::default());
    let watching =
        Watching::new(inner, MotionSettings::default(), Arc::clone(&sink) as Arc<dyn MotionSink>, noon());
    let hub = hub();
    add(&hub, watching.unwrap());
    let mut whole = hub.subscribe_whole(&name()).unwrap();
    acts.send(Act::Publish(vec![sound()])).await.unwrap();
    let tracks = whole.tracks().await.unwrap();
    eventually("it is told", 5, || !sink.blind.lock().is_empty()).await;
    println!("{:?}", sink.blind.lock());
    acts.send(Act::Write(opus(20))).await.unwrap();
    assert_eq!(tracks[0].reader(Start::NewestKey).next().await.unwrap().entry.item, opus(20));
    assert_eq!(hub.state(&name()).unwrap().state, State::Live);
}

#[tokio::test(flavor = "multi_thread")]
async fn who_cannot_keep_up_looks_at_key_frames_alone() {
    let units = coded(size(320, 240), 25, 4, 300_000);
    let (inner, acts) = fed();
    let sink = Arc::new(Seen::default());
    let watching = Watching::new(inner, MotionSettings::default(), sink, noon()).unwrap();
    let figures = watching.figures();
    let hub = hub();
    add(&hub, watching);
    let mut whole = hub.subscribe_whole(&name()).unwrap();
    acts.send(Act::Publish(vec![info(320, 240)])).await.unwrap();
    whole.tracks().await.unwrap();
    // Pictures of twenty seconds a moment: nobody can follow for long.
    let mut number = 0;
    let begun = Instant::now();
    while figures.keys_only() == 0 {
        assert!(begun.elapsed() < Duration::from_secs(20), "it follows whatever comes");
        let unit = &units[number % 4];
        let dts = at_ms(number as u64 * 700);
        acts.send(Act::Write(AccessUnit { dts, pts: dts, ..unit.clone() })).await.unwrap();
        number += 1;
    }
    println!("after {number} units: {} skipped, {} decoded", figures.skipped(), figures.pictures());
    assert!(figures.skipped() > 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn pictures_that_cannot_be_decoded_are_an_error_in_words() {
    let (inner, acts) = fed();
    let hub = hub();
    add(&hub, Processed::new(inner, ProcessingSettings::default(), None, noon()).unwrap());
    let mut subscription = hub.subscribe(&name(), browser()).unwrap();
    acts.send(Act::Publish(vec![info(320, 240)])).await.unwrap();
    let feeder = async {
        for number in 0_u64.. {
            let data = Bytes::from_static(&[0, 0, 0, 5, 0x65, 1, 2, 3, 4]);
            let dts = at_ms(number);
            let unit = AccessUnit { track: TrackId(0), dts, pts: dts, key: true, data };
            if acts.send(Act::Write(unit)).await.is_err() {
                return;
            }
            tokio::task::yield_now().await;
        }
    };
    tokio::select! {
        failure = subscription.tracks_or_failure() => {
            let Err(NotStarted::Failed(error)) = failure else { panic!("no failure") };
            println!("{error}");
            assert_eq!(error.reason(), Reason::Codec);
        }
        () = feeder => {}
    }
    assert!(hub.health(&name()).unwrap().discarded > 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn black_is_shown_until_the_first_key_frame() {
    let units = coded(size(320, 240), 25, 10, 300_000);
    let (inner, acts) = fed();
    let hub = hub();
    add(&hub, Processed::new(inner, ProcessingSettings::default(), None, noon()).unwrap());
    let mut subscription = hub.subscribe(&name(), browser()).unwrap();
    acts.send(Act::Publish(vec![info(320, 240)])).await.unwrap();
    let late = |ms: u64, unit: &AccessUnit| AccessUnit { dts: at_ms(ms), pts: at_ms(ms), ..unit.clone() };
    for number in 1..5_u64 {
        acts.send(Act::Write(late(number * 40, &units[number as usize]))).await.unwrap();
    }
    let begun = Instant::now();
    let track = tracks(&mut subscription).await.video.unwrap();
    println!("black after {:?}", begun.elapsed());
    let mut reader = track.reader(Start::NewestKey);
    let mut decoder = VideoDecoder::open(track.info()).unwrap();
    let black = decoder.decode(&next(&mut reader).await.entry.item).unwrap().pop().unwrap().picture;
    assert!(black.plane(Plane::Y).iter().all(|light| *light <= 18));
    acts.send(Act::Write(late(400, &units[0]))).await.unwrap();
    let picture = decoder.decode(&next(&mut reader).await.entry.item).unwrap().pop().unwrap().picture;
    assert!(TimeCode::read(&picture).is_some(), "the first picture follows in the same track");
}

#[tokio::test(flavor = "multi_thread")]
async fn pictures_of_another_size_begin_the_track_anew() {
    let (wide, tall) = (coded(size(320, 240), 25, 10, 300_000), coded(size(240, 320), 25, 10, 300_000));
    for fixed in [None, Some(size(320, 180))] {
        let (inner, acts) = fed();
        let hub = hub();
        let settings = ProcessingSettings {
            overlay: Some(overlay()),
            masks: vec![mask()],
            size: fixed,
            ..ProcessingSettings::default()
        };
        let sink = Arc::new(Seen::default()) as Arc<dyn MotionSink>;
        add(&hub, Processed::new(inner, settings, Some((MotionSettings::default(), sink)), noon()).unwrap());
        let mut subscription = hub.subscribe(&name(), browser()).unwrap();
        acts.send(Act::Publish(vec![info(320, 240), sound()])).await.unwrap();
        for unit in &wide {
            acts.send(Act::Write(unit.clone())).await.unwrap();
        }
        let first = tracks(&mut subscription).await;
        let track = first.video.unwrap();
        let newest = |track: &Track| track.ring().newest().map(|entry| entry.item.pts);
        eventually("the last is shown", 5, || newest(&track) == Some(at_ms(360))).await;
        for (number, unit) in (10_u64..).zip(&tall) {
            let at = at_ms(number * 40);
            acts.send(Act::Write(AccessUnit { dts: at, pts: at, ..unit.clone() })).await.unwrap();
        }
        if fixed.is_some() {
            eventually("the track goes on", 5, || newest(&track) == Some(at_ms(760))).await;
            continue;
        }
        let second = tracks(&mut subscription).await;
        let track = second.video.unwrap();
        assert_eq!((track.info().width, track.info().height), (240, 320));
        acts.send(Act::Write(opus(800))).await.unwrap();
        let mut packets = second.audio.unwrap().reader(Start::NewestKey);
        let packet = next(&mut packets).await;
        assert_eq!(packet.entry.item, opus(800), "the sound goes on");
    }
}

#[test]
fn bad_settings_are_refused_at_once() {
    let (inner, _acts) = fed();
    let settings = ProcessingSettings { bitrate: Some(1), ..ProcessingSettings::default() };
    let refused = Processed::new(Arc::clone(&inner) as Arc<dyn Source>, settings, None, noon());
    assert_eq!(refused.err().unwrap().field(), Some("bitrate"));
    let motion = MotionSettings { rate: 0, ..MotionSettings::default() };
    let sink = Arc::new(Seen::default()) as Arc<dyn MotionSink>;
    let refused = Processed::new(
        Arc::clone(&inner) as Arc<dyn Source>,
        ProcessingSettings::default(),
        Some((motion.clone(), Arc::clone(&sink))),
        noon(),
    );
    assert_eq!(refused.err().unwrap().field(), Some("motion.rate"));
    assert_eq!(Watching::new(inner, motion, sink, noon()).err().unwrap().field(), Some("motion.rate"));
}

#[path = "day_tests.rs"]
mod day;
