//! How a subscription comes about: with a recovery that is whole, or none.

use super::{
    fanout::Item,
    handle::{Answer, Subscribe, Watched},
    shard::Shard,
    state::{Listener, ReadPage, Recovery, Room, Subscriber},
};
use crate::protocol::{
    error::{CommandError, ErrorCode},
    ids::RoomId,
    publication::write_publications,
    reply::{self, Unsubscribed},
};
use bytes::Bytes;
use patchbay_backplane::{Page, Position};
use patchbay_websocket::encode;

impl Shard {
    /// Serves the subscriptions that wait in a room, as far as that can be done with what is at hand and with `page`.
    pub(super) fn serve_waiting(&mut self, id: &RoomId, page: Option<&ReadPage>) {
        let Some(room) = self.rooms.get_mut(id) else { return };
        if room.timeline.is_none() {
            return;
        }
        for waiting in std::mem::take(&mut room.waiting) {
            let page = page.filter(|read| read.number > waiting.after_read).map(|read| &read.page);
            match recovery(room, waiting.subscribe.recover.as_ref(), page) {
                Recovery::Unknown => room.waiting.push(waiting),
                recovery => {
                    let max_bytes = self.gateway.config.limits.recovery.0;
                    if let Some(subscriber) = admit(room, waiting.subscribe, recovery, max_bytes) {
                        self.announcements.joined(room, &subscriber);
                        room.add(subscriber);
                    }
                }
            }
        }
        if !room.waiting.is_empty() {
            self.read(id);
        }
    }

    /// Refuses the subscriptions that wait in a room: the backplane is away.
    pub(super) fn refuse_waiting(&mut self, id: &RoomId) {
        let Some(room) = self.rooms.get_mut(id) else { return };
        for waiting in std::mem::take(&mut room.waiting) {
            refuse(waiting.subscribe);
        }
    }

    /// Takes in a new profile.
    pub(super) fn rename(&mut self, id: &RoomId, subscriber: Subscriber) {
        let Some(room) = self.rooms.get_mut(id) else { return };
        if !room.subscribers().contains_key(&subscriber.id) {
            return;
        }
        self.announcements.renamed(room, &subscriber);
        room.add(subscriber);
    }
}

/// Answers a subscription that cannot be had now.
pub(crate) fn refuse(subscribe: Subscribe) {
    let Subscribe { room, subscriber, answer, .. } = subscribe;
    if let Some(connection) = subscriber.connection() {
        connection.exit(&room);
    }
    match (answer, &subscriber.listener) {
        (Answer::Command(id), Listener::Native { connection, .. }) => {
            let error = CommandError::new(ErrorCode::Unavailable, "the backplane is away, try again");
            connection.outbound.send(&encode::text_frame(&reply::error(id, &error)));
        }
        (Answer::Channel(sender), _) => drop(sender.send(false)),
        (_, Listener::Watch(sender)) => drop(sender.try_send(Watched::Unavailable)),
        _ => {}
    }
}

/// Tells a listener that the stream cannot be followed any more.
pub(super) fn tell_lost(room: &Room, subscriber: &Subscriber) {
    match &subscriber.listener {
        Listener::Native { connection, .. } => {
            connection.exit(&room.id);
            let mut text = Vec::new();
            reply::push(&mut text, &room.id, "unsub", &Unsubscribed::INSUFFICIENT_STATE);
            connection.outbound.send(&encode::text_frame(&text));
        }
        Listener::Classic { .. } => {}
        Listener::Watch(sender) => drop(sender.try_send(Watched::Unrecoverable)),
    }
}

/// Works out what of the past a subscriber gets; nothing to recover counts as gone.
fn recovery(room: &mut Room, wanted: Option<&Position>, page: Option<&Page>) -> Recovery {
    let (Some(wanted), Some(timeline)) = (wanted, &room.timeline) else { return Recovery::Gone };
    if wanted.epoch != *timeline.epoch() {
        return Recovery::Gone;
    }
    if wanted.offset > timeline.position().offset {
        // The client has seen more than this replica: the rest is on its way, unless a read says otherwise.
        return if page.is_some() { Recovery::Gone } else { Recovery::Unknown };
    }
    if wanted.offset > room.flushed {
        // The client has seen what others here are about to be told: tell them now, so that it joins after it.
        room.tell_pending();
    }
    room.recovery(wanted.offset, page)
}

/// Answers a subscription; returns the subscriber, unless it was a watcher that cannot be served.
fn admit(room: &Room, subscribe: Subscribe, recovery: Recovery, max_bytes: u64) -> Option<Subscriber> {
    let Subscribe { subscriber, answer, .. } = subscribe;
    let epoch = room.timeline.as_ref()?.epoch().clone();
    let position = Position { epoch, offset: room.flushed };
    let (recovered, entries) = match recovery {
        Recovery::Whole(entries) if bytes(&entries) <= max_bytes => ("true", entries),
        _ => ("false", Vec::new()),
    };
    match (answer, &subscriber.listener) {
        (Answer::Command(id), Listener::Native { connection, .. }) => {
            let mut text = reply::open_result(id);
            let Position { epoch, offset } = &position;
            let head = format!(
                "{{\"epoch\":\"{epoch}\",\"offset\":{offset},\"recovered\":{recovered},\"publications\":"
            );
            text.extend_from_slice(head.as_bytes());
            write_publications(
                &mut text,
                entries.iter().map(|(offset, payload)| (*offset, payload.as_ref())),
            );
            text.extend_from_slice(b"}}");
            connection.outbound.send(&encode::text_frame(&text));
        }
        (Answer::Push, Listener::Native { connection, .. }) => {
            let mut text = Vec::new();
            let Position { epoch, offset } = &position;
            let body = serde_json::json!({"epoch": epoch.0, "offset": offset});
            reply::push(&mut text, &room.id, "sub", &body);
            connection.outbound.send(&encode::text_frame(&text));
        }
        (Answer::Channel(sender), _) => drop(sender.send(true)),
        (Answer::Watch, Listener::Watch(sender)) => {
            let wanted_the_past = subscribe.recover.is_some();
            if wanted_the_past && recovered == "false" {
                drop(sender.try_send(Watched::Unrecoverable));
                return None;
            }
            sender.try_send(Watched::Started(position)).ok()?;
            for (offset, payload) in entries {
                sender.try_send(Watched::Item(Item::Publication { offset, payload })).ok()?;
            }
        }
        _ => {}
    }
    Some(subscriber)
}

fn bytes(entries: &[(u64, Bytes)]) -> u64 {
    entries.iter().map(|(_, payload)| payload.len() as u64).sum()
}
