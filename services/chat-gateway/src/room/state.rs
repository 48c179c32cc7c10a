//! One room on one replica.

use super::{
    fanout::{Batch, Item, Wish},
    handle::{Subscribe, Watched},
    signal::Signal,
    timeline::{Arrival, Timeline},
};
use crate::{
    config::RoomPolicy,
    connection::Connection,
    protocol::{
        ids::{ConnectionId, RoomId},
        publication::Profile,
    },
};
use bytes::Bytes;
use patchbay_backplane::{Message, Name, Page, Position};
use std::{
    collections::HashMap,
    sync::Arc,
    time::{Duration, Instant},
};
use tokio::sync::mpsc;

/// Messages that may wait while a room opens or a gap is filled; beyond, the room starts anew.
const EARLY: usize = 4096;

/// Somebody who listens.
#[derive(Clone)]
pub struct Subscriber {
    /// Its id in this process.
    pub id: ConnectionId,
    /// How others see it; `None` for a watcher, whom nobody sees.
    pub profile: Option<Arc<Profile>>,
    /// How it is told.
    pub listener: Listener,
}

/// How somebody is told.
#[derive(Clone)]
pub enum Listener {
    /// In the native protocol.
    Native {
        /// The connection.
        connection: Arc<Connection>,
        /// What it wants to hear.
        wish: Wish,
    },
    /// In the classic protocol.
    Classic {
        /// The connection.
        connection: Arc<Connection>,
    },
    /// Over gRPC. Bounded: a watcher that is too slow is ended.
    Watch(mpsc::Sender<Watched>),
}

impl Subscriber {
    /// The connection id that others see; empty for a watcher.
    pub fn client(&self) -> &str {
        self.profile.as_ref().map_or("", |profile| &profile.client)
    }

    /// Whether it wants to hear of comings and goings.
    fn is_curious(&self) -> bool {
        !matches!(self.listener, Listener::Native { wish: Wish::NoPresence, .. })
    }

    /// The connection, unless it is a watcher.
    pub fn connection(&self) -> Option<&Arc<Connection>> {
        match &self.listener {
            Listener::Native { connection, .. } | Listener::Classic { connection } => Some(connection),
            Listener::Watch(_) => None,
        }
    }
}

/// A room and how many listen to it on this replica.
#[derive(Clone, Debug, serde::Serialize, serde::Deserialize)]
pub struct RoomCount {
    /// Name.
    pub name: Arc<str>,
    /// Subscribed connections.
    pub clients: u64,
}

/// A room.
pub struct Room {
    /// Name.
    pub id: RoomId,
    /// Stream, channel and presence group.
    pub channel: Name,
    /// What it keeps.
    pub policy: RoomPolicy,
    subscribers: HashMap<ConnectionId, Subscriber>,
    /// How many of them want to hear of comings and goings.
    curious: usize,
    /// Where the stream stands; `None` while the room opens.
    pub timeline: Option<Timeline>,
    /// The offset up to which everybody has been told; newcomers join here.
    pub flushed: u64,
    /// What the next pass tells.
    pub pending: Vec<Item>,
    /// Subscriptions that wait for the room to open or for a read.
    pub waiting: Vec<Waiting>,
    /// Reads begun so far.
    pub reads: u64,
    /// Whether the last of them is under way.
    pub reading: Reading,
    /// Whether its position is being compared.
    pub checking: bool,
    /// Entries are missing, and a read must bring them.
    pub has_gap: bool,
    /// Since when nobody listens, as far as that has been looked at.
    idle_since: Option<Instant>,
    early: Vec<Message>,
}

/// A subscription that waits, and how many reads had begun when it came: only a later one speaks for it.
pub struct Waiting {
    /// The subscription.
    pub subscribe: Subscribe,
    /// [`Room::reads`] at that time.
    pub after_read: u64,
}

/// Whether a read is under way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reading {
    /// None is.
    Idle,
    /// One is.
    UnderWay,
}

/// What a read brought.
pub struct ReadPage {
    /// Which read it was, from 1.
    pub number: u64,
    /// The entries, after the smallest offset that anybody waited for.
    pub page: Page,
}

/// How a client can be brought to where newcomers join.
#[derive(Debug, PartialEq, Eq)]
pub enum Recovery {
    /// With these entries.
    Whole(Vec<(u64, Bytes)>),
    /// Not at all: some of the entries are gone.
    Gone,
    /// It takes a read.
    Unknown,
}

/// What the shard must do after a room has taken something in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Nothing beyond what is pending.
    Fine,
    /// Entries are missing: read.
    Gap,
    /// The stream is another one, or the gap cannot be filled: start anew.
    Lost,
    /// The stream may have been changed: compare positions.
    Check,
}

impl Room {
    /// Makes a room that is about to open.
    pub fn new(id: RoomId, channel: Name, policy: RoomPolicy) -> Self {
        Self {
            id,
            channel,
            policy,
            subscribers: HashMap::new(),
            curious: 0,
            timeline: None,
            flushed: 0,
            pending: Vec::new(),
            waiting: Vec::new(),
            reads: 0,
            reading: Reading::Idle,
            checking: false,
            has_gap: false,
            idle_since: None,
            early: Vec::new(),
        }
    }

