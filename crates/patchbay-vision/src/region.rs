//! Parts of the picture: polygons in parts of its width and height, so that they fit whatever its size.

use crate::VisionError;
use opencv::{
    core::{self, CV_8UC1, Mat, Scalar, Vector},
    imgproc,
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

/// The area by the sum over all sides (the shoelace formula); of one that crosses itself, no more than what it covers.
fn area(points: &[Point]) -> f32 {
    let next = points.iter().cycle().skip(1);
    let twice: f32 = points.iter().zip(next).map(|(one, other)| one.x * other.y - other.x * one.y).sum();
    twice.abs() / 2.0
}

/// A plane of a byte a pixel, 255 within the polygon and 0 elsewhere. A pixel counts as within when the polygon covers its middle, or its outline touches it.
pub(crate) fn draw(points: &[Point], width: i32, height: i32) -> opencv::Result<Mat> {
    let mut plane = Mat::new_rows_cols_with_default(height, width, CV_8UC1, Scalar::all(0.0))?;
    #[expect(clippy::cast_possible_truncation, reason = "parts from 0 to 1 of at most 8192 pixels")]
    let fixed = |part: f32, length: i32| {
        // The middle of the first pixel is at half a pixel.
        ((f64::from(part) * f64::from(length) - 0.5) * f64::from(1 << SHIFT)).round() as i32
    };
    let corner = |point: &Point| core::Point::new(fixed(point.x, width), fixed(point.y, height));
    let corners: Vector<core::Point> = points.iter().map(corner).collect();
    let polygons: Vector<Vector<core::Point>> = Vector::from_iter([corners]);
    let origin = core::Point::default();
    imgproc::fill_poly(&mut plane, &polygons, Scalar::all(255.0), imgproc::LINE_8, SHIFT, origin)?;
    Ok(plane)
}

#[cfg(test)]
mod tests {
    use super::*;
    use opencv::prelude::*;

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
}
