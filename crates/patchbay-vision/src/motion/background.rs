//! The background: what each pixel usually looks like, and how far from that it usually is.

use super::plane::{Sides, matrix};
use crate::VisionError;
use opencv::{
    core::{CV_32F, Mat, Size},
    imgproc,
    prelude::*,
};

/// The neighbourhood in which the light is compared is this part of the picture's longer side.
const AROUND: i32 = 8;
/// The light of a place may change by this factor, up or down, and still be taken for light.
const MOST_LIGHT: f32 = 2.5;
/// Added to light before it is divided: near black, a ratio says nothing.
const DARK: f32 = 8.0;
/// A pixel that deviates by more than this, and some times its level, has become another one.
const CHANGED: f32 = 8.0;
/// Sensors give nothing brighter: a little below white, as numbers above black.
const WHITE: f32 = 212.0;
/// Highest level: more is not noise.
const MOST_LEVEL: f32 = 60.0;
/// Level at the beginning.
const FIRST_LEVEL: f32 = 2.0;

/// How fast is learned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Pace {
    /// At the beginning, and after the whole picture has changed.
    Fast,
    /// As long as it goes on.
    Usual,
}

/// What a pixel is, as far as learning is concerned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Pixel {
    /// Like the background.
    Background,
    /// In front of it, and as it was a moment ago: something that was put down, or has left.
    Resting,
    /// In front of it, and changing.
    Moving,
}

/// How a look differs from what was learned.
#[derive(Default)]
pub(super) struct Difference {
    /// How far each pixel is beyond what the background around it has, both as it is and in the light that is there now; 0 where it is within.
    pub(super) deviations: Vec<f32>,
    /// The plain difference in the light that is there now. It is smooth where light alone has changed.
    pub(super) unlike: Vec<f32>,
}

/// What was learned of a picture.
pub(super) struct Background {
    sides: Sides,
    mean: Vec<f32>,
    /// What nine of ten deviations do not exceed.
    level: Vec<f32>,
}

impl Background {
    /// One that looks like this.
    pub(super) fn new(sides: Sides, light: &[f32]) -> Self {
        Self { sides, mean: light.to_vec(), level: vec![FIRST_LEVEL; light.len()] }
    }

    /// What the deviations of each pixel seldom exceed.
    pub(super) fn level(&self) -> &[f32] {
        &self.level
    }

    /// The picture has become another one; how much its pixels vary is kept.
    pub(super) fn begin_anew(&mut self, light: &[f32]) {
        self.mean.copy_from_slice(light);
    }

    /// Part of the pixels that deviate far.
    pub(super) fn changed(&self, deviations: &[f32]) -> f32 {
        let far = |(deviation, level): &(&f32, &f32)| deviation.abs() > CHANGED + 2.0 * **level;
        let count = deviations.iter().zip(&self.level).filter(far).count();
        #[expect(clippy::cast_precision_loss, reason = "at most 320 by 320 pixels")]
        let (count, all) = (count as f32, self.mean.len().max(1) as f32);
        count / all
    }

    /// Compares a look with what was learned.
    pub(super) fn compare(&self, light: &[f32], out: &mut Difference) -> Result<(), VisionError> {
        let (mut around, mut usual) = (Mat::default(), Mat::default());
        let (mut least, mut most) = (Mat::default(), Mat::default());
        let mean = matrix(&self.mean, self.sides)?;
        let side = (self.sides.longer() / AROUND) | 1;
        imgproc::box_filter_def(&matrix(light, self.sides)?, &mut around, CV_32F, Size::new(side, side))?;
        imgproc::box_filter_def(&mean, &mut usual, CV_32F, Size::new(side, side))?;
        let neighbours = imgproc::get_structuring_element_def(imgproc::MORPH_RECT, Size::new(3, 3))?;
        imgproc::erode_def(&mean, &mut least, &neighbours)?;
        imgproc::dilate_def(&mean, &mut most, &neighbours)?;
        let lights = around.data_typed::<f32>()?.iter().zip(usual.data_typed::<f32>()?);
        let ranges = least.data_typed::<f32>()?.iter().zip(most.data_typed::<f32>()?);
        let pixels = light.iter().zip(&self.mean).zip(lights).zip(ranges);
        // Written in place, as compilers make vectors of that.
        out.deviations.resize(light.len(), 0.0);
        out.unlike.resize(light.len(), 0.0);
        let written = out.deviations.iter_mut().zip(&mut out.unlike);
        for ((deviation, unlike), (((light, mean), (around, usual)), (least, most))) in written.zip(pixels) {
            let ratio = ((around + DARK) / (usual + DARK)).clamp(1.0 / MOST_LIGHT, MOST_LIGHT);
            let lit = |mean: f32| ((mean + DARK) * ratio - DARK).min(WHITE);
            let (as_it_is, in_this_light) =
                (beyond(*light, *least, *most), beyond(*light, lit(*least), lit(*most)));
            // What is lit more than usual also sways and glitters more.
            *deviation = smaller(as_it_is, in_this_light) / ratio.max(1.0);
            *unlike = light - lit(*mean);
        }
        Ok(())
    }

    /// Takes a look in, which came `seconds` after the last one.
    pub(super) fn learn(
        &mut self,
        light: &[f32],
        deviations: &[f32],
        what: impl Iterator<Item = Pixel>,
        seconds: f32,
        pace: Pace,
    ) {
        let rates = Rates::of(pace, seconds);
        let own = self.mean.iter_mut().zip(&mut self.level);
        for (((mean, level), (light, deviation)), what) in own.zip(light.iter().zip(deviations)).zip(what) {
            let (follow, rise) = match what {
                Pixel::Background => (rates.usual, rates.rise),
                Pixel::Resting => (rates.resting, rates.rise_in_front),
                Pixel::Moving => (rates.moving, rates.rise_in_front),
            };
            *mean += (light - *mean) * follow;
            let step = if deviation.abs() > *level { rise } else { -rates.fall };
            *level = (*level + step).clamp(0.0, MOST_LEVEL);
        }
    }
}

/// Parts of the way to the new value, and steps of the level, at one look.
struct Rates {
    usual: f32,
    resting: f32,
    moving: f32,
    rise: f32,
    /// As large as `fall`: what deviates half of the time or less, as a busy road, is never taken for the usual.
    rise_in_front: f32,
    fall: f32,
}

impl Rates {
    fn of(pace: Pace, seconds: f32) -> Self {
        let follow = |time: f32| 1.0 - (-seconds / time).exp();
        match pace {
            Pace::Fast => Self {
                usual: follow(1.5),
                resting: follow(1.5),
                moving: follow(1.5),
                rise: 9.0 * seconds,
                rise_in_front: 9.0 * seconds,
                fall: seconds,
            },
            Pace::Usual => Self {
                usual: follow(20.0),
                resting: follow(25.0),
                moving: follow(300.0),
                rise: 0.45 * seconds,
                rise_in_front: 0.05 * seconds,
                fall: 0.05 * seconds,
            },
        }
    }
}

/// How far a value is beyond a range: below it negative.
fn beyond(value: f32, least: f32, most: f32) -> f32 {
    (value - most).max(0.0) + (value - least).min(0.0)
}

/// The one nearer to zero; zero where they do not agree in their direction.
fn smaller(one: f32, other: f32) -> f32 {
    one.min(other).max(0.0) + one.max(other).min(0.0)
}
