//! One round: look at what is due, and tell of what ends soon.

use super::{
    config::Certificates,
    own,
    rows::{self, ToldRow},
    seen::{Found, Seen, seconds},
    target::Target,
    threshold::{days_left, reached},
};
use crate::{
    core::Core,
    error::Error,
    store::{Row, Store},
};
use futures_util::{StreamExt, future::BoxFuture, stream};
use jiff::Timestamp;
use patchbay_backplane::Expect;
use patchbay_chassis::Clock;
use patchbay_events::{Event, EventError, EventType, Events};
use serde_json::json;
use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
    time::Duration,
};

/// Hosts that are looked at at the same time: a start with many must not be a storm.
const AT_ONCE: usize = 4;

/// How soon a host is asked again that could not be asked.
const RETRY: Duration = Duration::from_mins(15);

/// Share of `check_every` by which hosts come earlier, each by its own part, so that they spread in time.
const SPREAD: u64 = 10;

/// How long it is remembered that a certificate was told of which has ended and is not seen any more.
const REMEMBER: i64 = 30 * 24 * 3600;

/// What is shown of a host that nobody has looked at.
pub(super) const NOT_YET: &str = "it was not looked at yet";

/// What was told, by the identities of certificates.
type Told = HashMap<String, Row<ToldRow>>;

/// Reaches a host and reads its certificate; the error is for people.
pub(super) trait Look: Send + Sync {
    /// Has a deadline of its own.
    fn look(&self, target: &Target) -> BoxFuture<'_, Result<Found, String>>;
}

/// What the monitor of one replica needs. Cheap to make.
pub(super) struct Monitor {
    pub(super) store: Arc<Store>,
    pub(super) clock: Clock,
    pub(super) config: Certificates,
    pub(super) events: Events,
}

impl Monitor {
    /// The replica's.
    pub(super) fn of(core: &Core) -> Self {
        Self {
            store: Arc::clone(&core.store),
            clock: core.context.clock.clone(),
            config: core.config.certificates.clone(),
            events: Events::new(&core.context),
        }
    }

    /// Everything that is known now, in the order in which it is shown.
    pub(super) async fn gather(&self) -> Result<Vec<Seen>, Error> {
        let nodes = self.store.backplane().nodes().await?;
        let mut seen = own::seen(&nodes, self.clock.now_millis());
        let hosts = rows::hosts(&self.store).await?;
        let known: HashSet<&str> = hosts.iter().map(|seen| seen.name.as_str()).collect();
        let missing = self.config.watch.iter().filter(|target| !known.contains(target.name()));
        seen.extend(missing.map(|target| Seen {
            name: target.name().to_owned(),
            replicas: None,
            checked: 0,
            found: Err(NOT_YET.to_owned()),
        }));
        seen.extend(hosts);
        seen.sort_by(Seen::order);
        Ok(seen)
    }

    /// One round of the replica that has the lease. Hosts that are not in `looked` are looked at whatever is known of them.
    ///
    /// What failed is told at the end; it keeps nothing else from being looked at and told, and the next round tries it again.
    pub(super) async fn round(&self, look: &dyn Look, looked: &mut HashSet<String>) -> Result<(), Error> {
        let told: Told = rows::told(&self.store).await?.into_iter().collect();
        let seen = self.gather().await?;
        let mut outcome = Ok(());
        for own in seen.iter().filter(|seen| seen.replicas.is_some()) {
            outcome = self.consider(own, &told).await.and(outcome);
        }
        let due = self.due(&seen, &told, looked);
        let looks = due.into_iter().map(|target| self.look_at(look, target));
        let mut found = stream::iter(looks).buffer_unordered(AT_ONCE);
        while let Some(seen) = found.next().await {
            rows::keep(&self.store, &seen).await?;
            outcome = self.consider(&seen, &told).await.and(outcome);
            looked.insert(seen.name);
        }
        self.forget(&told).await.and(outcome)
    }

    /// Hosts whose time has come, or of whose certificate something is to be told: that is told only of what was seen just now, because it may have been renewed.
    fn due(&self, seen: &[Seen], told: &Told, looked: &HashSet<String>) -> Vec<Target> {
        let now = self.clock.now_millis();
        let known = seen.iter().filter(|seen| seen.replicas.is_none() && looked.contains(&seen.name));
        let known: HashMap<&str, &Seen> = known.map(|seen| (seen.name.as_str(), seen)).collect();
        let is_due = |target: &&Target| {
            let Some(seen) = known.get(target.name()) else { return true };
            seen.checked.saturating_add(self.period(seen)) <= now || self.untold(seen, told).is_some()
        };
        self.config.watch.iter().filter(is_due).cloned().collect()
    }

