use super::*;
use std::time::Instant;

#[test]
fn the_clock_reads_right() {
    assert_eq!(clock(0), "1970-01-01 00:00:00.000");
    assert_eq!(clock(951_827_696_789), "2000-02-29 12:34:56.789");
    assert_eq!(clock(1_795_413_053_042), "2026-11-23 05:50:53.042");
    assert_eq!(clock(4_102_444_799_999), "2099-12-31 23:59:59.999");
}

#[test]
fn pictures_carry_their_moment_and_move() {
    let pattern = TestPattern::new(PictureSize::new(640, 480).unwrap(), "test").unwrap();
    let first = pattern.draw(1_795_413_053_042, 1).unwrap();
    let second = pattern.draw(1_795_413_053_542, 65_536 + 2).unwrap();
    let read = TimeCode::read(&first).unwrap();
    assert_eq!(read, TimeCode { unix_ms: 1_795_413_053_042, number: 1 });
    assert_eq!(TimeCode::read(&second).unwrap().number, 2);
    for plane in [Plane::Y, Plane::V] {
        let differ = first.plane(plane).iter().zip(second.plane(plane)).filter(|(a, b)| a != b).count();
        assert!(differ > 100, "{differ} bytes of {plane:?} differ");
    }
}

#[test]
fn drawing_takes_little_time() {
    for (width, height, goal_ms) in [(640, 480, 1.5), (1280, 720, 4.0)] {
        let pattern = TestPattern::new(PictureSize::new(width, height).unwrap(), "test").unwrap();
        let mut times: Vec<f64> = (0..200)
            .map(|number| {
                let start = Instant::now();
                pattern.draw(1_795_413_053_042 + number * 33, number).unwrap();
                start.elapsed().as_secs_f64() * 1e3
            })
            .collect();
        times.sort_by(f64::total_cmp);
        println!("{width}x{height}: median {:.3} ms, p99 {:.3} ms (goal {goal_ms})", times[100], times[198]);
        assert!(times[100] < goal_ms * 3.0);
    }
}

#[test]
fn small_sizes_can_be_drawn() {
    for (width, height) in [(16, 16), (64, 48), (320, 16), (322, 242)] {
        let pattern = TestPattern::new(PictureSize::new(width, height).unwrap(), "x".repeat(500).as_str());
        pattern.unwrap().draw(1, 1).unwrap();
    }
}

#[test]
fn noise_leaves_the_time_code_alone_and_differs_from_picture_to_picture() {
    let size = PictureSize::new(640, 480).unwrap();
    let (clean, noisy) =
        (TestPattern::new(size, "test").unwrap(), TestPattern::new(size, "test").unwrap().with_noise(100));
    let pictures = [1, 2].map(|number| noisy.draw(1_795_413_053_042, number).unwrap());
    assert_eq!(pictures.each_ref().map(|picture| TimeCode::read(picture).unwrap().number), [1, 2]);
    let clean = clean.draw(1_795_413_053_042, 1).unwrap();
    let differing = |a: &Picture, b: &Picture| {
        a.plane(Plane::Y).iter().zip(b.plane(Plane::Y)).filter(|(a, b)| a != b).count()
    };
    assert!(differing(&clean, &pictures[0]) > 250_000);
    assert!(differing(&pictures[0], &pictures[1]) > 250_000);
}
