//! The verbs that listen, look and signal: everything but publishing.

use super::{
    handle::Person,
    session::{Session, answer, leave, parse_room},
};
use crate::{
    protocol::{
        command::{Channel, History, Presence, Receipt, Subscribe, Typing},
        error::{CommandError, ErrorCode},
        ids::RoomId,
        publication::write_publications,
        reply,
    },
    room::{
        Command, Subscribe as Subscription,
        fanout::Wish,
        handle::Answer,
        shown,
        signal::{self, Signal},
        state::{Listener, Subscriber},
        subscribing,
    },
};
use patchbay_backplane::{Cursor, Epoch, Name, Page, Position};
use patchbay_websocket::encode;
use serde::Serialize;
use std::{collections::BTreeMap, sync::Arc, time::Duration};

/// Publications of a history page when the client does not say how many.
const HISTORY_PAGE: usize = 50;
/// Members of a presence answer when the client does not say how many.
const PRESENCE_PAGE: usize = 200;
/// Users whose marks are told.
const MARKS: usize = 1000;
/// How long marks are kept after the last one was raised.
const MARKS_AGE: Duration = Duration::from_hours(30 * 24);

#[derive(Serialize)]
struct Empty {}

#[derive(Serialize)]
struct Members {
    members: Vec<signal::MemberShown>,
    total: usize,
}

#[derive(Serialize)]
struct Stats {
    clients: usize,
    users: usize,
}

/// The marks of one user, as they stand.
#[derive(Serialize)]
struct Stands {
    delivered: u64,
    read: u64,
}

