//! Why somebody cannot look at a camera.

use crate::{error::Error, viewers::NoRoom};
use http::StatusCode;
use patchbay_media::Codec;
use patchbay_rtc::{AnswerError, sdp::OfferError};
use patchbay_transcode::Problem;
use std::time::Duration;
use tonic::Status;

/// When to come back to a replica that is full.
const FULL_AGAIN: Duration = Duration::from_secs(5);

/// When to come back to a camera that does not start: sources are tried again after a second at the earliest.
const FAILED_AGAIN: Duration = Duration::from_secs(2);

/// Why an offer is not answered. The text is for whoever made it.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ViewError {
    /// The offer cannot be read.
    #[error("the offer cannot be used: {0}")]
    Offer(#[from] OfferError),
    /// It leaves nothing to send.
    #[error(
        "the offer has no section in which pictures or sound could be sent to it in a codec of ours: offer `recvonly` video with H264 or VP8, or audio with opus"
    )]
    NothingWanted,
    /// The camera has nothing that the viewer takes.
    #[error("the viewer and the camera have no codec in common: the viewer takes {}, the camera has {}{}", names(.takes), names(.has), because(.why))]
    NoCommonCodec {
        /// Codecs of the offer.
        takes: Vec<Codec>,
        /// Codecs of the camera.
        has: Vec<Codec>,
        /// Why none was made of the other; may be empty.
        why: String,
    },
    /// There is no place.
    #[error(transparent)]
    NoRoom(#[from] NoRoom),
    /// The media port has its fill.
    #[error("there are {0} connections, and no more are allowed: come back later")]
    Full(usize),
    /// The viewer takes the codec, but not as it is here.
    #[error("the viewer takes no {0} as it is here")]
    NotAsItIs(&'static str),
    /// The camera cannot be opened.
    #[error("the camera does not start: {0}")]
    NotStarted(String),
    /// The process is about to end.
    #[error("the service is stopping: come back in a moment")]
    Stopping,
    /// Anything that the calls have a word for.
    #[error(transparent)]
    Other(#[from] Error),
}

/// `H264, opus`.
fn names(codecs: &[Codec]) -> String {
    if codecs.is_empty() {
        "none".to_owned()
    } else {
        codecs.iter().map(|codec| codec.name()).collect::<Vec<_>>().join(", ")
    }
}

fn because(why: &str) -> String {
    if why.is_empty() { String::new() } else { format!(" ({why})") }
}

impl ViewError {
    /// Whether it is a mistake of ours.
    pub(crate) fn is_internal(&self) -> bool {
        matches!(self, Self::Other(Error::Internal(_)))
    }
}

impl From<AnswerError> for ViewError {
    fn from(error: AnswerError) -> Self {
        match error {
            AnswerError::Offer(error) => Self::Offer(error),
            AnswerError::Codec { codec } => Self::NotAsItIs(codec),
            AnswerError::Nothing => Self::NothingWanted,
            AnswerError::Full { limit } => Self::Full(limit),
            AnswerError::Handshake(_) => Self::Other(Error::internal(error)),
        }
    }
}

impl From<ViewError> for Problem {
    fn from(error: ViewError) -> Self {
        let (http, reason, again) = match error {
            ViewError::Offer(OfferError::TooLarge { limit, .. }) => return Self::too_large(limit),
            ViewError::Offer(_) | ViewError::NothingWanted => {
                (StatusCode::UNPROCESSABLE_ENTITY, "BAD_OFFER", None)
            }
            ViewError::NoCommonCodec { .. } | ViewError::NotAsItIs(_) => {
                (StatusCode::NOT_ACCEPTABLE, "NO_COMMON_CODEC", None)
            }
            ViewError::NoRoom(_) | ViewError::Full(_) => {
                (StatusCode::SERVICE_UNAVAILABLE, "LIMIT", Some(FULL_AGAIN))
            }
            ViewError::NotStarted(_) => (StatusCode::SERVICE_UNAVAILABLE, "NO_PICTURE", Some(FAILED_AGAIN)),
            ViewError::Stopping => (StatusCode::SERVICE_UNAVAILABLE, "STOPPING", Some(FAILED_AGAIN)),
            ViewError::Other(error) => return Self::from(&Status::from(error)),
        };
        let mut problem = Self::new(http, reason, error.to_string());
        problem.retry_after = again;
        problem
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_refusal_has_its_status_and_says_what_to_do() {
        let malformed = OfferError::Malformed { line: 3, problem: "no `=`".to_owned() };
        let no_codec = ViewError::NoCommonCodec {
            takes: vec![Codec::Vp8, Codec::Opus],
            has: vec![Codec::H265],
            why: String::new(),
        };
        for (error, status, words, again) in [
            (ViewError::Offer(malformed), 422, "line 3", false),
            (ViewError::Offer(OfferError::TooLarge { size: 9, limit: 8 }), 413, "8 bytes", false),
            (ViewError::NothingWanted, 422, "recvonly", false),
            (no_codec, 406, "takes VP8, opus, the camera has H265", false),
            (ViewError::NoRoom(NoRoom::Replica(3)), 503, "3 viewers", true),
            (ViewError::NotStarted("no such file".to_owned()), 503, "no such file", true),
            (ViewError::Stopping, 503, "stopping", true),
            (ViewError::Other(Error::TokenMissing), 401, "token", false),
            (ViewError::Other(Error::Denied("x".to_owned())), 403, "x", false),
        ] {
            let problem = Problem::from(error);
            assert_eq!(
                (problem.http.as_u16(), problem.retry_after.is_some()),
                (status, again),
                "{problem:?}"
            );
            assert!(problem.message.contains(words), "{problem:?}");
        }
    }
}
