//! Why a device gives no pictures, in words for the user.

use patchbay_media::hub::{PublishError, Reason, SourceError};
use std::io;

/// What the system says of a device that is in use, of a file that is no device, and of a device that was pulled out.
const BUSY: i32 = 16;
const NO_DEVICE: i32 = 19;
const INVALID: i32 = 22;
const NOT_FOR_THIS: i32 = 25;

/// Why a device gives no pictures.
#[derive(Debug, thiserror::Error)]
pub enum DeviceError {
    /// It is not there.
    #[error(
        "there is no device {0}: plug the camera in, and hand the device to the container where one is used"
    )]
    NotThere(String),
    /// It may not be opened.
    #[error(
        "{0} may not be opened: let the user of the service be in the group of the device (often `video`)"
    )]
    Permission(String),
    /// Something else than a camera.
    #[error("{0} is no camera: choose another device")]
    NotACamera(String),
    /// Another program has it.
    #[error("{0} is in use: end the other program that shows it")]
    Busy(String),
    /// It was pulled out.
    #[error("{0} is gone: was it pulled out?")]
    Gone(String),
    /// Nothing came.
    #[error("{device} gives no pictures: nothing came for {seconds} s")]
    Silent {
        /// The device.
        device: String,
        /// How long.
        seconds: u64,
    },
    /// None of its formats can be used.
    #[error("{device} gives none of the wanted formats, only {has}")]
    Format {
        /// The device.
        device: String,
        /// What it has.
        has: String,
    },
    /// The system says something else.
    #[error("{device}: {action} failed: {source}")]
    System {
        /// The device.
        device: String,
        /// What was tried.
        action: &'static str,
        /// What the system said.
        source: io::Error,
    },
    /// The hub takes no such track.
    #[error(transparent)]
    Publish(#[from] PublishError),
}

impl DeviceError {
    /// What an error of the system means for a device.
    pub(super) fn of(device: &str, action: &'static str, source: io::Error) -> Self {
        let device = device.to_owned();
        match (source.kind(), source.raw_os_error()) {
            (io::ErrorKind::NotFound, _) => Self::NotThere(device),
            (io::ErrorKind::PermissionDenied, _) => Self::Permission(device),
            (_, Some(BUSY)) => Self::Busy(device),
            (_, Some(NO_DEVICE)) => Self::Gone(device),
            (_, Some(NOT_FOR_THIS | INVALID)) if action == ASKING => Self::NotACamera(device),
            _ => Self::System { device, action, source },
        }
    }
}

/// The first question to a device.
pub(super) const ASKING: &str = "asking what it can do";

impl From<DeviceError> for SourceError {
    fn from(error: DeviceError) -> Self {
        let text = error.to_string();
        match error {
            DeviceError::Publish(error) => error.into(),
            DeviceError::Silent { .. } => Self::temporary(text).because(Reason::TimedOut),
            DeviceError::Format { .. } => Self::permanent(text).because(Reason::Codec),
            DeviceError::NotACamera(_) => Self::permanent(text).because(Reason::Device),
            _ => Self::temporary(text).because(Reason::Device),
        }
    }
}
