//! Events that are told of what was committed: each is written in the same commit as what it tells of, and appended to the stream of events
//! afterwards, by whichever replica comes first.
//!
//! So an event is told at least once, whatever dies in between, and never of what did not happen. Its id is derived from what it tells of; as long as the
//! stream remembers it, telling it again changes nothing.

use crate::{
    core::Core,
    error::Error,
    store::{Store, Table, parse},
};
use patchbay_backplane::{Change, Expect, Order, Record, Scan};
use patchbay_events::{Event, EventError, EventType, Events};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use std::{sync::Arc, time::Duration};
use tokio::time::MissedTickBehavior;

/// What rows begin with.
const ROWS: &str = "outbox/";

/// How often it is looked for what is left, for when nobody was told of a commit.
const SWEEP: Duration = Duration::from_secs(15);

/// Rows read at once.
const PAGE: usize = 100;

/// Commits that may wait to be noticed; what is more is noticed all the same, because all rows are read.
const NOTICES: usize = 4;

/// An event that is to be told.
#[derive(Serialize, Deserialize)]
struct Untold {
    id: String,
    #[serde(rename = "type")]
    kind: String,
    subject: String,
    millis: u64,
    data: Value,
}

/// Says that a key has a new version; part of the commit that makes it. Tells names and numbers, never material.
pub(crate) fn key_rotated(key: &str, key_id: &str, version: u32, millis: u64) -> Result<Change, Error> {
    let untold = Untold {
        id: format!("key.rotated-{key_id}-{version}"),
        kind: EventType::KeyRotated.word().to_owned(),
        subject: key.to_owned(),
        millis,
        data: json!({ "key": key, "version": version }),
    };
    // Rows are told in the order of their keys: by time, and at one time by version, as numbers.
    Table::Events.put(format!("{ROWS}{millis:020}-{key_id}-{version:010}"), Expect::Anything, &untold)
}

/// Spawns what tells them.
pub(crate) fn spawn(core: &Arc<Core>) {
    let (store, events) = (Arc::clone(&core.store), Events::new(&core.context));
    let stop = core.context.shutdown.hard();
    core.context.tasks.spawn_critical("outbox", async move {
        stop.run_until_cancelled(run(&store, &events)).await;
    });
}

/// Never ends. Every replica hears of every commit and tells what it finds: who comes second finds nothing, or repeats what the stream knows.
async fn run(store: &Store, events: &Events) {
    let mut subscriber = store.subscriber(NOTICES);
    let mut is_subscribed = false;
    let mut sweeps = tokio::time::interval(SWEEP);
    sweeps.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        // Cancel-safe: what is dropped is only a notice, and every round reads all rows.
        tokio::select! {
            _ = sweeps.tick() => {
                if !is_subscribed {
                    is_subscribed = subscriber.subscribe(&Table::Events.name()).await.is_ok();
                }
            }
            notice = subscriber.recv(), if is_subscribed => is_subscribed = notice.is_some(),
        }
        if let Err(error) = tell_all(store, events).await {
            tracing::debug!(%error, "events are left to be told");
        }
    }
}

/// What became of an event.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Outcome {
    /// It was told, or never can be: then it is dropped, because it must not keep others from being told.
    Done,
    /// It is left for a replica that knows its type: one of a newer version, in the middle of an upgrade.
    Left,
}

/// Tells everything that is there, and returns how much that was.
pub(crate) async fn tell_all(store: &Store, events: &Events) -> Result<usize, Error> {
    let mut told = 0;
    let mut after = None;
    loop {
        let scan = Scan { prefix: ROWS.to_owned(), after, order: Order::Ascending, limit: PAGE };
        let page = store.scan(Table::Events, scan).await?;
        for record in &page.records {
            if tell(events, record).await? == Outcome::Left {
                continue;
            }
            let done = Table::Events.change(&record.key, Expect::Revision(record.revision), None);
            match store.commit_unrecorded(vec![done]).await {
                // Another replica has told it too.
                Ok(_) | Err(Error::Conflict(_)) => told += 1,
                Err(error) => return Err(error),
            }
        }
        after = page.records.last().map(|record| record.key.clone());
        if !page.more {
            return Ok(told);
        }
    }
}

async fn tell(events: &Events, record: &Record) -> Result<Outcome, Error> {
    let Untold { id, kind, subject, millis, data } = match parse::<Untold>(record) {
        Ok(row) => row.value,
        Err(error) => return Ok(dropped(&record.key, &error)),
    };
    let Some(kind) = EventType::parse(&kind) else { return Ok(Outcome::Left) };
    match events.emit(&Event::new(id, kind, subject, millis, &data)).await {
        Ok(_) => Ok(Outcome::Done),
        Err(EventError::Backplane(error)) => Err(error.into()),
        Err(error) => Ok(dropped(&record.key, &error)),
    }
}

fn dropped(row: &str, error: &dyn std::error::Error) -> Outcome {
    tracing::error!(row, %error, "an event can never be told; it is dropped");
    Outcome::Done
}

#[cfg(test)]
#[path = "outbox_tests.rs"]
mod tests;
