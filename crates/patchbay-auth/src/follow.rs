//! What crypto-service tells all processes over the backplane: the keys that sign for now, and what was revoked.
//!
//! Names and formats of both live here alone. A process keeps what it knows while the backplane is away, and an entry
//! that cannot be used is left out and logged, never the end of following.

use crate::{Authenticator, KeySetChange, Revocation, TokenError, key_set_token::claimed_sequence};
use bytes::Bytes;
use patchbay_backplane::{
    Append, BackplaneError, Cursor, Event, Health, Message, Name, Position, Retention, SharedBackplane,
    Subscriber,
};
use std::{sync::Arc, time::Duration};
use tokio::{
    sync::watch,
    time::{Instant, Interval, MissedTickBehavior, interval_at, timeout},
};

/// How long a start waits for the first look; a backplane that is away must not keep a service from starting.
const FIRST_LOOK: Duration = Duration::from_secs(2);

/// How often everything is looked at again, for when an event was lost and nobody noticed.
const LOOK_EVERY: Duration = Duration::from_secs(30);

/// How soon it is tried again after a look that failed.
const RETRY_AFTER: Duration = Duration::from_secs(1);

/// Revocations read at once.
const PAGE: usize = 1000;

/// Events that wait to be read; more are replaced by a gap, after which everything is looked at again.
const EVENTS: usize = 1024;

/// Attempts at writing the key set beside others who write it.
const ATTEMPTS: usize = 5;

/// Longer than any token lives, its leeway included; and twice what an authenticator holds.
const RETENTION: Retention = Retention { max_len: 200_000, max_age: Duration::from_hours(25) };

/// Entry of the key set, and channel on which it is told.
fn key_set_name() -> Name {
    Name::new("auth", "keyset", "current")
}

/// Stream of revocations.
fn revocations_name() -> Name {
    Name::new("auth", "revocations", "all")
}

/// Makes a signed key set known to all processes, unless a newer one is: then that stays.
pub async fn announce_key_set(backplane: &SharedBackplane, token: &str) -> Result<(), BackplaneError> {
    let (name, value) = (key_set_name(), Bytes::copy_from_slice(token.as_bytes()));
    for _ in 0..ATTEMPTS {
        let current = backplane.get(&name).await?;
        // Not verified: who can write here can as well delete. Every process verifies before it believes.
        let known = current.as_ref().and_then(|entry| claimed_sequence(str::from_utf8(&entry.value).ok()?));
        if known > claimed_sequence(token) {
            return Ok(());
        }
        let expected = current.map(|entry| entry.version);
        if backplane.compare_and_set(&name, expected, value.clone(), None).await?.is_some() {
            return backplane.publish(&name, value).await;
        }
    }
    Err(BackplaneError::Unavailable("others kept writing the key set".to_owned()))
}

/// Makes a revocation known to all processes, and to those that start while it can hit a token.
pub async fn announce_revocation(
    backplane: &SharedBackplane,
    revocation: &Revocation,
) -> Result<(), BackplaneError> {
    let payload =
        serde_json::to_vec(revocation).map_err(|error| BackplaneError::Refused(error.to_string()))?;
    let append =
        Append { stream: revocations_name(), payload: payload.into(), key: None, retention: RETENTION };
    backplane.append(append).await.map(drop)
}

/// Takes a first look, for two seconds at most, and returns the task that keeps the authenticator told from then on. The
/// task ends when the backplane is closed.
pub async fn follow(
    authenticator: Arc<Authenticator>,
    backplane: SharedBackplane,
) -> impl Future<Output = ()> + Send + 'static {
    let mut follower = Follower {
        events: backplane.subscriber(EVENTS),
        authenticator,
        backplane,
        is_subscribed: false,
        is_behind: false,
        position: None,
    };
    if timeout(FIRST_LOOK, follower.look_and_tell()).await.is_err() {
        tracing::warn!("keys and revocations are not read yet");
        follower.is_behind = true;
    }
    follower.run()
}

struct Follower {
    authenticator: Arc<Authenticator>,
    backplane: SharedBackplane,
    events: Subscriber,
    is_subscribed: bool,
    /// Whether the last look failed.
    is_behind: bool,
    /// Last revocation that was read.
    position: Option<Position>,
}

