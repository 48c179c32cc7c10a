use super::*;
use crate::{
    JpegEncoder, PictureSize, Quality, TestPattern, TimeCode,
    test_source::tests::{hub, join},
    worker::tests::eventually,
};
use futures_util::FutureExt;
use parking_lot::Mutex;
use patchbay_media::{hub::Source, ring::Start};
use std::time::Instant;

/// A camera whose pictures the test puts in itself.
struct Fed(Mutex<Option<LivePictures>>);

impl Fed {
    fn new(settings: LiveSettings) -> (Arc<Self>, PictureSender) {
        let (sender, runner) = LivePictures::new(settings);
        (Arc::new(Self(Mutex::new(Some(runner)))), sender)
    }
}

impl Source for Fed {
    /// Runs once: whatever it ends with is told to the viewers.
    fn run(
        self: Arc<Self>,
        publisher: Publisher,
        stop: CancellationToken,
    ) -> BoxFuture<'static, Result<(), SourceError>> {
        let runner = self.0.lock().take().expect("runs once");
        let ended = runner.run(publisher, stop);
        ended.map(|result| result.map_err(|error| SourceError::permanent(error.to_string()))).boxed()
    }
}

fn size(width: u32, height: u32) -> PictureSize {
    PictureSize::new(width, height).unwrap()
}

fn jpeg(encoder: &mut JpegEncoder, pattern: &TestPattern, number: u64) -> Shot {
    let picture = pattern.draw(1_795_413_053_042 + number, number).unwrap();
    Shot::Jpeg(encoder.encode(&picture).unwrap())
}

fn at(ms: i64) -> MediaTime {
    MediaTime::from_nanos(ms * 1_000_000)
}