    /// Who listens.
    pub fn subscribers(&self) -> &HashMap<ConnectionId, Subscriber> {
        &self.subscribers
    }

    /// Adds a listener, or replaces it.
    pub fn add(&mut self, subscriber: Subscriber) {
        let is_curious = subscriber.is_curious();
        let before = self.subscribers.insert(subscriber.id, subscriber);
        self.curious -= usize::from(before.is_some_and(|before| before.is_curious()));
        self.curious += usize::from(is_curious);
    }

    /// Removes a listener.
    pub fn remove(&mut self, id: ConnectionId) -> Option<Subscriber> {
        let removed = self.subscribers.remove(&id)?;
        self.curious -= usize::from(removed.is_curious());
        Some(removed)
    }

    /// Takes a message from the channel.
    pub fn message(&mut self, message: Message) -> Outcome {
        let Some(position) = &message.position else { return self.signal(&message.payload) };
        let Some(timeline) = &mut self.timeline else { return self.keep_early(message) };
        if self.has_gap {
            return self.keep_early(message);
        }
        match timeline.arrive(position, &message.payload) {
            Arrival::Next => {
                self.pending.push(Item::Publication { offset: position.offset, payload: message.payload });
                Outcome::Fine
            }
            Arrival::Known => Outcome::Fine,
            Arrival::Gap => {
                self.has_gap = true;
                match self.keep_early(message) {
                    Outcome::Lost => Outcome::Lost,
                    _ => Outcome::Gap,
                }
            }
            Arrival::OtherEpoch => Outcome::Lost,
        }
    }

    /// The room's channel is subscribed, and the stream stood here at that time.
    pub fn opened(&mut self, top: Position) -> Outcome {
        self.flushed = top.offset;
        self.timeline = Some(Timeline::new(top, self.policy.history));
        self.take_early()
    }

    /// Takes the entries that a read brought; afterwards the timeline has no gap, or the room is lost.
    pub fn fill(&mut self, page: &Page) -> Outcome {
        let Some(timeline) = &mut self.timeline else { return Outcome::Fine };
        if page.top.epoch != *timeline.epoch() {
            return Outcome::Lost;
        }
        for entry in &page.entries {
            let at = Position { epoch: page.top.epoch.clone(), offset: entry.offset };
            match timeline.arrive(&at, &entry.payload) {
                Arrival::Next => {
                    self.pending
                        .push(Item::Publication { offset: entry.offset, payload: entry.payload.clone() });
                }
                Arrival::Known => {}
                Arrival::Gap | Arrival::OtherEpoch => return Outcome::Lost,
            }
        }
        if timeline.position().offset < page.top.offset {
            return Outcome::Lost;
        }
        self.has_gap = false;
        self.take_early()
    }

    /// Starts anew at a position, with nobody told of what lies between.
    pub fn restart(&mut self, top: Position) {
        self.early.clear();
        self.pending.clear();
        self.has_gap = false;
        self.flushed = top.offset;
        self.timeline = Some(Timeline::new(top, self.policy.history));
    }

    /// Works out how a client comes from an offset, which is not beyond `flushed`, to where newcomers join: from memory, or
    /// from a page that was read for it.
    pub fn recovery(&self, after: u64, page: Option<&Page>) -> Recovery {
        let Some(timeline) = &self.timeline else { return Recovery::Unknown };
        if let Some(entries) = timeline.between(after, self.flushed) {
            return Recovery::Whole(entries);
        }
        let Some(page) = page else { return Recovery::Unknown };
        let reached = page.top.offset.min(self.flushed);
        let wanted = page.entries.iter().filter(|entry| entry.offset > after && entry.offset <= reached);
        let mut entries: Vec<_> = wanted.map(|entry| (entry.offset, entry.payload.clone())).collect();
        if entries.len() as u64 != reached.saturating_sub(after) {
            return Recovery::Gone;
        }
        match timeline.between(reached, self.flushed) {
            Some(rest) => entries.extend(rest),
            // More has arrived during the read than memory holds: read again.
            None => return Recovery::Unknown,
        }
        Recovery::Whole(entries)
    }

    /// Tells everybody what is pending, at once.
    pub fn tell_pending(&mut self) {
        let items = std::mem::take(&mut self.pending);
        let mut batch = Batch::new(&self.id, &items);
        for subscriber in self.subscribers.values() {
            batch.tell(subscriber);
        }
        for watcher in batch.overrun() {
            self.remove(watcher);
        }
        self.settle();
    }

    /// Notes since when nobody listens or is about to; returns how long that has been.
    pub fn idle_for(&mut self, now: Instant) -> Option<Duration> {
        if self.subscribers.is_empty() && self.waiting.is_empty() {
            return Some(now.duration_since(*self.idle_since.get_or_insert(now)));
        }
        self.idle_since = None;
        None
    }

    /// Notes that everybody has been told what was pending.
    pub fn settle(&mut self) {
        if let Some(timeline) = &self.timeline {
            self.flushed = timeline.position().offset;
        }
    }

