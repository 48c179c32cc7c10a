//! Close codes of the native protocol: 3000 to 3499 say come back, 3500 to 3999 say stay away.

use patchbay_websocket::CloseCode;

/// Why the server ends a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u16)]
pub enum Close {
    /// The server stops.
    Shutdown = 3001,
    /// The token has expired.
    Expired = 3005,
    /// More waits for the client than the queue holds.
    Slow = 3008,
    /// An operator wants the client to reconnect.
    ForceReconnect = 3011,
    /// The client did not answer a ping.
    NoPong = 3012,
    /// The client goes on sending far over its rate.
    TooManyRequests = 3013,
    /// The token is not valid.
    InvalidToken = 3500,
    /// The first command is not a valid `connect`.
    BadRequest = 3501,
    /// No `connect` in time.
    Stale = 3502,
    /// An operator ended the connection.
    ForceDisconnect = 3503,
    /// The user has too many connections.
    ConnectionLimit = 3504,
    /// The Origin is not allowed, or guests are not.
    PermissionDenied = 3507,
    /// Too many errors in a row.
    TooManyErrors = 3509,
}

impl Close {
    /// The number on the wire.
    pub fn code(self) -> CloseCode {
        CloseCode::new(self as u16).expect("3000 to 3999 may be sent")
    }

    /// The reason text.
    pub fn reason(self) -> &'static str {
        match self {
            Self::Shutdown => "shutdown",
            Self::Expired => "token expired",
            Self::Slow => "slow consumer",
            Self::ForceReconnect => "force reconnect",
            Self::NoPong => "no pong",
            Self::TooManyRequests => "too many requests",
            Self::InvalidToken => "invalid token",
            Self::BadRequest => "bad request",
            Self::Stale => "stale: not connected in time",
            Self::ForceDisconnect => "force disconnect",
            Self::ConnectionLimit => "connection limit",
            Self::PermissionDenied => "permission denied",
            Self::TooManyErrors => "too many errors",
        }
    }
}
