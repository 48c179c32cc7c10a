#![expect(
    clippy::cast_possible_truncation,
    clippy::cast_precision_loss,
    reason = "numbers of a test, all small"
)]

use super::*;
use crate::testing::{Random, at_ms, size};
use bytes::Bytes;
use patchbay_av::{KeyFrame, Picture, PicturePool, Scaler, VideoEncoder, VideoSettings};
use patchbay_media::TrackId;

/// Whether a polygon goes around a place: sides that go down and sides that go up cross a ray to the right in unlike numbers.
fn within(points: &[Point], x: f32, y: f32) -> bool {
    let sides = points.iter().zip(points.iter().cycle().skip(1));
    let crossed = sides.filter(|(one, other)| {
        (one.y > y) != (other.y > y) && x < (other.x - one.x) * (y - one.y) / (other.y - one.y) + one.x
    });
    crossed.map(|(one, other)| if one.y > other.y { 1 } else { -1 }).sum::<i32>() != 0
}

/// Which pixels of light the polygon touches, by five by five places of each.
fn touched(points: &[Point], size: PictureSize) -> Vec<bool> {
    let (width, height) = (usize::from(size.width()), usize::from(size.height()));
    let part = |pixel: usize, step: usize, all: usize| (pixel as f32 + step as f32 / 4.0) / all as f32;
    let touches = |x: usize, y: usize| {
        (0..25).any(|step| within(points, part(x, step % 5, width), part(y, step / 5, height)))
    };
    (0..width * height).map(|index| touches(index % width, index / width)).collect()
}

fn polygon(random: &mut Random) -> Vec<Point> {
    loop {
        let corners = 3 + random.next() % 6;
        let points: Vec<Point> = (0..corners).map(|_| Point::new(random.part(), random.part())).collect();
        if region::check(&points, "points").is_ok() {
            return points;
        }
    }
}

/// Every pixel of a plane that belongs to a touched one of light.
fn of_plane(touched: &[bool], size: PictureSize, plane: Plane) -> Vec<(usize, usize)> {
    let (width, divisor) = (usize::from(size.width()), usize::from(plane.divisor()));
    let pixels = touched.iter().enumerate().filter(|(_, touched)| **touched);
    let mut places: Vec<_> =
        pixels.map(|(index, _)| (index % width / divisor, index / width / divisor)).collect();
    places.dedup();
    places
}

/// Anything: each pixel its own.
fn noise(pool: &PicturePool, random: &mut Random) -> Canvas {
    let mut canvas = pool.take().unwrap();
    for plane in Plane::ALL {
        canvas.plane_mut(plane).iter_mut().for_each(|pixel| *pixel = random.next() as u8);
    }
    canvas
}

#[test]
fn nothing_within_shows_and_little_around_is_lost() {
    let mut random = Random::new(1);
    for (width, height) in [(320, 180), (64, 48), (642, 362), (176, 144)] {
        let size = size(width, height);
        let pool = PicturePool::new(size);
        for _ in 0..12 {
            let points = polygon(&mut random);
            let touched = touched(&points, size);
            let masks = [Mask { points, style: MaskStyle::Black }];
            let mut canvas = noise(&pool, &mut random);
            for plane in Plane::ALL {
                // Neither black nor without colour.
                canvas.plane_mut(plane).fill(200);
            }
            Masker::new(&masks, size).unwrap().apply(&mut canvas);
            let picture = canvas.finish();
            for (plane, black) in Plane::ALL.into_iter().zip(BLACK) {
                for (x, y) in of_plane(&touched, size, plane) {
                    assert_eq!(
                        picture.plane(plane)[y * picture.stride(plane) + x],
                        black,
                        "{plane:?} {x} {y}"
                    );
                }
            }
            let lost = around(&picture, &touched);
            assert!(lost <= 6, "a pixel that is {lost} away from the polygon is black");
        }
    }
}

/// How far away from the polygon the furthest black pixel of light is, along rows and columns.
fn around(picture: &Picture, touched: &[bool]) -> usize {
    let (width, height) = (usize::from(picture.size().width()), usize::from(picture.size().height()));
    let near = |x: usize, y: usize, far: usize| {
        let (left, right) = (x.saturating_sub(far), (x + far).min(width - 1));
        let (top, below) = (y.saturating_sub(far), (y + far).min(height - 1));
        (top..=below).any(|y| touched[y * width + left..=y * width + right].contains(&true))
    };
    let black = (0..width * height).filter(|index| {
        picture.plane(Plane::Y)[index / width * picture.stride(Plane::Y) + index % width] == BLACK[0]
    });
    black
        .map(|index| (0..20).find(|far| near(index % width, index / width, *far)).unwrap_or(20))
        .max()
        .unwrap_or(0)
}

