//! The verbs that append to a room's stream: `publish`, `edit`, `delete`, `react`.

use super::{
    handle::Person,
    session::{Session, answer},
};
use crate::{
    gateway::Gateway,
    limits::Payer,
    protocol::{
        command::{Delete, Edit, Publish, React},
        error::{CommandError, ErrorCode},
        ids::RoomId,
        publication::{Draft, Kind, Profile, Stored},
        reply::Accepted,
    },
};
use bytes::Bytes;
use patchbay_backplane::{Append, Appended, Cursor, Name, Retention};
use serde_json::value::RawValue;
use std::sync::Arc;

/// Longest emoji, in bytes: families with skin tones come close.
const EMOJI: usize = 32;

/// Whose message an edit, a deletion or a reaction is about.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Target {
    /// One's own, unless the person moderates the room.
    Own,
    /// Anybody's.
    Any,
}

impl Session<'_> {
    pub(super) fn publish(self, id: u64, person: &Person, verb: &Publish<'_>) -> Result<(), CommandError> {
        let room = self.may_publish(person, &verb.channel)?;
        self.check_size(verb.data)?;
        let key = self.check_key(verb.key.as_deref())?;
        let draft = Draft {
            ts: self.gateway.context.clock.now_millis(),
            kind: Kind::Message,
            from: &person.profile,
            data: Some(verb.data),
            key,
            reply_to: verb.reply_to,
            reference: None,
        };
        let place = self.begin()?;
        let appended = append(self.gateway, &room, &person.profile, key, draft.encode());
        let gateway = self.gateway.clone();
        self.gateway.context.tasks.spawn_light(async move {
            let outcome = accepted(&gateway, appended.await);
            answer(&gateway, &place, id, outcome.as_ref().map(shown).map_err(Clone::clone));
        });
        Ok(())
    }

    pub(super) fn edit(self, id: u64, person: &Person, verb: &Edit<'_>) -> Result<(), CommandError> {
        self.check_size(verb.data)?;
        let change = Change {
            kind: Kind::Edit,
            reference: verb.reference,
            data: Some(verb.data),
            target: Target::Own,
        };
        self.change(id, person, &verb.channel, verb.key.as_deref(), &change)
    }

    pub(super) fn delete(self, id: u64, person: &Person, verb: &Delete<'_>) -> Result<(), CommandError> {
        let change =
            Change { kind: Kind::Delete, reference: verb.reference, data: None, target: Target::Own };
        self.change(id, person, &verb.channel, verb.key.as_deref(), &change)
    }

    pub(super) fn react(self, id: u64, person: &Person, verb: &React<'_>) -> Result<(), CommandError> {
        if verb.emoji.is_empty() || verb.emoji.len() > EMOJI {
            return Err(CommandError::new(ErrorCode::LimitExceeded, "`emoji` must be 1 to 32 bytes"));
        }
        let data = serde_json::json!({"emoji": verb.emoji, "remove": verb.remove});
        let data = serde_json::value::to_raw_value(&data).expect("strings always encode");
        let change = Change {
            kind: Kind::Reaction,
            reference: verb.reference,
            data: Some(&data),
            target: Target::Any,
        };
        self.change(id, person, &verb.channel, None, &change)
    }

    /// Appends something about an earlier message, after a look at that message.
    fn change(
        self,
        id: u64,
        person: &Person,
        channel: &str,
        key: Option<&str>,
        change: &Change<'_>,
    ) -> Result<(), CommandError> {
        let room = self.may_publish(person, channel)?;
        let key = self.check_key(key)?.map(str::to_owned);
        let moderates = person.identity.allows("chat", "moderate", &room.resource());
        let target = if moderates { Target::Any } else { change.target };
        let draft = Draft {
            ts: self.gateway.context.clock.now_millis(),
            kind: change.kind,
            from: &person.profile,
            data: change.data,
            key: key.as_deref(),
            reply_to: None,
            reference: Some(change.reference),
        };
        let payload = draft.encode();
        let place = self.begin()?;
        let (gateway, profile, reference) = (self.gateway.clone(), person.profile.clone(), change.reference);
        self.gateway.context.tasks.spawn_light(async move {
            let outcome = match check_target(&gateway, &room, &profile, reference, target).await {
                Ok(()) => {
                    accepted(&gateway, append(&gateway, &room, &profile, key.as_deref(), payload).await)
                }
                Err(error) => Err(error),
            };
            answer(&gateway, &place, id, outcome.as_ref().map(shown).map_err(Clone::clone));
        });
        Ok(())
    }

    fn may_publish(self, person: &Person, channel: &str) -> Result<RoomId, CommandError> {
        let room = self.subscribed(channel)?;
        if !person.identity.allows("chat", "publish", &room.resource()) {
            return Err(CommandError::denied("publish"));
        }
        let rates = &self.gateway.config.rates;
        let limits = &self.gateway.limits;
        limits.take(Payer::User(person.profile.user.clone()), rates.user).map_err(CommandError::too_many)?;
        let address = Payer::Address(self.connection.address());
        limits.take(address, rates.address).map_err(CommandError::too_many)?;
        Ok(room)
    }

    fn check_size(self, data: &RawValue) -> Result<(), CommandError> {
        let limit = self.gateway.config.limits.payload.0;
        if data.get().len() as u64 > limit {
            return Err(CommandError::new(
                ErrorCode::LimitExceeded,
                format!("`data` is longer than {limit} bytes"),
            ));
        }
        Ok(())
    }

    fn check_key(self, key: Option<&str>) -> Result<Option<&str>, CommandError> {
        let limit = self.gateway.config.limits.key;
        match key {
            Some(key) if key.is_empty() || key.len() > limit => {
                Err(CommandError::new(ErrorCode::LimitExceeded, format!("`key` must be 1 to {limit} bytes")))
            }
            _ => Ok(key),
        }
    }
}

