//! The clock over the picture: `2026-11-23 14:05:09` and a name, white on dark, drawn anew only when the second changes.

use crate::VisionError;
use jiff::{Timestamp, tz::TimeZone};
use opencv::{
    core::{Point, Scalar},
    imgproc,
};
use patchbay_av::{Canvas, Picture, PicturePool, PictureSize, Plane};

/// A clock and a name over the picture.
#[derive(Clone, Debug, PartialEq)]
pub struct Overlay {
    /// Where it stands.
    pub corner: Corner,
    /// Height of the letters: 1 is a thirtieth of the picture's height; from 0.5 to 5. What would be wider than the picture is made smaller.
    pub scale: f32,
    /// Time zone of the clock, by its name in the IANA database: `Europe/Berlin`, `UTC`.
    pub zone: String,
    /// What stands behind the clock. ASCII is drawn, anything else as `?`.
    pub title: Option<String>,
}

/// A corner of the picture.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Corner {
    /// Upper left.
    #[default]
    TopLeft,
    /// Upper right.
    TopRight,
    /// Lower left.
    BottomLeft,
    /// Lower right.
    BottomRight,
}

/// Most characters of a title.
pub const MAX_TITLE: usize = 80;

/// The letters' heights in parts of the picture's: one of so many.
const LINES: f64 = 30.0;
/// Pixels that a capital letter of this face is high at scale 1.
const CAPITAL: f64 = 22.0;
/// Light of the letters and of what is behind them; no colour.
const LETTERS: f64 = 235.0;
const BEHIND: u8 = 28;
const NO_COLOUR: u8 = 128;
/// Smallest letters that can be read, in pixels.
const LEAST_LETTERS: f64 = 7.0;

impl Overlay {
    /// Checks it; errors name fields as `overlay.zone`.
    pub fn check(&self) -> Result<(), VisionError> {
        // Also false for what is no number.
        if !(0.5..=5.0).contains(&self.scale) {
            return Err(VisionError::setting("overlay.scale", "from 0.5 to 5"));
        }
        if self.title.as_ref().is_some_and(|title| title.chars().count() > MAX_TITLE) {
            return Err(VisionError::setting(
                "overlay.title",
                format!("at most {MAX_TITLE} characters long"),
            ));
        }
        self.time_zone().map(drop)
    }

    fn time_zone(&self) -> Result<TimeZone, VisionError> {
        let unknown = |_| VisionError::TimeZone { field: "overlay.zone".to_owned(), name: self.zone.clone() };
        TimeZone::get(&self.zone).map_err(unknown)
    }
}

/// The clock's face, `YYYY-MM-DD HH:MM:SS`; empty where the time is none of this calendar's.
fn face(unix_ms: u64, zone: &TimeZone) -> String {
    let Some(time) = i64::try_from(unix_ms).ok().and_then(|ms| Timestamp::from_millisecond(ms).ok()) else {
        return String::new();
    };
    time.to_zoned(zone.clone()).strftime("%Y-%m-%d %H:%M:%S").to_string()
}

/// Draws the clock on pictures of one size.
pub(crate) struct Clock {
    size: PictureSize,
    zone: TimeZone,
    corner: Corner,
    title: String,
    letters: Letters,
    pool: PicturePool,
    /// The second that the panel shows, and the panel.
    panel: Option<(u64, Picture)>,
}

/// How large the letters are, and where in the panel they stand.
#[derive(Clone, Copy)]
struct Letters {
    scale: f64,
    thickness: i32,
    origin: Point,
    panel: PictureSize,
}

impl Clock {
    pub(crate) fn new(overlay: &Overlay, size: PictureSize) -> Result<Self, VisionError> {
        let zone = overlay.time_zone()?;
        let ascii = |letter: char| if letter == ' ' || letter.is_ascii_graphic() { letter } else { '?' };
        let title = match overlay.title.as_deref().map(str::trim).filter(|title| !title.is_empty()) {
            Some(title) => format!("  {}", title.chars().map(ascii).collect::<String>()),
            None => String::new(),
        };
        let letters = Letters::fit(&format!("0000-00-00 00:00:00{title}"), overlay.scale, size)?;
        let pool = PicturePool::new(letters.panel);
        Ok(Self { size, zone, corner: overlay.corner, title, letters, pool, panel: None })
    }

