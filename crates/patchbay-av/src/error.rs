//! What can go wrong in the native libraries.

use crate::PictureSize;

/// A failure of libav or `OpenCV`, or a request that they cannot serve.
#[derive(Debug, thiserror::Error)]
pub enum AvError {
    /// Sides out of bounds or odd.
    #[error(
        "a picture of {width}x{height} cannot be made: both sides must be even, between {} and {} pixels",
        PictureSize::MIN,
        PictureSize::MAX
    )]
    Size {
        /// Pixels across.
        width: u32,
        /// Pixels down.
        height: u32,
    },
    /// The picture is not of the size that the encoder was opened with.
    #[error("the encoder was opened for pictures of another size")]
    OtherSize,
    /// The `FFmpeg` that this was built with lacks a codec.
    #[error("this build of FFmpeg cannot {action} {codec}")]
    Missing {
        /// `encode` or `decode`.
        action: &'static str,
        /// Name of the codec.
        codec: &'static str,
    },
    /// A codec that this part of the program does not handle.
    #[error("{codec} cannot be used here: {reason}")]
    Unsuitable {
        /// Name of the codec.
        codec: &'static str,
        /// Why, in words.
        reason: &'static str,
    },
    /// A setting out of bounds.
    #[error("{setting} must be {wanted}")]
    Setting {
        /// The setting, in words.
        setting: &'static str,
        /// What is accepted, in words.
        wanted: &'static str,
    },
    /// libav said no.
    #[error("{action} failed: {source}")]
    Native {
        /// What was tried.
        action: &'static str,
        /// What libav said.
        source: ffmpeg_next::Error,
    },
    /// `OpenCV` said no.
    #[error("drawing failed: {0}")]
    Drawing(#[from] opencv::Error),
}

/// Names the action that failed in libav.
pub(crate) fn failed(action: &'static str) -> impl Fn(ffmpeg_next::Error) -> AvError {
    move |source| AvError::Native { action, source }
}
