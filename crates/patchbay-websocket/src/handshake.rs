//! The opening handshake: RFC 6455 section 4.2.
//!
//! A listener reads bytes until [`Handshake::parse`] decides: upgrade the connection, hand it with the
//! bytes read so far to an HTTP server, or refuse it. The Origin, the path and the subprotocol are
//! the caller's to judge.

use aws_lc_rs::digest::{SHA1_FOR_LEGACY_USE_ONLY, digest};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

mod request;

pub use request::{Request, Upgrade};

/// What a request head may cost.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// The head's length in bytes, with the empty line.
    pub head: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self { head: 8 * 1024 }
    }
}

/// What a connection's first bytes are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Handshake<'b> {
    /// The head is not whole yet.
    NeedMore,
    /// Any other request: an HTTP server may answer it, given all bytes read so far.
    NotUpgrade(Request<'b>),
    /// A valid handshake, to be answered with [`Upgrade::accept`] or refused.
    Upgrade(Upgrade<'b>),
    /// Send [`Refusal::response`] and close.
    Bad(Refusal),
}

/// Why a connection is not upgraded. Callers refuse for reasons of their own too (403 for a wrong
/// Origin, 404 for an unknown path, 503 at the connection limit).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// The status code.
    pub status: u16,
    /// The reason phrase, sent as the body too.
    pub reason: &'static str,
}

impl Refusal {
    pub(crate) const BAD_REQUEST: Self = Self::new(400, "Bad Request");
    pub(crate) const VERSION: Self = Self::new(426, "Upgrade Required");
    pub(crate) const HEAD_TOO_LARGE: Self = Self::new(431, "Request Header Fields Too Large");

    /// A refusal.
    pub const fn new(status: u16, reason: &'static str) -> Self {
        Self { status, reason }
    }

    /// The whole response. A wrong version is told which one is spoken here (RFC 6455, 4.2.2).
    pub fn response(&self) -> Vec<u8> {
        let Self { status, reason } = self;
        let extra = match status {
            426 => "Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\n",
            503 => "Retry-After: 5\r\n",
            _ => "",
        };
        let length = reason.len();
        format!(
            "HTTP/1.1 {status} {reason}\r\n{extra}Content-Type: text/plain\r\n\
             Content-Length: {length}\r\nConnection: close\r\n\r\n{reason}"
        )
        .into_bytes()
    }
}

impl Upgrade<'_> {
    /// The response that accepts the upgrade, with the subprotocol chosen: one of
    /// [`Upgrade::protocols`], spelt as there.
    pub fn accept(&self, protocol: Option<&'static str>) -> Vec<u8> {
        let mut out = Vec::with_capacity(192);
        out.extend_from_slice(
            b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
              Sec-WebSocket-Accept: ",
        );
        out.extend_from_slice(accept_key(self.key).as_bytes());
        if let Some(protocol) = protocol {
            out.extend_from_slice(b"\r\nSec-WebSocket-Protocol: ");
            out.extend_from_slice(protocol.as_bytes());
        }
        out.extend_from_slice(b"\r\n\r\n");
        out
    }
}

/// The `Sec-WebSocket-Accept` for a `Sec-WebSocket-Key`, for servers to whom something else has read the head; `None` for what is no key.
pub fn accept(key: &str) -> Option<String> {
    request::is_key(key).then(|| accept_key(key))
}

/// SHA-1 is what the RFC prescribes here; nothing secret hangs on it.
fn accept_key(key: &str) -> String {
    let salted = [key.as_bytes(), b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"].concat();
    STANDARD.encode(digest(&SHA1_FOR_LEGACY_USE_ONLY, &salted))
}

#[cfg(test)]
mod tests;
