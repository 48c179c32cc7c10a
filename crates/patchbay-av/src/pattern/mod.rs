//! The test picture: a machine-readable time code, a name, a clock with milliseconds, colour bars and shapes that move.
//!
//! Everything that stands still is drawn once; each picture is a copy of that (a few copies of memory) with what moves drawn over it, plane by plane,
//! so that no conversion of colours is needed.

mod grain;
mod time_code;

pub use time_code::{BLOCK, COLUMNS, HEIGHT, TimeCode, WIDTH};

use grain::Grain;

use crate::{AvError, Canvas, Picture, PicturePool, PictureSize, Plane};
use opencv::{
    core::{Point, Rect, Scalar},
    imgproc,
};

/// Light, blueness and redness of a colour, in video range.
#[derive(Clone, Copy)]
struct Colour(u8, u8, u8);

const WHITE: Colour = Colour(235, 128, 128);
const PANEL: Colour = Colour(28, 128, 128);
const BALL: Colour = Colour(170, 60, 170);
const HAND: Colour = Colour(200, 100, 90);
/// White, yellow, cyan, green, magenta, red, blue at three quarters.
const BARS: [Colour; 7] = [
    Colour(180, 128, 128),
    Colour(162, 44, 142),
    Colour(131, 156, 44),
    Colour(112, 72, 58),
    Colour(84, 184, 198),
    Colour(65, 100, 212),
    Colour(35, 212, 114),
];
/// The name is cut after this many characters.
const NAME_LENGTH: usize = 40;

impl Colour {
    fn of(self, plane: Plane) -> Scalar {
        Scalar::all(f64::from(match plane {
            Plane::Y => self.0,
            Plane::U => self.1,
            Plane::V => self.2,
        }))
    }
}

/// Draws the test picture.
pub struct TestPattern {
    size: PictureSize,
    pool: PicturePool,
    background: Picture,
    grain: Option<Grain>,
}

impl TestPattern {
    /// A pattern with a name on it; `OpenCV`'s letters are ASCII, others become `?`.
    pub fn new(size: PictureSize, name: &str) -> Result<Self, AvError> {
        let pool = PicturePool::new(size);
        let mut canvas = pool.take()?;
        draw_background(&mut canvas, name)?;
        Ok(Self { size, background: canvas.finish(), grain: None, pool })
    }

    /// The same with noise: `strength` is the greatest deviation of a pixel's light, up to 100; 0 is none.
    #[must_use]
    pub fn with_noise(self, strength: u8) -> Self {
        let pixels = usize::from(self.size.width()) * usize::from(self.size.height());
        Self { grain: Grain::new(pixels, strength), ..self }
    }

    /// The picture of a moment, in milliseconds since 1970, with its number in the time code.
    pub fn draw(&self, unix_ms: u64, number: u64) -> Result<Picture, AvError> {
        let mut canvas = self.pool.take()?;
        canvas.copy_from(&self.background)?;
        self.draw_ball(&mut canvas, unix_ms)?;
        self.draw_hand(&mut canvas, unix_ms)?;
        let height = i32::from(self.size.height());
        text(&mut canvas, &clock(unix_ms), height * 2 / 5, WHITE)?;
        if let Some(grain) = &self.grain {
            grain.draw(&mut canvas, number);
        }
        let number = u16::try_from(number & 0xFFFF).unwrap_or(0);
        TimeCode { unix_ms, number }.draw(&mut canvas);
        Ok(canvas.finish())
    }

    /// Goes to and fro in six seconds, between the clock and the bars.
    fn draw_ball(&self, canvas: &mut Canvas, unix_ms: u64) -> Result<(), AvError> {
        let (width, height) = (i32::from(self.size.width()), i32::from(self.size.height()));
        let radius = height / 16;
        let phase = i32::try_from(unix_ms % 6_000).unwrap_or(0);
        let way = if phase < 3_000 { phase } else { 6_000 - phase };
        let x = radius + (width - 2 * radius) * way / 3_000;
        for plane in Plane::ALL {
            let divisor = i32::from(plane.divisor());
            let (center, radius) = (Point::new(x / divisor, height * 3 / 5 / divisor), radius / divisor);
            canvas.draw(plane, |mat| {
                imgproc::circle(mat, center, radius, BALL.of(plane), imgproc::FILLED, imgproc::LINE_8, 0)
            })?;
        }
        Ok(())
    }

