//! What stands in front of the background in a zone, and whether it moves.

use super::{MotionSettings, plane::Sides};
use crate::{VisionError, region};
use opencv::{
    core::{Mat, Rect, Size},
    imgproc,
    prelude::*,
};

/// Fewest pixels that count as something.
const LEAST_PIXELS: f32 = 12.0;
/// Part of a thing's pixels that must change for it to move, and how many at least.
const CHANGING: f32 = 0.03;
const LEAST_CHANGING: f32 = 4.0;
/// A pixel changes when its deviation does by this part of what makes it stand out.
const CHANGE: f32 = 0.7;
/// And by this part of itself: what a lamp lights deviates far, and a little more or less when a cloud goes by.
const OF_ITSELF: f32 = 0.35;
/// A step between two pixels is an edge when it is this part of what makes a pixel stand out; and how many there must be, as well as one for each four pixels
/// of width and height.
const EDGE: f32 = 0.6;
const LEAST_EDGES: i32 = 4;
/// Where a thing may have been two spans ago: this part of the picture around it.
const REACH: i32 = 4;
/// Things of one zone that are looked at closer, the largest first.
const MOST_THINGS: usize = 32;

/// How far a pixel must deviate: some times its level, and so much at least.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Threshold {
    factor: f32,
    floor: f32,
}

impl Threshold {
    /// From 5 levels and 16 steps of light (sensitivity 0) to 1.8 levels and 2 steps (100), evenly in proportion.
    pub(super) fn of(sensitivity: u8) -> Self {
        let part = f32::from(sensitivity) / 100.0;
        Self { factor: 5.0 * (1.8_f32 / 5.0).powf(part), floor: 16.0 * (2.0_f32 / 16.0).powf(part) }
    }

    pub(super) fn at(self, level: f32) -> f32 {
        self.factor * level + self.floor
    }
}

/// The newest deviations, and those before.
#[derive(Clone, Copy)]
pub(super) struct Spans<'a> {
    pub(super) now: &'a [f32],
    /// For a short and a long span: those of one span earlier, and those of two; nothing where there are none yet.
    pub(super) pairs: [Option<(&'a [f32], &'a [f32])>; 2],
    /// The newest plain difference.
    pub(super) unlike: &'a [f32],
    pub(super) level: &'a [f32],
}

/// Something that moves.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Thing {
    /// Its sides, in pixels of the plane.
    pub(super) place: Rect,
    /// Its pixels.
    pub(super) area: f32,
    /// How many times the threshold it deviates by, in the mean.
    pub(super) strength: f32,
}

/// A zone in pixels.
pub(super) struct Place {
    /// Its name; none for the whole picture.
    pub(super) name: Option<String>,
    pub(super) threshold: Threshold,
    sides: Sides,
    /// The smallest rectangle around it.
    frame: Rect,
    /// Which pixels of that are within.
    within: Vec<u8>,
    /// Pixels that must move in all.
    least: f32,
}

impl Place {
    /// The zones of the settings; where they have none, the whole picture.
    pub(super) fn all(settings: &MotionSettings, sides: Sides) -> Result<Vec<Self>, VisionError> {
        if settings.zones.is_empty() {
            let frame = Rect::new(0, 0, sides.width, sides.height);
            let within = vec![255; sides.pixels()];
            let threshold = Threshold::of(settings.sensitivity);
            return Ok(vec![Self::new(None, threshold, sides, frame, within, settings.min_area)]);
        }
        let zones = settings.zones.iter().map(|zone| {
            let plane = region::draw(&zone.points, sides.width, sides.height)?;
            let frame = imgproc::bounding_rect(&plane)?;
            let within = plane.roi(frame)?.try_clone()?.data_typed::<u8>()?.to_vec();
            let threshold = Threshold::of(zone.sensitivity);
            Ok(Self::new(Some(zone.name.clone()), threshold, sides, frame, within, settings.min_area))
        });
        zones.collect()
    }

    fn new(
        name: Option<String>,
        threshold: Threshold,
        sides: Sides,
        frame: Rect,
        within: Vec<u8>,
        min_area: f32,
    ) -> Self {
        #[expect(clippy::cast_precision_loss, reason = "at most 320 by 320 pixels")]
        let pixels = within.iter().filter(|pixel| **pixel != 0).count() as f32;
        Self { name, threshold, sides, frame, within, least: (pixels * min_area).max(LEAST_PIXELS) }
    }

    /// What moves in it; nothing when it is less in all than what is set.
    pub(super) fn moving(&self, spans: Spans<'_>) -> Result<Vec<Thing>, VisionError> {
        let mut things = self.things(spans)?;
        things.retain(|thing| self.is_sharp(thing.place, spans) && self.moves(thing, spans));
        let area: f32 = things.iter().map(|thing| thing.area).sum();
        if area < self.least {
            things.clear();
        }
        Ok(things)
    }

    /// What stands out: without specks, and with gaps of a few pixels closed.
    fn things(&self, spans: Spans<'_>) -> Result<Vec<Thing>, VisionError> {
        let mut out = Vec::with_capacity(self.within.len());
        let rows = rows(self.sides, self.frame);
        for ((from, to), within) in
            rows.zip(self.within.chunks(usize::try_from(self.frame.width).unwrap_or(1)))
        {
            let pixels = spans.now.get(from..to).unwrap_or_default().iter();
            let pixels = pixels.zip(spans.level.get(from..to).unwrap_or_default());
            out.extend(pixels.zip(within).map(|((deviation, level), within)| {
                if deviation.abs() > self.threshold.at(*level) { *within } else { 0 }
            }));
        }
        let plane = Mat::new_rows_cols_with_data(self.frame.height, self.frame.width, &out)?;
        let (mut clean, mut closed) = (Mat::default(), Mat::default());
        let square = imgproc::get_structuring_element_def(imgproc::MORPH_RECT, Size::new(5, 5))?;
        // The middle one of nine: a pixel stays where most around it stand out as well.
        imgproc::median_blur(&plane, &mut clean, 3)?;
        imgproc::morphology_ex_def(&clean, &mut closed, imgproc::MORPH_CLOSE, &square)?;
        self.components(&closed, spans)
    }

