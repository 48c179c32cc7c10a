//! Publications: the entries of a room's stream. On the backplane an entry is this JSON without its offset,
//! which the stream assigns; on the wire the offset comes first.

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use std::{borrow::Cow, sync::Arc};

/// Who a connection is to others. Shared by everything that shows it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Profile {
    /// Connection id; empty for a backend.
    pub client: Arc<str>,
    /// Subject of the token, or `guest:<client>`.
    pub user: Arc<str>,
    /// Display name.
    pub name: Arc<str>,
    /// Address of the picture.
    pub avatar: Arc<str>,
}

/// What a publication does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// A new message.
    Message,
    /// New content for the message at `ref`.
    Edit,
    /// The message at `ref` is withdrawn.
    Delete,
    /// A reaction to the message at `ref`.
    Reaction,
}

/// A publication that has no offset yet.
#[derive(Debug, Serialize)]
pub struct Draft<'a> {
    /// When it was accepted, in Unix milliseconds.
    pub ts: u64,
    /// What it does.
    pub kind: Kind,
    /// Who posted it.
    pub from: &'a Profile,
    /// Content, as JSON.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub data: Option<&'a RawValue>,
    /// The sender's idempotency key.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub key: Option<&'a str>,
    /// The message it answers.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reply_to: Option<u64>,
    /// The message it is about.
    #[serde(rename = "ref", skip_serializing_if = "Option::is_none")]
    pub reference: Option<u64>,
}

impl Draft<'_> {
    /// Encodes it as the stream keeps it.
    pub fn encode(&self) -> Bytes {
        serde_json::to_vec(self).expect("strings and numbers always encode").into()
    }
}

/// Writes a stream entry as the wire shows it: with its offset.
pub fn write_publication(out: &mut Vec<u8>, offset: u64, payload: &[u8]) {
    out.extend_from_slice(b"{\"offset\":");
    out.extend_from_slice(offset.to_string().as_bytes());
    let rest = payload.get(1..).unwrap_or(b"}");
    if rest != b"}" {
        out.push(b',');
    }
    out.extend_from_slice(rest);
}

/// Writes entries as a JSON array of publications.
pub fn write_publications<'a>(out: &mut Vec<u8>, entries: impl Iterator<Item = (u64, &'a [u8])>) {
    out.push(b'[');
    for (index, (offset, payload)) in entries.enumerate() {
        if index > 0 {
            out.push(b',');
        }
        write_publication(out, offset, payload);
    }
    out.push(b']');
}

/// A stream entry, read back.
#[derive(Debug, Deserialize)]
pub struct Stored<'a> {
    /// When it was accepted, in Unix milliseconds.
    pub ts: u64,
    /// What it does.
    pub kind: Kind,
    /// Who posted it.
    #[serde(borrow)]
    pub from: StoredProfile<'a>,
    /// Content, as JSON.
    #[serde(borrow, default)]
    pub data: Option<&'a RawValue>,
    /// The sender's idempotency key.
    #[serde(borrow, default)]
    pub key: Option<Cow<'a, str>>,
    /// The message it answers.
    #[serde(default)]
    pub reply_to: Option<u64>,
    /// The message it is about.
    #[serde(rename = "ref", default)]
    pub reference: Option<u64>,
}

/// A [`Profile`], read back.
#[derive(Debug, Deserialize)]
pub struct StoredProfile<'a> {
    /// Connection id.
    #[serde(borrow)]
    pub client: Cow<'a, str>,
    /// Subject.
    #[serde(borrow)]
    pub user: Cow<'a, str>,
    /// Display name.
    #[serde(borrow)]
    pub name: Cow<'a, str>,
    /// Address of the picture.
    #[serde(borrow)]
    pub avatar: Cow<'a, str>,
}

impl<'a> Stored<'a> {
    /// Reads a stream entry; `None` when something else wrote it.
    pub fn parse(payload: &'a [u8]) -> Option<Self> {
        serde_json::from_slice(payload).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_entry_gets_its_offset_and_is_read_back() {
        let from = Profile { client: "c".into(), user: "u".into(), name: "N\"".into(), avatar: "".into() };
        let data: Box<RawValue> = serde_json::from_str("{\"a\":1}").unwrap();
        let draft = Draft {
            ts: 5,
            kind: Kind::Message,
            from: &from,
            data: Some(&data),
            key: None,
            reply_to: Some(2),
            reference: None,
        };
        let payload = draft.encode();
        let mut wire = Vec::new();
        write_publication(&mut wire, 9, &payload);
        let value: serde_json::Value = serde_json::from_slice(&wire).unwrap();
        assert_eq!(value["offset"], 9);
        assert_eq!(value["data"]["a"], 1);
        let stored = Stored::parse(&payload).unwrap();
        assert_eq!((stored.from.name.as_ref(), stored.reply_to, stored.reference), ("N\"", Some(2), None));
    }
}
