#![expect(
    clippy::cast_possible_truncation,
    clippy::cast_precision_loss,
    clippy::cast_sign_loss,
    reason = "numbers of a test, all small"
)]

use super::*;
use crate::{
    Point, Zone,
    testing::{Random, at_ms, resident_kib, size},
};
use patchbay_av::{PicturePool, Plane};

/// A room: some texture and noise that is another each time.
struct Room {
    pool: PicturePool,
    width: usize,
    texture: Vec<u8>,
    random: Random,
}

/// A bright thing: left, top, width and height in pixels.
type Box4 = (usize, usize, usize, usize);

impl Room {
    fn new(width: u32, height: u32, seed: u64) -> Self {
        let mut random = Random::new(seed);
        let texture = (0..width * height).map(|_| random.between(80.0, 110.0) as u8).collect();
        let width_in_pixels = usize::try_from(width).unwrap();
        Self { pool: PicturePool::new(size(width, height)), width: width_in_pixels, texture, random }
    }

    fn draw(&mut self, thing: Option<(Box4, u8)>) -> Picture {
        self.shine(thing, 1.0)
    }

    fn shine(&mut self, thing: Option<(Box4, u8)>, light: f32) -> Picture {
        let mut canvas = self.pool.take().unwrap();
        let (stride, width) = (canvas.stride(Plane::Y), self.width);
        for (y, row) in canvas.plane_mut(Plane::Y).chunks_mut(stride).enumerate() {
            for (x, pixel) in row[..width].iter_mut().enumerate() {
                let at = |(left, top, width, height): Box4| {
                    (left..left + width).contains(&x) && (top..top + height).contains(&y)
                };
                let more = thing.filter(|(place, _)| at(*place)).map_or(0, |(_, more)| more);
                let lit = f32::from(self.texture[y * width + x] - 16 + more) * light + 16.0;
                *pixel = (lit + self.random.between(-3.0, 3.0)) as u8;
            }
        }
        canvas.finish()
    }
}

fn settings() -> MotionSettings {
    MotionSettings { warm_up: Duration::from_secs(4), ..MotionSettings::default() }
}

/// Looks five times a second at what `draw` gives for each look; the numbers of the looks in which something moved.
fn look(
    detector: &mut Detector,
    from: u64,
    looks: u64,
    mut draw: impl FnMut(u64) -> Picture,
) -> Vec<(u64, Moving)> {
    let sights = (from..from + looks)
        .map(|look| (look, detector.look(&draw(look - from), at_ms(look * 200)).unwrap()));
    let moving = sights.filter_map(|(look, sight)| match sight {
        Sight::Moving(moving) => Some((look, moving)),
        Sight::Still | Sight::Learning => None,
    });
    moving.collect()
}

fn square(name: &str, left: f32, right: f32, sensitivity: u8) -> Zone {
    let points =
        vec![Point::new(left, 0.0), Point::new(right, 0.0), Point::new(right, 1.0), Point::new(left, 1.0)];
    Zone { name: name.to_owned(), points, sensitivity }
}

#[test]
fn zones_tell_what_moves_in_them() {
    let zones = vec![square("left", 0.0, 0.4, 50), square("right", 0.6, 1.0, 50)];
    let mut detector = Detector::new(MotionSettings { zones, ..settings() }).unwrap();
    let mut room = Room::new(640, 360, 1);
    assert!(look(&mut detector, 0, 40, |_| room.draw(None)).is_empty());
    // From left to right in eight seconds.
    let seen = look(&mut detector, 40, 40, |look| {
        room.draw(Some(((usize::try_from(look).unwrap() * 15, 150, 30, 60), 60)))
    });
    let of = |name: &str| seen.iter().filter(|(_, moving)| moving.zones == [name]).count();
    let looks: Vec<u64> = seen.iter().map(|(look, _)| *look).collect();
    println!("left {}, right {}: {looks:?}", of("left"), of("right"));
    assert!(of("left") >= 10 && of("right") >= 10 && of("left") + of("right") == seen.len());
    for (look, moving) in &seen {
        let (place, left) = (moving.boxes[0], (look - 40) as f32 * 15.0 / 640.0);
        assert!((place.x - left).abs() < 0.08 && place.height < 0.3, "{place:?} for one at {left}");
    }
}

