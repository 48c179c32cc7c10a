use super::*;
use crate::testing::{at_ms, clock_differs, size};
use patchbay_av::{KeyFrame, TestPattern, VideoDecoder, VideoEncoder, VideoSettings};
use patchbay_media::TrackId;

fn overlay(corner: Corner) -> Overlay {
    Overlay { corner, scale: 1.0, zone: "Europe/Berlin".to_owned(), title: Some("yard Ä".to_owned()) }
}

fn unix(text: &str) -> u64 {
    u64::try_from(text.parse::<Timestamp>().unwrap().as_millisecond()).unwrap()
}

fn berlin(text: &str) -> String {
    face(unix(text), &TimeZone::get("Europe/Berlin").unwrap())
}

#[test]
fn the_face_is_right_at_midnight_and_when_clocks_are_changed() {
    assert_eq!(berlin("2026-11-23T22:59:59.999Z"), "2026-11-23 23:59:59");
    assert_eq!(berlin("2026-11-23T23:00:00Z"), "2026-11-24 00:00:00");
    assert_eq!(berlin("2026-12-31T23:00:00Z"), "2027-01-01 00:00:00");
    assert_eq!(berlin("2026-03-29T00:59:59Z"), "2026-03-29 01:59:59");
    assert_eq!(berlin("2026-03-29T01:00:00Z"), "2026-03-29 03:00:00");
    assert_eq!(berlin("2026-10-25T00:59:59Z"), "2026-10-25 02:59:59");
    assert_eq!(berlin("2026-10-25T01:00:00Z"), "2026-10-25 02:00:00");
    assert_eq!(face(u64::MAX, &TimeZone::UTC), "", "no time of this calendar");
}

#[test]
fn the_time_can_be_read_after_coding() {
    for (width, height) in [(1280, 720), (640, 360), (320, 240)] {
        let whole = size(width, height);
        let pattern = TestPattern::new(whole, "camera").unwrap().with_noise(10);
        for corner in [Corner::TopLeft, Corner::TopRight, Corner::BottomLeft, Corner::BottomRight] {
            let overlay = overlay(corner);
            let mut clock = Clock::new(&overlay, whole).unwrap();
            let mut encoder = VideoEncoder::open(VideoSettings::h264(TrackId(0), whole, 10)).unwrap();
            let mut decoder = VideoDecoder::open(&encoder.info()).unwrap();
            let begun = unix("2026-11-23T13:59:58.050Z");
            for number in 0..30_u64 {
                let unix_ms = begun + number * 100;
                let mut canvas = PicturePool::new(whole).take().unwrap();
                canvas.copy_from(&pattern.draw(unix_ms, number).unwrap()).unwrap();
                clock.draw(&mut canvas, unix_ms).unwrap();
                let unit = encoder.encode(&canvas.finish(), at_ms(number * 100), KeyFrame::AsDue).unwrap();
                let seen = decoder.decode(&unit.unwrap()).unwrap().pop().unwrap().picture;
                let right = clock_differs(&seen, &overlay, unix_ms);
                for other in [unix_ms - 1_000, unix_ms + 1_000, unix_ms + 10_000, unix_ms + 3_600_000] {
                    let wrong = clock_differs(&seen, &overlay, other);
                    assert!(right * 11 / 10 < wrong, "{width}x{height} {corner:?} {number}: {right} {wrong}");
                }
            }
        }
    }
}

#[test]
fn it_fits_into_any_picture_and_changes_nothing_else() {
    for (width, height) in [(16, 16), (64, 2048), (2048, 64), (176, 144), (1920, 1080)] {
        let whole = size(width, height);
        for (corner, scale) in [(Corner::TopLeft, 0.5), (Corner::BottomRight, 5.0)] {
            let title = Some("x".repeat(MAX_TITLE));
            let overlay = Overlay { scale, title, ..overlay(corner) };
            overlay.check().unwrap();
            let mut clock = Clock::new(&overlay, whole).unwrap();
            let mut canvas = PicturePool::new(whole).take().unwrap();
            for plane in Plane::ALL {
                canvas.plane_mut(plane).fill(77);
            }
            clock.draw(&mut canvas, unix("2026-11-23T13:59:58Z")).unwrap();
            let picture = canvas.finish();
            let panel = clock.letters.panel;
            let light = picture.plane(Plane::Y).chunks(picture.stride(Plane::Y));
            let changed =
                light.flat_map(|row| &row[..usize::try_from(width).unwrap()]).filter(|light| **light != 77);
            let area = usize::from(panel.width()) * usize::from(panel.height());
            let changed = changed.count();
            assert!(changed > area / 2 && changed <= area, "{width}x{height}: {changed} of {area}");
        }
    }
}

#[test]
fn a_second_is_drawn_once() {
    let whole = size(640, 360);
    let mut clock = Clock::new(&overlay(Corner::TopLeft), whole).unwrap();
    let pool = PicturePool::new(whole);
    let mut panels = Vec::new();
    for ms in (0..3_000).step_by(40) {
        clock.draw(&mut pool.take().unwrap(), unix("2026-11-23T13:59:58Z") + ms).unwrap();
        panels.push(clock.panel.as_ref().unwrap().1.plane(Plane::Y).to_vec());
    }
    panels.dedup();
    assert_eq!(panels.len(), 3);
}
