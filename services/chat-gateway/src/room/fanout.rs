//! One pass of messages to everybody in a room. What waits is encoded once for each kind of listener; a connection whose
//! socket takes it costs one write and no copy.

use super::{
    handle::Watched,
    signal::Signal,
    state::{Listener, Subscriber},
};
use crate::protocol::{
    classic,
    ids::{ConnectionId, RoomId},
    publication::{Stored, write_publication},
    reply,
};
use bytes::Bytes;
use patchbay_websocket::encode;

/// A frame is ended when it has grown beyond this, so that no client gets a frame of megabytes.
const FRAME: usize = 64 * 1024;

/// Something to tell.
#[derive(Clone, Debug)]
pub enum Item {
    /// An entry of the stream.
    Publication {
        /// Its offset.
        offset: u64,
        /// Its content, as the backplane has it.
        payload: Bytes,
    },
    /// A signal.
    Signal(Signal),
}

/// Which items a native listener gets.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Wish {
    /// Everything.
    All,
    /// Without comings and goings.
    NoPresence,
}

/// How well a listener keeps up.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Pace {
    /// Nothing waits for it.
    Idle,
    /// Something waits: what can be dropped is.
    Pressed,
}

/// The items of one pass, encoded on demand, once for each kind of listener.
pub struct Batch<'a> {
    room: &'a RoomId,
    items: &'a [Item],
    has_droppable: bool,
    native: [Option<Vec<Bytes>>; 4],
    classic: Option<Vec<Bytes>>,
    /// Connections that are not told of their own coming and going in the classic protocol.
    newcomers: Vec<&'a str>,
    overrun: Vec<ConnectionId>,
}

impl<'a> Batch<'a> {
    /// Prepares a pass.
    pub fn new(room: &'a RoomId, items: &'a [Item]) -> Self {
        let newcomers = items.iter().filter_map(newcomer).collect();
        let has_droppable = items.iter().any(is_droppable);
        Self {
            room,
            items,
            has_droppable,
            native: Default::default(),
            classic: None,
            newcomers,
            overrun: Vec::new(),
        }
    }

    /// Tells one listener; returns how many items it got.
    pub fn tell(&mut self, subscriber: &Subscriber) -> usize {
        match &subscriber.listener {
            Listener::Native { connection, wish } => {
                let pressed = self.has_droppable && connection.outbound.is_pressed();
                let pace = if pressed { Pace::Pressed } else { Pace::Idle };
                for frame in self.native(*wish, pace) {
                    connection.outbound.send(frame);
                }
            }
            Listener::Classic { connection } => {
                let own = subscriber.client();
                if self.newcomers.contains(&own) {
                    for frame in encode_classic(self.items, Some(own)) {
                        connection.outbound.send(&frame);
                    }
                } else {
                    for frame in self.classic() {
                        connection.outbound.send(frame);
                    }
                }
            }
            Listener::Watch(sender) => {
                let told = self.items.iter().all(|item| sender.try_send(Watched::Item(item.clone())).is_ok());
                if !told {
                    self.overrun.push(subscriber.id);
                }
            }
        }
        self.items.len()
    }

    /// Watchers that are too slow: when they are dropped from the room, their streams end with an error.
    pub fn overrun(self) -> Vec<ConnectionId> {
        self.overrun
    }

    fn native(&mut self, wish: Wish, pace: Pace) -> &[Bytes] {
        let index = usize::from(wish == Wish::NoPresence) * 2 + usize::from(pace == Pace::Pressed);
        self.native[index].get_or_insert_with(|| encode_native(self.room, self.items, wish, pace))
    }

    fn classic(&mut self) -> &[Bytes] {
        self.classic.get_or_insert_with(|| encode_classic(self.items, None))
    }
}

fn newcomer(item: &Item) -> Option<&str> {
    match item {
        Item::Signal(Signal::Join(presence) | Signal::Leave(presence)) => Some(&presence.member.client),
        _ => None,
    }
}

fn is_droppable(item: &Item) -> bool {
    matches!(item, Item::Signal(Signal::Typing(_)))
}

fn encode_native(room: &RoomId, items: &[Item], wish: Wish, pace: Pace) -> Vec<Bytes> {
    let mut frames = Vec::with_capacity(1);
    let mut text = Vec::with_capacity(256 * items.len());
    for item in items {
        if pace == Pace::Pressed && is_droppable(item) {
            continue;
        }
        let before = text.len();
        if before > 0 {
            text.push(b'\n');
        }
        if !write_native(&mut text, room, item, wish) {
            text.truncate(before);
        }
        if text.len() > FRAME {
            frames.push(encode::text_frame(&text));
            text.clear();
        }
    }
    if !text.is_empty() {
        frames.push(encode::text_frame(&text));
    }
    frames
}

/// Writes one item; tells whether this listener gets it at all.
fn write_native(out: &mut Vec<u8>, room: &RoomId, item: &Item, wish: Wish) -> bool {
    match item {
        Item::Publication { offset, payload } => {
            reply::open_push(out, room);
            out.extend_from_slice(b"\"pub\":");
            write_publication(out, *offset, payload);
            out.extend_from_slice(b"}}");
        }
        Item::Signal(Signal::Typing(body)) => reply::push(out, room, "typing", body),
        Item::Signal(Signal::Receipt(body)) => reply::push(out, room, "receipt", body),
        Item::Signal(Signal::Check) => return false,
        Item::Signal(_) if wish == Wish::NoPresence => return false,
        Item::Signal(Signal::Join(body) | Signal::Profile(body)) => {
            reply::push(out, room, "join", &body.member);
        }
        Item::Signal(Signal::Leave(body)) => reply::push(out, room, "leave", &body.member),
    }
    true
}

/// Classic clients know one object a frame. `own` is the client that is not told of its own coming and going.
fn encode_classic(items: &[Item], own: Option<&str>) -> Vec<Bytes> {
    let wanted = items.iter().filter(|item| own.is_none() || newcomer(item) != own);
    wanted.filter_map(classic_text).map(|text| encode::text_frame(&text)).collect()
}

fn classic_text(item: &Item) -> Option<Vec<u8>> {
    match item {
        Item::Publication { payload, .. } => {
            let stored = Stored::parse(payload)?;
            classic::Outbound::publication(&stored).map(|out| out.encode())
        }
        Item::Signal(Signal::Join(presence)) => {
            Some(classic::Outbound::joined(&presence.member.name, presence.count?).encode())
        }
        Item::Signal(Signal::Leave(presence)) => {
            Some(classic::Outbound::left(&presence.member.name, presence.count?).encode())
        }
        Item::Signal(Signal::Profile(presence)) => {
            let member = &presence.member;
            let update = classic::Outbound::UserUpdate {
                client_id: &member.client,
                username: &member.name,
                avatar: &member.avatar,
            };
            Some(update.encode())
        }
        Item::Signal(Signal::Typing(_) | Signal::Receipt(_) | Signal::Check) => None,
    }
}
