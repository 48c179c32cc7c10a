//! What is told in a room without being stored: comings and goings, typing, receipts. It travels on the room's channel
//! beside the stream's entries.

use crate::protocol::publication::Profile;
use bytes::Bytes;
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// One signal.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Signal {
    /// Somebody came.
    Join(Presence),
    /// Somebody went.
    Leave(Presence),
    /// Somebody changed name or picture.
    Profile(Presence),
    /// Somebody types, or has stopped.
    Typing(Typing),
    /// Somebody's marks have risen.
    Receipt(Receipt),
    /// The stream was changed from outside: compare positions.
    Check,
}

/// Who came or went, and how many are there now, where that was counted.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Presence {
    /// Who.
    pub member: MemberShown,
    /// People present afterwards.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub count: Option<usize>,
}

/// Somebody as others see them; body of `join` and `leave`.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct MemberShown {
    /// Connection id.
    pub client: Arc<str>,
    /// Subject.
    pub user: Arc<str>,
    /// Display name.
    pub name: Arc<str>,
    /// Address of the picture.
    pub avatar: Arc<str>,
}

/// Body of `typing`.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Typing {
    /// Connection id.
    pub client: Arc<str>,
    /// Subject.
    pub user: Arc<str>,
    /// Display name.
    pub name: Arc<str>,
    /// Whether they type.
    pub active: bool,
}

/// Body of `receipt`.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Receipt {
    /// Subject.
    pub user: Arc<str>,
    /// Everything up to this offset has arrived.
    pub delivered: u64,
    /// Everything up to this offset has been read.
    pub read: u64,
}

impl From<&Profile> for MemberShown {
    fn from(profile: &Profile) -> Self {
        let Profile { client, user, name, avatar } = profile.clone();
        Self { client, user, name, avatar }
    }
}

impl Signal {
    /// Whether an encoded signal is about who is present, told from its first bytes.
    pub fn is_presence(payload: &[u8]) -> bool {
        [&b"{\"join\":"[..], b"{\"leave\":", b"{\"profile\":"].iter().any(|start| payload.starts_with(start))
    }

    /// Encodes it for the backplane.
    pub fn encode(&self) -> Bytes {
        serde_json::to_vec(self).expect("strings and numbers always encode").into()
    }

    /// Reads it back; `None` when a later version wrote something else.
    pub fn parse(payload: &[u8]) -> Option<Self> {
        serde_json::from_slice(payload).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn presence_is_told_from_the_first_bytes() {
        let member =
            MemberShown { client: "c".into(), user: "u".into(), name: "n".into(), avatar: "a".into() };
        let presence = Presence { member, count: None };
        for signal in
            [Signal::Join(presence.clone()), Signal::Leave(presence.clone()), Signal::Profile(presence)]
        {
            assert!(Signal::is_presence(&signal.encode()), "{signal:?}");
        }
        let receipt = Receipt { user: "u".into(), delivered: 1, read: 1 };
        for signal in [Signal::Check, Signal::Receipt(receipt)] {
            assert!(!Signal::is_presence(&signal.encode()), "{signal:?}");
        }
    }
}
