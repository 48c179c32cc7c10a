//! Pictures as JPEG files, for snapshots and MJPEG.

use crate::{AvError, Picture, PictureSize, Scaler, error::failed};
use bytes::Bytes;
use ffmpeg_next::{self as av, Packet, Rational, codec, encoder, format::Pixel, picture};

/// How good a JPEG is: 1 (small) to 100 (large).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Quality(u8);

impl Quality {
    /// Checks it.
    pub fn new(quality: u8) -> Result<Self, AvError> {
        let wanted = "from 1 to 100";
        (1..=100)
            .contains(&quality)
            .then_some(Self(quality))
            .ok_or(AvError::Setting { setting: "the quality", wanted })
    }

    /// The quantizer of libav: 31 is coarsest, 2 finest.
    fn quantizer(self) -> usize {
        31 - (usize::from(self.0) - 1) * 29 / 99
    }
}

/// Lambda of libav for a quantizer of 1 (`FF_QP2LAMBDA`).
const LAMBDA: usize = 118;

/// Makes JPEG files of one quality; fastest when the pictures keep their size.
pub struct JpegEncoder {
    quality: Quality,
    scaler: Scaler,
    encoder: Option<(PictureSize, encoder::video::Encoder)>,
    made: i64,
}

impl JpegEncoder {
    /// An encoder.
    pub fn new(quality: Quality) -> Self {
        Self { quality, scaler: Scaler::new(), encoder: None, made: 0 }
    }

    /// The picture as a JPEG file.
    pub fn encode(&mut self, picture: &Picture) -> Result<Bytes, AvError> {
        let size = picture.size();
        // JPEG has light and colours in full range.
        let mut frame = self.scaler.run(picture.frame(), Pixel::YUVJ420P, size)?;
        let quality = self.quality;
        let encoder = match self.encoder.take().filter(|(of, _)| *of == size) {
            Some((_, encoder)) => encoder,
            None => open(size, quality)?,
        };
        let (_, encoder) = self.encoder.insert((size, encoder));
        frame.set_pts(Some(self.made));
        self.made += 1;
        frame.set_kind(picture::Type::None);
        // SAFETY: the frame lives here; the encoder reads the quantizer of each picture from this field, for which ffmpeg-next has no setter.
        #[expect(unsafe_code, reason = "ffmpeg-next has no setter")]
        unsafe {
            (*frame.as_mut_ptr()).quality = i32::try_from(quality.quantizer() * LAMBDA).unwrap_or(i32::MAX);
        }
        encoder.send_frame(&frame).map_err(failed("encoding a JPEG"))?;
        let mut packet = Packet::empty();
        encoder.receive_packet(&mut packet).map_err(failed("encoding a JPEG"))?;
        Ok(Bytes::copy_from_slice(packet.data().unwrap_or_default()))
    }
}

fn open(size: PictureSize, quality: Quality) -> Result<encoder::video::Encoder, AvError> {
    crate::log::init();
    let codec =
        av::encoder::find(codec::Id::MJPEG).ok_or(AvError::Missing { action: "encode", codec: "JPEG" })?;
    let mut video =
        codec::Context::new_with_codec(codec).encoder().video().map_err(failed("making an encoder"))?;
    video.set_width(u32::from(size.width()));
    video.set_height(u32::from(size.height()));
    video.set_format(Pixel::YUVJ420P);
    video.set_time_base(Rational(1, 25));
    video.set_flags(codec::Flags::QSCALE);
    video.set_quality(quality.quantizer() * LAMBDA);
    video.set_threading(codec::threading::Config::count(1));
    video.open_as(codec).map_err(failed("opening an encoder"))
}

#[cfg(test)]
#[path = "jpeg_tests.rs"]
mod tests;
