//! Scales pictures and brings them from other pixel formats to I420.

use crate::{AvError, Picture, PictureSize, error::failed, picture::allocate};
use ffmpeg_next::{
    format::Pixel,
    frame,
    software::scaling::{self, Flags},
};

/// Scales; keeps its tables while size and format stay as they are.
#[derive(Default)]
pub struct Scaler {
    context: Option<scaling::Context>,
}

// SAFETY: a SwsContext is plain memory that belongs to no thread, and this type gives nobody a second way to it.
#[expect(unsafe_code, reason = "ffmpeg-next leaves it out")]
unsafe impl Send for Scaler {}

impl Scaler {
    /// One without tables.
    pub fn new() -> Self {
        Self::default()
    }

    /// The picture in another size; the same one where that is its size.
    pub fn scale(&mut self, picture: &Picture, size: PictureSize) -> Result<Picture, AvError> {
        if picture.size() == size {
            return Ok(picture.clone());
        }
        Picture::from_frame(self.run(picture.frame(), Pixel::YUV420P, size)?)
    }

    /// A frame of libav in whatever format as a picture of a size.
    pub(crate) fn convert(&mut self, frame: &frame::Video, size: PictureSize) -> Result<Picture, AvError> {
        Picture::from_frame(self.run(frame, Pixel::YUV420P, size)?)
    }

    /// A frame of another format and size.
    pub(crate) fn run(
        &mut self,
        frame: &frame::Video,
        format: Pixel,
        size: PictureSize,
    ) -> Result<frame::Video, AvError> {
        let (width, height) = (u32::from(size.width()), u32::from(size.height()));
        let input = scaling::context::Definition {
            format: frame.format(),
            width: frame.width(),
            height: frame.height(),
        };
        let output = scaling::context::Definition { format, width, height };
        let fits = |context: &scaling::Context| *context.input() == input && *context.output() == output;
        let context = match self.context.take().filter(fits) {
            Some(context) => context,
            None => scaling::Context::get(
                input.format,
                input.width,
                input.height,
                format,
                width,
                height,
                Flags::BILINEAR,
            )
            .map_err(failed("scaling a picture"))?,
        };
        let mut scaled = allocate(format, size)?;
        self.context.insert(context).run(frame, &mut scaled).map_err(failed("scaling a picture"))?;
        Ok(scaled)
    }
}
