//! What is done with the pictures of a camera.

use super::{Violation, within};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::ops::RangeInclusive;

const HEIGHTS: RangeInclusive<u32> = 64..=2160;
const BITRATES: RangeInclusive<u32> = 50_000..=20_000_000;
const MAX_MASKS: usize = 16;
const CORNERS: RangeInclusive<usize> = 3..=32;
const MAX_TITLE: usize = 64;

/// What is done with the pictures: they are decoded and encoded again.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct ProcessingSpec {
    /// A clock.
    pub overlay: Option<OverlaySpec>,
    /// Pixels down, even, 64 to 2160; the width follows. That of the source when 0.
    pub height: u32,
    /// Parts that nobody shall see.
    pub masks: Vec<MaskSpec>,
    /// Bits a second, 50,000 to 20,000,000; chosen by size when 0.
    pub bitrate: u32,
}

/// A clock over the picture: `YYYY-MM-DD HH:MM:SS`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct OverlaySpec {
    /// `top_left`, `top_right`, `bottom_left` or `bottom_right`.
    pub corner: CornerSpec,
    /// Time zone by its IANA name; UTC when empty.
    pub time_zone: String,
    /// Words in front of the time.
    pub title: String,
}

/// Corner of a picture.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum CornerSpec {
    /// Top left.
    #[default]
    TopLeft,
    /// Top right.
    TopRight,
    /// Bottom left.
    BottomLeft,
    /// Bottom right.
    BottomRight,
}

/// A part of the picture that nobody shall see.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct MaskSpec {
    /// Corners of a polygon, each `{ x = 0.1, y = 0.2 }` with parts of width and height.
    pub points: Vec<PointSpec>,
    /// `black` or `pixelate`.
    pub style: MaskStyleSpec,
}

/// A place in a picture.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PointSpec {
    /// Part of the width, 0 to 1.
    pub x: f64,
    /// Part of the height, 0 to 1.
    pub y: f64,
}

/// What is shown instead of what a mask covers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum MaskStyleSpec {
    /// Black.
    #[default]
    Black,
    /// Squares of one colour each.
    Pixelate,
}

impl ProcessingSpec {
    pub(super) fn violations(&self, found: &mut Vec<Violation>) {
        if self.height != 0 {
            within(found, "processing.height", self.height, &HEIGHTS);
            if !self.height.is_multiple_of(2) {
                found.push(Violation::new("processing.height", "must be even"));
            }
        }
        if self.bitrate != 0 {
            within(found, "processing.bitrate", self.bitrate, &BITRATES);
        }
        if self.masks.len() > MAX_MASKS {
            found.push(Violation::new("processing.masks", format!("must be {MAX_MASKS} at most")));
        }
        // However many there are, the answer stays small.
        for mask in self.masks.iter().take(MAX_MASKS) {
            found.extend(
                polygon_problem(&mask.points)
                    .map(|problem| Violation::new("processing.masks.points", problem)),
            );
        }
        if let Some(overlay) = &self.overlay {
            overlay.violations(found);
        }
        if *self == Self::default() {
            found.push(Violation::new(
                "processing",
                "must ask for something; leave it out for pictures as they are",
            ));
        }
    }
}

impl OverlaySpec {
    fn violations(&self, found: &mut Vec<Violation>) {
        if !self.time_zone.is_empty() && jiff::tz::TimeZone::get(&self.time_zone).is_err() {
            let problem = "must be an IANA name such as Europe/Berlin, or empty for UTC";
            found.push(Violation::new("processing.overlay.time_zone", problem));
        }
        if self.title.chars().count() > MAX_TITLE || self.title.chars().any(char::is_control) {
            let problem = format!("must be {MAX_TITLE} characters at most, without control characters");
            found.push(Violation::new("processing.overlay.title", problem));
        }
    }
}

/// What is wrong with a polygon.
pub(super) fn polygon_problem(points: &[PointSpec]) -> Option<String> {
    if !CORNERS.contains(&points.len()) {
        return Some(format!("must be {} to {} corners", CORNERS.start(), CORNERS.end()));
    }
    let is_inside = |value: f64| (0.0..=1.0).contains(&value);
    if !points.iter().all(|point| is_inside(point.x) && is_inside(point.y)) {
        return Some("must lie within 0 and 1".to_owned());
    }
    on_one_line(points).then(|| "must not all lie on one line, which covers nothing".to_owned())
}

/// Whether no three corners go around anything.
fn on_one_line(points: &[PointSpec]) -> bool {
    let Some(first) = points.first() else { return true };
    let Some(second) = points.iter().find(|point| *point != first) else { return true };
    let (x, y) = (second.x - first.x, second.y - first.y);
    points.iter().all(|point| (x * (point.y - first.y) - y * (point.x - first.x)).abs() < 1e-9)
}
