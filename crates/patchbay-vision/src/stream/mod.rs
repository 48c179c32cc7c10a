//! Sources made of other sources.

mod decode;
mod eye;
mod figures;
mod processed;
mod processing;
mod sound;
mod strain;
mod units;
mod watching;

pub use figures::VisionFigures;
pub use processed::Processed;
pub use watching::Watching;

use crate::VisionError;
use patchbay_media::{
    Kind,
    hub::{Reason, SourceError},
    track::Track,
};
use std::sync::Arc;

/// The pictures of a source: the first of its video tracks.
fn video(tracks: &[Arc<Track>]) -> Option<&Arc<Track>> {
    tracks.iter().find(|track| track.info().codec.kind() == Kind::Video)
}

impl From<VisionError> for SourceError {
    fn from(error: VisionError) -> Self {
        match error {
            VisionError::Native(error) => Self::temporary(error.to_string()),
            wrong => Self::permanent(wrong.to_string()).because(Reason::Other),
        }
    }
}

#[cfg(test)]
mod cost_tests;
#[cfg(test)]
#[path = "stream_tests.rs"]
mod tests;
