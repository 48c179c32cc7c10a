//! Why a device has not told where its streams are, in words for the user who looks at it.

use super::soap::SoapError;
use patchbay_capture::HttpError;
use patchbay_media::hub::{Reason, SourceError};

/// Why a device has told nothing.
#[derive(Debug, thiserror::Error)]
pub(super) enum OnvifError {
    /// It is not reached, or not spoken to.
    #[error(transparent)]
    Http(#[from] HttpError),
    /// It refuses, and no login was given.
    #[error("{0} asks for a login: put in a user of ONVIF and the password")]
    LoginNeeded(String),
    /// It refuses the login.
    #[error(
        "{0} does not accept the user or the password; many cameras keep users for ONVIF apart from those of their pages, and have none until one is made"
    )]
    LoginRefused(String),
    /// Something answers that is no device.
    #[error(
        "{host} answers {status} and does not speak ONVIF there: is it switched on in the camera, and is the port the right one?"
    )]
    NotOnvif {
        /// Who.
        host: String,
        /// Status of HTTP.
        status: u16,
    },
    /// More than any device has to say.
    #[error("{host} answers {operation} with more than {most} bytes")]
    TooLarge {
        /// Who.
        host: String,
        /// What was asked.
        operation: &'static str,
        /// The limit.
        most: usize,
    },
    /// An answer that tells nothing.
    #[error("{host} was asked for {operation}: {source}")]
    Soap {
        /// Who.
        host: String,
        /// What was asked.
        operation: &'static str,
        /// What it said.
        source: SoapError,
    },
    /// No camera.
    #[error("{0} speaks ONVIF and has no media service: it is perhaps no camera")]
    NoMedia(String),
    /// A camera without streams.
    #[error("{0} has no stream with an address that can be used; look at its profiles in its own pages")]
    NoStreams(String),
    /// All of it took too long.
    #[error("the device has not told everything within {0} s; is it busy, or far away?")]
    TimedOut(u64),
}

impl OnvifError {
    /// Of what kind it is.
    pub(super) fn reason(&self) -> Reason {
        match self {
            Self::LoginNeeded(_) | Self::LoginRefused(_) => Reason::Unauthorized,
            Self::NotOnvif { status: 404 | 410, .. } => Reason::NotFound,
            Self::Http(_) | Self::NotOnvif { .. } | Self::TooLarge { .. } | Self::Soap { .. } => {
                Reason::Protocol
            }
            Self::NoMedia(_) | Self::NoStreams(_) => Reason::NoTracks,
            Self::TimedOut(_) => Reason::TimedOut,
        }
    }

    /// Its kind and its words.
    pub(super) fn told(self) -> (Reason, String) {
        match self {
            Self::Http(error) => {
                let error = SourceError::from(error);
                (error.reason(), error.to_string())
            }
            other => (other.reason(), other.to_string()),
        }
    }
}