/// An edit, a deletion or a reaction.
struct Change<'a> {
    kind: Kind,
    reference: u64,
    data: Option<&'a RawValue>,
    target: Target,
}

/// Appends to a room's stream; keys of different users do not meet.
pub(crate) fn append(
    gateway: &Gateway,
    room: &RoomId,
    from: &Profile,
    key: Option<&str>,
    payload: Bytes,
) -> patchbay_backplane::Answer<Appended> {
    let policy = gateway.config.rooms.policy(room.as_str());
    let memory = gateway.config.limits.key_memory.duration();
    gateway.context.backplane.append(Append {
        stream: room_stream(room),
        payload,
        key: key.map(|key| (format!("{}\n{key}", from.user), memory)),
        // Without history the stream keeps one entry, so that its offsets go on.
        retention: Retention { max_len: policy.history.max(1), max_age: policy.history_age.duration() },
    })
}

/// The stream, channel and presence group of a room.
pub(crate) fn room_stream(room: &RoomId) -> Name {
    Name::new("chat", "room", room.shared().clone())
}

fn accepted(
    gateway: &Gateway,
    appended: Result<Appended, patchbay_backplane::BackplaneError>,
) -> Result<Appended, CommandError> {
    let appended = appended?;
    if !appended.duplicate {
        gateway.metrics.published.inc();
    }
    Ok(appended)
}

fn shown(appended: &Appended) -> Accepted<'_> {
    Accepted {
        epoch: &appended.position.epoch.0,
        offset: appended.position.offset,
        duplicate: appended.duplicate,
    }
}

/// Requires that a message is there, and whose it is.
async fn check_target(
    gateway: &Arc<Gateway>,
    room: &RoomId,
    person: &Profile,
    reference: u64,
    target: Target,
) -> Result<(), CommandError> {
    let gone = || CommandError::new(ErrorCode::NotAvailable, "`ref` is no message in the room's history");
    let before = reference.checked_sub(1).ok_or_else(gone)?;
    let page = gateway.context.backplane.read(&room_stream(room), Cursor::After(before), 1).await?;
    let entry = page.entries.first().filter(|entry| entry.offset == reference).ok_or_else(gone)?;
    let stored =
        Stored::parse(&entry.payload).filter(|stored| stored.kind == Kind::Message).ok_or_else(gone)?;
    if target == Target::Own && stored.from.user != *person.user {
        return Err(CommandError::new(
            ErrorCode::PermissionDenied,
            "only one's own messages, or with the scope for `moderate`",
        ));
    }
    Ok(())
}