    fn components(&self, plane: &Mat, spans: Spans<'_>) -> Result<Vec<Thing>, VisionError> {
        let (mut labels, mut stats, mut middles) = (Mat::default(), Mat::default(), Mat::default());
        imgproc::connected_components_with_stats_def(plane, &mut labels, &mut stats, &mut middles)?;
        // Left, top, width, height and area of each; the first one is what does not stand out.
        let mut things: Vec<Thing> = stats
            .data_typed::<i32>()?
            .chunks_exact(5)
            .skip(1)
            .filter_map(|stats| self.thing(<[i32; 5]>::try_from(stats).ok()?))
            .filter(|thing| thing.area >= LEAST_PIXELS)
            .collect();
        things.sort_by(|one, other| other.area.total_cmp(&one.area));
        things.truncate(MOST_THINGS);
        for thing in &mut things {
            thing.strength = self.strength(thing.place, spans);
        }
        Ok(things)
    }

    fn thing(&self, [left, top, width, height, area]: [i32; 5]) -> Option<Thing> {
        let place = Rect::new(self.frame.x + left, self.frame.y + top, width, height);
        #[expect(clippy::cast_precision_loss, reason = "at most 320 by 320 pixels")]
        let area = area as f32;
        (width > 0 && height > 0).then_some(Thing { place, area, strength: 0.0 })
    }

    /// The mean of how many times the threshold those pixels deviate by that do stand out.
    fn strength(&self, place: Rect, spans: Spans<'_>) -> f32 {
        let (mut sum, mut count) = (0.0, 0.0);
        for (from, to) in rows(self.sides, place) {
            let pixels = spans.now.get(from..to).into_iter().flatten();
            for (deviation, level) in pixels.zip(spans.level.get(from..to).into_iter().flatten()) {
                let times = deviation.abs() / self.threshold.at(*level);
                if times > 1.0 {
                    (sum, count) = (sum + times, count + 1.0);
                }
            }
        }
        if count > 0.0 { sum / count } else { 0.0 }
    }

    /// Whether it has edges: the difference that a shadow makes ends softly.
    fn is_sharp(&self, place: Rect, spans: Spans<'_>) -> bool {
        let width = usize::try_from(self.sides.width).unwrap_or(1);
        let mut edges = 0;
        for (from, to) in rows(self.sides, place) {
            // Steps to the right and down; the last row has none below it.
            let row = |from: usize, to: usize| spans.unlike.get(from..to).unwrap_or_default();
            let here = row(from, to).iter();
            let next = row(from + 2, to + 2).iter().zip(row(from + 2 * width, to + 2 * width));
            let levels = spans.level.get(from..to).into_iter().flatten();
            edges += here
                .zip(next)
                .zip(levels)
                .filter(|((here, (right, below)), level)| {
                    let step = (*right - *here).abs().max((*below - *here).abs());
                    step > EDGE * self.threshold.at(**level)
                })
                .count();
        }
        i32::try_from(edges).unwrap_or(i32::MAX) >= ((place.width + place.height) / 4).max(LEAST_EDGES)
    }

    /// Whether it has changed in both of the last spans: a lamp that is switched on does so in one. In the earlier one it may have been somewhere else.
    fn moves(&self, thing: &Thing, spans: Spans<'_>) -> bool {
        let least = (thing.area * CHANGING).max(LEAST_CHANGING);
        let around = grown(thing.place, self.sides.longer() / REACH, self.sides);
        spans.pairs.iter().flatten().any(|(before, long_before)| {
            self.changes(thing.place, spans.now, before, spans.level) >= least
                && self.changes(around, before, long_before, spans.level) >= least
        })
    }

    /// Pixels of a place whose deviation is another one.
    fn changes(&self, place: Rect, now: &[f32], before: &[f32], level: &[f32]) -> f32 {
        let mut count = 0.0;
        for (from, to) in rows(self.sides, place) {
            let (now, before) = (now.get(from..to), before.get(from..to));
            let pixels = now.into_iter().flatten().zip(before.into_iter().flatten());
            for ((now, before), level) in pixels.zip(level.get(from..to).into_iter().flatten()) {
                let least = (CHANGE * self.threshold.at(*level)).max(now.abs().max(before.abs()) * OF_ITSELF);
                if (now - before).abs() > least {
                    count += 1.0;
                }
            }
        }
        count
    }
}

/// Where the rows of a rectangle begin and end in a plane.
fn rows(sides: Sides, place: Rect) -> impl Iterator<Item = (usize, usize)> {
    (place.y..place.y + place.height).filter_map(move |row| {
        let from = usize::try_from(row * sides.width + place.x).ok()?;
        Some((from, from + usize::try_from(place.width).ok()?))
    })
}

fn grown(place: Rect, by: i32, sides: Sides) -> Rect {
    let (left, top) = ((place.x - by).max(0), (place.y - by).max(0));
    let right = (place.x + place.width + by).min(sides.width);
    let below = (place.y + place.height + by).min(sides.height);
    Rect::new(left, top, right - left, below - top)
}
