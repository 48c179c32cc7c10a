//! Follows what other replicas change: by the store's events, and by asking it from time to time, for when events are lost.

use super::{
    Keyring,
    rows::{HEADERS, header_row},
};
use crate::{error::Error, store::Table};
use patchbay_backplane::{Event, RecordsChanged, Subscriber};
use tokio::time::{Instant, MissedTickBehavior};

/// Events that may wait to be read; more are told as a gap.
const EVENTS: usize = 1024;

/// Headers compared in one read.
const COMPARED: usize = 500;

/// What an event was.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Told {
    Change,
    Gap,
}

/// How far the table's changes are known.
#[derive(Default)]
pub(super) struct Follower {
    /// Revision of the table up to which all changes are known.
    seen: Option<u64>,
    subscribed: bool,
}

impl Keyring {
    /// Never ends.
    pub(super) async fn follow(&self) {
        let mut follower = Follower::default();
        let mut subscriber = self.0.store.subscriber(EVENTS);
        let mut polls = tokio::time::interval(self.0.config.poll.duration());
        polls.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut open = true;
        loop {
            // Both are cancel-safe.
            tokio::select! {
                event = subscriber.recv(), if open => match event {
                    Some(event) => if follower.on_event(self, &event) == Told::Gap {
                        polls.reset_immediately();
                    },
                    None => open = false,
                },
                _ = polls.tick() => follower.on_poll(self, &subscriber).await,
            }
        }
    }
}

impl Keyring {
    /// Looks for keys to rotate from time to time. Never ends.
    async fn rotate_by_itself(&self) {
        let mut checks = tokio::time::interval(self.0.config.rotate_check.duration());
        checks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            checks.tick().await;
            if let Err(error) = self.rotate_due().await {
                tracing::debug!(%error, "could not look for keys to rotate");
            }
        }
    }
}

impl Follower {
    fn on_event(&mut self, keyring: &Keyring, event: &Event) -> Told {
        let changed = match event {
            Event::Message(message) => RecordsChanged::parse(&message.payload),
            Event::Gap => None,
        };
        // After a gap, or something that nobody could have sent, everything is compared.
        let Some(changed) = changed else {
            keyring.0.cache.doubt();
            self.seen = None;
            return Told::Gap;
        };
        for name in changed.keys.iter().filter_map(|row| row.strip_prefix(HEADERS)) {
            keyring.0.cache.changed(name, changed.revision);
        }
        self.seen = self.seen.map(|seen| seen.max(changed.revision));
        Told::Change
    }

    async fn on_poll(&mut self, keyring: &Keyring, subscriber: &Subscriber) {
        keyring.0.cache.drop_idle();
        if !self.subscribed {
            self.subscribed = subscriber.subscribe(&Table::Keys.name()).await.is_ok();
        }
        let started = Instant::now();
        match self.compare(keyring).await {
            Ok(()) => keyring.0.cache.confirm(started),
            Err(error) => tracing::debug!(%error, "could not ask whether keys have changed"),
        }
    }

    /// Compares the table's revision with what events told, and where that differs the headers of all keys in memory.
    pub(super) async fn compare(&mut self, keyring: &Keyring) -> Result<(), Error> {
        let cache = &keyring.0.cache;
        let revision = keyring.0.store.revision(Table::Keys).await?;
        if self.seen == Some(revision) {
            return Ok(());
        }
        if self.seen.is_some_and(|seen| revision < seen) {
            tracing::warn!("the store has lost changes of keys");
            cache.clear();
        }
        let here = cache.doubt();
        for chunk in here.chunks(COMPARED) {
            let rows = chunk.iter().map(|(name, _)| header_row(name)).collect();
            let rows = keyring.0.store.read(Table::Keys, rows).await?;
            for ((name, revision), row) in chunk.iter().zip(rows) {
                if row.is_none_or(|row| row.revision != *revision) {
                    cache.drop_outdated(name, *revision);
                }
            }
        }
        self.seen = Some(revision);
        Ok(())
    }
}

/// Follows and rotates until the process stops.
pub(super) fn spawn(keyring: &Keyring, context: &patchbay_chassis::Context) {
    let (follower, stop) = (keyring.clone(), context.shutdown.hard());
    context.tasks.spawn_critical("keys-follow", async move {
        stop.run_until_cancelled(follower.follow()).await;
    });
    let (rotator, stop) = (keyring.clone(), context.shutdown.hard());
    context.tasks.spawn_critical("keys-rotate", async move {
        stop.run_until_cancelled(rotator.rotate_by_itself()).await;
    });
}