    fn signal(&mut self, payload: &[u8]) -> Outcome {
        // Comings and goings are frequent, and most rooms have nobody who wants to hear of them.
        if self.curious == 0 && Signal::is_presence(payload) {
            return Outcome::Fine;
        }
        match Signal::parse(payload) {
            Some(Signal::Check) => return Outcome::Check,
            Some(signal) if !self.subscribers.is_empty() => self.pending.push(Item::Signal(signal)),
            _ => {}
        }
        Outcome::Fine
    }

    fn keep_early(&mut self, message: Message) -> Outcome {
        if self.early.len() >= EARLY {
            return Outcome::Lost;
        }
        self.early.push(message);
        Outcome::Fine
    }

    fn take_early(&mut self) -> Outcome {
        for message in std::mem::take(&mut self.early) {
            match self.message(message) {
                Outcome::Fine | Outcome::Check | Outcome::Gap => {}
                Outcome::Lost => return Outcome::Lost,
            }
        }
        if self.has_gap { Outcome::Gap } else { Outcome::Fine }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use patchbay_backplane::{Entry, Epoch};

    fn at(epoch: &str, offset: u64) -> Position {
        Position { epoch: Epoch(epoch.into()), offset }
    }

    fn room_at(top: Position) -> Room {
        let channel = Name::new("chat", "room", "r");
        let id = RoomId::parse("r").unwrap();
        let mut room = Room::new(id, channel, RoomPolicy::default());
        assert_eq!(room.opened(top), Outcome::Fine);
        room
    }

    fn entry(offset: u64) -> Message {
        let payload = Bytes::from(format!("{{\"n\":{offset}}}"));
        Message { channel: Name::new("chat", "room", "r"), payload, position: Some(at("e", offset)) }
    }

    fn page(offsets: std::ops::RangeInclusive<u64>, top: u64) -> Page {
        let entries = offsets.map(|offset| Entry { offset, payload: entry(offset).payload }).collect();
        Page { entries, top: at("e", top), more: false }
    }

    fn pending(room: &Room) -> Vec<u64> {
        let offset = |item: &Item| match item {
            Item::Publication { offset, .. } => Some(*offset),
            Item::Signal(_) => None,
        };
        room.pending.iter().filter_map(offset).collect()
    }

    #[test]
    fn what_arrives_while_a_room_opens_is_told_once() {
        let channel = Name::new("chat", "room", "r");
        let mut room = Room::new(RoomId::parse("r").unwrap(), channel, RoomPolicy::default());
        for offset in [4, 5, 6] {
            assert_eq!(room.message(entry(offset)), Outcome::Fine);
        }
        assert_eq!(room.opened(at("e", 5)), Outcome::Fine);
        assert_eq!((pending(&room), room.flushed), (vec![6], 5));
    }

    #[test]
    fn a_gap_is_filled_by_a_read_in_order() {
        let mut room = room_at(at("e", 5));
        assert_eq!(room.message(entry(8)), Outcome::Gap);
        assert_eq!(room.message(entry(9)), Outcome::Fine);
        assert_eq!(pending(&room), Vec::<u64>::new());
        assert_eq!(room.fill(&page(6..=8, 8)), Outcome::Fine);
        assert_eq!(pending(&room), vec![6, 7, 8, 9]);
    }

    #[test]
    fn a_gap_that_cannot_be_filled_loses_the_room() {
        let mut room = room_at(at("e", 5));
        assert_eq!(room.message(entry(900)), Outcome::Gap);
        assert_eq!(room.fill(&page(700..=900, 900)), Outcome::Lost);
    }

    #[test]
    fn another_epoch_loses_the_room() {
        let mut room = room_at(at("old", 5));
        assert_eq!(room.message(entry(6)), Outcome::Lost);
        room.restart(at("e", 6));
        assert_eq!(room.message(entry(7)), Outcome::Fine);
        assert_eq!(pending(&room), vec![7]);
    }

    #[test]
    fn recovery_ends_where_newcomers_join() {
        let mut room = room_at(at("e", 5));
        for offset in 6..=9 {
            room.message(entry(offset));
        }
        let offsets = |recovery| match recovery {
            Recovery::Whole(entries) => {
                Some(entries.iter().map(|(offset, _): &(u64, Bytes)| *offset).collect::<Vec<_>>())
            }
            Recovery::Gone | Recovery::Unknown => None,
        };
        // Nobody has been told of 6 to 9 yet: the next pass will.
        assert_eq!(offsets(room.recovery(5, None)), Some(vec![]));
        assert_eq!(room.recovery(3, None), Recovery::Unknown);
        assert_eq!(offsets(room.recovery(3, Some(&page(4..=9, 9)))), Some(vec![4, 5]));
        room.tell_pending();
        assert_eq!(offsets(room.recovery(7, None)), Some(vec![8, 9]));
        assert_eq!(offsets(room.recovery(3, Some(&page(4..=7, 7)))), Some(vec![4, 5, 6, 7, 8, 9]));
        assert_eq!(room.recovery(3, Some(&page(5..=9, 9))), Recovery::Gone);
    }
}
