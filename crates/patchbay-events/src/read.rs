//! Reads the stream of events: by pages, or as they come.

use crate::{CloudEvent, EventError, stream};
use patchbay_backplane::{
    Cursor, Entry, Event as Told, Message, Page, Position, SharedBackplane, Subscriber,
};
use std::collections::VecDeque;

/// Events that wait for a follower that does not take them; then they are dropped, and it reads them from the stream.
const QUEUE: usize = 256;

/// Entries that a follower reads at once when it catches up.
const CATCH_UP: usize = 100;

/// Reads events. Cheap to clone.
#[derive(Clone)]
pub struct Reader {
    backplane: SharedBackplane,
}

/// An event and where it stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Placed {
    /// Its offset; rises with time.
    pub offset: u64,
    /// The event.
    pub event: CloudEvent,
}

/// A page of events.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EventPage {
    /// In the cursor's order. Entries that cannot be read are left out.
    pub events: Vec<Placed>,
    /// Offset of the last entry that was looked at, readable or not; where the next page begins.
    pub last: Option<u64>,
    /// Top of the stream.
    pub top: Position,
    /// Whether more follow in that direction.
    pub more: bool,
    /// Whether a page after an offset misses nothing: false where the stream does not keep that much any more.
    pub is_whole: bool,
}

/// What a follower is told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Followed {
    /// An event.
    Event(Placed),
    /// Some were lost, because the stream keeps so many at most or had to begin anew; what follows is the oldest that is kept.
    Lost,
}

impl Reader {
    /// Reads the events of the suite whose backplane this is.
    pub fn new(backplane: SharedBackplane) -> Self {
        Self { backplane }
    }

    /// Reads a page of `limit` entries at most.
    pub async fn page(&self, cursor: Cursor, limit: usize) -> Result<EventPage, EventError> {
        let page = self.backplane.read(&stream(), cursor, limit).await?;
        let is_whole = match cursor {
            Cursor::After(since) => begins_at(&page, since),
            Cursor::Before(_) => true,
        };
        let last = page.entries.last().map(|entry| entry.offset);
        let events = page.entries.iter().filter_map(placed).collect();
        Ok(EventPage { events, last, top: page.top, more: page.more, is_whole })
    }

    /// Follows events after a position, or from now on. It hears of everything that is emitted once this has returned.
    pub async fn follow(&self, since: Option<Position>) -> Result<Follower, EventError> {
        let subscriber = self.backplane.subscriber(QUEUE);
        subscriber.subscribe(&stream()).await?;
        let position = match since {
            Some(position) => position,
            None => self.page(Cursor::Before(u64::MAX), 0).await?.top,
        };
        let reader = self.clone();
        Ok(Follower { reader, subscriber, position, ready: VecDeque::new(), state: State::Behind })
    }
}

/// Whether a page after an offset begins with the entry that follows it, or there is none yet.
fn begins_at(page: &Page, since: u64) -> bool {
    match page.entries.first() {
        Some(first) => first.offset == since.saturating_add(1),
        None => since == page.top.offset,
    }
}

fn placed(entry: &Entry) -> Option<Placed> {
    let Some(event) = CloudEvent::parse(&entry.payload) else {
        tracing::warn!(
            offset = entry.offset,
            "an entry of the stream of events cannot be read; it is left out"
        );
        return None;
    };
    Some(Placed { offset: entry.offset, event })
}

/// Hears of events as they come, in order and without gaps; where there is one, it says so.
pub struct Follower {
    reader: Reader,
    subscriber: Subscriber,
    /// After the last event that is in `ready` or was given.
    position: Position,
    /// What was read and not yet given; as much as one read brings.
    ready: VecDeque<Followed>,
    state: State,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    /// What is published next follows what was given last.
    Live,
    /// The stream must be read first.
    Behind,
}

impl Follower {
    /// Waits for the next event. Cancel-safe. After an error it may be called again, and goes on where it was.
    pub async fn next(&mut self) -> Result<Followed, EventError> {
        loop {
            if let Some(followed) = self.ready.pop_front() {
                return Ok(followed);
            }
            if self.state == State::Behind {
                self.catch_up().await?;
                continue;
            }
            match self.subscriber.recv().await {
                None => return Err(EventError::Closed),
                Some(Told::Gap) => self.state = State::Behind,
                Some(Told::Message(message)) => self.take(message),
            }
        }
    }

    /// After the last event that was read from the stream; a follower that gave all it had read has given that one last.
    pub fn position(&self) -> &Position {
        &self.position
    }

    /// Takes a published event where it is the next one; reads the stream where it is not.
    fn take(&mut self, message: Message) {
        let Some(Position { epoch, offset }) = message.position else { return };
        if epoch != self.position.epoch || offset > self.position.offset.saturating_add(1) {
            self.state = State::Behind;
        } else if offset > self.position.offset {
            self.position.offset = offset;
            self.ready.extend(placed(&Entry { offset, payload: message.payload }).map(Followed::Event));
        }
    }

    /// After a change of epoch old offsets mean nothing: everything that is kept is told, some of it for the second time perhaps.
    async fn catch_up(&mut self) -> Result<(), EventError> {
        let mut page = self.reader.page(Cursor::After(self.position.offset), CATCH_UP).await?;
        let is_anew = page.top.epoch != self.position.epoch;
        if is_anew {
            page = self.reader.page(Cursor::After(0), CATCH_UP).await?;
        }
        if is_anew || !page.is_whole {
            self.ready.push_back(Followed::Lost);
        }
        self.position = Position { epoch: page.top.epoch, offset: page.last.unwrap_or(page.top.offset) };
        self.ready.extend(page.events.into_iter().map(Followed::Event));
        if !page.more {
            self.state = State::Live;
        }
        Ok(())
    }
}