/// Viewers would begin anew with each picture.
#[tokio::test(flavor = "multi_thread")]
async fn pictures_that_change_their_size_all_the_time_are_left_out() {
    let (source, sender) = Fed::new(LiveSettings::default());
    let hub = hub();
    let shot = |number: u64| {
        let side = if number.is_multiple_of(2) { 64 } else { 96 };
        let pattern = TestPattern::new(size(side, side), "size").unwrap();
        Shot::Picture(pattern.draw(1_795_413_053_042, number).unwrap())
    };
    assert!(sender.send_at(shot(0), at(0)));
    let (_subscription, _) = join(&hub, source).await;
    let started = Instant::now();
    for number in 1..40 {
        assert!(sender.send_at(shot(number), at(i64::try_from(number).unwrap() * 40)));
        eventually("the picture is taken", || {
            let figures = sender.figures();
            figures.encoded + figures.late + figures.dropped > number
        })
        .await;
    }
    let (figures, took) = (sender.figures(), started.elapsed());
    println!("{figures:?} in {took:?}");
    assert!(took.as_secs() >= 2 || figures.late >= 10, "{figures:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn jpegs_become_a_track_that_can_be_decoded() {
    let (source, sender) = Fed::new(LiveSettings::default());
    let (hub, started) = (hub(), Instant::now());
    let pattern = TestPattern::new(size(640, 480), "jpeg").unwrap();
    let mut encoder = JpegEncoder::new(Quality::new(80).unwrap());
    assert!(sender.send_at(jpeg(&mut encoder, &pattern, 0), at(0)));
    let (subscription, selected) = join(&hub, source).await;
    let track = selected.video.unwrap();
    println!("published after {:?}: {:?}", started.elapsed(), track.info());
    assert_eq!((track.info().width, track.info().height), (640, 480));
    let mut decoder = VideoDecoder::open(track.info()).unwrap();
    let mut reader = track.reader(Start::NewestKey);
    let mut delays = Vec::new();
    for number in 0..40 {
        let sent = Instant::now();
        if number > 0 {
            let shot = jpeg(&mut encoder, &pattern, number);
            assert!(sender.send_at(shot, at(i64::try_from(number).unwrap() * 40)));
        }
        let unit = reader.next().await.unwrap().entry.item.clone();
        delays.push(sent.elapsed());
        assert_eq!((unit.key, unit.pts), (number == 0, at(i64::try_from(number).unwrap() * 40)));
        let picture = decoder.decode(&unit).unwrap().pop().unwrap().picture;
        assert_eq!(u64::from(TimeCode::read(&picture).unwrap().number), number);
    }
    delays.sort();
    let figures = sender.figures();
    println!("JPEG in to unit out: median {:?}, most {:?}; {figures:?}", delays[20], delays[39]);
    assert_eq!((figures.taken, figures.encoded, figures.dropped), (40, 40, 0));
    assert!((figures.rate - 25.0).abs() < 0.1);
    track.request_key_frame();
    assert!(sender.send_at(jpeg(&mut encoder, &pattern, 40), at(1_600)));
    assert!(reader.next().await.unwrap().entry.item.key, "a key frame comes when asked for");
    drop(subscription);
    eventually("nobody encodes any more", || {
        !sender.send_at(Shot::Picture(pattern.draw(0, 0).unwrap()), at(1_640))
    })
    .await;
}

#[test]
fn the_newest_wins_and_what_is_late_is_left_out() {
    let (sender, live) = LivePictures::new(LiveSettings::default());
    let picture = Picture::black(size(320, 240)).unwrap();
    for ms in 0..5 {
        assert!(sender.send_at(Shot::Picture(picture.clone()), at(ms)));
    }
    let figures = sender.figures();
    assert_eq!((figures.taken, figures.dropped), (5, 3));
    assert!(matches!(live.shared.next(LOOK), Waiting::Shot(_, time) if time == at(3)));
    let mut encoder = LiveEncoder::new(LiveSettings::default());
    assert!(encoder.encode(&picture, at(10)).unwrap().is_some());
    assert!(encoder.encode(&picture, at(10)).unwrap().is_none());
    assert!(encoder.encode(&picture, at(5)).unwrap().is_none());
}

#[test]
fn another_size_begins_the_track_anew_and_key_frames_come_by_the_clock() {
    let mut encoder = LiveEncoder::new(LiveSettings::default());
    let (small, large) = (Picture::black(size(320, 240)).unwrap(), Picture::black(size(640, 480)).unwrap());
    let mut seen = Vec::new();
    for second in 0..30 {
        let picture = if second < 15 { &small } else { &large };
        let coded = encoder.encode(picture, at(second * 1_000)).unwrap().unwrap();
        if let Some(info) = &coded.anew {
            assert!(coded.unit.key && !info.configuration.is_empty());
        }
        if coded.unit.key {
            seen.push((second, coded.anew.map(|info| info.width)));
        }
    }
    assert_eq!(seen, [(0, Some(320)), (10, None), (15, Some(640)), (25, None)]);
}

#[tokio::test(flavor = "multi_thread")]
async fn damaged_jpegs_are_counted_and_never_harm() {
    let (source, sender) = Fed::new(LiveSettings::default());
    let pattern = TestPattern::new(size(320, 240), "jpeg").unwrap();
    let mut encoder = JpegEncoder::new(Quality::new(60).unwrap());
    let Shot::Jpeg(good) = jpeg(&mut encoder, &pattern, 0) else { unreachable!() };
    assert!(sender.send_at(Shot::Jpeg(good.clone()), at(0)));
    let hub = hub();
    let (_subscription, _selected) = join(&hub, source).await;
    let (started, mut state) = (Instant::now(), 7_u64);
    let mut random = |below: usize| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(state >> 33).unwrap() % below
    };
    for seed in 1..=2_000 {
        let mut bytes = good.to_vec();
        if random(4) == 0 {
            bytes.truncate(1 + random(bytes.len() - 1));
        }
        for _ in 0..=random(8) {
            let place = random(bytes.len());
            bytes[place] = u8::try_from(random(256)).unwrap();
        }
        let before = sender.figures();
        assert!(sender.send_at(Shot::Jpeg(bytes.into()), at(seed * 10)), "seed {seed} ended the track");
        let done = |figures: LiveFigures| figures.encoded + figures.undecodable + figures.late;
        while done(sender.figures()) == done(before) {
            assert!(started.elapsed() < Duration::from_mins(1), "seed {seed} hangs");
            tokio::task::yield_now().await;
        }
    }
    println!("2000 damaged JPEGs in {:?}: {:?}", started.elapsed(), sender.figures());
    assert!(sender.figures().undecodable > 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_jpeg_ends_with_words_that_say_so() {
    let (source, sender) = Fed::new(LiveSettings::default());
    let hub = hub();
    let name = patchbay_media::hub::StreamName::parse("camera/none").unwrap();
    hub.add(name.clone(), source, patchbay_media::hub::Mode::OnDemand).unwrap();
    let mut subscription = hub.subscribe(&name, crate::test_source::tests::browser()).unwrap();
    let feed = async {
        let mut ms = 0;
        while sender.send_at(Shot::Jpeg(Bytes::from_static(b"<html>")), at(ms)) {
            ms += 1;
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    };
    let both = async { tokio::join!(subscription.tracks_or_failure(), feed) };
    let (result, ()) = tokio::time::timeout(Duration::from_secs(10), both).await.unwrap();
    let error = result.unwrap_err();
    println!("{error}");
    assert!(error.to_string().contains("no JPEG"), "{error}");
}
