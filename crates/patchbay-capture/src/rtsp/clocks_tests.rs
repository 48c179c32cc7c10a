use super::*;

fn clocks() -> (Clocks, Instant) {
    let begun = Instant::now();
    let mut clocks = Clocks::new(begun);
    clocks.track(90_000, Duration::from_millis(40));
    clocks.track(8000, Duration::from_millis(20));
    (clocks, begun)
}

const MS: i64 = 1_000_000;

#[test]
fn times_go_on_over_a_wrap() {
    let (mut clocks, begun) = clocks();
    let mut last = None;
    for picture in 0..10_u32 {
        let timestamp = (u32::MAX - 3 * 3600).wrapping_add(picture * 3600);
        let arrival = begun + Duration::from_millis(u64::from(picture) * 40);
        let placed = clocks.place(0, timestamp, arrival);
        assert!(!placed.jumped && placed.dts == placed.pts);
        assert!(last.is_none_or(|last: MediaTime| placed.dts.since(last) == Duration::from_millis(40)));
        last = Some(placed.dts);
    }
}

#[test]
fn sound_is_moved_beside_its_pictures_by_sender_reports() {
    let (mut clocks, begun) = clocks();
    let at = |ms: u64| begun + Duration::from_millis(ms);
    // The sound comes 300 ms late, though it was recorded with the pictures.
    let mut apart = Vec::new();
    for step in 0..1000_u32 {
        let ms = u64::from(step) * 40;
        let video = clocks.place(0, 7000 + step * 3600, at(ms));
        let audio = clocks.place(1, 99 + step * 320, at(ms + 300));
        if step % 100 == 1 {
            let camera = i64::from(step) * 40 * MS;
            clocks.report(0, SenderReport { ssrc: 1, nanos: camera, timestamp: 7000 + step * 3600 });
            clocks.report(1, SenderReport { ssrc: 2, nanos: camera, timestamp: 99 + step * 320 });
        }
        apart.push((audio.pts.nanos() - video.pts.nanos()) / MS);
    }
    println!("apart at first {} ms, in the end {} ms", apart[0], apart[999]);
    assert_eq!(apart[0], 300);
    assert!(apart[999].abs() <= 2, "{}", apart[999]);
    assert!(apart.windows(2).all(|pair| (pair[1] - pair[0]).abs() <= 3), "slowly");
}

#[test]
fn reports_of_clocks_that_are_not_set_move_nothing() {
    let (mut clocks, begun) = clocks();
    for step in 0..100_u32 {
        let at = begun + Duration::from_millis(u64::from(step) * 40);
        let video = clocks.place(0, step * 3600, at);
        let audio = clocks.place(1, step * 320, at);
        clocks.report(0, SenderReport { ssrc: 1, nanos: 1 << 60, timestamp: step * 3600 });
        clocks.report(1, SenderReport { ssrc: 2, nanos: 5, timestamp: step * 320 });
        assert_eq!(video.pts, audio.pts);
    }
}

#[test]
fn pictures_out_of_order_get_times_of_decoding() {
    // Order of decoding I P B B P B B, with 40 ms between pictures, and a pyramid of depth two.
    for (depth, shown) in [(1, vec![0, 3, 1, 2, 6, 4, 5, 9, 7, 8]), (2, vec![0, 4, 2, 1, 3, 8, 6, 5, 7])] {
        let (mut clocks, begun) = clocks();
        clocks.reorder(0, depth);
        let mut last = MediaTime::from_nanos(i64::MIN);
        let mut times = Vec::new();
        for (index, picture) in shown.iter().enumerate() {
            let arrival = begun + Duration::from_millis(40 * u64::try_from(index).unwrap());
            let placed = clocks.place(0, 1000 + picture * 3600, arrival);
            assert!(placed.dts >= last && placed.pts >= placed.dts && !placed.jumped, "{placed:?}");
            last = placed.dts;
            times.push((placed.pts.nanos() + 20 * MS) / (40 * MS));
        }
        let first = times[0];
        let shown: Vec<i64> = shown.iter().map(|picture| i64::from(*picture)).collect();
        assert_eq!(times.iter().map(|time| time - first).collect::<Vec<_>>(), shown, "depth {depth}");
    }
}

#[test]
fn a_jump_voids_the_reports() {
    let (mut clocks, begun) = clocks();
    clocks.place(0, 0, begun);
    clocks.report(0, SenderReport { ssrc: 1, nanos: 5, timestamp: 0 });
    let placed = clocks.place(0, 90_000 * 3600, begun + Duration::from_millis(40));
    assert!(placed.jumped && clocks.tracks[0].camera.is_none());
    assert!(placed.dts.since(MediaTime::ZERO) < Duration::from_millis(100));
}
