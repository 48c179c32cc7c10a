//! Pictures: I420 (YUV 4:2:0 with three planes, video range) in buffers of libav, shared by reference count.
//!
//! A [`Picture`] cannot be changed any more; a [`Canvas`] can, and is taken from a [`PicturePool`], to which its buffer comes back when the last
//! user of the picture is gone.

use crate::error::{AvError, failed};
use ffmpeg_next::{self as av, ffi, format::Pixel, frame};
use opencv::core::{CV_8UC1, Mat};
use parking_lot::Mutex;
use std::sync::{Arc, Weak};

/// Width and height in pixels: both even, because a pixel of colour covers two by two of light.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct PictureSize {
    width: u16,
    height: u16,
}

impl PictureSize {
    /// Least length of a side.
    pub const MIN: u16 = 16;
    /// Greatest length of a side.
    pub const MAX: u16 = 8192;

    /// Checks the sides.
    pub fn new(width: u32, height: u32) -> Result<Self, AvError> {
        let side = |length: u32| {
            let length = u16::try_from(length).ok()?;
            ((Self::MIN..=Self::MAX).contains(&length) && length.is_multiple_of(2)).then_some(length)
        };
        match (side(width), side(height)) {
            (Some(width), Some(height)) => Ok(Self { width, height }),
            _ => Err(AvError::Size { width, height }),
        }
    }

    /// The nearest size with even sides within bounds.
    pub fn nearest(width: u32, height: u32) -> Self {
        let side = |length: u32| {
            let length = length.clamp(u32::from(Self::MIN), u32::from(Self::MAX)) & !1;
            u16::try_from(length).unwrap_or(Self::MAX)
        };
        Self { width: side(width), height: side(height) }
    }

    /// Pixels across.
    pub fn width(self) -> u16 {
        self.width
    }

    /// Pixels down.
    pub fn height(self) -> u16 {
        self.height
    }

    /// This size scaled to a width, with the same proportions, as nearly as even sides allow; never larger than it is.
    #[must_use]
    pub fn scaled_to_width(self, width: u32) -> Self {
        let width = width.min(u32::from(self.width));
        Self::nearest(width, width * u32::from(self.height) / u32::from(self.width))
    }
}

/// One of the three planes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Plane {
    /// Light, a byte a pixel.
    Y,
    /// Blueness, a byte for two by two pixels.
    U,
    /// Redness, likewise.
    V,
}

impl Plane {
    /// The three, in the order of memory.
    pub const ALL: [Self; 3] = [Self::Y, Self::U, Self::V];

    fn index(self) -> usize {
        match self {
            Self::Y => 0,
            Self::U => 1,
            Self::V => 2,
        }
    }

    /// How many times smaller than the picture its sides are.
    pub fn divisor(self) -> u16 {
        if self == Self::Y { 1 } else { 2 }
    }
}

/// More than any row of a picture takes; a negative one, as libav has it, is far larger.
const MAX_STRIDE: usize = 1 << 20;

/// A finished picture. Cloning shares it.
#[derive(Clone)]
pub struct Picture(Arc<Shared>);

struct Shared {
    frame: frame::Video,
    size: PictureSize,
    pool: Weak<Pool>,
}

impl Picture {
    /// Takes a frame of libav, which must be in I420 and video range; a scaler makes that of others.
    pub fn from_frame(frame: frame::Video) -> Result<Self, AvError> {
        let size = PictureSize::new(frame.width(), frame.height())?;
        if frame.format() != Pixel::YUV420P {
            return Err(AvError::Unsuitable {
                codec: "raw video",
                reason: "it is not in the pixel format I420",
            });
        }
        // Some decoders give pictures upside down, with rows that go back in memory.
        if Plane::ALL.iter().any(|plane| frame.stride(plane.index()) > MAX_STRIDE) {
            return Err(AvError::Unsuitable { codec: "raw video", reason: "its rows are upside down" });
        }
        Ok(Self(Arc::new(Shared { frame, size, pool: Weak::new() })))
    }

    /// A black one.
    pub fn black(size: PictureSize) -> Result<Self, AvError> {
        let mut canvas = Canvas::new(size, Weak::new())?;
        canvas.plane_mut(Plane::Y).fill(16);
        canvas.plane_mut(Plane::U).fill(128);
        canvas.plane_mut(Plane::V).fill(128);
        Ok(canvas.finish())
    }

    /// Its size.
    pub fn size(&self) -> PictureSize {
        self.0.size
    }

    /// Bytes from one row of a plane to the next.
    pub fn stride(&self, plane: Plane) -> usize {
        self.0.frame.stride(plane.index())
    }

    /// A plane, row after row.
    pub fn plane(&self, plane: Plane) -> &[u8] {
        self.0.frame.data(plane.index())
    }

    /// The frame of libav.
    pub(crate) fn frame(&self) -> &frame::Video {
        &self.0.frame
    }

    /// A frame of its own that shares the pixels, so that it can carry another time and kind.
    pub(crate) fn share(&self) -> Result<frame::Video, AvError> {
        let mut shared = frame::Video::empty();
        // SAFETY: both pointers are of frames that live here; av_frame_ref only counts one more user of the buffers.
        #[expect(unsafe_code, reason = "ffmpeg-next can only copy frames")]
        let result = unsafe { ffi::av_frame_ref(shared.as_mut_ptr(), self.0.frame.as_ptr()) };
        if result < 0 {
            return Err(failed("sharing a picture")(av::Error::from(result)));
        }
        Ok(shared)
    }
}

