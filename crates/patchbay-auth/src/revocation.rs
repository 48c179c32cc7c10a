//! What is no longer believed although it is signed and has not expired.

use crate::{
    Identity,
    token::{LEEWAY, MAX_ID, MAX_SUBJECT},
};
use serde::{Deserialize, Serialize};
use std::{
    collections::{BTreeSet, HashMap},
    sync::Arc,
};

/// Revocations held at most. The one whose tokens end first is dropped for a new one.
const CAPACITY: usize = 100_000;

/// Something that was revoked.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Revocation {
    /// What.
    #[serde(flatten)]
    pub what: Revoked,
    /// When the newest token that this can hit has ended, in Unix seconds: it is forgotten then.
    pub until: u64,
}

/// Which tokens are no longer believed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum Revoked {
    /// One.
    Token {
        /// Its `jti`.
        id: Arc<str>,
    },
    /// All of a session.
    Session {
        /// Their `sid`.
        id: Arc<str>,
    },
    /// All that a subject had at a time. Those it gets by signing in again a millisecond later are good, so whoever
    /// revokes must not mint for the subject within the same one. Clocks of replicas differ by more than that: what must be
    /// ended for certain is revoked by session as well.
    Subject {
        /// Whose.
        subject: Arc<str>,
        /// Those issued at this time or before, in Unix milliseconds.
        before_ms: u64,
    },
}

impl Revocation {
    /// Revokes one token, which ends at `until`.
    pub fn token(id: impl Into<Arc<str>>, until: u64) -> Self {
        Self { what: Revoked::Token { id: id.into() }, until }
    }

    /// Revokes the tokens of a session, the newest of which ends at `until`.
    pub fn session(id: impl Into<Arc<str>>, until: u64) -> Self {
        Self { what: Revoked::Session { id: id.into() }, until }
    }

    /// Revokes the tokens that a subject has at `before_ms`, the newest of which ends at `until`.
    pub fn subject(subject: impl Into<Arc<str>>, before_ms: u64, until: u64) -> Self {
        Self { what: Revoked::Subject { subject: subject.into(), before_ms }, until }
    }

    /// Reads what [`crate::announce_revocation`] wrote; `None` for anything else.
    pub(crate) fn parse(payload: &[u8]) -> Option<Self> {
        let revocation: Self = serde_json::from_slice(payload).ok()?;
        let fits = match &revocation.what {
            Revoked::Token { id } | Revoked::Session { id } => id.len() <= MAX_ID,
            Revoked::Subject { subject, .. } => subject.len() <= MAX_SUBJECT,
        };
        fits.then_some(revocation)
    }
}

/// What is looked up for an identity.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
enum Key {
    Token(Arc<str>),
    Session(Arc<str>),
    Subject(Arc<str>),
}

#[derive(Clone, Copy)]
struct Entry {
    /// Hits tokens issued at this time or before.
    before_ms: u64,
    until: u64,
}

/// Everything that is revoked.
#[derive(Default)]
pub(crate) struct Revocations {
    entries: HashMap<Key, Entry>,
    /// The same, those that end first at the front.
    order: BTreeSet<(u64, Key)>,
}

impl Revocations {
    /// Adds one and tells whether it changes anything.
    pub(crate) fn add(&mut self, revocation: Revocation, now: u64) -> bool {
        self.forget_ended(now);
        let Revocation { what, until } = revocation;
        if is_over(until, now) {
            return false;
        }
        let (key, before_ms) = match what {
            Revoked::Token { id } => (Key::Token(id), u64::MAX),
            Revoked::Session { id } => (Key::Session(id), u64::MAX),
            Revoked::Subject { subject, before_ms } => (Key::Subject(subject), before_ms),
        };
        let known = self.entries.get(&key).copied();
        if known.is_some_and(|known| before_ms <= known.before_ms && until <= known.until) {
            return false;
        }
        let before_ms = known.map_or(before_ms, |known| known.before_ms.max(before_ms));
        let until = known.map_or(until, |known| known.until.max(until));
        if let Some(known) = known {
            self.order.remove(&(known.until, key.clone()));
        }
        self.order.insert((until, key.clone()));
        self.entries.insert(key, Entry { before_ms, until });
        self.make_room();
        true
    }

    /// Tells whether an identity's token is one of those that were revoked.
    pub(crate) fn hit(&self, identity: &Identity) -> bool {
        if self.entries.is_empty() {
            return false;
        }
        let has =
            |key: Key| self.entries.get(&key).is_some_and(|entry| identity.issued_at_ms <= entry.before_ms);
        identity.token_id.clone().is_some_and(|id| has(Key::Token(id)))
            || identity.session.clone().is_some_and(|id| has(Key::Session(id)))
            || has(Key::Subject(identity.subject.clone()))
    }

    fn forget_ended(&mut self, now: u64) {
        while let Some((_, key)) = self.order.first().filter(|(until, _)| is_over(*until, now)).cloned() {
            self.drop_first(&key);
        }
    }

    fn make_room(&mut self) {
        if self.entries.len() <= CAPACITY {
            return;
        }
        let Some((until, key)) = self.order.first().cloned() else { return };
        tracing::warn!(until, limit = CAPACITY, "too many revocations: the one that ends first is dropped");
        self.drop_first(&key);
    }

    fn drop_first(&mut self, key: &Key) {
        self.order.pop_first();
        self.entries.remove(key);
    }
}

/// As long as a token is believed after its end.
fn is_over(until: u64, now: u64) -> bool {
    until.saturating_add(LEEWAY) <= now
}

#[cfg(test)]
#[path = "revocation_tests.rs"]
mod tests;