    pub(crate) fn size(&self) -> PictureSize {
        self.size
    }

    /// Draws the time on a picture.
    pub(crate) fn draw(&mut self, canvas: &mut Canvas, unix_ms: u64) -> Result<(), VisionError> {
        let second = unix_ms / 1_000;
        let panel = match self.panel.take().filter(|(of, _)| *of == second) {
            Some((_, panel)) => panel,
            None => self.panel(&format!("{}{}", face(unix_ms, &self.zone), self.title))?,
        };
        lay(canvas, &panel, self.corner);
        self.panel = Some((second, panel));
        Ok(())
    }

    fn panel(&self, text: &str) -> Result<Picture, VisionError> {
        let letters = self.letters;
        let mut canvas = self.pool.take()?;
        canvas.plane_mut(Plane::Y).fill(BEHIND);
        canvas.plane_mut(Plane::U).fill(NO_COLOUR);
        canvas.plane_mut(Plane::V).fill(NO_COLOUR);
        canvas.draw(Plane::Y, |light| {
            imgproc::put_text(
                light,
                text,
                letters.origin,
                imgproc::FONT_HERSHEY_SIMPLEX,
                letters.scale,
                Scalar::all(LETTERS),
                letters.thickness,
                imgproc::LINE_AA,
                false,
            )
        })?;
        Ok(canvas.finish())
    }
}

impl Letters {
    /// Letters of that scale, or smaller ones that fit into the picture.
    fn fit(widest: &str, scale: f32, size: PictureSize) -> Result<Self, VisionError> {
        let wanted = (f64::from(size.height()) / LINES * f64::from(scale)).max(LEAST_LETTERS) / CAPITAL;
        let letters = Self::measure(widest, wanted)?;
        let (needed, there) = (f64::from(letters.panel.width()), f64::from(size.width()));
        if needed <= there {
            return Ok(letters.within(size));
        }
        Ok(Self::measure(widest, wanted * there / needed * 0.98)?.within(size))
    }

    fn measure(widest: &str, scale: f64) -> Result<Self, VisionError> {
        #[expect(clippy::cast_possible_truncation, reason = "a few pixels")]
        let thickness = ((scale * 1.6).round() as i32).max(1);
        let mut below = 0;
        let face = imgproc::FONT_HERSHEY_SIMPLEX;
        let text = imgproc::get_text_size(widest, face, scale, thickness, &mut below)?;
        let edge = text.height / 3 + 2;
        let length = |pixels: i32| u32::try_from(pixels + 2 * edge).unwrap_or(0);
        // Rounded up, so that nothing is cut.
        let panel = PictureSize::nearest(
            length(text.width).next_multiple_of(2),
            length(text.height + below / 2).next_multiple_of(2),
        );
        Ok(Self { scale, thickness, origin: Point::new(edge, edge + text.height), panel })
    }

    fn within(self, size: PictureSize) -> Self {
        let (width, height) = (self.panel.width().min(size.width()), self.panel.height().min(size.height()));
        Self { panel: PictureSize::nearest(width.into(), height.into()), ..self }
    }
}

/// Copies the panel into a corner. All sides are even, so that colours lie where they belong.
fn lay(canvas: &mut Canvas, panel: &Picture, corner: Corner) {
    let (whole, part) = (canvas.size(), panel.size());
    for plane in Plane::ALL {
        let scaled = |length: u16| usize::from(length / plane.divisor());
        let (width, height) = (scaled(part.width()), scaled(part.height()));
        let (right, below) =
            (scaled(whole.width()).saturating_sub(width), scaled(whole.height()).saturating_sub(height));
        let (left, top) = match corner {
            Corner::TopLeft => (0, 0),
            Corner::TopRight => (right, 0),
            Corner::BottomLeft => (0, below),
            Corner::BottomRight => (right, below),
        };
        let (to, from) = (canvas.stride(plane), panel.stride(plane));
        let targets = canvas.plane_mut(plane).chunks_mut(to).skip(top).take(height);
        for (target, source) in targets.zip(panel.plane(plane).chunks(from)) {
            if let (Some(target), Some(source)) = (target.get_mut(left..left + width), source.get(..width)) {
                target.copy_from_slice(source);
            }
        }
    }
}

#[cfg(test)]
#[path = "overlay_tests.rs"]
mod tests;
