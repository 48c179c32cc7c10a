//! Privacy masks: parts of the picture that are made unrecognizable before anybody, or anything else here, sees it.

use crate::{
    VisionError,
    region::{self, Point},
};
use opencv::{
    core::{self, Mat},
    imgproc,
    prelude::*,
};
use patchbay_av::{Canvas, PictureSize, Plane};

/// A part of the picture that nobody sees.
#[derive(Clone, Debug, PartialEq)]
pub struct Mask {
    /// Corners of a polygon, in parts of the picture.
    pub points: Vec<Point>,
    /// What stands there instead.
    pub style: MaskStyle,
}

/// What stands in place of what is hidden.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum MaskStyle {
    /// Black: nothing can be made out.
    #[default]
    Black,
    /// Coarse blocks: details cannot be made out; that something is there, and moves, can.
    Pixelate,
}

/// Black in video range.
const BLACK: [u8; 3] = [16, 128, 128];
/// Blocks of pixelated parts from the top of the picture to its bottom.
const BLOCKS: u16 = 24;
/// Least side of a block, in pixels of colour.
const LEAST_BLOCK: usize = 8;

/// Lays masks over pictures of one size.
///
/// Everything is reckoned in pixels of colour, each of which covers two by two of light, and one more all round: neither the sharing of colours between
/// neighbours nor a rounding of corners shows anything of what is within the polygon.
pub(crate) struct Masker {
    size: PictureSize,
    /// Per row of colour: from and to (exclusive) of what is black.
    black: Vec<Span>,
    pixelated: Vec<Span>,
}

/// Part of a row, in pixels of colour.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Span {
    row: usize,
    from: usize,
    to: usize,
}

impl Masker {
    pub(crate) fn new(masks: &[Mask], size: PictureSize) -> Result<Self, VisionError> {
        let of = |style| masks.iter().filter(move |mask| mask.style == style);
        let black = spans(&cover(of(MaskStyle::Black), size)?)?;
        let pixelated = spans(&cover(of(MaskStyle::Pixelate), size)?)?;
        Ok(Self { size, black, pixelated })
    }

    pub(crate) fn size(&self) -> PictureSize {
        self.size
    }

    /// Draws over what is masked. Blocks come first: what is black as well stays black.
    pub(crate) fn apply(&self, canvas: &mut Canvas) {
        let block = usize::from(self.size.height() / 2 / BLOCKS).max(LEAST_BLOCK);
        for (plane, black) in Plane::ALL.into_iter().zip(BLACK) {
            let (stride, width) = (canvas.stride(plane), usize::from(self.size.width() / plane.divisor()));
            // How many pixels of this plane one of colour is.
            let scale = usize::from(2 / plane.divisor());
            let mut rows: Vec<&mut [u8]> =
                canvas.plane_mut(plane).chunks_mut(stride).map(|row| &mut row[..width]).collect();
            pixelate(&mut rows, &self.pixelated, scale, block);
            for span in &self.black {
                for row in span.rows(&mut rows, scale) {
                    row.fill(black);
                }
            }
        }
    }
}

impl Span {
    /// The pixels that it covers in a plane that is `scale` times as fine.
    fn rows<'a>(self, rows: &'a mut [&mut [u8]], scale: usize) -> impl Iterator<Item = &'a mut [u8]> {
        let rows = rows.iter_mut().skip(self.row * scale).take(scale);
        rows.filter_map(move |row| row.get_mut(self.from * scale..self.to * scale))
    }
}

/// Gives each block the mean of its pixels, where the spans cover it.
fn pixelate(rows: &mut [&mut [u8]], spans: &[Span], scale: usize, block: usize) {
    for spans in spans.chunk_by(|one, other| one.row / block == other.row / block) {
        let Some(first) = spans.first() else { continue };
        let top = first.row / block * block * scale;
        let means = means(rows.get(top..).unwrap_or(&[]), block * scale);
        for span in spans {
            for row in span.rows(rows, scale) {
                for (index, pixel) in (span.from * scale..).zip(row) {
                    *pixel = means.get(index / (block * scale)).copied().unwrap_or(BLACK[0]);
                }
            }
        }
    }
}

/// The means of the blocks that stand side by side at the top of these rows.
fn means(rows: &[&mut [u8]], side: usize) -> Vec<u8> {
    let width = rows.first().map_or(0, |row| row.len());
    let blocks = (0..width).step_by(side);
    let mean = |from: usize| {
        let rows = rows.iter().take(side).filter_map(|row| row.get(from..width.min(from + side)));
        let (sum, count) = rows.fold((0_u32, 0_u32), |(sum, count), row| {
            let length = u32::try_from(row.len()).unwrap_or(u32::MAX);
            (sum + row.iter().map(|pixel| u32::from(*pixel)).sum::<u32>(), count + length)
        });
        u8::try_from(sum / count.max(1)).unwrap_or(u8::MAX)
    };
    blocks.map(mean).collect()
}

/// A plane of colour's size that tells what the masks cover, one pixel all round included.
fn cover<'a>(masks: impl Iterator<Item = &'a Mask>, size: PictureSize) -> Result<Mat, VisionError> {
    let (width, height) = (i32::from(size.width() / 2), i32::from(size.height() / 2));
    let mut all = Mat::new_rows_cols_with_default(height, width, core::CV_8UC1, core::Scalar::all(0.0))?;
    for mask in masks {
        let mut one = Mat::default();
        core::bitwise_or_def(&all, &region::draw(&mask.points, width, height)?, &mut one)?;
        all = one;
    }
    let mut wider = Mat::default();
    let around = imgproc::get_structuring_element_def(imgproc::MORPH_RECT, core::Size::new(3, 3))?;
    imgproc::dilate_def(&all, &mut wider, &around)?;
    Ok(wider)
}

fn spans(cover: &Mat) -> Result<Vec<Span>, VisionError> {
    let width = usize::try_from(cover.cols()).unwrap_or(1).max(1);
    let mut spans = Vec::new();
    for (row, pixels) in cover.data_typed::<u8>()?.chunks(width).enumerate() {
        let mut from = 0;
        for run in pixels.chunk_by(|one, other| one == other) {
            let to = from + run.len();
            if run.first() != Some(&0) {
                spans.push(Span { row, from, to });
            }
            from = to;
        }
    }
    Ok(spans)
}

#[cfg(test)]
#[path = "mask_tests.rs"]
mod tests;
