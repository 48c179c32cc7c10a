//! Fan-out to the subscribers of this process: which channel goes to whom, and what happens when one is full.
//! Both implementations deliver through it; it knows nothing of Redis or of stored entries.

use crate::{Event, Message, Name};
use parking_lot::Mutex;
use std::{
    collections::{HashMap, HashSet},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};
use tokio::sync::mpsc;

/// Channels and their local subscribers.
#[derive(Default)]
pub(crate) struct Hub {
    tables: Mutex<Tables>,
    gaps: AtomicU64,
}

#[derive(Default)]
struct Tables {
    channels: HashMap<Name, Vec<Arc<Outlet>>>,
    outlets: HashMap<u64, Arc<Outlet>>,
    next_outlet: u64,
    closed: bool,
}

impl Hub {
    /// Makes an outlet with room for `capacity` events and, beyond them, for the gap that tells of an overflow.
    pub(crate) fn outlet(&self, capacity: usize) -> (Arc<Outlet>, mpsc::Receiver<Event>) {
        let (events, receiver) = mpsc::channel(capacity.max(1) + 1);
        let mut tables = self.tables.lock();
        let end = End { events: (!tables.closed).then_some(events), ends_in_gap: false };
        let outlet = Outlet { id: tables.next_outlet, end: Mutex::new(end), channels: Mutex::default() };
        let outlet = Arc::new(outlet);
        tables.next_outlet += 1;
        tables.outlets.insert(outlet.id, outlet.clone());
        (outlet, receiver)
    }

    /// Connects; true when the channel had no local subscriber before.
    pub(crate) fn subscribe(&self, channel: &Name, outlet: &Arc<Outlet>) -> bool {
        let mut tables = self.tables.lock();
        if !outlet.channels.lock().insert(channel.clone()) {
            return false;
        }
        let outlets = tables.channels.entry(channel.clone()).or_default();
        outlets.push(outlet.clone());
        outlets.len() == 1
    }

    /// Disconnects; true when the channel has no local subscriber any more.
    pub(crate) fn unsubscribe(&self, channel: &Name, outlet: &Outlet) -> bool {
        let mut tables = self.tables.lock();
        outlet.channels.lock().remove(channel) && tables.disconnect(channel, outlet)
    }

    /// Disconnects from everything and returns the channels that have no local subscriber any more.
    pub(crate) fn remove(&self, outlet: &Outlet) -> Vec<Name> {
        let mut tables = self.tables.lock();
        tables.outlets.remove(&outlet.id);
        let subscribed = std::mem::take(&mut *outlet.channels.lock());
        subscribed.into_iter().filter(|channel| tables.disconnect(channel, outlet)).collect()
    }

    /// Whether anybody here wants a channel.
    pub(crate) fn has(&self, channel: &Name) -> bool {
        self.tables.lock().channels.contains_key(channel)
    }

    /// All channels that somebody here wants.
    pub(crate) fn channels(&self) -> Vec<Name> {
        self.tables.lock().channels.keys().cloned().collect()
    }

    /// Hands a message to every subscriber of its channel; never waits.
    pub(crate) fn deliver(&self, message: &Message) {
        let tables = self.tables.lock();
        let Some(outlets) = tables.channels.get(&message.channel) else { return };
        for outlet in outlets {
            self.push(outlet, Event::Message(message.clone()));
        }
    }

    /// Tells every subscriber that it may have missed something.
    pub(crate) fn gap_everywhere(&self) {
        for outlet in self.tables.lock().outlets.values() {
            self.push(outlet, Event::Gap);
        }
    }

    /// Ends every subscriber after the events it already has.
    pub(crate) fn close(&self) {
        let mut tables = self.tables.lock();
        tables.closed = true;
        for outlet in tables.outlets.values() {
            outlet.end.lock().events = None;
        }
    }

    /// How many gaps were told.
    pub(crate) fn gaps(&self) -> u64 {
        self.gaps.load(Ordering::Relaxed)
    }

    fn push(&self, outlet: &Outlet, event: Event) {
        if outlet.push(event) == Pushed::Gap {
            self.gaps.fetch_add(1, Ordering::Relaxed);
        }
    }
}

