//! Single pictures: the newest one of a camera as a JPEG.

use crate::{cameras::CameraName, core::Core, error::Error};
use bytes::Bytes;
use std::{num::NonZeroU32, sync::Arc};

/// Widths that can be asked for.
const WIDTHS: std::ops::RangeInclusive<u32> = 16..=3840;

/// Greatest width of a picture in pixels; that of the camera when there is none.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Width(Option<NonZeroU32>);

impl Width {
    /// Reads a width; 0 is that of the camera.
    pub fn parse(pixels: u32) -> Result<Self, Error> {
        match NonZeroU32::new(pixels) {
            None => Ok(Self(None)),
            Some(width) if WIDTHS.contains(&pixels) => Ok(Self(Some(width))),
            Some(_) => {
                Err(Error::bad("width", format!("must be from {} to {}", WIDTHS.start(), WIDTHS.end())))
            }
        }
    }

    /// The width, if one was asked for.
    pub fn pixels(self) -> Option<u32> {
        self.0.map(NonZeroU32::get)
    }
}

/// A picture.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Jpeg {
    /// JPEG (ISO/IEC 10918-1).
    pub data: Bytes,
    /// When it was taken, in milliseconds since 1970.
    pub time: u64,
    /// Pixels across.
    pub width: u32,
    /// Pixels down.
    pub height: u32,
}

/// Takes the newest picture of a camera, starting it if need be.
#[expect(clippy::unused_async, reason = "waits for the camera once there are decoders")]
pub async fn take(core: &Arc<Core>, camera: &CameraName, _: Width) -> Result<Jpeg, Error> {
    core.cameras.get(camera)?;
    Err(Error::NoPicture("this build has no decoders".to_owned()))
}
