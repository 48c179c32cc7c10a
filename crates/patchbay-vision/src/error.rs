//! What is wrong with settings, and what the native libraries refuse.

use patchbay_av::AvError;

/// Why pictures cannot be worked on as they should.
#[derive(Debug, thiserror::Error)]
pub enum VisionError {
    /// A setting out of bounds.
    #[error("{field} must be {wanted}")]
    Setting {
        /// Which one, as a path: `masks[1].points[0].x`.
        field: String,
        /// What is accepted, in words.
        wanted: String,
    },
    /// There is no such time zone.
    #[error(
        "{field}: there is no time zone {name:?}; use a name of the IANA database, as Europe/Berlin or UTC"
    )]
    TimeZone {
        /// Which setting.
        field: String,
        /// What stood there.
        name: String,
    },
    /// A native library said no.
    #[error(transparent)]
    Native(#[from] AvError),
}

impl VisionError {
    pub(crate) fn setting(field: impl Into<String>, wanted: impl Into<String>) -> Self {
        Self::Setting { field: field.into(), wanted: wanted.into() }
    }

    /// The setting that is wrong; nothing where none is.
    pub fn field(&self) -> Option<&str> {
        match self {
            Self::Setting { field, .. } | Self::TimeZone { field, .. } => Some(field),
            Self::Native(_) => None,
        }
    }
}

impl From<opencv::Error> for VisionError {
    fn from(error: opencv::Error) -> Self {
        Self::Native(AvError::from(error))
    }
}
