//! A media file in a loop as a source: demuxed by libav, passed on untouched, in real time.
//!
//! One thread reads ahead (`demux`), another waits until each unit is due and writes it (`pace`); between them lies a short queue, so that a slow
//! disk, or opening the file anew for the next round, does not hold up what is shown.

mod demux;
mod error;
mod pace;
mod rounds;
mod shape;

pub(crate) use demux::{codec_of, facts_of};
pub use error::FileError;
pub(crate) use shape::{Facts, Shaper};

use crate::worker;
use futures_util::future::BoxFuture;
use patchbay_media::hub::{Publisher, Source, SourceError};
use std::{path::PathBuf, sync::Arc, time::Duration};
use tokio_util::sync::CancellationToken;

/// Most time that opening a file, or one read of it, may take.
pub const FILE_TIMEOUT: Duration = Duration::from_secs(5);

/// A file in a loop as a source of the hub. Its best video track and its best audio track; codecs of the hub only.
#[derive(Debug)]
pub struct FileSource {
    path: PathBuf,
}

impl FileSource {
    /// Plays this file; it is opened when the source runs. Whoever calls this has checked that the file may be read by those who will see it.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self { path: path.into() }
    }

    /// Opens the file once, to see whether it can be played. Blocks for up to [`FILE_TIMEOUT`].
    pub fn check(&self) -> Result<(), FileError> {
        demux::Demuxer::open(&self.path, &Arc::default()).map(drop)
    }
}

impl Source for FileSource {
    fn run(
        self: Arc<Self>,
        publisher: Publisher,
        stop: CancellationToken,
    ) -> BoxFuture<'static, Result<(), SourceError>> {
        worker::run("av-file", stop, move |stop| Ok(pace::play(&self.path, &publisher, stop)?))
    }
}

#[cfg(test)]
#[path = "file_tests.rs"]
pub(crate) mod tests;
