//! One event: as it is made, and as `CloudEvents` 1.0 writes it.

use crate::{EventError, EventType, MAX_SIZE};
use bytes::Bytes;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// Version of the specification that events follow.
const SPEC_VERSION: &str = "1.0";

/// Media type of the data.
const JSON: &str = "application/json";

/// Characters of an id, a source or a subject, at most.
pub(crate) const MAX_WORD: usize = 512;

/// An event to emit. It keeps its id and its time, so that it can be emitted again after a failure.
#[derive(Debug)]
pub struct Event {
    id: String,
    kind: EventType,
    subject: String,
    time: Timestamp,
    data: Result<Value, serde_json::Error>,
}

impl Event {
    /// Makes an event with an id of the caller's: one id is in the stream once. `millis` is when it happened, since 1970.
    pub fn new(
        id: impl Into<String>,
        kind: EventType,
        subject: impl Into<String>,
        millis: u64,
        data: &impl Serialize,
    ) -> Self {
        let time = i64::try_from(millis).ok().and_then(|millis| Timestamp::from_millisecond(millis).ok());
        Self {
            id: id.into(),
            kind,
            subject: subject.into(),
            // Beyond the year 9999 a clock is wrong, whatever it says.
            time: time.unwrap_or(Timestamp::MAX),
            data: serde_json::to_value(data),
        }
    }

    /// Its id.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// What it tells of.
    pub fn kind(&self) -> EventType {
        self.kind
    }

    /// As it is written to the stream.
    pub(crate) fn payload(&self, source: &str) -> Result<Bytes, EventError> {
        for (what, word) in [("id", self.id.as_str()), ("source", source), ("subject", &self.subject)] {
            check(what, word)?;
        }
        let written = Written {
            specversion: SPEC_VERSION,
            id: &self.id,
            source,
            kind: self.kind.word(),
            subject: &self.subject,
            time: self.time.to_string(),
            datacontenttype: JSON,
            data: self.data.as_ref().map_err(|error| {
                // The error itself cannot be cloned, and is told as often as the event is emitted.
                EventError::Data(serde::ser::Error::custom(error))
            })?,
        };
        let payload = serde_json::to_vec(&written).map_err(EventError::Data)?;
        if payload.len() > MAX_SIZE {
            return Err(EventError::TooLarge { size: payload.len() });
        }
        Ok(payload.into())
    }
}

fn check(what: &'static str, word: &str) -> Result<(), EventError> {
    let is_good = !word.is_empty() && word.chars().count() <= MAX_WORD && !word.chars().any(char::is_control);
    is_good.then_some(()).ok_or(EventError::Word(what))
}

/// The attributes in the order of the specification.
#[derive(Serialize)]
struct Written<'a> {
    specversion: &'static str,
    id: &'a str,
    source: &'a str,
    #[serde(rename = "type")]
    kind: &'static str,
    subject: &'a str,
    time: String,
    datacontenttype: &'static str,
    data: &'a Value,
}

/// An event that was read. Its type is a text, because a newer replica may have written one that this one does not know.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct CloudEvent {
    /// Version of the specification.
    pub specversion: String,
    /// Unique for its source; in this stream for all.
    pub id: String,
    /// Who wrote it: `/patchbay/<service>/<node>`.
    pub source: String,
    /// What it tells of, such as `certificate.expiring`.
    #[serde(rename = "type")]
    pub kind: String,
    /// To whom or what it happened.
    #[serde(default)]
    pub subject: String,
    /// When it happened.
    #[serde(deserialize_with = "time")]
    pub time: Timestamp,
    /// What else is to be said; its form depends on the type.
    #[serde(default)]
    pub data: Value,
}

impl CloudEvent {
    /// Reads what the stream holds; `None` where it is no event that this version can read.
    pub fn parse(payload: &[u8]) -> Option<Self> {
        let event: Self = serde_json::from_slice(payload).ok()?;
        (event.specversion == SPEC_VERSION).then_some(event)
    }
}

fn time<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Timestamp, D::Error> {
    String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
}
