//! Answers and pushes of the native protocol, as text.

use super::{error::CommandError, ids::RoomId, publication::Profile};
use serde::Serialize;

/// Encodes `{"id":N,"result":…}`.
pub fn result(id: u64, result: &impl Serialize) -> Vec<u8> {
    let mut out = open_result(id);
    serde_json::to_writer(&mut out, result).expect("plain values always encode");
    out.push(b'}');
    out
}

/// Begins `{"id":N,"result":`; the caller writes the result and the closing brace.
pub fn open_result(id: u64) -> Vec<u8> {
    let mut out = Vec::with_capacity(96);
    out.extend_from_slice(b"{\"id\":");
    out.extend_from_slice(id.to_string().as_bytes());
    out.extend_from_slice(b",\"result\":");
    out
}

/// Encodes `{"id":N,"error":…}`.
pub fn error(id: u64, error: &CommandError) -> Vec<u8> {
    #[derive(Serialize)]
    struct Reply<'a> {
        id: u64,
        error: Body<'a>,
    }
    #[derive(Serialize)]
    struct Body<'a> {
        code: u16,
        message: &'a str,
        temporary: bool,
        #[serde(skip_serializing_if = "Option::is_none")]
        retry_after_ms: Option<u64>,
    }
    let retry_after_ms = error.retry_after.map(|wait| u64::try_from(wait.as_millis()).unwrap_or(u64::MAX));
    let body = Body {
        code: error.code as u16,
        message: &error.message,
        temporary: error.code.temporary(),
        retry_after_ms,
    };
    serde_json::to_vec(&Reply { id, error: body }).expect("plain values always encode")
}

/// Begins `{"push":{"channel":"ROOM",`; the caller writes `"kind":{…}` and two closing braces.
pub fn open_push(out: &mut Vec<u8>, room: &RoomId) {
    out.extend_from_slice(b"{\"push\":{\"channel\":\"");
    out.extend_from_slice(room.as_str().as_bytes());
    out.extend_from_slice(b"\",");
}

/// Writes a whole push.
pub fn push(out: &mut Vec<u8>, room: &RoomId, kind: &str, body: &impl Serialize) {
    open_push(out, room);
    out.push(b'"');
    out.extend_from_slice(kind.as_bytes());
    out.extend_from_slice(b"\":");
    serde_json::to_writer(&mut *out, body).expect("plain values always encode");
    out.extend_from_slice(b"}}");
}

/// Result of `connect`.
#[derive(Debug, Serialize)]
#[expect(missing_docs, reason = "the fields are described in docs/protocol/chat.md")]
pub struct Connected<'a> {
    #[serde(flatten)]
    pub profile: &'a Profile,
    pub node: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub session: Option<String>,
    pub version: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub expires_in: Option<u64>,
    pub ping_ms: u64,
    pub pong_ms: u64,
    pub limits: LimitsShown,
    pub caps: &'a [&'a str],
}

/// Limits that a client should know.
#[derive(Clone, Copy, Debug, Serialize)]
#[expect(missing_docs, reason = "the fields are described in docs/protocol/chat.md")]
pub struct LimitsShown {
    pub frame: u64,
    pub payload: u64,
    pub rooms: usize,
    pub history: usize,
}

/// Result of `publish`, `edit`, `delete` and `react`.
#[derive(Debug, Serialize)]
#[expect(missing_docs, reason = "the fields are described in docs/protocol/chat.md")]
pub struct Accepted<'a> {
    pub epoch: &'a str,
    pub offset: u64,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub duplicate: bool,
}

/// Body of an `unsub` push.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Unsubscribed {
    /// From 2500 on the client should subscribe again.
    pub code: u16,
    /// Why, in words.
    pub message: &'static str,
}

impl Unsubscribed {
    /// An operator ended the subscription.
    pub const BY_OPERATOR: Self = Self { code: 2000, message: "unsubscribed by an operator" };
    /// The token no longer allows it.
    pub const PERMISSION: Self = Self { code: 2001, message: "the new token does not allow this channel" };
    /// The stream moved on without this replica: recovery will tell.
    pub const INSUFFICIENT_STATE: Self =
        Self { code: 2500, message: "insufficient state: subscribe again with recover" };
}