    async fn look_at(&self, look: &dyn Look, target: Target) -> Seen {
        let found = look.look(&target).await;
        if let Err(reason) = &found {
            tracing::info!(
                host = target.name(),
                reason,
                "a watched host could not be asked for its certificate"
            );
        }
        Seen { name: target.name().to_owned(), replicas: None, checked: self.clock.now_millis(), found }
    }

    /// Milliseconds from one look at a host to the next.
    fn period(&self, seen: &Seen) -> u64 {
        let every = self.config.check_every.duration();
        let every = if seen.found.is_err() { every.min(RETRY) } else { every };
        let every = u64::try_from(every.as_millis()).unwrap_or(u64::MAX);
        // By the name, so that it is the same on every replica.
        let part =
            seen.name.bytes().fold(0, |sum: u64, byte| sum.wrapping_mul(31).wrapping_add(byte.into())) % 100;
        every - every / SPREAD * part / 100
    }

    /// The threshold that a certificate has come under since it was told last.
    fn untold<'a>(&self, seen: &'a Seen, told: &Told) -> Option<(&'a Found, u32)> {
        let found = seen.found.as_ref().ok()?;
        let threshold = reached(found.not_after, seconds(self.clock.now_millis()), &self.config.warn_days)?;
        let before = told.get(&seen.identity(found));
        before.is_none_or(|row| threshold < row.value.threshold).then_some((found, threshold))
    }

    async fn consider(&self, seen: &Seen, told: &Told) -> Result<(), Error> {
        match self.untold(seen, told) {
            Some((found, threshold)) => self.tell(seen, found, threshold, told).await,
            None => Ok(()),
        }
    }

    /// Forgets hosts that are not watched any more, and what was told of certificates that ended long ago and are not in use any more.
    async fn forget(&self, told: &Told) -> Result<(), Error> {
        let watched: HashSet<&str> = self.config.watch.iter().map(Target::name).collect();
        let seen = self.gather().await?;
        let is_watched = |seen: &&Seen| seen.replicas.is_some() || watched.contains(seen.name.as_str());
        let (here, unwatched): (Vec<&Seen>, Vec<&Seen>) = seen.iter().partition(is_watched);
        let unwatched: Vec<String> = unwatched.into_iter().map(|seen| seen.name.clone()).collect();
        rows::forget_hosts(&self.store, &unwatched).await?;
        let in_use = here.iter().filter_map(|seen| Some(seen.identity(seen.found.as_ref().ok()?)));
        let in_use: HashSet<String> = in_use.collect();
        let before = seconds(self.clock.now_millis()).saturating_sub(REMEMBER);
        let gone =
            told.iter().filter(|(identity, row)| row.value.not_after < before && !in_use.contains(*identity));
        let gone: Vec<String> = gone.map(|(identity, _)| identity.clone()).collect();
        rows::forget_told(&self.store, &gone).await
    }

    /// Tells that a certificate has come under a threshold.
    ///
    /// The event is appended before it is noted that it was told: who dies in between leaves it to the next one, whose event has the same id and changes nothing.
    async fn tell(&self, seen: &Seen, found: &Found, threshold: u32, told: &Told) -> Result<(), Error> {
        let now = self.clock.now_millis();
        let days = days_left(found.not_after, seconds(now));
        let identity = seen.identity(found);
        let end = Timestamp::from_second(found.not_after).unwrap_or(Timestamp::MAX).to_string();
        let data = json!({ "name": seen.name, "not_after": end, "days_left": days, "threshold": threshold });
        let id = format!("certificate.expiring-{identity}-{threshold}");
        let event = Event::new(id, EventType::CertificateExpiring, &seen.name, now, &data);
        let appended = self.events.emit(&event).await.map_err(failed)?;
        let row = ToldRow { name: seen.name.clone(), not_after: found.not_after, threshold };
        let expect = told.get(&identity).map_or(Expect::Absent, Row::unchanged);
        match rows::note(&self.store, &identity, expect, &row).await {
            // Another replica, which believed that the lease was its own, has told it as well: under the same id.
            Ok(()) | Err(Error::Conflict(_)) => {}
            Err(error) => return Err(error),
        }
        if !appended.duplicate {
            tracing::warn!(
                name = seen.name,
                days_left = days,
                not_after = end,
                threshold,
                "a certificate ends soon"
            );
        }
        Ok(())
    }
}

fn failed(error: EventError) -> Error {
    match error {
        EventError::Backplane(error) => error.into(),
        error => Error::internal(error),
    }
}
