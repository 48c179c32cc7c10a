//! Why a file cannot be played, in words for whoever put it there. No names of folders.

use patchbay_media::hub::{PublishError, SourceError};
use std::io;

/// Why a file cannot be played.
#[derive(Debug, thiserror::Error)]
pub enum FileError {
    /// There is none.
    #[error("there is no such file in the media folder")]
    NotFound,
    /// It is a folder or a device.
    #[error("this is not a regular file")]
    NotAFile,
    /// The operating system said no.
    #[error("the file cannot be read: {0}")]
    Unreadable(io::ErrorKind),
    /// Nothing in it.
    #[error("the file is empty")]
    Empty,
    /// A name that libav cannot take.
    #[error("the name of the file is not UTF-8; rename it")]
    Name,
    /// libav does not know what it is.
    #[error(
        "this is no media file that can be played, or it is damaged; MP4, MOV, MKV, WebM, TS, FLV, AVI, Ogg, IVF, AAC and WAV are known"
    )]
    Unknown,
    /// Neither pictures nor sound.
    #[error("the file has neither pictures nor sound")]
    NoStreams,
    /// A codec that cannot be passed on.
    #[error(
        "the file has {kind} in {codec}, which cannot be passed on; convert it first, for example: ffmpeg -i IN {advice} OUT.mp4"
    )]
    Codec {
        /// `pictures` or `sound`.
        kind: &'static str,
        /// Name of the codec in `FFmpeg`.
        codec: String,
        /// Options that make a codec that can be passed on.
        advice: &'static str,
    },
    /// No unit could be made of what was read.
    #[error("the file holds no {0} that can be read; it is damaged")]
    Damaged(&'static str),
    /// Another file stands in its place.
    #[error("the file was replaced by another")]
    Changed,
    /// It took too long.
    #[error("reading the file took longer than {} s", super::FILE_TIMEOUT.as_secs())]
    TimedOut,
    /// The hub takes no such tracks.
    #[error(transparent)]
    Publish(#[from] PublishError),
    /// The machine has no thread to give.
    #[error("the machine gives no thread for the file: {0}")]
    Thread(io::ErrorKind),
    /// The thread that reads has failed.
    #[error("reading the file failed inside; the log of the service has the reason")]
    Inside,
}

impl From<io::Error> for FileError {
    fn from(error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::NotFound => Self::NotFound,
            kind => Self::Unreadable(kind),
        }
    }
}

impl From<FileError> for SourceError {
    fn from(error: FileError) -> Self {
        let text = error.to_string();
        match error {
            FileError::TimedOut
            | FileError::Thread(_)
            | FileError::Inside
            | FileError::Changed
            | FileError::Unreadable(_) => Self::temporary(text),
            _ => Self::permanent(text),
        }
    }
}
