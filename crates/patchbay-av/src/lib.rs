//! Pictures and sound by libav and `OpenCV`: the test picture, encoders, decoders, scaling, JPEG, files in a loop, transcoding.
//!
//! What is native runs on threads of its own (never on an async worker), and every wait has an end. Sources implement
//! [`patchbay_media::hub::Source`]; the rest is plain code without tasks.

mod changes;
mod decode;
mod encode;
mod error;
mod file;
mod input;
mod jpeg;
mod key_gate;
mod live;
mod log;
mod nal_units;
mod pattern;
mod picture;
#[cfg(test)]
mod quality;
mod raw;
mod resample;
mod samples;
mod scale;
mod slate;
mod test_source;
mod tone;
mod transcode;
pub mod worker;

pub use decode::{AudioDecoder, Decoded, VideoDecoder};
pub use encode::{AudioEncoder, AudioSettings, KeyFrame, Preset, VideoEncoder, VideoSettings};
pub use error::AvError;
pub use file::{FILE_TIMEOUT, FileError, FileSource};
pub use input::{InputSettings, Opened, Opener, ReadSeek, Via, play_input};
pub use jpeg::{JpegEncoder, Quality};
pub use live::{LiveEncoded, LiveEncoder, LiveFigures, LivePictures, LiveSettings, PictureSender, Shot};
pub use pattern::{TestPattern, TimeCode};
pub use picture::{Canvas, Picture, PicturePool, PictureSize, Plane};
pub use raw::{RawFormat, RawPictures};
pub use resample::Resampler;
pub use samples::Samples;
pub use scale::Scaler;
pub use slate::Slate;
pub use test_source::{Sound, TestSettings, TestSource, WallClock};
pub use tone::Tone;
pub use transcode::{AvTranscoders, TranscodeFigures, TranscodeSettings, Transcoder};

/// Layout of the time code in the test picture.
pub mod time_code {
    pub use crate::pattern::{BLOCK, COLUMNS, HEIGHT, WIDTH};
}