impl Follower {
    async fn run(mut self) {
        let mut health = self.backplane.health();
        let mut ticks = self.ticks();
        loop {
            // Cancel-safe: receiving, ticking and watching lose nothing when dropped.
            let must_look = tokio::select! {
                event = self.events.recv() => match event {
                    Some(event) => self.handle(event),
                    None => return,
                },
                _ = ticks.tick() => true,
                is_up = comes_back(&mut health) => is_up,
            };
            if !must_look {
                continue;
            }
            let was_behind = self.is_behind;
            self.look_and_tell().await;
            if self.is_behind != was_behind {
                ticks = self.ticks();
            }
        }
    }

    fn ticks(&self) -> Interval {
        let every = if self.is_behind { RETRY_AFTER } else { LOOK_EVERY };
        let mut ticks = interval_at(Instant::now() + every, every);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        ticks
    }

    /// Looks; the log is told when that begins to fail.
    async fn look_and_tell(&mut self) {
        match self.look().await {
            Ok(()) => self.is_behind = false,
            Err(error) if self.is_behind => tracing::debug!(%error, "keys and revocations cannot be read"),
            Err(error) => {
                tracing::warn!(%error, "keys and revocations cannot be read; what is known stays");
                self.is_behind = true;
            }
        }
    }

    /// Takes an event, and tells whether everything must be looked at.
    fn handle(&mut self, event: Event) -> bool {
        let Event::Message(Message { channel, payload, position }) = event else { return true };
        if channel == key_set_name() {
            self.take_key_set(&payload);
            return false;
        }
        self.take_revocation(&payload);
        // The next one in order needs no look; after any other, something was missed.
        let follows = match (&self.position, &position) {
            (Some(last), Some(this)) => last.epoch == this.epoch && this.offset <= last.offset + 1,
            _ => false,
        };
        if let (true, Some(last), Some(this)) = (follows, &mut self.position, position) {
            last.offset = last.offset.max(this.offset);
        }
        !follows
    }

    async fn look(&mut self) -> Result<(), BackplaneError> {
        // Before reading, so that nothing falls between.
        if !self.is_subscribed {
            self.events.subscribe(&key_set_name()).await?;
            self.events.subscribe(&revocations_name()).await?;
            self.is_subscribed = true;
        }
        if let Some(entry) = self.backplane.get(&key_set_name()).await? {
            self.take_key_set(&entry.value);
        }
        while self.read_revocations().await? {}
        Ok(())
    }

    /// Reads a page, and tells whether there is more. Progress is kept, so that a look may be dropped half-way.
    async fn read_revocations(&mut self) -> Result<bool, BackplaneError> {
        let after = self.position.as_ref().map_or(0, |position| position.offset);
        let page = self.backplane.read(&revocations_name(), Cursor::After(after), PAGE).await?;
        let is_other = self.position.as_ref().is_some_and(|position| position.epoch != page.top.epoch);
        if is_other || after > page.top.offset {
            // Another numbering: what is known stays, and the new one is read from its beginning.
            self.position = Some(Position { epoch: page.top.epoch, offset: 0 });
            return Ok(page.top.offset > 0);
        }
        for entry in &page.entries {
            self.take_revocation(&entry.payload);
        }
        let offset = page.entries.last().map_or(page.top.offset, |entry| entry.offset);
        self.position = Some(Position { epoch: page.top.epoch, offset });
        Ok(page.more)
    }

    fn take_key_set(&self, payload: &[u8]) {
        let accepted = str::from_utf8(payload)
            .map_err(|_| TokenError::Malformed)
            .and_then(|token| self.authenticator.accept_key_set(token));
        match accepted {
            Ok(KeySetChange::Replaced { keys }) => tracing::info!(keys, "the keys that sign tokens changed"),
            Ok(KeySetChange::Unchanged) | Err(TokenError::OldKeySet) => {}
            Err(error) => tracing::warn!(%error, "a key set on the backplane is not believed"),
        }
    }

    fn take_revocation(&self, payload: &[u8]) {
        let Some(revocation) = Revocation::parse(payload) else {
            tracing::warn!("a revocation on the backplane cannot be read");
            return;
        };
        self.authenticator.revoke(revocation);
    }
}

/// Waits for a change of health, and tells whether the backplane answers. Never ends once nobody tells any more.
async fn comes_back(health: &mut watch::Receiver<Health>) -> bool {
    if health.changed().await.is_err() {
        return std::future::pending().await;
    }
    matches!(*health.borrow_and_update(), Health::Up)
}

#[cfg(test)]
#[path = "follow_tests.rs"]
mod tests;
