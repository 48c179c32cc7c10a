//! A day of one camera, in a minute.

use super::*;

/// 2026-03-28 14:00 UTC.
const BEGUN: u64 = 1_774_706_400_000;

/// Midnight in Berlin, and when the clocks are set forward: each second is looked at.
fn is_turn(second: u64) -> bool {
    [32_400, 39_600].iter().any(|turn| second.abs_diff(*turn) < 5)
}

/// The camera with a clock, a mask and a search for motion.
fn watched(overlay: &Overlay, inner: Arc<dyn Source>, clock: WallClock) -> Processed {
    let settings = ProcessingSettings {
        overlay: Some(overlay.clone()),
        masks: vec![mask()],
        bitrate: Some(300_000),
        ..ProcessingSettings::default()
    };
    let motion = MotionSettings { rate: 1, ..MotionSettings::default() };
    let sink = Arc::new(Seen::default()) as Arc<dyn MotionSink>;
    Processed::new(inner, settings, Some((motion, sink)), clock).unwrap()
}

/// Reads and decodes what was made of each picture.
struct Viewer {
    reader: Reader<AccessUnit>,
    decoder: VideoDecoder,
}

impl Viewer {
    async fn of(subscription: &mut Subscription) -> Self {
        let track = tracks(subscription).await.video.unwrap();
        let decoder = VideoDecoder::open(track.info()).unwrap();
        Self { reader: track.reader(Start::NewestKey), decoder }
    }

    /// The picture of a moment, which comes next.
    async fn picture(&mut self, at: MediaTime) -> Picture {
        let read = next(&mut self.reader).await;
        let unit = &read.entry.item;
        assert_eq!((unit.pts, unit.dts, read.skipped), (at, at, 0), "no drift, nothing lost");
        let seen = self.decoder.decode(unit).unwrap().pop().unwrap();
        assert_eq!(seen.pts, at);
        seen.picture
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_day_goes_by() {
    // A picture each ten seconds, and a night in which clocks are set forward; 13 h in, a count of 90,000 a second passes 32 bits.
    let units = coded(size(160, 90), 1, 16, 100_000);
    let seconds = (0..86_400_u64).filter(|second| second % 10 == 0 || is_turn(*second));
    let (inner, acts) = fed();
    let (now, clock) = settable(BEGUN);
    let overlay = Overlay { zone: "Europe/Berlin".to_owned(), ..overlay() };
    let processed = watched(&overlay, inner, clock);
    let figures = processed.figures();
    let hub = hub();
    add(&hub, processed);
    let mut subscription = hub.subscribe(&name(), browser()).unwrap();
    acts.send(Act::Publish(vec![info(160, 90), sound()])).await.unwrap();
    let mut viewer = None;
    let (mut after_an_hour, mut checked, started) = (0, 0, Instant::now());
    for (second, unit) in seconds.zip(units.iter().cycle()) {
        let at = at_ms(second * 1_000);
        now.store(BEGUN + second * 1_000, Ordering::Relaxed);
        acts.send(Act::Write(AccessUnit { dts: at, pts: at, ..unit.clone() })).await.unwrap();
        acts.send(Act::Write(opus(second * 1_000))).await.unwrap();
        if viewer.is_none() {
            viewer = Some(Viewer::of(&mut subscription).await);
        }
        let picture = viewer.as_mut().unwrap().picture(at).await;
        if is_turn(second) || second % 900 == 0 {
            assert!(shows(&picture, &overlay, BEGUN + second * 1_000), "at {second} s");
            checked += 1;
        }
        if second == 3_600 {
            after_an_hour = resident_kib();
        }
    }
    let after_a_day = resident_kib();
    println!(
        "a day in {:?}: {checked} clocks read; {after_an_hour} KiB after an hour, {after_a_day} KiB after a day; {} pictures, {} late, {} skipped",
        started.elapsed(),
        figures.pictures(),
        figures.late(),
        figures.skipped(),
    );
    assert!(after_a_day < after_an_hour + 80 * 1024, "other tests run in this process as well");
}