/// Pixels of each plane that belong to what polygons touch.
type Places = [(Plane, Vec<(usize, usize)>); 3];

fn places(masks: &[Mask], size: PictureSize) -> Places {
    let mut all = vec![false; usize::from(size.width()) * usize::from(size.height())];
    for mask in masks {
        all.iter_mut().zip(touched(&mask.points, size)).for_each(|(any, touched)| *any |= touched);
    }
    Plane::ALL.map(|plane| (plane, of_plane(&all, size, plane)))
}

/// Coded pictures of noise: what is within the masks depends on `secret`, all else is the same.
fn coded_noise(
    masker: &Masker,
    within: &Places,
    (whole, target): (PictureSize, PictureSize),
    secret: u64,
) -> Vec<Bytes> {
    let (mut open, mut hidden, mut scaler) = (Random::new(5), Random::new(secret), Scaler::new());
    let pool = PicturePool::new(whole);
    let mut encoder = VideoEncoder::open(VideoSettings::h264(TrackId(0), target, 25)).unwrap();
    let pictures = (0..10).map(|number| {
        let mut canvas = noise(&pool, &mut open);
        for (plane, places) in within {
            let stride = canvas.stride(*plane);
            let pixels = canvas.plane_mut(*plane);
            for (x, y) in places {
                pixels[y * stride + x] = hidden.next() as u8;
            }
        }
        masker.apply(&mut canvas);
        let shown = scaler.scale(&canvas.finish(), target).unwrap();
        encoder.encode(&shown, at_ms(number * 40), KeyFrame::AsDue).unwrap().unwrap().data
    });
    pictures.collect()
}

#[test]
fn pictures_that_differ_only_within_come_out_the_same() {
    let (mut random, whole) = (Random::new(2), size(322, 182));
    for target in [size(322, 182), size(160, 90), size(640, 360), size(198, 334)] {
        let masks: Vec<Mask> =
            (0..3).map(|_| Mask { points: polygon(&mut random), style: MaskStyle::Black }).collect();
        let masker = Masker::new(&masks, whole).unwrap();
        let within = places(&masks, whole);
        assert!(within.iter().all(|(_, places)| !places.is_empty()), "something is hidden");
        let [one, other] = [3, 4].map(|secret| coded_noise(&masker, &within, (whole, target), secret));
        assert!(one.iter().map(Bytes::len).sum::<usize>() > 4_000, "there is something in the pictures");
        assert!(one == other, "at {target:?}");
    }
}

#[test]
fn pixelated_parts_are_blocks_of_one_value() {
    let (mut random, whole) = (Random::new(6), size(640, 480));
    let points = vec![Point::new(0.1, 0.1), Point::new(0.9, 0.2), Point::new(0.5, 0.95)];
    let inside = touched(&points, whole);
    let masks = [Mask { points, style: MaskStyle::Pixelate }];
    let mut canvas = noise(&PicturePool::new(whole), &mut random);
    Masker::new(&masks, whole).unwrap().apply(&mut canvas);
    let picture = canvas.finish();
    let block = usize::from(whole.height() / 2 / BLOCKS).max(LEAST_BLOCK);
    for plane in Plane::ALL {
        let (stride, side) = (picture.stride(plane), block * 2 / usize::from(plane.divisor()));
        let mut blocks = std::collections::HashMap::new();
        for (x, y) in of_plane(&inside, whole, plane) {
            let pixel = picture.plane(plane)[y * stride + x];
            assert_eq!(*blocks.entry((x / side, y / side)).or_insert(pixel), pixel, "{plane:?} {x} {y}");
        }
        // The mean of noise is grey.
        assert!(blocks.len() > 100 && blocks.values().all(|pixel| (90..166).contains(pixel)));
    }
}

#[test]
fn what_is_both_is_black() {
    let whole = size(64, 48);
    let all = vec![Point::new(0.0, 0.0), Point::new(1.0, 0.0), Point::new(1.0, 1.0), Point::new(0.0, 1.0)];
    let mask = |style| Mask { points: all.clone(), style };
    let masks = [mask(MaskStyle::Black), mask(MaskStyle::Pixelate)];
    let mut canvas = noise(&PicturePool::new(whole), &mut Random::new(7));
    Masker::new(&masks, whole).unwrap().apply(&mut canvas);
    let picture = canvas.finish();
    let rows = picture.plane(Plane::Y).chunks(picture.stride(Plane::Y)).take(48);
    assert!(rows.into_iter().all(|row| row[..64].iter().all(|light| *light == BLACK[0])));
}