#[test]
fn a_lamp_is_no_motion_and_nothing_that_was_put_down_is_for_long() {
    let mut detector = Detector::new(settings()).unwrap();
    let mut room = Room::new(640, 360, 2);
    let lamp = Some(((200, 100, 120, 90), 90));
    let seen = look(&mut detector, 0, 200, |look| room.draw(lamp.filter(|_| (60..130).contains(&look))));
    assert!(seen.is_empty(), "{seen:?}");
    let mut put_down = |look: u64| {
        let left = usize::try_from(look.min(20)).unwrap() * 12;
        room.draw(Some(((left, 150, 40, 80), 70)))
    };
    let seen = look(&mut detector, 200, 200, &mut put_down);
    let last = seen.last().unwrap().0;
    println!("moved until look 220, told until {last}");
    assert!(seen.len() > 15 && last <= 226);
}

#[test]
fn another_picture_is_learned_and_not_told() {
    let mut detector = Detector::new(settings()).unwrap();
    let (mut room, mut other) = (Room::new(640, 360, 3), Room::new(640, 360, 3));
    // Turned: other furniture.
    for (index, light) in other.texture.iter_mut().enumerate() {
        *light = if (index / 40 + index / (640 * 40)) % 2 == 0 { 60 } else { 150 };
    }
    let seen = look(&mut detector, 0, 100, |look| if look < 50 { room.draw(None) } else { other.draw(None) });
    assert!(seen.is_empty(), "{seen:?}");
    println!("learned anew {} times", detector.anew());
    assert!((1..=3).contains(&detector.anew()));
    let seen = look(&mut detector, 100, 30, |look| {
        other.draw(Some(((usize::try_from(look).unwrap() * 15, 150, 40, 80), 60)))
    });
    assert!(seen.len() > 10, "what moves in it is seen: {seen:?}");
}

#[test]
fn light_that_changes_is_no_motion() {
    let mut detector = Detector::new(settings()).unwrap();
    let mut room = Room::new(640, 360, 4);
    let seen = look(&mut detector, 0, 300, |look| {
        // On at once, off at once, then dusk.
        let light = match look {
            60..120 => 1.6,
            180.. => 1.0 - (look - 180) as f32 / 240.0,
            _ => 1.0,
        };
        room.shine(None, light)
    });
    assert!(seen.is_empty(), "{seen:?}");
}

/// Looks of 50 in which a thing moves and is seen by each of several detectors, which have looked at the empty room before. Pictures are drawn once for all.
fn found(sensitivities: &[u8], more: u8) -> Vec<usize> {
    let with = |sensitivity: &u8| MotionSettings { sensitivity: *sensitivity, ..settings() };
    let mut detectors: Vec<_> = sensitivities.iter().map(|of| Detector::new(with(of)).unwrap()).collect();
    let (mut room, mut found) = (Room::new(640, 360, 5), vec![0; detectors.len()]);
    for look in 0..100_u64 {
        let left = usize::try_from(look.saturating_sub(50)).unwrap() * 10;
        let picture = room.draw((look >= 50).then_some(((left, 150, 40, 80), more)));
        for (detector, found) in detectors.iter_mut().zip(&mut found) {
            let sight = detector.look(&picture, at_ms(look * 200)).unwrap();
            *found += usize::from(matches!(sight, Sight::Moving(_)));
        }
    }
    found
}

#[test]
fn the_more_sensitive_the_less_must_differ() {
    let mut waiting: Vec<u8> = vec![1, 25, 50, 75, 100];
    let mut steps = Vec::new();
    for more in (2..60).step_by(2) {
        if waiting.is_empty() {
            break;
        }
        let found = found(&waiting, more);
        // Those that see it in 20 looks are done.
        let seen: Vec<u8> =
            waiting.iter().zip(found).filter(|(_, found)| *found >= 20).map(|(of, _)| *of).collect();
        waiting.retain(|of| !seen.contains(of));
        steps.extend(seen.into_iter().map(|of| (of, more)));
    }
    steps.sort_unstable();
    println!("sensitivity and the least difference that is found: {steps:?}");
    assert_eq!(steps.len(), 5, "each sensitivity finds something");
    assert!(steps.is_sorted_by(|one, other| one.1 > other.1));
    assert!(steps[4].1 <= 12 && steps[0].1 >= 24);
}