impl Session<'_> {
    pub(super) fn subscribe(
        self,
        id: u64,
        person: &Person,
        verb: &Subscribe<'_>,
    ) -> Result<(), CommandError> {
        let room = parse_room(&verb.channel)?;
        let reserved = &self.gateway.config.rooms.reserved_prefixes;
        let is_reserved = reserved.iter().any(|prefix| room.as_str().starts_with(prefix.as_str()));
        if is_reserved || !person.identity.allows("chat", "subscribe", &room.resource()) {
            return Err(CommandError::denied("subscribe"));
        }
        self.connection.enter(&room, self.gateway.config.limits.rooms)?;
        let wish = if verb.join_leave { Wish::All } else { Wish::NoPresence };
        let recover = verb
            .recover
            .as_ref()
            .map(|from| Position { epoch: Epoch(from.epoch.as_ref().into()), offset: from.offset });
        let subscriber = Subscriber {
            id: self.connection.id,
            profile: Some(person.profile.clone()),
            listener: Listener::Native { connection: self.connection.clone(), wish },
        };
        let subscription =
            Subscription { room: room.clone(), subscriber, recover, answer: Answer::Command(id) };
        if let Err(Command::Subscribe(refused)) =
            self.gateway.rooms.try_send(&room, Command::Subscribe(subscription))
        {
            subscribing::refuse(refused);
        }
        Ok(())
    }

    pub(super) fn unsubscribe(self, id: u64, verb: &Channel<'_>) -> Result<(), CommandError> {
        let room = self.subscribed(&verb.channel)?;
        self.connection.exit(&room);
        leave(self.gateway, self.connection, &room);
        self.reply(id, &Empty {});
        Ok(())
    }

    pub(super) fn history(self, id: u64, person: &Person, verb: &History<'_>) -> Result<(), CommandError> {
        let room = self.may(person, "history", &verb.channel)?;
        if self.gateway.config.rooms.policy(room.as_str()).history == 0 {
            return Err(CommandError::new(ErrorCode::NotAvailable, "this channel keeps no history"));
        }
        let cursor = match (verb.after, verb.before) {
            (Some(_), Some(_)) => {
                return Err(CommandError::new(ErrorCode::BadRequest, "either `after` or `before`, not both"));
            }
            (Some(after), None) => Cursor::After(after),
            (None, before) => Cursor::Before(before.unwrap_or(u64::MAX)),
        };
        let limit = verb.limit.unwrap_or(HISTORY_PAGE).clamp(1, self.gateway.config.limits.history_page);
        let epoch = verb.epoch.as_deref().map(str::to_owned);
        let place = self.begin()?;
        let page = self.gateway.context.backplane.read(&room_name(&room), cursor, limit);
        let gateway = self.gateway.clone();
        self.gateway.context.tasks.spawn_light(async move {
            match page.await {
                Ok(page) if epoch.as_deref().is_none_or(|epoch| *epoch == *page.top.epoch.0) => {
                    place.outbound.send(&encode::text_frame(&history_page(id, &page)));
                }
                Ok(_) => answer(&gateway, &place, id, Err::<(), _>(other_epoch())),
                Err(error) => answer(&gateway, &place, id, Err::<(), _>(error.into())),
            }
        });
        Ok(())
    }

    pub(super) fn presence(self, id: u64, person: &Person, verb: &Presence<'_>) -> Result<(), CommandError> {
        let room = self.may_look(person, &verb.channel)?;
        let limit = verb.limit.unwrap_or(PRESENCE_PAGE).min(self.gateway.config.limits.presence_page);
        let place = self.begin()?;
        let members = self.gateway.context.backplane.members(&room_name(&room), limit);
        let gateway = self.gateway.clone();
        self.gateway.context.tasks.spawn_light(async move {
            let outcome = members.await.map_err(CommandError::from).map(|found| Members {
                members: found.members.iter().map(shown).collect(),
                total: found.total,
            });
            answer(&gateway, &place, id, outcome);
        });
        Ok(())
    }

    pub(super) fn presence_stats(
        self,
        id: u64,
        person: &Person,
        verb: &Channel<'_>,
    ) -> Result<(), CommandError> {
        let room = self.may_look(person, &verb.channel)?;
        let place = self.begin()?;
        let stats = self.gateway.context.backplane.stats(&room_name(&room));
        let gateway = self.gateway.clone();
        self.gateway.context.tasks.spawn_light(async move {
            let outcome = stats.await.map_err(CommandError::from);
            answer(&gateway, &place, id, outcome.map(|s| Stats { clients: s.clients, users: s.users }));
        });
        Ok(())
    }

    pub(super) fn typing(self, id: u64, person: &Person, verb: &Typing<'_>) -> Result<(), CommandError> {
        let room = self.may(person, "publish", &verb.channel)?;
        let profile = &person.profile;
        let signal = Signal::Typing(signal::Typing {
            client: profile.client.clone(),
            user: profile.user.clone(),
            name: profile.name.clone(),
            active: verb.active,
        });
        self.tell_room(&room, &signal);
        self.reply(id, &Empty {});
        Ok(())
    }

    pub(super) fn receipt(self, id: u64, person: &Person, verb: &Receipt<'_>) -> Result<(), CommandError> {
        const MAX_OFFSET: u64 = (1 << 53) - 1;
        let room = self.subscribed(&verb.channel)?;
        let read = verb.read.unwrap_or(0);
        let delivered = verb.delivered.unwrap_or(0).max(read);
        if delivered == 0 || delivered > MAX_OFFSET {
            return Err(CommandError::new(
                ErrorCode::BadRequest,
                "`delivered` or `read` must be an offset from 1",
            ));
        }
        let place = self.begin()?;
        let backplane = &self.gateway.context.backplane;
        let user = person.profile.user.clone();
        let raised_delivered = backplane.raise(&marks_name(&room), &format!("d{user}"), delivered, MARKS_AGE);
        let raised_read = backplane.raise(&marks_name(&room), &format!("r{user}"), read, MARKS_AGE);
        let gateway = self.gateway.clone();
        self.gateway.context.tasks.spawn_light(async move {
            let outcome = async {
                let (delivered, read) = (raised_delivered.await?, raised_read.await?);
                let receipt = signal::Receipt { user, delivered: delivered.value, read: read.value };
                if delivered.raised || read.raised {
                    let signal = Signal::Receipt(receipt.clone());
                    gateway.context.backplane.publish(&room_name(&room), signal.encode()).await?;
                }
                Ok::<_, CommandError>(receipt)
            };
            let outcome = outcome.await.map(|r| Stands { delivered: r.delivered, read: r.read });
            answer(&gateway, &place, id, outcome);
        });
        Ok(())
    }

    pub(super) fn receipts(self, id: u64, verb: &Channel<'_>) -> Result<(), CommandError> {
        let room = self.subscribed(&verb.channel)?;
        let place = self.begin()?;
        let marks = self.gateway.context.backplane.marks(&marks_name(&room), 2 * MARKS);
        let gateway = self.gateway.clone();
        self.gateway.context.tasks.spawn_light(async move {
            let outcome = marks.await.map_err(CommandError::from).map(collect_marks);
            answer(&gateway, &place, id, outcome);
        });
        Ok(())
    }

    fn may(self, person: &Person, action: &str, channel: &str) -> Result<RoomId, CommandError> {
        let room = self.subscribed(channel)?;
        if person.identity.allows("chat", action, &room.resource()) {
            Ok(room)
        } else {
            Err(CommandError::denied(action))
        }
    }

    fn may_look(self, person: &Person, channel: &str) -> Result<RoomId, CommandError> {
        let room = self.may(person, "presence", channel)?;
        if self.gateway.config.rooms.policy(room.as_str()).presence {
            Ok(room)
        } else {
            Err(CommandError::new(ErrorCode::NotAvailable, "this channel keeps no presence"))
        }
    }

    /// Publishes a signal; a loss is not told, since nothing depends on it.
    fn tell_room(self, room: &RoomId, signal: &Signal) {
        let answer = self.gateway.context.backplane.publish(&room_name(room), signal.encode());
        self.gateway.context.tasks.spawn_light(async move {
            if let Err(error) = answer.await {
                tracing::debug!(%error, "a signal was lost");
            }
        });
    }
}

