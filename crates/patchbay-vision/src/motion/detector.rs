//! Looks at pictures one after another and tells in which of them something moves.

use super::{
    MotionBox, MotionSettings,
    background::{Background, Difference, Pace, Pixel},
    plane::{self, Sides},
    things::{Place, Spans, Thing, Threshold},
};
use crate::VisionError;
use opencv::core::{self, Rect};
use patchbay_av::{Picture, PictureSize};
use patchbay_media::MediaTime;
use std::{collections::VecDeque, time::Duration};

/// Part of the picture that must change at once, other than in its light, to be taken for another picture.
const ANOTHER: f32 = 0.3;
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
    /// By when it had begun to.
    pub(crate) since: MediaTime,
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
    /// Times and deviations of the last looks, the newest first; at most two spans of them.
    deviations: VecDeque<(MediaTime, Vec<f32>)>,
    /// The newest look; its deviations are with the others.
    newest: Difference,
    /// Looks in a span.
    span: usize,
    learning_until: MediaTime,
    last: MediaTime,
}

impl Detector {
    /// Checks the settings.
    pub(crate) fn new(settings: MotionSettings) -> Result<Self, VisionError> {
        settings.check()?;
        // Each source has a thread of its own: OpenCV's own pool, which all would share, gains nothing, and makes it hard to tell what one costs.
        core::set_num_threads(1)?;
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
        scene.compare(&light, at)?;
        if scene.has_changed() {
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
        let (deviations, newest) = (VecDeque::new(), Difference::default());
        Ok(Self {
            size,
            sides,
            places,
            keenest,
            background,
            deviations,
            newest,
            span,
            learning_until,
            last: at,
        })
    }

    fn begin_anew(&mut self, light: &[f32], at: MediaTime) {
        self.background.begin_anew(light);
        self.deviations.clear();
        self.learning_until = self.learning_until.max(at + SETTLING);
    }

    /// Adds the deviations of a look to those of the last ones.
    fn compare(&mut self, light: &[f32], at: MediaTime) -> Result<(), VisionError> {
        // The oldest plane's memory is used again.
        if self.deviations.len() > 2 * self.span {
            self.newest.deviations = self.deviations.pop_back().unwrap_or_default().1;
        }
        self.background.compare(light, &mut self.newest)?;
        self.deviations.push_front((at, std::mem::take(&mut self.newest.deviations)));
        Ok(())
    }

    fn has_changed(&self) -> bool {
        self.deviations.front().is_some_and(|(_, newest)| self.background.changed(newest) > ANOTHER)
    }

    fn look(&mut self, light: &[f32], passed: Duration, at: MediaTime) -> Result<Sight, VisionError> {
        let is_learning = at < self.learning_until;
        let sight = if is_learning { Sight::Learning } else { self.sight()? };
        let pace = if is_learning { Pace::Fast } else { Pace::Usual };
        self.learn(light, passed.min(MOST_TIME).as_secs_f32(), pace);
        Ok(sight)
    }

    /// What moves; nothing before two short spans have passed.
    fn sight(&self) -> Result<Sight, VisionError> {
        let Some((_, now)) = self.deviations.front() else { return Ok(Sight::Still) };
        let of = |looks: usize| self.deviations.get(looks).map(|(_, deviations)| deviations.as_slice());
        let short = self.span.div_ceil(2);
        let pairs = [short, self.span].map(|span| Some((of(span)?, of(2 * span)?)));
        let unlike = &self.newest.unlike;
        let spans = Spans { now, pairs, unlike, level: self.background.level() };
        // What has changed in both of two spans had begun by the end of the earlier one.
        let since = self.deviations.get(short).map_or(self.last, |(at, _)| *at);
        let mut moving = Moving { since, ..Moving::default() };
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
        let Some((_, now)) = self.deviations.front() else { return };
        let before = self.deviations.get(self.span).map_or(now, |(_, before)| before);
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
