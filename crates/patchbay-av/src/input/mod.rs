//! Whatever libav can read that is not a file of ours: files and streams of other hosts, playlists, RTSP through a door on loopback.
//!
//! libav opens no network itself: an [`Opener`] gives it the bytes of each address that it asks for. Codecs of the hub pass through untouched; pictures in
//! others are decoded and encoded as H.264. One thread reads (`read`), another writes each unit when it is due (`pace`), with a bounded queue between them.

mod error;
mod network;
mod open;
mod pace;
mod queue;
mod read;
mod tracks;

pub use network::{Opened, Opener, ReadSeek};

use crate::{LiveSettings, worker};
use futures_util::future::BoxFuture;
use patchbay_media::hub::{Publisher, SourceError};
use std::time::Duration;
use tokio_util::sync::CancellationToken;

/// What to read.
pub struct InputSettings {
    /// The address, which the opener understands.
    pub address: String,
    /// The format, where it is known from elsewhere: `hls`, which cannot be told from its beginning alone.
    pub format: Option<&'static str>,
    /// How libav gets at bytes.
    pub via: Via,
    /// Until it is known what the input is.
    pub open_timeout: Duration,
    /// Nothing has come for so long: the source has failed.
    pub stall_timeout: Duration,
    /// How pictures in codecs that the hub does not carry are encoded.
    pub live: LiveSettings,
}

/// How libav gets at bytes.
pub enum Via {
    /// By these, for everything that it asks for.
    Opener(Box<dyn Opener>),
    /// By RTSP over TCP, to a door on 127.0.0.1 behind which somebody else has connected to the camera.
    LoopbackRtsp,
}

/// Plays an input as the run of a source, until it ends, which is an error, or `stop` is cancelled.
pub fn play_input(
    settings: InputSettings,
    publisher: Publisher,
    stop: CancellationToken,
) -> BoxFuture<'static, Result<(), SourceError>> {
    worker::run("av-input", stop, move |stop| pace::play(settings, &publisher, stop))
}

#[cfg(test)]
#[path = "input_tests.rs"]
mod tests;
