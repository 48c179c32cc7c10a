//! The messages of the WebSocket door, without I/O: JSON text frames, one message each.

use serde::Serialize;
use serde_json::Value;

/// Characters of a client's own words that an error repeats.
const REPEATED: usize = 40;

/// What a page sends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Incoming {
    /// `{type:"offer",sdp}`.
    Offer(String),
    /// `{type:"ice",candidate}`. Where the page can be reached is learnt from its checks (RFC 8445, section 7.3), so that this changes nothing.
    Candidate,
}

/// Why a message is not understood. The text is for whoever wrote the page.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum MessageError {
    #[error("the message is no JSON object")]
    NotJson,
    #[error("the message has no `type`: send `offer` or `ice`")]
    NoType,
    #[error("there is no message of type `{0}`: send `offer` or `ice`")]
    UnknownType(String),
    #[error("the offer has no `sdp`, or it is no text")]
    NoSdp,
    #[error(
        "`candidate` must be an object with `candidate`, `sdpMid` and `sdpMLineIndex`, or null at the end"
    )]
    BadCandidate,
}

/// What a page is sent.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub(super) enum Outgoing<'a> {
    /// The answer to its offer.
    Answer {
        /// Session description.
        sdp: &'a str,
    },
    /// A candidate of ours.
    Ice {
        /// The candidate.
        candidate: Candidate<'a>,
    },
    /// Something did not work.
    Error {
        /// Why.
        message: &'a str,
    },
}

/// A candidate in the form of `RTCIceCandidateInit`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Candidate<'a> {
    /// `candidate:...`.
    #[serde(rename = "candidate")]
    pub(super) line: &'a str,
    /// `mid` of its section.
    pub(super) sdp_mid: &'a str,
    /// Number of its section, from 0.
    pub(super) sdp_m_line_index: u16,
}

/// Reads a message.
pub(super) fn read(text: &str) -> Result<Incoming, MessageError> {
    let Ok(Value::Object(message)) = serde_json::from_str(text) else { return Err(MessageError::NotJson) };
    match message.get("type").and_then(Value::as_str) {
        None => Err(MessageError::NoType),
        Some("offer") => match message.get("sdp") {
            Some(Value::String(sdp)) => Ok(Incoming::Offer(sdp.clone())),
            _ => Err(MessageError::NoSdp),
        },
        Some("ice") => match message.get("candidate") {
            // Some browsers' candidates at the end are an object with an empty text.
            None | Some(Value::Null) => Ok(Incoming::Candidate),
            Some(Value::Object(candidate)) if candidate.get("candidate").is_some_and(Value::is_string) => {
                Ok(Incoming::Candidate)
            }
            Some(_) => Err(MessageError::BadCandidate),
        },
        Some(other) => Err(MessageError::UnknownType(other.chars().take(REPEATED).collect())),
    }
}

/// Writes a message.
pub(super) fn write(message: &Outgoing<'_>) -> String {
    serde_json::to_string(message).expect("texts and numbers are always JSON")
}

/// The candidates that an answer has, one by one: pages that were written for a server that trickles wait for them.
pub(super) fn candidates(answer: &str) -> Vec<Candidate<'_>> {
    let mut sections = answer.split("\nm=").skip(1);
    let mut found = Vec::new();
    for index in 0_u16.. {
        let Some(section) = sections.next() else { return found };
        let lines = || section.lines().map(str::trim_end);
        let sdp_mid = lines().find_map(|line| line.strip_prefix("a=mid:")).unwrap_or_default();
        let ours =
            lines().filter_map(|line| line.strip_prefix("a=")).filter(|line| line.starts_with("candidate:"));
        found.extend(ours.map(|line| Candidate { line, sdp_mid, sdp_m_line_index: index }));
    }
    found
}

#[cfg(test)]
#[path = "protocol_tests.rs"]
mod tests;
