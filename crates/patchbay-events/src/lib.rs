//! Domain events: `CloudEvents` 1.0 (JSON), appended to one stream of the backplane.
//!
//! [`Events`] writes them, on behalf of one replica of a service; [`Outbox`] makes them part of the commit of what they tell of; [`Reader`] reads
//! them, whoever wrote them. What happened to events afterwards (webhooks, bridges) is not here: this crate knows the stream and the words, and
//! nothing of those who act on them.
//!
//! An event is appended at least once as long as its writer repeats an `emit` that failed, and at most once for each id: the stream
//! remembers ids as long as it keeps events. A writer that must not tell twice derives the id from what it tells of.

mod error;
mod event;
mod kind;
mod outbox;
mod read;

pub use error::EventError;
pub use event::{CloudEvent, Event};
pub use kind::EventType;
pub use outbox::{Outbox, Told, Untold};
pub use read::{EventPage, Followed, Follower, Placed, Reader};

use patchbay_backplane::{Append, Appended, Name, Retention, SharedBackplane};
use patchbay_chassis::{Clock, Context, Ids};
use serde::Serialize;
use std::time::Duration;

/// Events that the stream keeps at most, where nothing else was said; the oldest go first.
pub const MAX_EVENTS: usize = 10_000;

/// How long the stream keeps an event, and remembers its id, where nothing else was said.
pub const MAX_AGE: Duration = Duration::from_hours(7 * 24);

/// Bytes of an event as JSON, at most.
pub const MAX_SIZE: usize = 64 * 1024;

/// The stream that all events of a suite stand in, and the channel on which they are published.
pub fn stream() -> Name {
    Name::new("events", "stream", "suite")
}

/// Writes the events of one replica. Cheap to clone.
#[derive(Clone)]
pub struct Events {
    backplane: SharedBackplane,
    clock: Clock,
    ids: Ids,
    source: String,
    retention: Retention,
}

impl Events {
    /// Writes as this replica: `/patchbay/<service>/<node>`.
    pub fn new(context: &Context) -> Self {
        let source = format!("/patchbay/{}/{}", context.service, context.node);
        Self::with(context.backplane.clone(), context.clock.clone(), context.ids.clone(), source)
    }

    /// Writes as whoever `source` says: a URI reference that is the same for all events of one origin.
    pub fn with(backplane: SharedBackplane, clock: Clock, ids: Ids, source: impl Into<String>) -> Self {
        let retention = Retention { max_len: MAX_EVENTS, max_age: MAX_AGE };
        Self { backplane, clock, ids, source: source.into(), retention }
    }

    /// Keeps something else than [`MAX_EVENTS`] and [`MAX_AGE`]. All writers of a suite should agree: each trims the stream to its own.
    #[must_use]
    pub fn retain(self, retention: Retention) -> Self {
        Self { retention, ..self }
    }

    /// Makes an event of now, with an id of its own.
    pub fn event(&self, kind: EventType, subject: impl Into<String>, data: &impl Serialize) -> Event {
        Event::new(self.ids.random_hex(32), kind, subject, self.clock.now_millis(), data)
    }

    /// Appends an event. After an error that [`EventError::is_temporary`] the same event may be given again: it is in the stream once.
    pub async fn emit(&self, event: &Event) -> Result<Appended, EventError> {
        let payload = event.payload(&self.source)?;
        let append = Append {
            stream: stream(),
            payload,
            key: Some((event.id().to_owned(), self.retention.max_age)),
            retention: self.retention,
        };
        Ok(self.backplane.append(append).await?)
    }

    /// Reads the stream.
    pub fn reader(&self) -> Reader {
        Reader::new(self.backplane.clone())
    }
}

#[cfg(test)]
#[path = "lib_tests.rs"]
mod tests;
