//! Close codes: RFC 6455 section 7.4, and the IANA registry that extends it.

/// A close code that may travel on the wire.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct CloseCode(u16);

impl CloseCode {
    /// The purpose of the connection has been fulfilled.
    pub const NORMAL: Self = Self(1000);
    /// The endpoint goes away: a server shuts down, a page is left.
    pub const GOING_AWAY: Self = Self(1001);
    /// The peer broke the protocol.
    pub const PROTOCOL_ERROR: Self = Self(1002);
    /// The peer sent a kind of data that this endpoint does not take.
    pub const UNSUPPORTED_DATA: Self = Self(1003);
    /// Text, or the reason of a close, was not UTF-8.
    pub const INVALID_PAYLOAD: Self = Self(1007);
    /// The message breaks a rule that has no code of its own.
    pub const POLICY_VIOLATION: Self = Self(1008);
    /// The message is longer than this endpoint takes.
    pub const MESSAGE_TOO_BIG: Self = Self(1009);
    /// The server met a condition that it did not expect.
    pub const INTERNAL_ERROR: Self = Self(1011);
    /// The server restarts: come back after a while.
    pub const SERVICE_RESTART: Self = Self(1012);
    /// The server is overloaded: come back later.
    pub const TRY_AGAIN_LATER: Self = Self(1013);

    /// The code, or `None` for a number that must not be sent: below 1000, the codes that only
    /// report a local condition (1004, 1005, 1006, 1015), those not assigned yet, and 5000 and up.
    pub const fn new(code: u16) -> Option<Self> {
        match code {
            1000..=1003 | 1007..=1014 | 3000..=4999 => Some(Self(code)),
            _ => None,
        }
    }

    /// The number on the wire.
    pub const fn get(self) -> u16 {
        self.0
    }
}

impl std::fmt::Display for CloseCode {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.fmt(f)
    }
}
