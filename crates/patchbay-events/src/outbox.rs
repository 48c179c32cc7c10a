//! Events that are told of what was committed: each is written in the same commit as what it tells of, and appended to the stream of events
//! afterwards, by whichever replica comes first.
//!
//! So an event is told at least once, whatever dies in between, and never of what did not happen. Its id is derived from what it tells of; as
//! long as the stream remembers it, telling it again changes nothing.

use crate::{Event, EventError, EventType, Events};
use patchbay_backplane::{Change, Expect, Name, Order, Record, Scan};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::time::Duration;
use tokio::time::{MissedTickBehavior, interval};

/// How often it is looked for what is left, for when nobody was told of a commit.
const SWEEP: Duration = Duration::from_secs(15);

/// Rows read at once.
const PAGE: usize = 100;

/// Commits that may wait to be noticed; what is more is noticed all the same, because all rows are read.
const NOTICES: usize = 4;

/// An event that is to be told. As JSON it is a row's value, which replicas of other versions read too.
#[derive(Debug, Serialize, Deserialize)]
pub struct Untold {
    id: String,
    /// A text, because a newer replica may have written one that this one does not know.
    #[serde(rename = "type")]
    kind: String,
    subject: String,
    millis: u64,
    data: Value,
}

impl Untold {
    /// `id` is derived from what it tells of; `millis` is when that happened, since 1970.
    pub fn new(
        kind: EventType,
        id: impl Into<String>,
        subject: impl Into<String>,
        millis: u64,
        data: Value,
    ) -> Self {
        Self { id: id.into(), kind: kind.word().to_owned(), subject: subject.into(), millis, data }
    }
}

/// Where events wait to be told: the rows of a table whose keys begin with a prefix. No other row of that table may begin so.
#[derive(Clone, Debug)]
pub struct Outbox {
    table: Name,
    prefix: &'static str,
}

/// What was done with rows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Told {
    /// Rows that are done with, whoever appended their events.
    pub rows: usize,
    /// Events among them that this writer has appended.
    pub new: u64,
}

/// What became of a row.
#[derive(Clone, Copy, Debug)]
enum Outcome {
    /// Its event was appended.
    Appended,
    /// The stream had its event already.
    Known,
    /// It can never be told; it is dropped, because it must not keep others from being told.
    Dropped,
    /// It is left for a replica that knows its type: one of a newer version, in the middle of an upgrade.
    Left,
}

impl Outbox {
    /// The table has the service and the id of those with which it is committed, and is on the backplane of the [`Events`] that tell of it.
    pub const fn new(table: Name, prefix: &'static str) -> Self {
        Self { table, prefix }
    }

    /// The change that is part of the commit of what an event tells of. Rows are told in the order of their keys: by time, and at one time by `after_time`,
    /// which tells them apart.
    pub fn change(&self, untold: &Untold, after_time: &str) -> Change {
        let value = serde_json::to_vec(untold).expect("strings, numbers and JSON always encode");
        let key = format!("{}{:020}-{after_time}", self.prefix, untold.millis);
        Change { table: self.table.clone(), key, expect: Expect::Anything, value: Some(value.into()) }
    }

    /// Tells whatever is written there. Never ends. `on_told` hears of each round that did something.
    ///
    /// Every replica hears of every commit and tells what it finds: who comes second finds nothing, or repeats what the stream knows.
    pub async fn run(&self, events: &Events, on_told: impl Fn(Told)) {
        let mut subscriber = events.backplane.subscriber(NOTICES);
        let mut is_subscribed = false;
        let mut sweeps = interval(SWEEP);
        sweeps.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            // Cancel-safe: what is dropped is only a notice, and every round reads all rows.
            tokio::select! {
                _ = sweeps.tick() => {
                    if !is_subscribed {
                        is_subscribed = subscriber.subscribe(&self.table).await.is_ok();
                    }
                }
                notice = subscriber.recv(), if is_subscribed => is_subscribed = notice.is_some(),
            }
            let mut told = Told::default();
            match self.tell_into(events, &mut told).await {
                Err(error) if error.is_temporary() => tracing::debug!(%error, "events are left to be told"),
                Err(error) => {
                    tracing::warn!(%error, "an event cannot be told, and holds back those after it");
                }
                Ok(()) => {}
            }
            // Before a failure something may have been told too.
            if told != Told::default() {
                on_told(told);
            }
        }
    }

    /// Tells everything that is there.
    pub async fn tell_all(&self, events: &Events) -> Result<Told, EventError> {
        let mut told = Told::default();
        self.tell_into(events, &mut told).await.map(|()| told)
    }

    async fn tell_into(&self, events: &Events, told: &mut Told) -> Result<(), EventError> {
        let mut after = None;
        loop {
            let scan = Scan { prefix: self.prefix.to_owned(), after, order: Order::Ascending, limit: PAGE };
            let page = events.backplane.scan(&self.table, scan).await?;
            for record in &page.records {
                self.tell(events, record, told).await?;
            }
            after = page.records.last().map(|record| record.key.clone());
            if !page.more {
                return Ok(());
            }
        }
    }

    /// Tells a row, and removes it unless it is left for others.
    async fn tell(&self, events: &Events, record: &Record, told: &mut Told) -> Result<(), EventError> {
        match append(events, record).await? {
            Outcome::Left => return Ok(()),
            Outcome::Appended => told.new += 1,
            Outcome::Known | Outcome::Dropped => {}
        }
        let (key, expect) = (record.key.clone(), Expect::Revision(record.revision));
        let removal = Change { table: self.table.clone(), key, expect, value: None };
        // A conflict means that another replica has removed it.
        events.backplane.commit(vec![removal]).await?;
        told.rows += 1;
        Ok(())
    }
}

async fn append(events: &Events, record: &Record) -> Result<Outcome, EventError> {
    let untold = match serde_json::from_slice::<Untold>(&record.value) {
        Ok(untold) => untold,
        Err(error) => return Ok(dropped(&record.key, &error)),
    };
    let Some(kind) = EventType::parse(&untold.kind) else { return Ok(Outcome::Left) };
    let event = Event::new(untold.id, kind, untold.subject, untold.millis, &untold.data);
    match events.emit(&event).await {
        Ok(appended) if appended.duplicate => Ok(Outcome::Known),
        Ok(_) => Ok(Outcome::Appended),
        Err(EventError::Backplane(error)) => Err(error.into()),
        Err(error) => Ok(dropped(&record.key, &error)),
    }
}

fn dropped(row: &str, error: &dyn std::error::Error) -> Outcome {
    tracing::error!(row, %error, "an event can never be told; it is dropped");
    Outcome::Dropped
}

#[cfg(test)]
#[path = "outbox_tests.rs"]
mod tests;