    /// A bar under the clock that grows for a second.
    fn draw_hand(&self, canvas: &mut Canvas, unix_ms: u64) -> Result<(), AvError> {
        let (width, height) = (i32::from(self.size.width()), i32::from(self.size.height()));
        let length = (width * i32::try_from(unix_ms % 1_000).unwrap_or(0) / 1_000).max(2);
        rectangle(canvas, Rect::new(0, height * 9 / 20, length, height / 60 + 2), HAND)
    }
}

fn draw_background(canvas: &mut Canvas, name: &str) -> Result<(), AvError> {
    let (width, height) = (i32::from(canvas.size().width()), i32::from(canvas.size().height()));
    rectangle(canvas, Rect::new(0, 0, width, height), PANEL)?;
    let (top, count) = (height * 3 / 4, i32::try_from(BARS.len()).unwrap_or(7));
    for (bar, colour) in (0..count).zip(BARS) {
        let left = width * bar / count;
        let right = width * (bar + 1) / count;
        rectangle(canvas, Rect::new(left, top, right - left, height - top), colour)?;
    }
    let name: String = name.chars().take(NAME_LENGTH).collect();
    text(canvas, &name, height / 5, WHITE)
}

fn rectangle(canvas: &mut Canvas, at: Rect, colour: Colour) -> Result<(), AvError> {
    for plane in Plane::ALL {
        let divisor = i32::from(plane.divisor());
        let at = Rect::new(at.x / divisor, at.y / divisor, at.width / divisor, at.height / divisor);
        canvas.draw(plane, |mat| {
            imgproc::rectangle(mat, at, colour.of(plane), imgproc::FILLED, imgproc::LINE_8, 0)
        })?;
    }
    Ok(())
}

/// Writes in shades of grey, from the left margin, on a base line.
fn text(canvas: &mut Canvas, words: &str, base: i32, colour: Colour) -> Result<(), AvError> {
    let size = canvas.size();
    let scale = f64::from(size.height()) / 380.0;
    let thickness = i32::from(size.height() / 300) + 1;
    let left = Point::new(i32::from(size.width() / 20), base);
    canvas.draw(Plane::Y, |mat| {
        let font = imgproc::FONT_HERSHEY_SIMPLEX;
        imgproc::put_text(
            mat,
            words,
            left,
            font,
            scale,
            colour.of(Plane::Y),
            thickness,
            imgproc::LINE_8,
            false,
        )
    })
}

/// Date and time of day in UTC, with milliseconds.
fn clock(unix_ms: u64) -> String {
    let (days, of_day) = (unix_ms / 86_400_000, unix_ms % 86_400_000);
    let (year, month, day) = date(days);
    let (hours, minutes) = (of_day / 3_600_000, of_day / 60_000 % 60);
    let (seconds, millis) = (of_day / 1_000 % 60, of_day % 1_000);
    format!("{year:04}-{month:02}-{day:02} {hours:02}:{minutes:02}:{seconds:02}.{millis:03}")
}

/// Year, month and day of a count of days since 1970, by whole cycles of 400, 100, 4 and 1 years that begin in March, so that leap days come last.
fn date(days: u64) -> (u64, u64, u64) {
    let since_march_0000 = days + 719_468;
    let (cycle, day) = (since_march_0000 / 146_097, since_march_0000 % 146_097);
    let year = (day - day / 1_460 + day / 36_524 - day / 146_096) / 365;
    let day = day - (365 * year + year / 4 - year / 100);
    let month = (5 * day + 2) / 153;
    let day = day - (153 * month + 2) / 5 + 1;
    let (month, next) = if month < 10 { (month + 3, 0) } else { (month - 9, 1) };
    (cycle * 400 + year + next, month, day)
}

#[cfg(test)]
#[path = "pattern_tests.rs"]
mod tests;
