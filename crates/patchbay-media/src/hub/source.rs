//! What a source is, and how it brings its tracks into the hub.

use super::stream::Stream;
use crate::track::{KeyFrames, TrackInfo, TrackWriter};
use futures_util::future::BoxFuture;
use std::sync::Arc;
use tokio_util::sync::CancellationToken;

/// Most tracks of one stream.
pub const MAX_TRACKS: usize = 16;

/// Where pictures and sound come from: a camera, a file, a publisher, another replica, a transcoder.
pub trait Source: Send + Sync + 'static {
    /// Opens the source, publishes its tracks and writes their units until `stop` is cancelled or something fails. Publishing again makes a new
    /// generation of tracks. Runs once at a time; may be run again after it has returned. Work that blocks belongs on threads of the source, which end
    /// soon after `stop`. Returning without `stop` means that the source has ended: it is run again after a while if somebody still wants it.
    fn run(
        self: Arc<Self>,
        publisher: Publisher,
        stop: CancellationToken,
    ) -> BoxFuture<'static, Result<(), SourceError>>;
}

/// Whether it makes sense to try again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Again {
    /// It may be better soon: a camera that is away.
    Yes,
    /// Not before somebody changes something: a file that is not there. Tried again when a new consumer comes, or the source is replaced.
    No,
}

/// Why a source cannot give what it should, in words for the user who looks at it. Holds no secrets, and no addresses that a viewer shall not see.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{text}")]
pub struct SourceError {
    text: String,
    again: Again,
}

impl SourceError {
    /// Something that may be better soon.
    pub fn temporary(text: impl Into<String>) -> Self {
        Self { text: text.into(), again: Again::Yes }
    }

    /// Something that somebody must change.
    pub fn permanent(text: impl Into<String>) -> Self {
        Self { text: text.into(), again: Again::No }
    }

    /// Whether trying again makes sense.
    pub fn again(&self) -> Again {
        self.again
    }
}

/// Why tracks cannot be published.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PublishError {
    /// None.
    #[error("the source has neither pictures nor sound")]
    NoTracks,
    /// Too many.
    #[error("the source has {0} tracks, more than {MAX_TRACKS}")]
    TooManyTracks(usize),
    /// Two with one number.
    #[error("the source has two tracks with the number {0}")]
    SameNumber(u8),
}

impl From<PublishError> for SourceError {
    fn from(error: PublishError) -> Self {
        Self::permanent(error.to_string())
    }
}

/// A run's right to publish; ends with the run.
#[derive(Clone, Debug)]
pub struct Publisher {
    stream: Arc<Stream>,
    run: u64,
}

impl Publisher {
    pub(super) fn new(stream: Arc<Stream>, run: u64) -> Self {
        Self { stream, run }
    }

    /// Makes these the tracks of the stream, in place of those before, and gives their writers in the same order. May be called from any thread. A publisher
    /// whose run is over gets writers that nobody reads.
    pub fn publish(&self, tracks: Vec<(TrackInfo, KeyFrames)>) -> Result<Vec<TrackWriter>, PublishError> {
        check(&tracks)?;
        Ok(self.stream.publish(self.run, tracks))
    }
}

fn check(tracks: &[(TrackInfo, KeyFrames)]) -> Result<(), PublishError> {
    if tracks.is_empty() {
        return Err(PublishError::NoTracks);
    }
    if tracks.len() > MAX_TRACKS {
        return Err(PublishError::TooManyTracks(tracks.len()));
    }
    let mut numbers: Vec<u8> = tracks.iter().map(|(info, _)| info.id.0).collect();
    numbers.sort_unstable();
    match numbers.windows(2).find(|pair| pair.first() == pair.last()) {
        Some(pair) => Err(PublishError::SameNumber(pair.first().copied().unwrap_or_default())),
        None => Ok(()),
    }
}
