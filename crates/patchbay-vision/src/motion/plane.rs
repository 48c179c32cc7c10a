//! Planes of numbers, a row after another, and what `OpenCV` does with them.

use crate::VisionError;
use opencv::{
    boxed_ref::BoxedRef,
    core::{CV_32F, Mat, Rect, Size},
    imgproc,
    prelude::*,
};
use patchbay_av::{Picture, PictureSize, Plane as Part};

/// Pixels of the longer side of the planes that are looked at.
const LENGTH: u16 = 320;
/// Side of the blur, which evens out noise: pixels.
const BLUR: i32 = 5;
/// Black in video range.
const BLACK: f64 = 16.0;

/// Sides of a plane.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Sides {
    pub(super) width: i32,
    pub(super) height: i32,
}

impl Sides {
    /// Those in which a picture is looked at.
    pub(super) fn of(size: PictureSize) -> Self {
        let longer = size.width().max(size.height()).max(1);
        let scaled = |side: u16| {
            let scaled = u32::from(side) * u32::from(LENGTH.min(longer)) / u32::from(longer);
            i32::try_from(scaled).unwrap_or(1).max(1)
        };
        Self { width: scaled(size.width()), height: scaled(size.height()) }
    }

    pub(super) fn size(self) -> Size {
        Size::new(self.width, self.height)
    }

    pub(super) fn longer(self) -> i32 {
        self.width.max(self.height)
    }

    pub(super) fn pixels(self) -> usize {
        usize::try_from(self.width * self.height).unwrap_or(0)
    }
}

/// A picture's light as numbers above black, small and blurred.
pub(super) fn grey(picture: &Picture, sides: Sides) -> Result<Vec<f32>, VisionError> {
    let (size, stride) = (picture.size(), picture.stride(Part::Y));
    let light = picture.plane(Part::Y);
    let rows = i32::from(size.height());
    let columns = i32::try_from(stride).unwrap_or(i32::MAX);
    let used = stride * usize::from(size.height());
    // A plane may end with the last pixel of its last row.
    let (rows, used) = if light.len() >= used { (rows, used) } else { (rows - 1, used - stride) };
    let whole = Mat::new_rows_cols_with_data(rows, columns, light.get(..used).unwrap_or_default())?;
    let visible = whole.roi(Rect::new(0, 0, i32::from(size.width()), rows))?;
    let (mut small, mut blurred, mut numbers) = (Mat::default(), Mat::default(), Mat::default());
    imgproc::resize(&visible, &mut small, sides.size(), 0.0, 0.0, imgproc::INTER_AREA)?;
    imgproc::gaussian_blur_def(&small, &mut blurred, Size::new(BLUR, BLUR), 0.0)?;
    blurred.convert_to(&mut numbers, CV_32F, 1.0, -BLACK)?;
    Ok(numbers.data_typed::<f32>()?.to_vec())
}

/// A plane of numbers as a matrix of `OpenCV` over the same memory.
pub(super) fn matrix(numbers: &[f32], sides: Sides) -> opencv::Result<BoxedRef<'_, Mat>> {
    Mat::new_rows_cols_with_data(sides.height, sides.width, numbers)
}
