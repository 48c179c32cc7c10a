//! Pictures and sound by libav and OpenCV: the test picture, encoders, decoders, scaling, JPEG, files in a loop, transcoding.
//!
//! What is native runs on threads of its own (never on an async worker), and every wait has an end. Sources implement
//! [`patchbay_media::hub::Source`]; the rest is plain code without tasks.

mod error;
mod pattern;
mod picture;
mod samples;
mod tone;

pub use error::AvError;
pub use pattern::{TestPattern, TimeCode};
pub use picture::{Canvas, Picture, PicturePool, PictureSize, Plane};
pub use samples::Samples;
pub use tone::Tone;

/// Layout of the time code in the test picture.
pub mod time_code {
    pub use crate::pattern::{BLOCK, COLUMNS, HEIGHT, WIDTH};
}
