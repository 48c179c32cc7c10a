//! Parts of the picture: polygons in parts of its width and height, so that they fit whatever its size.

use crate::VisionError;
use opencv::{
    core::{self, CV_8UC1, Mat, Scalar, Vector},
    imgproc,
    prelude::*,
};

/// A place in the picture: `0, 0` is the upper left corner, `1, 1` the lower right one.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Point {
    /// Part of the width.
    pub x: f32,
    /// Part of the height.
    pub y: f32,
}

impl Point {
    /// A place.
    pub const fn new(x: f32, y: f32) -> Self {
        Self { x, y }
    }
}

/// Fewest corners of a polygon.
pub const MIN_POINTS: usize = 3;
/// Most corners of a polygon.
pub const MAX_POINTS: usize = 64;

/// Least area, as a part of the picture: less than that is a mistake.
const LEAST_AREA: f32 = 1e-5;

/// Fractions of a pixel that `OpenCV` reckons with when it fills: bits.
const SHIFT: i32 = 8;

/// Checks a polygon, which is called `field` in errors.
pub(crate) fn check(points: &[Point], field: &str) -> Result<(), VisionError> {
    if !(MIN_POINTS..=MAX_POINTS).contains(&points.len()) {
        let wanted = format!("a polygon of {MIN_POINTS} to {MAX_POINTS} corners; it has {}", points.len());
        return Err(VisionError::setting(field, wanted));
    }
    for (index, point) in points.iter().enumerate() {
        for (name, part) in [("x", point.x), ("y", point.y)] {
            // Also false for what is no number.
            if !(0.0..=1.0).contains(&part) {
                let field = format!("{field}[{index}].{name}");
                return Err(VisionError::setting(field, "a part of the picture, from 0 to 1"));
            }
        }
    }
    if area(points) < LEAST_AREA {
        return Err(VisionError::setting(field, "a polygon with an area; its corners lie on one line"));
    }
    Ok(())
}

/// The areas of the triangles between the first corner and each side. Nothing only where all corners lie on one line: also what crosses itself has an area, whichever way
/// its parts go round.
fn area(points: &[Point]) -> f32 {
    let Some((first, others)) = points.split_first() else { return 0.0 };
    let twice = |one: &Point, other: &Point| {
        (one.x - first.x) * (other.y - first.y) - (other.x - first.x) * (one.y - first.y)
    };
    others.iter().zip(others.iter().skip(1)).map(|(one, other)| twice(one, other).abs() / 2.0).sum()
}

/// A plane of a byte a pixel, 255 within the polygon and 0 elsewhere. A pixel counts as within when the polygon covers its middle, or its outline touches it. What the
/// outline goes around twice is within as well, as everything that draws polygons on a screen has it: a mask that crosses itself leaves no hole.
pub(crate) fn draw(points: &[Point], width: i32, height: i32) -> opencv::Result<Mat> {
    let mut plane = Mat::new_rows_cols_with_default(height, width, CV_8UC1, Scalar::all(0.0))?;
    #[expect(clippy::cast_possible_truncation, reason = "parts from 0 to 1 of at most 8192 pixels")]
    let fixed = |part: f32, length: i32| {
        // The middle of the first pixel is at half a pixel.
        ((f64::from(part) * f64::from(length) - 0.5) * f64::from(1 << SHIFT)).round() as i32
    };
    let corner = |point: &Point| core::Point::new(fixed(point.x, width), fixed(point.y, height));
    let corners: Vector<core::Point> = points.iter().map(corner).collect();
    let polygons: Vector<Vector<core::Point>> = Vector::from_iter([corners.clone()]);
    let origin = core::Point::default();
    // The outline, and what it goes around an odd number of times.
    imgproc::fill_poly(&mut plane, &polygons, Scalar::all(255.0), imgproc::LINE_8, SHIFT, origin)?;
    if core::count_non_zero(&plane)? == 0 {
        // Thinner than half a pixel, and beyond the middle of the last one: it is that one.
        let last = |length: i32| (length - 1) << SHIFT;
        let corner =
            |point: core::Point| core::Point::new(point.x.min(last(width)), point.y.min(last(height)));
        let corners: Vector<core::Point> = corners.iter().map(corner).collect();
        let polygons: Vector<Vector<core::Point>> = Vector::from_iter([corners]);
        imgproc::fill_poly(&mut plane, &polygons, Scalar::all(255.0), imgproc::LINE_8, SHIFT, origin)?;
    }
    for row in 0..height {
        let middle = (f64::from(row) + 0.5) / f64::from(height.max(1));
        let pixels = plane.at_row_mut::<u8>(row)?;
        for (from, to) in around(points, middle) {
            let length = pixels.len();
            pixels
                .iter_mut()
                .take(place(to, length))
                .skip(place(from, length))
                .for_each(|pixel| *pixel = 255);
        }
    }
    Ok(plane)
}