fn room_name(room: &RoomId) -> Name {
    super::publishing::room_stream(room)
}

fn marks_name(room: &RoomId) -> Name {
    Name::new("chat", "receipts", room.shared().clone())
}

fn other_epoch() -> CommandError {
    CommandError::new(ErrorCode::UnrecoverablePosition, "the cursor is of another epoch: start from the top")
}

fn history_page(id: u64, page: &Page) -> Vec<u8> {
    let mut text = reply::open_result(id);
    let Position { epoch, offset } = &page.top;
    text.extend_from_slice(
        format!("{{\"epoch\":\"{epoch}\",\"offset\":{offset},\"publications\":").as_bytes(),
    );
    write_publications(&mut text, page.entries.iter().map(|entry| (entry.offset, entry.payload.as_ref())));
    text.extend_from_slice(format!(",\"more\":{}}}}}", page.more).as_bytes());
    text
}

#[derive(Serialize)]
struct Marks {
    marks: Vec<Mark>,
}

#[derive(Serialize)]
struct Mark {
    user: Arc<str>,
    delivered: u64,
    read: u64,
}

fn collect_marks(fields: Vec<(String, u64)>) -> Marks {
    let mut users: BTreeMap<Arc<str>, (u64, u64)> = BTreeMap::new();
    for (field, value) in fields {
        let Some((kind, user)) = field.split_at_checked(1) else { continue };
        let marks = users.entry(user.into()).or_default();
        match kind {
            "d" => marks.0 = value,
            _ => marks.1 = value,
        }
    }
    let mark = |(user, (delivered, read))| Mark { user, delivered, read };
    Marks { marks: users.into_iter().map(mark).take(MARKS).collect() }
}
