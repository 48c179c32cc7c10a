use super::*;
use crate::{TimeCode, VideoDecoder, worker::tests::eventually};
use patchbay_media::{
    Codec, Spawn, Task,
    hub::{Hub, HubConfig, Mode, Reordering, Selected, StreamName, Subscription, Wanted},
    ring::Start,
};

struct OnRuntime;

impl Spawn for OnRuntime {
    fn spawn(&self, _: &'static str, task: Task) {
        drop(tokio::runtime::Handle::current().spawn(task));
    }
}

pub(crate) fn hub() -> Hub {
    Hub::new(HubConfig { linger: Duration::from_millis(1), ..HubConfig::default() }, Arc::new(OnRuntime))
}

pub(crate) fn browser() -> Wanted {
    Wanted {
        video: vec![Codec::H264],
        audio: vec![Codec::Opus],
        reordered: Reordering::NotAllowed,
        limit: None,
    }
}

pub(crate) async fn join(hub: &Hub, source: Arc<dyn Source>) -> (Subscription, Selected) {
    let name = StreamName::parse("camera/one").unwrap();
    hub.add(name.clone(), source, Mode::OnDemand).unwrap();
    let mut subscription = hub.subscribe(&name, browser()).unwrap();
    let selected = subscription.tracks().await.unwrap();
    (subscription, selected)
}

/// Milliseconds since this test process began, as if that had been in 2026.
fn clock() -> (Instant, WallClock) {
    let started = Instant::now();
    (started, Arc::new(move || 1_795_413_053_042 + u64::try_from(started.elapsed().as_millis()).unwrap()))
}

fn source(settings: TestSettings) -> Arc<TestSource> {
    Arc::new(TestSource::new(settings, clock().1).unwrap())
}

fn size(width: u32, height: u32) -> PictureSize {
    PictureSize::new(width, height).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn pictures_come_in_time_and_can_be_read() {
    let (hub, (started, clock)) = (hub(), clock());
    let source = TestSource::new(TestSettings::new("test", size(640, 480)), Arc::clone(&clock)).unwrap();
    let (subscription, selected) = join(&hub, Arc::new(source)).await;
    let track = selected.video.unwrap();
    println!("published after {:?}: {:?}", started.elapsed(), track.info());
    assert!(!track.info().configuration.is_empty());
    let mut decoder = VideoDecoder::open(track.info()).unwrap();
    let mut reader = track.reader(Start::NewestKey);
    let (mut delays, mut gaps, mut last) = (Vec::new(), Vec::new(), None::<Instant>);
    for index in 0..90 {
        let read = reader.next().await.unwrap();
        let now = clock();
        assert_eq!((read.skipped, read.entry.item.key), (0, index == 0));
        let picture = decoder.decode(&read.entry.item).unwrap().pop().unwrap().picture;
        delays.push(now - TimeCode::read(&picture).unwrap().unix_ms);
        gaps.extend(last.replace(Instant::now()).map(|last| last.elapsed().as_secs_f64() * 1e3));
    }
    delays.sort_unstable();
    gaps.sort_by(f64::total_cmp);
    println!(
        "drawn to read: median {} ms, most {} ms; gaps {:.1} to {:.1} ms",
        delays[45], delays[89], gaps[0], gaps[88]
    );
    assert!(delays[45] <= 20, "encoding and handing over takes little time");
    drop(subscription);
    eventually("the track has ended", || track.ring().has_ended()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn key_frames_come_on_request_but_not_too_many() {
    let hub = hub();
    let settings = TestSettings {
        key_frame_gap: Duration::from_millis(200),
        ..TestSettings::new("test", size(320, 240))
    };
    let (_subscription, selected) = join(&hub, source(settings)).await;
    let track = selected.video.unwrap();
    let mut reader = track.reader(Start::NewestKey);
    let mut keys = Vec::new();
    for _ in 0..45 {
        let read = reader.next().await.unwrap();
        // Somebody asks before every picture.
        track.request_key_frame();
        if read.entry.item.key {
            keys.push(read.entry.item.pts);
        }
    }
    let gaps: Vec<u128> = keys.windows(2).map(|pair| pair[1].since(pair[0]).as_millis()).collect();
    println!("key frames after {gaps:?} ms");
    assert!(gaps.len() >= 5 && gaps.iter().all(|gap| (200..=301).contains(gap)));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_tone_comes_in_packets_of_20_ms() {
    let hub = hub();
    let (_subscription, selected) = join(&hub, source(TestSettings::new("test", size(320, 240)))).await;
    let track = selected.audio.unwrap();
    let mut reader = track.reader(Start::NextKey);
    let mut last: Option<MediaTime> = None;
    for _ in 0..50 {
        let unit = reader.next().await.unwrap().entry.item.clone();
        assert!(last.is_none_or(|last| unit.pts.since(last) == Duration::from_millis(20)));
        last = Some(unit.pts);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn it_stops_soon_and_can_run_again() {
    let hub = hub();
    let settings = TestSettings { sound: Sound::None, ..TestSettings::new("test", size(320, 240)) };
    let source = source(TestSettings { fps: 1, ..settings });
    for _ in 0..3 {
        let (subscription, selected) = join(&hub, Arc::clone(&source) as Arc<dyn Source>).await;
        let track = selected.video.unwrap();
        let start = Instant::now();
        drop(subscription);
        eventually("the track has ended", || track.ring().has_ended()).await;
        assert!(start.elapsed() < Duration::from_millis(600));
        hub.remove(&StreamName::parse("camera/one").unwrap());
    }
}

#[test]
fn settings_are_checked() {
    let good = TestSettings::new("test", size(320, 240));
    for settings in [
        TestSettings { fps: 0, ..good.clone() },
        TestSettings { fps: 121, ..good.clone() },
        TestSettings { bitrate: Some(1), ..good.clone() },
        TestSettings { key_frame_interval: Duration::ZERO, ..good.clone() },
        TestSettings { key_frame_gap: Duration::from_mins(1), ..good.clone() },
    ] {
        assert!(TestSource::new(settings, clock().1).is_err());
    }
}
