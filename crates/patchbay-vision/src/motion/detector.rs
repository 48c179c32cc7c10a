//! Looks at pictures one after another and tells in which of them something moves.

use super::{
    MotionBox, MotionSettings,
    background::{Background, Pace, Pixel},
    plane::{self, Sides},
    things::{Place, Spans, Thing, Threshold},
};
use crate::VisionError;
use opencv::core::Rect;
use patchbay_av::{Picture, PictureSize};
use patchbay_media::MediaTime;
use std::{collections::VecDeque, time::Duration};

/// Part of the picture that must change at once to be taken for another picture.
const ANOTHER: f32 = 0.5;
/// Time in which that is learned.
const SETTLING: Duration = Duration::from_secs(2);
/// Time over which a change is looked for.
const SPAN: Duration = Duration::from_millis(400);
/// After a pause of this length nothing can be said about what has changed in it.
const PAUSE: Duration = Duration::from_secs(30);
/// A longer time between two looks teaches no more than this one.
const MOST_TIME: Duration = Duration::from_secs(1);
/// Most boxes that are told.
const MOST_BOXES: usize = 16;

/// What was seen in a picture.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Sight {
    /// The picture is new, or all of it has changed: it is being learned.
    Learning,
    /// Nothing moves.
    Still,
    /// Something does.
    Moving(Moving),
}

/// What moves in a picture.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Moving {
    /// Names of the zones in which it does.
    pub(crate) zones: Vec<String>,
    /// From 0.5, just enough, to 1.
    pub(crate) score: f32,
    /// The largest first.
    pub(crate) boxes: Vec<MotionBox>,
}

/// Looks at pictures, of whatever sizes, in the order of their times.
pub(crate) struct Detector {
    settings: MotionSettings,
    scene: Option<Scene>,
    /// Times that the whole picture has changed.
    anew: u64,
}

/// What is known of pictures of one size.
struct Scene {
    size: PictureSize,
    sides: Sides,
    places: Vec<Place>,
    /// The threshold of the most sensitive of them.
    keenest: Threshold,
    background: Background,
    /// Deviations of the last looks, the newest first; at most two spans of them.
    deviations: VecDeque<Vec<f32>>,
    /// Looks in a span.
    span: usize,
    learning_until: MediaTime,
    last: MediaTime,
}

impl Detector {
    /// Checks the settings.
    pub(crate) fn new(settings: MotionSettings) -> Result<Self, VisionError> {
        settings.check()?;
        Ok(Self { settings, scene: None, anew: 0 })
    }

    /// Times that most of the picture has changed at once.
    pub(crate) fn anew(&self) -> u64 {
        self.anew
    }

    /// Looks at a picture. A failure leaves it as it was.
    pub(crate) fn look(&mut self, picture: &Picture, at: MediaTime) -> Result<Sight, VisionError> {
        let size = picture.size();
        let Some(scene) = self.scene.as_mut().filter(|scene| scene.size == size) else {
            self.scene = Some(Scene::new(&self.settings, picture, at)?);
            return Ok(Sight::Learning);
        };
        let light = plane::grey(picture, scene.sides)?;
        let passed = at.since(scene.last);
        scene.last = scene.last.max(at);
        if passed > PAUSE {
            scene.deviations.clear();
        }
        if scene.background.changed(&light) > ANOTHER {
            scene.begin_anew(&light, at);
            self.anew += 1;
            return Ok(Sight::Learning);
        }
        scene.look(&light, passed, at)
    }
}

impl Scene {
    fn new(settings: &MotionSettings, picture: &Picture, at: MediaTime) -> Result<Self, VisionError> {
        let size = picture.size();
        let sides = Sides::of(size);
        let places = Place::all(settings, sides)?;
        let sensitivities = settings.zones.iter().map(|zone| zone.sensitivity);
        let keenest = Threshold::of(sensitivities.max().unwrap_or(settings.sensitivity));
        let background = Background::new(sides, &plane::grey(picture, sides)?);
        let looks = Duration::from_secs(1) / settings.rate.max(1);
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "up to six")]
        let span = (SPAN.as_secs_f32() / looks.as_secs_f32()).round().max(1.0) as usize;
        let learning_until = at + settings.warm_up;
        let deviations = VecDeque::new();
        Ok(Self { size, sides, places, keenest, background, deviations, span, learning_until, last: at })
    }

    fn begin_anew(&mut self, light: &[f32], at: MediaTime) {
        self.background.begin_anew(light);
        self.deviations.clear();
        self.learning_until = self.learning_until.max(at + SETTLING);
    }

    fn look(&mut self, light: &[f32], passed: Duration, at: MediaTime) -> Result<Sight, VisionError> {
        // The oldest plane's memory is used again.
        let mut deviations = match self.deviations.len() > 2 * self.span {
            true => self.deviations.pop_back().unwrap_or_default(),
            false => Vec::new(),
        };
        self.background.deviations(light, &mut deviations)?;
        self.deviations.push_front(deviations);
        let is_learning = at < self.learning_until;
        let sight = if is_learning { Sight::Learning } else { self.sight()? };
        let pace = if is_learning { Pace::Fast } else { Pace::Usual };
        self.learn(light, passed.min(MOST_TIME).as_secs_f32(), pace);
        Ok(sight)
    }

    /// What moves; nothing before two spans have passed.
    fn sight(&self) -> Result<Sight, VisionError> {
        let of = |spans: usize| self.deviations.get(spans * self.span).map(Vec::as_slice);
        let (Some(now), Some(before), Some(long_before)) = (of(0), of(1), of(2)) else {
            return Ok(Sight::Still);
        };
        let spans = Spans { now, before, long_before, level: self.background.level() };
        let mut moving = Moving::default();
        let mut things: Vec<Thing> = Vec::new();
        for place in &self.places {
            let found = place.moving(spans)?;
            if found.is_empty() {
                continue;
            }
            moving.zones.extend(place.name.clone());
            things.extend(found);
        }
        if things.is_empty() {
            return Ok(Sight::Still);
        }
        let strongest = things.iter().map(|thing| thing.strength).fold(1.0, f32::max);
        moving.score = strongest / (strongest + 1.0);
        things.sort_by(|one, other| other.area.total_cmp(&one.area));
        moving.boxes = things.iter().take(MOST_BOXES).map(|thing| self.parts(thing.place)).collect();
        Ok(Sight::Moving(moving))
    }

    /// A rectangle in parts of the picture.
    fn parts(&self, place: Rect) -> MotionBox {
        #[expect(clippy::cast_precision_loss, reason = "at most 320 pixels")]
        let part = |length: i32, of: i32| length as f32 / of.max(1) as f32;
        let (width, height) = (self.sides.width, self.sides.height);
        MotionBox {
            x: part(place.x, width),
            y: part(place.y, height),
            width: part(place.width, width),
            height: part(place.height, height),
        }
    }

    fn learn(&mut self, light: &[f32], seconds: f32, pace: Pace) {
        let Some(now) = self.deviations.front() else { return };
        let before = self.deviations.get(self.span).unwrap_or(now);
        let keenest = self.keenest;
        let levels = self.background.level().to_vec();
        let what = now.iter().zip(before).zip(levels).map(|((now, before), level)| {
            let threshold = keenest.at(level);
            if now.abs() <= threshold {
                Pixel::Background
            } else if (now - before).abs() <= threshold / 2.0 {
                Pixel::Resting
            } else {
                Pixel::Moving
            }
        });
        self.background.learn(light, now, what, seconds, pace);
    }
}

#[cfg(test)]
#[path = "detector_tests.rs"]
mod tests;
