//! Errors of `ChatAdmin`, and what they are on the wire.

use patchbay_backplane::BackplaneError;
use patchbay_chassis::{ErrorCode, ServiceError, error::to_status};
use tonic::{Code, Status};

/// Why a call failed.
#[derive(Debug, thiserror::Error)]
pub(super) enum AdminError {
    /// A field is wrong.
    #[error("`{field}` {problem}")]
    BadField {
        /// Which.
        field: &'static str,
        /// What is wrong with it.
        problem: String,
    },
    /// The payload is too long.
    #[error("`data_json` is longer than {limit} bytes")]
    TooLarge {
        /// The limit, in bytes.
        limit: u64,
    },
    /// The token's scopes do not cover this room.
    #[error("the token has no scope `chat:admin:{0}`")]
    Denied(String),
    /// A watch cannot start there.
    #[error("the position is of another epoch, or no longer in the room's history")]
    Unrecoverable,
    /// A watcher reads too slowly.
    #[error("the watch was ended because its events were not read")]
    SlowConsumer,
    /// The backplane is away.
    #[error("the backplane is away, try again")]
    Unavailable,
    /// The backplane failed.
    #[error("the backplane failed")]
    Backplane(#[source] BackplaneError),
}

impl From<BackplaneError> for AdminError {
    fn from(error: BackplaneError) -> Self {
        match error {
            BackplaneError::Unavailable(_) => Self::Unavailable,
            other => Self::Backplane(other),
        }
    }
}

impl ServiceError for AdminError {
    fn code(&self) -> ErrorCode {
        match self {
            Self::BadField { .. } => ErrorCode::new(Code::InvalidArgument, "BAD_REQUEST"),
            Self::TooLarge { .. } => ErrorCode::new(Code::InvalidArgument, "TOO_LARGE"),
            Self::Denied(_) => ErrorCode::new(Code::PermissionDenied, "PERMISSION_DENIED"),
            Self::Unrecoverable => ErrorCode::new(Code::OutOfRange, "UNRECOVERABLE_POSITION"),
            Self::SlowConsumer => ErrorCode::new(Code::ResourceExhausted, "SLOW_CONSUMER"),
            Self::Unavailable => ErrorCode::new(Code::Unavailable, "UNAVAILABLE"),
            Self::Backplane(_) => ErrorCode::new(Code::Internal, "INTERNAL"),
        }
    }

    fn violations(&self) -> Vec<(String, String)> {
        match self {
            Self::BadField { field, problem } => vec![((*field).to_owned(), problem.clone())],
            _ => Vec::new(),
        }
    }
}

impl From<AdminError> for Status {
    fn from(error: AdminError) -> Self {
        to_status("chat-gateway", &error)
    }
}
