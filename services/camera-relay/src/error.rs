//! Everything that can go wrong in a call, and what it is on the wire: the same words by gRPC and by HTTP.

use crate::cameras::{CameraName, Violation};
use patchbay_backplane::BackplaneError;
use patchbay_chassis::{ErrorCode, ServiceError, error::to_status};
use patchbay_media::hub::StreamName;
use std::time::Duration;
use tonic::{Code, Status};

/// Why a call failed.
#[derive(Debug, thiserror::Error)]
#[expect(missing_docs, reason = "each says itself what it is")]
pub enum Error {
    #[error("{}", in_words(.0))]
    BadRequest(Vec<(String, String)>),
    #[error("a scope `{0}` is required")]
    Denied(String),
    #[error("a token is required")]
    TokenMissing,
    #[error("there is no camera `{0}`")]
    NoCamera(CameraName),
    #[error("there is no stream `{0}`")]
    NoStream(StreamName),
    #[error("the stream `{0}` is not captured by this replica")]
    NotOwner(StreamName),
    #[error("{0}")]
    SourceFailed(String),
    #[error("there is no viewer `{0}`")]
    NoViewer(String),
    #[error("there is a camera `{0}` already, with another source; update it, or choose another name")]
    AlreadyExists(CameraName),
    #[error("there are {0} cameras already; remove one, or raise cameras.max")]
    TooManyCameras(usize),
    #[error("somebody else changed the camera `{0}` at the same time; read it again and repeat the change")]
    Conflict(CameraName),
    #[error("the camera `{0}` stands in the configuration of the service; change it there")]
    Configured(CameraName),
    #[error("the camera has no picture now: {0}")]
    NoPicture(String),
    #[error("no picture is kept of the motion `{0}`")]
    NoMotionPicture(String),
    #[error("the stream was ended because it was not read; watch again, and list what has changed")]
    SlowConsumer,
    #[error("too many pictures are being made, try again")]
    Busy,
    #[error("{0} are under way already, which is the limit; try again in a moment")]
    TooManyProbes(usize),
    #[error("the store does not answer, try again")]
    Unavailable,
    #[error("the replica `{0}` does not answer, try again")]
    ReplicaSilent(String),
    #[error("internal error")]
    Internal(#[source] Box<dyn std::error::Error + Send + Sync>),
}

/// All problems in one line.
fn in_words(violations: &[(String, String)]) -> String {
    let each = violations.iter().map(|(field, problem)| format!("`{field}` {problem}"));
    each.collect::<Vec<_>>().join("; ")
}

impl Error {
    /// A field that is wrong.
    pub fn bad(field: impl Into<String>, problem: impl Into<String>) -> Self {
        Self::BadRequest(vec![(field.into(), problem.into())])
    }

    /// Fields of a camera that are wrong.
    pub(crate) fn camera(violations: Vec<Violation>) -> Self {
        let named = |v: Violation| (format!("camera.{}", v.field), v.problem);
        Self::BadRequest(violations.into_iter().map(named).collect())
    }

    /// Something that must not happen.
    pub fn internal(cause: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        Self::Internal(cause.into())
    }
}

impl From<BackplaneError> for Error {
    fn from(error: BackplaneError) -> Self {
        match error {
            BackplaneError::Unavailable(_) => Self::Unavailable,
            other => Self::internal(other),
        }
    }
}

impl ServiceError for Error {
    fn code(&self) -> ErrorCode {
        let (code, reason) = match self {
            Self::BadRequest(_) => (Code::InvalidArgument, "BAD_REQUEST"),
            Self::Denied(_) => (Code::PermissionDenied, "PERMISSION_DENIED"),
            Self::TokenMissing => (Code::Unauthenticated, "TOKEN_MISSING"),
            Self::NoCamera(_) | Self::NoViewer(_) | Self::NoStream(_) => (Code::NotFound, "NOT_FOUND"),
            Self::AlreadyExists(_) => (Code::AlreadyExists, "ALREADY_EXISTS"),
            Self::TooManyCameras(_) => (Code::ResourceExhausted, "LIMIT"),
            Self::Conflict(_) => (Code::Aborted, "CONFLICT"),
            Self::Configured(_) => (Code::FailedPrecondition, "CONFIGURED"),
            Self::NoPicture(_) | Self::NoMotionPicture(_) => (Code::FailedPrecondition, "NO_PICTURE"),
            Self::SlowConsumer => (Code::ResourceExhausted, "SLOW_CONSUMER"),
            Self::Busy | Self::TooManyProbes(_) => (Code::ResourceExhausted, "BUSY"),
            Self::NotOwner(_) => (Code::FailedPrecondition, "NOT_OWNER"),
            Self::Unavailable | Self::ReplicaSilent(_) | Self::SourceFailed(_) => {
                (Code::Unavailable, "UNAVAILABLE")
            }
            Self::Internal(_) => (Code::Internal, "INTERNAL"),
        };
        ErrorCode::new(code, reason)
    }

    fn violations(&self) -> Vec<(String, String)> {
        match self {
            Self::BadRequest(violations) => violations.clone(),
            _ => Vec::new(),
        }
    }

    fn retry_after(&self) -> Option<Duration> {
        matches!(self, Self::Busy | Self::TooManyProbes(_)).then_some(Duration::from_secs(1))
    }
}

impl From<Error> for Status {
    fn from(error: Error) -> Self {
        to_status("camera-relay", &error)
    }
}