impl std::fmt::Debug for Picture {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(out, "Picture({}x{})", self.0.size.width, self.0.size.height)
    }
}

impl Drop for Shared {
    fn drop(&mut self) {
        let Some(pool) = self.pool.upgrade() else { return };
        pool.put_back(std::mem::replace(&mut self.frame, frame::Video::empty()));
    }
}

/// Buffers of one size, used again and again.
#[derive(Clone)]
pub struct PicturePool(Arc<Pool>);

struct Pool {
    size: PictureSize,
    /// At most `SPARE`; what comes back beyond is freed.
    spare: Mutex<Vec<frame::Video>>,
}

/// Buffers that wait to be used again.
const SPARE: usize = 8;

impl PicturePool {
    /// An empty pool.
    pub fn new(size: PictureSize) -> Self {
        Self(Arc::new(Pool { size, spare: Mutex::default() }))
    }

    /// A canvas with whatever was on it before.
    pub fn take(&self) -> Result<Canvas, AvError> {
        let pool = Arc::downgrade(&self.0);
        let spare = self.0.spare.lock().pop();
        match spare {
            Some(frame) => Ok(Canvas { frame, size: self.0.size, pool }),
            None => Canvas::new(self.0.size, pool),
        }
    }
}

impl Pool {
    fn put_back(&self, mut frame: frame::Video) {
        // SAFETY: the pointer is of a frame that lives here; the call only reads how many users its buffers have.
        #[expect(unsafe_code, reason = "ffmpeg-next does not tell")]
        let ours_alone = unsafe { ffi::av_frame_is_writable(frame.as_mut_ptr()) } > 0;
        let mut spare = self.spare.lock();
        if ours_alone && spare.len() < SPARE {
            spare.push(frame);
        }
    }
}

/// A frame with memory of its own, whatever was in that.
pub(crate) fn allocate(format: Pixel, size: PictureSize) -> Result<frame::Video, AvError> {
    let frame = frame::Video::new(format, u32::from(size.width), u32::from(size.height));
    // SAFETY: the frame lives here; this only looks whether it got its memory.
    #[expect(unsafe_code, reason = "ffmpeg-next does not check the allocation")]
    if unsafe { frame.is_empty() } {
        return Err(failed("allocating a picture")(av::Error::Other { errno: av::error::ENOMEM }));
    }
    Ok(frame)
}

/// A picture in the making.
pub struct Canvas {
    frame: frame::Video,
    size: PictureSize,
    pool: Weak<Pool>,
}

impl Canvas {
    fn new(size: PictureSize, pool: Weak<Pool>) -> Result<Self, AvError> {
        Ok(Self { frame: allocate(Pixel::YUV420P, size)?, size, pool })
    }

    /// Its size.
    pub fn size(&self) -> PictureSize {
        self.size
    }

    /// Bytes from one row of a plane to the next.
    pub fn stride(&self, plane: Plane) -> usize {
        self.frame.stride(plane.index())
    }

    /// A plane, row after row.
    pub fn plane_mut(&mut self, plane: Plane) -> &mut [u8] {
        self.frame.data_mut(plane.index())
    }

    /// Copies a picture of the same size onto it.
    pub fn copy_from(&mut self, picture: &Picture) -> Result<(), AvError> {
        if picture.size() != self.size {
            return Err(AvError::OtherSize);
        }
        for plane in Plane::ALL {
            let (from, to) = (picture.stride(plane), self.stride(plane));
            let source = picture.plane(plane);
            let target = self.plane_mut(plane);
            if from == to {
                target.copy_from_slice(source);
                continue;
            }
            for (target, source) in target.chunks_mut(to).zip(source.chunks(from)) {
                let length = target.len().min(source.len());
                target[..length].copy_from_slice(&source[..length]);
            }
        }
        Ok(())
    }

    /// Draws on a plane with `OpenCV`: the matrix has a byte an element and the size of the plane.
    pub fn draw<T>(
        &mut self,
        plane: Plane,
        draw: impl FnOnce(&mut Mat) -> opencv::Result<T>,
    ) -> Result<T, AvError> {
        let (rows, columns) = (self.size.height / plane.divisor(), self.size.width / plane.divisor());
        let stride = self.stride(plane);
        let data = self.plane_mut(plane).as_mut_ptr();
        // SAFETY: the plane has `rows` rows of `stride` bytes, is borrowed for as long as the matrix lives, and the matrix does not leave this function.
        #[expect(unsafe_code, reason = "a matrix over memory that is not OpenCV's")]
        let mut mat = unsafe {
            Mat::new_rows_cols_with_data_unsafe(
                i32::from(rows),
                i32::from(columns),
                CV_8UC1,
                data.cast(),
                stride,
            )
        }?;
        Ok(draw(&mut mat)?)
    }

    /// The finished picture.
    pub fn finish(self) -> Picture {
        Picture(Arc::new(Shared { frame: self.frame, size: self.size, pool: self.pool }))
    }
}

#[cfg(test)]
#[path = "picture_tests.rs"]
mod tests;