impl Tables {
    /// True when that was the channel's last outlet.
    fn disconnect(&mut self, channel: &Name, outlet: &Outlet) -> bool {
        let Some(outlets) = self.channels.get_mut(channel) else { return false };
        outlets.retain(|other| other.id != outlet.id);
        let is_free = outlets.is_empty();
        if is_free {
            self.channels.remove(channel);
        }
        is_free
    }
}

/// A subscriber's end of its queue. The last slot is kept for a gap: events that do not fit are dropped, and the
/// gap that stands for them is already in the queue when the subscriber gets there.
pub(crate) struct Outlet {
    id: u64,
    end: Mutex<End>,
    channels: Mutex<HashSet<Name>>,
}

struct End {
    /// `None` once the backplane has been closed.
    events: Option<mpsc::Sender<Event>>,
    ends_in_gap: bool,
}

#[derive(PartialEq, Eq)]
enum Pushed {
    Message,
    Gap,
    Dropped,
}

impl Outlet {
    fn push(&self, event: Event) -> Pushed {
        let mut end = self.end.lock();
        let End { events: Some(events), ends_in_gap } = &mut *end else { return Pushed::Dropped };
        let is_full = events.capacity() <= 1;
        let has_unread = events.capacity() < events.max_capacity();
        if *ends_in_gap && has_unread && (is_full || event == Event::Gap) {
            return Pushed::Dropped;
        }
        let event = if is_full { Event::Gap } else { event };
        *ends_in_gap = event == Event::Gap;
        let pushed = if *ends_in_gap { Pushed::Gap } else { Pushed::Message };
        // A closed queue belongs to a subscriber that is being dropped.
        if events.try_send(event).is_ok() { pushed } else { Pushed::Dropped }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use bytes::Bytes;

    fn message(channel: &Name, text: &'static str) -> Message {
        Message { channel: channel.clone(), payload: Bytes::from_static(text.as_bytes()), position: None }
    }

    #[test]
    fn overflow_is_told_by_one_gap_in_its_place() {
        let hub = Hub::default();
        let channel = Name::new("test", "room", "a");
        let (outlet, mut events) = hub.outlet(2);
        assert!(hub.subscribe(&channel, &outlet));
        for text in ["1", "2", "3", "4"] {
            hub.deliver(&message(&channel, text));
        }
        assert_eq!(events.try_recv().unwrap(), Event::Message(message(&channel, "1")));
        hub.deliver(&message(&channel, "5"));
        assert_eq!(events.try_recv().unwrap(), Event::Message(message(&channel, "2")));
        assert_eq!(events.try_recv().unwrap(), Event::Gap);
        hub.deliver(&message(&channel, "6"));
        assert_eq!(events.try_recv().unwrap(), Event::Message(message(&channel, "6")));
        assert_eq!(hub.gaps(), 1);
    }

    #[test]
    fn a_channel_is_free_when_its_last_outlet_goes() {
        let hub = Hub::default();
        let channel = Name::new("test", "room", "a");
        let (first, _first_events) = hub.outlet(2);
        let (second, _second_events) = hub.outlet(2);
        assert!(hub.subscribe(&channel, &first));
        assert!(!hub.subscribe(&channel, &second));
        assert!(!hub.unsubscribe(&channel, &first));
        assert_eq!(hub.remove(&second), vec![channel]);
    }

    #[test]
    fn closing_ends_subscribers_after_what_they_have() {
        let hub = Hub::default();
        let channel = Name::new("test", "room", "a");
        let (outlet, mut events) = hub.outlet(2);
        hub.subscribe(&channel, &outlet);
        hub.deliver(&message(&channel, "last"));
        hub.close();
        hub.deliver(&message(&channel, "late"));
        assert_eq!(events.try_recv().unwrap(), Event::Message(message(&channel, "last")));
        assert_eq!(events.try_recv(), Err(mpsc::error::TryRecvError::Disconnected));
        assert!(
            hub.outlet(1).1.try_recv().is_err_and(|error| error == mpsc::error::TryRecvError::Disconnected)
        );
    }
}