#[test]
fn the_same_pictures_give_the_same_answer() {
    let run = || {
        let mut detector = Detector::new(settings()).unwrap();
        let mut room = Room::new(320, 240, 6);
        look(&mut detector, 0, 100, |look| {
            room.draw((look > 50).then_some(((usize::try_from(look).unwrap() * 2, 90, 30, 40), 40)))
        })
    };
    let first = run();
    assert!(!first.is_empty() && first == run());
}

#[test]
fn pictures_of_another_size_are_learned_anew() {
    let mut detector = Detector::new(settings()).unwrap();
    let (mut wide, mut tall) = (Room::new(640, 360, 7), Room::new(360, 640, 7));
    assert!(look(&mut detector, 0, 50, |_| wide.draw(None)).is_empty());
    assert!(look(&mut detector, 50, 50, |_| tall.draw(None)).is_empty());
    let seen = look(&mut detector, 100, 30, |look| {
        tall.draw(Some(((100, usize::try_from(look).unwrap() * 15, 60, 60), 60)))
    });
    assert!(seen.len() > 10);
    for (width, height) in [(16, 16), (16, 8192), (8192, 16)] {
        let mut odd = Room::new(width, height, 8);
        look(&mut detector, 130, 3, |_| odd.draw(None));
    }
}

#[test]
fn a_day_of_looks_takes_no_more_memory_than_an_hour() {
    let mut detector = Detector::new(MotionSettings { rate: 1, ..settings() }).unwrap();
    let mut room = Room::new(64, 48, 9);
    let pictures: Vec<Picture> = (0..64).map(|_| room.draw(None)).collect();
    let guest: Vec<Picture> = (0..24).map(|step| room.draw(Some(((step * 3, 22, 12, 24), 50)))).collect();
    let (mut first_hour, mut visits, mut moving) = (0, 0, 0);
    for second in 0..86_400_u64 {
        let hour = second % 3_600;
        // Someone goes through once an hour.
        let picture = match usize::try_from(hour).unwrap().checked_sub(1_800).and_then(|step| guest.get(step))
        {
            Some(picture) => picture,
            None => &pictures[usize::try_from(second * 7 % 64).unwrap()],
        };
        if let Sight::Moving(_) = detector.look(picture, at_ms(second * 1_000)).unwrap() {
            assert!((1_800..1_830).contains(&hour), "at {hour} s of an hour");
            moving += 1;
        }
        if hour == 3_599 {
            visits += u32::from(moving > 5);
            moving = 0;
        }
        if second == 3_600 {
            first_hour = resident_kib();
        }
    }
    let now = resident_kib();
    println!("24 visits, seen {visits}; {first_hour} KiB after an hour, {now} KiB after a day");
    assert_eq!(visits, 24);
    assert!(now < first_hour + 80 * 1024, "other tests run in this process as well");
}

#[test]
fn a_zone_on_the_very_edge_is_looked_at() {
    let sliver = |name: &str, from: (f32, f32), to: (f32, f32)| {
        let points = [(from.0, from.1), (to.0, from.1), (to.0, to.1), (from.0, to.1)];
        Zone {
            name: name.to_owned(),
            points: points.map(|(x, y)| Point::new(x, y)).to_vec(),
            sensitivity: 50,
        }
    };
    let zones = vec![
        sliver("right", (0.9999, 0.0), (1.0, 1.0)),
        sliver("below", (0.0, 0.9999), (1.0, 1.0)),
        sliver("left", (0.0, 0.0), (0.0001, 1.0)),
        sliver("above", (0.0, 0.0), (1.0, 0.0001)),
    ];
    for (width, height) in [(640, 360), (320, 240), (16, 2048), (4096, 16)] {
        let settings = MotionSettings { zones: zones.clone(), warm_up: Duration::ZERO, ..settings() };
        let mut detector = Detector::new(settings).unwrap();
        let mut room = Room::new(width, height, 7);
        let seen = look(&mut detector, 0, 20, |_| room.draw(None));
        assert!(seen.is_empty(), "{seen:?}");
    }
}
