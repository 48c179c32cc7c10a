//! A day of one camera, in a minute.

use super::*;

#[tokio::test(flavor = "multi_thread")]
async fn a_day_goes_by() {
    // A picture each ten seconds, and a night in which clocks are set forward; 13 h in, a count of 90,000 a second passes 32 bits.
    let units = coded(size(320, 180), 1, 16, 150_000);
    // Midnight, and when the clocks are set: each second.
    let is_turn = |second: &u64| [32_400, 39_600].iter().any(|turn| second.abs_diff(*turn) < 5);
    let seconds = (0..86_400_u64).filter(|second| second % 10 == 0 || is_turn(second));
    let (inner, acts) = fed();
    // 2026-03-28 14:00 UTC.
    let begun = 1_774_706_400_000_u64;
    let now = Arc::new(AtomicU64::new(begun));
    let clock: WallClock = Arc::new({
        let now = Arc::clone(&now);
        move || now.load(Ordering::Relaxed)
    });
    let zone = "Europe/Berlin".to_owned();
    let overlay = Overlay { zone, ..overlay() };
    let settings = ProcessingSettings {
        overlay: Some(overlay.clone()),
        masks: vec![mask()],
        bitrate: Some(300_000),
        ..ProcessingSettings::default()
    };
    let sink = Arc::new(Seen::default());
    let motion = MotionSettings { rate: 1, ..MotionSettings::default() };
    let processed =
        Processed::new(inner, settings, Some((motion, Arc::clone(&sink) as Arc<dyn MotionSink>)), clock)
            .unwrap();
    let figures = processed.figures();
    let hub = hub();
    add(&hub, processed);
    let mut subscription = hub.subscribe(&name(), browser()).unwrap();
    acts.send(Act::Publish(vec![info(320, 180), sound()])).await.unwrap();
    let mut reader = None;
    let (mut after_an_hour, mut checked, started) = (0, 0, Instant::now());
    for (second, unit) in seconds.zip(units.iter().cycle()) {
        let at = at_ms(second * 1_000);
        now.store(begun + second * 1_000, Ordering::Relaxed);
        acts.send(Act::Write(AccessUnit { dts: at, pts: at, ..unit.clone() })).await.unwrap();
        acts.send(Act::Write(opus(second * 1_000))).await.unwrap();
        if reader.is_none() {
            let track = tracks(&mut subscription).await.video.unwrap();
            reader = Some((track.reader(Start::NewestKey), VideoDecoder::open(track.info()).unwrap()));
        }
        let (reader, decoder) = reader.as_mut().unwrap();
        let read = next(reader).await;
        assert_eq!(
            (read.entry.item.pts, read.entry.item.dts, read.skipped),
            (at, at, 0),
            "no drift, nothing lost"
        );
        let seen = decoder.decode(&read.entry.item).unwrap().pop().unwrap();
        assert_eq!(seen.pts, at);
        if is_turn(&second) || second % 900 == 0 {
            assert!(shows(&seen.picture, &overlay, begun + second * 1_000), "at {second} s");
            checked += 1;
        }
        if second == 3_600 {
            after_an_hour = resident_kib();
        }
    }
    let now = resident_kib();
    println!(
        "a day in {:?}: {checked} clocks read; {after_an_hour} KiB after an hour, {now} KiB after a day; {} pictures, {} late, {} skipped",
        started.elapsed(),
        figures.pictures(),
        figures.late(),
        figures.skipped(),
    );
    assert!(now < after_an_hour + 80 * 1024, "other tests run in this process as well");
}
