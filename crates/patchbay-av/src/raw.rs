//! Pictures that come as plain pixels: from devices and from `OpenCV`.

use crate::{AvError, Picture, PictureSize, Scaler, error::failed};
use ffmpeg_next::{self as av, format::Pixel, frame};

/// How pixels lie in memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum RawFormat {
    /// Light and colours by turns, 4:2:2: `YUYV`.
    Yuyv,
    /// Light, then pairs of colours, 4:2:0.
    Nv12,
    /// Light, blueness, redness, 4:2:0.
    I420,
    /// Blue, green, red, a byte each.
    Bgr24,
}

/// A plane: bytes of a row, and rows, of a picture of so many pixels.
struct Rows {
    bytes: usize,
    rows: usize,
}

impl RawFormat {
    fn pixel(self) -> Pixel {
        match self {
            Self::Yuyv => Pixel::YUYV422,
            Self::Nv12 => Pixel::NV12,
            Self::I420 => Pixel::YUV420P,
            Self::Bgr24 => Pixel::BGR24,
        }
    }

    fn planes(self, width: usize, height: usize) -> Vec<Rows> {
        let (half, halves) = (width.div_ceil(2), height.div_ceil(2));
        let rows = |bytes, rows| Rows { bytes, rows };
        match self {
            Self::Yuyv => vec![rows(half * 4, height)],
            Self::Nv12 => vec![rows(width, height), rows(half * 2, halves)],
            Self::I420 => vec![rows(width, height), rows(half, halves), rows(half, halves)],
            Self::Bgr24 => vec![rows(width * 3, height)],
        }
    }
}

/// Makes pictures of pixels; keeps its tables while size and format stay as they are.
#[derive(Default)]
pub struct RawPictures {
    scaler: Scaler,
}

impl RawPictures {
    /// One without tables.
    pub fn new() -> Self {
        Self::default()
    }

    /// The picture in these bytes: row after row, each `stride` bytes after the one before (0: without gaps), half of that where a plane is half as wide.
    pub fn picture(
        &mut self,
        format: RawFormat,
        width: u32,
        height: u32,
        stride: usize,
        bytes: &[u8],
    ) -> Result<Picture, AvError> {
        let size = PictureSize::nearest(width, height);
        let (most, least) = (u32::from(PictureSize::MAX), u32::from(PictureSize::MIN));
        if !(least..=most).contains(&width) || !(least..=most).contains(&height) {
            return Err(AvError::Size { width, height });
        }
        let mut frame = frame::Video::new(format.pixel(), width, height);
        // SAFETY: the frame lives here; this only looks whether it got its memory.
        #[expect(unsafe_code, reason = "ffmpeg-next does not check the allocation")]
        if unsafe { frame.is_empty() } {
            return Err(failed("allocating a picture")(av::Error::Other { errno: av::error::ENOMEM }));
        }
        let pixels = |length: u32| usize::try_from(length).unwrap_or(0);
        let planes = format.planes(pixels(width), pixels(height));
        let full = planes.first().map_or(1, |plane| plane.bytes).max(1);
        let mut rest = bytes;
        for (index, plane) in planes.iter().enumerate() {
            let gap = if stride == 0 { plane.bytes } else { stride * plane.bytes / full };
            rest = copy(&mut frame, index, plane, gap.max(plane.bytes), rest)?;
        }
        if format == RawFormat::I420 && PictureSize::new(width, height).is_ok() {
            return Picture::from_frame(frame);
        }
        self.scaler.convert(&frame, size)
    }
}

/// Copies a plane; gives what comes after it.
fn copy<'a>(
    frame: &mut frame::Video,
    index: usize,
    plane: &Rows,
    stride: usize,
    bytes: &'a [u8],
) -> Result<&'a [u8], AvError> {
    let short = || AvError::Unsuitable {
        codec: "raw video",
        reason: "the picture has fewer bytes than its size takes",
    };
    let to = frame.stride(index);
    let mut rest = bytes;
    for target in frame.data_mut(index).chunks_mut(to.max(1)).take(plane.rows) {
        let row = rest.get(..plane.bytes).ok_or_else(short)?;
        target.get_mut(..plane.bytes).ok_or_else(short)?.copy_from_slice(row);
        // The last row may end where its pixels do.
        rest = rest.get(stride..).unwrap_or_default();
    }
    Ok(rest)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Plane;

    /// Grey everywhere, and its first pixel white, in each format with and without gaps between rows.
    #[test]
    fn every_format_becomes_a_picture() {
        for (format, stride) in [
            (RawFormat::Yuyv, 0),
            (RawFormat::Yuyv, 80),
            (RawFormat::Nv12, 0),
            (RawFormat::Nv12, 48),
            (RawFormat::I420, 0),
            (RawFormat::I420, 64),
            (RawFormat::Bgr24, 0),
            (RawFormat::Bgr24, 100),
        ] {
            let bytes = vec![128_u8; 32 * 24 * 8];
            let picture = RawPictures::new().picture(format, 32, 24, stride, &bytes).unwrap();
            assert_eq!(picture.size(), PictureSize::new(32, 24).unwrap());
            let (light, colour) = (picture.plane(Plane::Y)[0], picture.plane(Plane::U)[0]);
            assert!(light.abs_diff(128) < 8 && colour.abs_diff(128) < 4, "{format:?}: {light} {colour}");
        }
    }

    #[test]
    fn rows_and_colours_stay_where_they_are() {
        // Two rows by turns, black and white, in YUYV with gaps.
        let mut bytes = Vec::new();
        for row in 0..24 {
            bytes.extend([if row % 2 == 0 { 16 } else { 235 }, 128].repeat(32));
            bytes.extend([77; 16]);
        }
        let picture = RawPictures::new().picture(RawFormat::Yuyv, 32, 24, 80, &bytes).unwrap();
        for row in 0..24 {
            let light = picture.plane(Plane::Y)[row * picture.stride(Plane::Y) + 5];
            assert_eq!(light > 128, row % 2 == 1, "row {row}: {light}");
        }
        let blue = [255, 0, 0].repeat(32 * 24);
        let picture = RawPictures::new().picture(RawFormat::Bgr24, 32, 24, 0, &blue).unwrap();
        assert!(picture.plane(Plane::U)[0] > 200 && picture.plane(Plane::V)[0] < 128);
    }

    #[test]
    fn too_few_bytes_and_odd_sizes_are_no_harm() {
        let mut raw = RawPictures::new();
        for format in [RawFormat::Yuyv, RawFormat::Nv12, RawFormat::I420, RawFormat::Bgr24] {
            for length in [0, 1, 100, 32 * 24] {
                assert!(raw.picture(format, 32, 24, 0, &vec![0; length]).is_err(), "{format:?} of {length}");
            }
            let odd = raw.picture(format, 33, 25, 0, &vec![0; 33 * 25 * 8]).unwrap();
            assert_eq!(odd.size(), PictureSize::new(32, 24).unwrap());
            assert!(raw.picture(format, 1 << 20, 1 << 20, 0, &[]).is_err());
            assert!(raw.picture(format, 0, 0, 0, &[]).is_err());
        }
    }
}
