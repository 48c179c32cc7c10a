//! Events that are told of what was committed: each is written in the same commit as what it tells of, and appended to the stream of events afterwards, by
//! whichever replica comes first.
//!
//! So an event is told at least once, whatever dies in between; and because its id is derived from what it tells of, which the stream remembers, not twice.

use crate::error::Error;
use patchbay_backplane::{Change, Expect, Name, Order, Record, Scan, SharedBackplane};
use patchbay_chassis::Context;
use patchbay_events::{Event, EventError, EventType, Events};
use prometheus_client::metrics::counter::Counter;
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

/// An event that is to be told.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Untold {
    /// Derived from what it tells of.
    pub(super) id: String,
    /// [`EventType::word`].
    #[serde(rename = "type")]
    pub(super) kind: String,
    /// The camera.
    pub(super) subject: String,
    /// When it happened, in milliseconds since 1970.
    pub(super) millis: u64,
    /// The rest.
    pub(super) data: Value,
}

impl Untold {
    /// The change that is part of the commit of what it tells of. Rows are told in the order of their keys: by time.
    pub(super) fn change(&self) -> Change {
        let value = serde_json::to_vec(self).expect("strings, numbers and JSON always encode");
        let key = format!("{:020}-{}", self.millis, self.id);
        Change { table: table(), key, expect: Expect::Anything, value: Some(value.into()) }
    }
}

/// It has the service and the id of the tables of motions and of what was told, because it is committed with them.
fn table() -> Name {
    Name::new("camera", "outbox", "store")
}

/// Tells events.
pub(super) struct Outbox {
    backplane: SharedBackplane,
    events: Events,
    told: Counter,
}

/// What became of an event.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Outcome {
    /// It was told, or never can be: then it is dropped, because it must not keep others from being told.
    Done,
    /// It is left for a replica that knows its type: one of a newer version, in the middle of an upgrade.
    Left,
}

impl Outbox {
    pub(super) fn new(context: &Context) -> Self {
        let told = context.metrics.register(
            "events",
            "Events of cameras that this replica has appended to the stream of events",
            Counter::default(),
        );
        Self { backplane: context.backplane.clone(), events: Events::new(context), told }
    }

    /// Never ends. Every replica hears of every commit and tells what it finds: who comes second finds nothing, or repeats what the stream knows.
    pub(super) async fn run(self) {
        let mut subscriber = self.backplane.subscriber(NOTICES);
        let mut is_subscribed = false;
        let mut sweeps = interval(SWEEP);
        sweeps.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            // Cancel-safe: what is dropped is only a notice, and every round reads all rows.
            tokio::select! {
                _ = sweeps.tick() => {
                    if !is_subscribed {
                        is_subscribed = subscriber.subscribe(&table()).await.is_ok();
                    }
                }
                notice = subscriber.recv(), if is_subscribed => is_subscribed = notice.is_some(),
            }
            if let Err(error) = self.tell_all().await {
                tracing::debug!(%error, "events are left to be told");
            }
        }
    }

    /// Tells everything that is there.
    pub(super) async fn tell_all(&self) -> Result<(), Error> {
        let mut after = None;
        loop {
            let scan = Scan { prefix: String::new(), after, order: Order::Ascending, limit: PAGE };
            let page = self.backplane.scan(&table(), scan).await?;
            for record in &page.records {
                if self.tell(record).await? == Outcome::Left {
                    continue;
                }
                let (key, expect) = (record.key.clone(), Expect::Revision(record.revision));
                // A conflict means that another replica has told it too.
                self.backplane.commit(vec![Change { table: table(), key, expect, value: None }]).await?;
            }
            after = page.records.last().map(|record| record.key.clone());
            if !page.more {
                return Ok(());
            }
        }
    }

    async fn tell(&self, record: &Record) -> Result<Outcome, Error> {
        let untold = match serde_json::from_slice::<Untold>(&record.value) {
            Ok(untold) => untold,
            Err(error) => return Ok(dropped(&record.key, &error)),
        };
        let Some(kind) = EventType::parse(&untold.kind) else { return Ok(Outcome::Left) };
        let event = Event::new(untold.id, kind, untold.subject, untold.millis, &untold.data);
        match self.events.emit(&event).await {
            Ok(appended) => {
                self.told.inc_by(u64::from(!appended.duplicate));
                Ok(Outcome::Done)
            }
            Err(EventError::Backplane(error)) => Err(error.into()),
            Err(error) => Ok(dropped(&record.key, &error)),
        }
    }
}

fn dropped(row: &str, error: &dyn std::error::Error) -> Outcome {
    tracing::error!(row, %error, "an event can never be told; it is dropped");
    Outcome::Done
}

#[cfg(test)]
#[path = "outbox_tests.rs"]
mod tests;
