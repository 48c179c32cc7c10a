//! Hears of what other replicas have done: by events of the table of root keys and by asking it from time to time, and of shares that people brought to them.

use super::{Seal, tell::Teller};
use crate::{
    core::Core,
    error::Error,
    root_key::Reload,
    store::{Store, Table},
};
use patchbay_backplane::{Event, Subscriber};
use std::{
    sync::{Arc, Weak},
    time::Duration,
};
use tokio::time::{Instant, MissedTickBehavior};

/// Events that may wait to be read. Lost changes are found by asking; a lost share has to be brought again.
const EVENTS: usize = 256;

/// How long an open replica waits for the new seal key, after it was changed elsewhere, before it closes.
const KEY_PATIENCE: Duration = Duration::from_secs(10);

/// How long what is forgotten may stay in memory until that is worth a warning.
const GONE_WITHIN: Duration = Duration::from_secs(35);

/// What the follower remembers.
#[derive(Default)]
struct Follower {
    subscribed: bool,
    /// Since when the root keys cannot be read.
    changed: Option<Instant>,
}

impl Seal {
    /// Follows until the process stops, and forgets everything then. It hears from before the replica is ready, so that no share is missed that is
    /// brought to another one as soon as this one is there.
    pub(super) async fn spawn_follower(self: &Arc<Self>) {
        let (mut follower, subscriber) = (Follower::default(), self.reader.subscriber(EVENTS));
        follower.subscribe(&subscriber).await;
        let (seal, stop) = (Arc::clone(self), self.context.shutdown.hard());
        self.context.tasks.spawn_critical("seal", async move {
            stop.run_until_cancelled(seal.follow(follower, subscriber)).await;
            if let Some(open) = seal.open.write().take() {
                open.part.end();
            }
        });
    }

    async fn follow(self: &Arc<Self>, mut follower: Follower, mut subscriber: Subscriber) {
        let mut polls = tokio::time::interval(self.config.keys.poll.duration());
        polls.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut is_open = true;
        loop {
            // Both are cancel-safe.
            tokio::select! {
                event = subscriber.recv(), if is_open => match event {
                    Some(event) => self.on_event(&event, &mut polls).await,
                    None => is_open = false,
                },
                _ = polls.tick() => {
                    follower.subscribe(&subscriber).await;
                    if let Err(error) = self.compare(&mut follower).await {
                        tracing::debug!(%error, "the root keys cannot be looked at");
                    }
                }
            }
        }
    }

    async fn on_event(self: &Arc<Self>, event: &Event, polls: &mut tokio::time::Interval) {
        let Event::Message(message) = event else { return polls.reset_immediately() };
        if message.channel != Teller::channel() {
            return polls.reset_immediately();
        }
        if let Some(told) = self.teller.hear(&message.payload) {
            self.on_told(told).await;
            polls.reset_immediately();
        }
    }

    /// Compares what is here with what the store says.
    async fn compare(self: &Arc<Self>, follower: &mut Follower) -> Result<(), Error> {
        let Some(open) = self.current() else { return self.try_collected().await };
        match open.core.root.reload(&open.core.store).await? {
            Reload::Same => follower.changed = None,
            Reload::Changed => {
                follower.changed = None;
                open.core.sweep.wake();
            }
            Reload::SealChanged if self.knows_new_key(&open.core).await => follower.changed = None,
            Reload::SealChanged => {
                let since = *follower.changed.get_or_insert_with(Instant::now);
                if since.elapsed() >= KEY_PATIENCE {
                    tracing::error!("the seal key was changed and this replica does not have the new one");
                    self.close().await;
                }
            }
        }
        let closings = self.sharing().await?.map_or(0, |sharing| sharing.closings);
        if closings > open.closings {
            self.close().await;
        }
        Ok(())
    }

    /// Closes this replica, because the seal was closed or its key changed.
    pub(super) async fn close(&self) {
        self.teller.forget();
        self.collected.lock().await.clear();
        if self.forget() {
            tracing::warn!("this replica is sealed");
            self.say_sealed().await;
        }
    }
}

impl Follower {
    /// What is missed before counts as lost; the comparison after this finds changes.
    async fn subscribe(&mut self, subscriber: &Subscriber) {
        if self.subscribed {
            return;
        }
        let rows = subscriber.subscribe(&Table::Root.name()).await;
        let shares = subscriber.subscribe(&Teller::channel()).await;
        self.subscribed = rows.is_ok() && shares.is_ok();
    }
}

/// Says when a core that was closed is gone from memory, or that something holds it.
pub(super) async fn until_gone(core: Weak<Core>) {
    let deadline = Instant::now() + GONE_WITHIN;
    while core.strong_count() > 0 {
        if Instant::now() >= deadline {
            tracing::warn!("keys are still in memory: a call that began before the seal was closed goes on");
            return;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    tracing::info!("all keys were forgotten");
}

/// A store for a core's first commit.
pub(super) fn fresh_store(seal: &Seal) -> Arc<Store> {
    let context = &seal.context;
    Store::new(context.backplane.clone(), &context.node.0, context.clock.clone())
}