/// From where to where a horizontal line lies in what the outline goes around, however often (the non-zero winding rule), in parts of the width.
fn around(points: &[Point], y: f64) -> Vec<(f64, f64)> {
    let next = points.iter().cycle().skip(1);
    let mut crossings: Vec<(f64, i32)> = points
        .iter()
        .zip(next)
        .filter_map(|(one, other)| {
            let (from, to) = (f64::from(one.y), f64::from(other.y));
            let turn = if (from <= y) == (to <= y) {
                return None;
            } else if from <= y {
                1
            } else {
                -1
            };
            let (left, right) = (f64::from(one.x), f64::from(other.x));
            Some((left + (right - left) * (y - from) / (to - from), turn))
        })
        .collect();
    crossings.sort_by(|one, other| one.0.total_cmp(&other.0));
    let mut turns = 0;
    let spans = crossings.iter().zip(crossings.iter().skip(1)).filter_map(|(one, other)| {
        turns += one.1;
        (turns != 0).then_some((one.0, other.0))
    });
    spans.collect()
}

/// The first pixel of a row whose middle is not before that part of its width.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    clippy::cast_precision_loss,
    reason = "parts from 0 to 1 of at most 8192 pixels"
)]
fn place(part: f64, length: usize) -> usize {
    (part * length as f64 - 0.5).ceil().max(0.0) as usize
}

#[cfg(test)]
mod tests {
    use super::*;

    fn field(points: &[Point]) -> Option<String> {
        check(points, "zone").err().and_then(|error| error.field().map(str::to_owned))
    }

    #[test]
    fn mistakes_are_named() {
        let good = [Point::new(0.0, 0.0), Point::new(1.0, 0.0), Point::new(0.5, 1.0)];
        assert_eq!(field(&good), None);
        assert_eq!(field(&good[..2]).as_deref(), Some("zone"));
        let far = [good[0], good[1], Point::new(0.5, 1.01)];
        assert_eq!(field(&far).as_deref(), Some("zone[2].y"));
        let unknown = [good[0], Point::new(f32::NAN, 0.0), good[2]];
        assert_eq!(field(&unknown).as_deref(), Some("zone[1].x"));
        let line = [good[0], good[1], Point::new(0.5, 0.0)];
        assert_eq!(field(&line).as_deref(), Some("zone"));
        assert_eq!(field(&vec![good[0]; MAX_POINTS + 1]).as_deref(), Some("zone"));
    }

    #[test]
    fn the_whole_picture_is_every_pixel() {
        let whole = [Point::new(0.0, 0.0), Point::new(1.0, 0.0), Point::new(1.0, 1.0), Point::new(0.0, 1.0)];
        let plane = draw(&whole, 33, 21).unwrap();
        assert!(plane.data_typed::<u8>().unwrap().iter().all(|byte| *byte == 255));
        let left = [whole[0], Point::new(0.5, 0.0), Point::new(0.5, 1.0), whole[3]];
        let plane = draw(&left, 32, 20).unwrap();
        let row = &plane.data_typed::<u8>().unwrap()[..32];
        assert!(row[..16].iter().all(|byte| *byte == 255) && row[18..].iter().all(|byte| *byte == 0));
    }

    fn points(corners: &[(f32, f32)]) -> Vec<Point> {
        corners.iter().map(|(x, y)| Point::new(*x, *y)).collect()
    }

    #[test]
    fn what_is_gone_around_twice_is_within() {
        // A star drawn in one go: its middle is gone around twice.
        let star = points(&[(0.5, 0.0), (0.8, 1.0), (0.0, 0.4), (1.0, 0.4), (0.2, 1.0)]);
        check(&star, "mask").unwrap();
        let plane = draw(&star, 100, 100).unwrap();
        let within = |x: i32, y: i32| *plane.at_2d::<u8>(y, x).unwrap() == 255;
        assert!(within(50, 55) && within(50, 45), "the middle");
        assert!(within(50, 10) && within(10, 42) && within(90, 42), "its points");
        assert!(!within(5, 90) && !within(50, 95) && !within(20, 10), "what is outside");
        // Two squares within each other that go round in opposite ways: what is between them alone.
        let ring = points(&[
            (0.0, 0.0),
            (1.0, 0.0),
            (1.0, 1.0),
            (0.0, 1.0),
            (0.0, 0.0),
            (0.3, 0.3),
            (0.3, 0.7),
            (0.7, 0.7),
            (0.7, 0.3),
            (0.3, 0.3),
        ]);
        let plane = draw(&ring, 100, 100).unwrap();
        assert_eq!((plane.at_2d::<u8>(50, 10).unwrap(), plane.at_2d::<u8>(55, 50).unwrap()), (&255, &0));
    }

    #[test]
    fn a_bow_is_a_polygon() {
        let bow = points(&[(0.0, 0.0), (1.0, 1.0), (1.0, 0.0), (0.0, 1.0)]);
        assert_eq!(field(&bow), None);
        let plane = draw(&bow, 100, 100).unwrap();
        let within = |x: i32, y: i32| *plane.at_2d::<u8>(y, x).unwrap() == 255;
        assert!(within(10, 50) && within(90, 50) && !within(50, 10) && !within(50, 90));
    }
}
