//! Error codes of the native protocol. The table stands in `docs/protocol/chat.md`.

use super::close::Close;
use std::{borrow::Cow, time::Duration};

/// What went wrong with a command; the number is on the wire.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u16)]
pub enum ErrorCode {
    /// Something failed on the server's side.
    Internal = 100,
    /// Not connected, or the token is not valid.
    Unauthorized = 101,
    /// The channel's name is not valid.
    UnknownChannel = 102,
    /// Scopes, guest policy or a missing subscription forbid it.
    PermissionDenied = 103,
    /// Unknown verb.
    MethodNotFound = 104,
    /// There is a subscription.
    AlreadySubscribed = 105,
    /// Too many rooms, or something is too long.
    LimitExceeded = 106,
    /// Not JSON, a wrong type, a missing field.
    BadRequest = 107,
    /// Switched off for this room, or `ref` is not there.
    NotAvailable = 108,
    /// The token has expired.
    TokenExpired = 109,
    /// Slow down.
    TooManyRequests = 111,
    /// The cursor's epoch is not the stream's.
    UnrecoverablePosition = 112,
    /// The backplane is away.
    Unavailable = 114,
}

impl ErrorCode {
    /// Whether the same command may succeed later.
    pub fn temporary(self) -> bool {
        matches!(self, Self::Internal | Self::TooManyRequests | Self::Unavailable)
    }
}

/// A command's failure, as it is told to the client.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CommandError {
    /// The code.
    pub code: ErrorCode,
    /// What to do about it, in words.
    pub message: Cow<'static, str>,
    /// How long to wait before the next try, where that helps.
    pub retry_after: Option<Duration>,
    /// How the connection is closed after it has been told.
    pub close: Option<Close>,
}

impl CommandError {
    /// Makes an error without a waiting time.
    pub fn new(code: ErrorCode, message: impl Into<Cow<'static, str>>) -> Self {
        Self { code, message: message.into(), retry_after: None, close: None }
    }

    /// The command broke a rate limit.
    pub fn too_many(retry_after: Duration) -> Self {
        Self {
            code: ErrorCode::TooManyRequests,
            message: "too many requests, slow down".into(),
            retry_after: Some(retry_after),
            close: None,
        }
    }

    /// The same error, after which the connection is closed.
    #[must_use]
    pub fn closing(self, close: Close) -> Self {
        Self { close: Some(close), ..self }
    }

    /// There is no subscription to the room.
    pub fn not_subscribed() -> Self {
        Self::new(ErrorCode::PermissionDenied, "not subscribed to this channel: subscribe first")
    }

    /// A token's scopes or the guest policy forbid it.
    pub fn denied(action: &str) -> Self {
        Self::new(
            ErrorCode::PermissionDenied,
            format!("permission denied: it needs a scope for `{action}` here"),
        )
    }
}

impl From<patchbay_backplane::BackplaneError> for CommandError {
    fn from(error: patchbay_backplane::BackplaneError) -> Self {
        tracing::debug!(%error, "a backplane call failed");
        match error {
            patchbay_backplane::BackplaneError::Unavailable(_) => {
                Self::new(ErrorCode::Unavailable, "the backplane is away, try again with the same key")
            }
            _ => Self::new(ErrorCode::Internal, "internal error, try again with the same key"),
        }
    }
}
