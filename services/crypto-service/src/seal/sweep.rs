//! Wraps anew what older root keys wrap, in the background, and drops these once nothing needs them.
//!
//! One replica works at a time, by a lease. Each page is one commit, by compare-and-set, so that whatever dies in between, the next replica goes on where the rows say.
//! Older keys go only after a pass through everything that has begun [`retire_after`](crate::config::RootKey::retire_after) after the rotation
//! and has found nothing: by then no replica wraps with them. A key that has gone is kept in memory for a while, for a row that this replica has wrapped
//! before and written late.

use crate::{core::Core, error::Error, store::Store};
use patchbay_backplane::{Change, FencingToken, Name};
use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};
use tokio::{sync::Notify, time::Instant};

/// How often it is looked whether there is anything to do.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// How long a replica that died keeps the others from going on.
const LEASE: Duration = Duration::from_secs(5);

/// How long a key that has gone is remembered: longer than any call may take that has wrapped with it.
const REMEMBERED: Duration = Duration::from_mins(1);

/// How long other replicas believe what the one that works has counted.
const TOLD: Duration = Duration::from_hours(1);

/// What is known of the work, and what wakes it.
#[derive(Default)]
pub struct Sweep {
    left: AtomicU64,
    wake: Notify,
}

/// What a pass has found.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Pass {
    /// Rows that were wrapped by an older key, whether they could be wrapped anew or had changed meanwhile.
    older: u64,
    /// Rows that no key opens.
    unknown: u64,
}

/// Whether rows are only counted.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Purpose {
    Count,
    Rewrap,
}

impl Sweep {
    /// Rows that an older root key still wraps, as counted last.
    pub(crate) fn left(&self) -> u64 {
        self.left.load(Ordering::Relaxed)
    }

    /// Says that so many rows are likely to be wrapped by an older key from now on.
    pub(crate) fn expect(&self, rows: u64) {
        self.left.fetch_max(rows, Ordering::Relaxed);
        self.wake();
    }

    /// Says that the root keys have changed.
    pub(crate) fn wake(&self) {
        self.wake.notify_one();
    }
}

/// Never ends.
pub(crate) async fn run(core: Arc<Core>) {
    // Revision of the root keys at which nothing was left, and when it was found so.
    let mut clean: Option<(u64, Instant)> = None;
    loop {
        match look(&core, clean).await {
            Ok(found) => clean = found,
            Err(error) => tracing::debug!(%error, "could not wrap anew what older root keys wrap"),
        }
        // Cancel-safe: a notification that is lost is seen at the next look.
        drop(tokio::time::timeout(LOOK_EVERY, core.sweep.wake.notified()).await);
    }
}

/// Does what there is to do now; returns when nothing was left.
async fn look(core: &Core, clean: Option<(u64, Instant)>) -> Result<Option<(u64, Instant)>, Error> {
    if !core.root.has_older() {
        core.sweep.left.store(0, Ordering::Relaxed);
        return Ok(None);
    }
    let revision = core.root.revision();
    let is_clean = clean.is_some_and(|(known, _)| known == revision);
    if is_clean && !is_due(core) && !is_forgettable(core, clean) {
        return Ok(clean);
    }
    let lease = Name::new("crypto", "sweep", "lease");
    let holder = core.context.node.to_string();
    let Some(token) = core.store.backplane().acquire(&lease, &holder, LEASE).await? else {
        core.sweep.left.store(told(core).await?, Ordering::Relaxed);
        return Ok(clean);
    };
    let held = Held { core, lease, holder, token };
    let done = held.work(revision).await;
    held.release().await;
    done
}

/// Whether older keys may go, if nothing is wrapped by them.
fn is_due(core: &Core) -> bool {
    let after = u64::try_from(core.config.root_key.retire_after.duration().as_millis()).unwrap_or(u64::MAX);
    let is_older_listed = core.root.generations() > 1;
    is_older_listed && core.context.clock.now_millis() >= core.root.status().created.saturating_add(after)
}

/// Whether keys that have gone may be forgotten, after one more look.
fn is_forgettable(core: &Core, clean: Option<(u64, Instant)>) -> bool {
    let Some(since) = core.root.former_since() else { return false };
    let until = since + REMEMBERED;
    clean.is_none_or(|(_, at)| at < until) && Instant::now() >= until
}

/// The work of the replica that has the lease.
struct Held<'a> {
    core: &'a Core,
    lease: Name,
    holder: String,
    token: FencingToken,
}

impl Held<'_> {
    async fn work(&self, revision: u64) -> Result<Option<(u64, Instant)>, Error> {
        let core = self.core;
        if core.sweep.left() == 0 {
            let found = self.pass(Purpose::Count).await?;
            self.tell(found.older).await?;
        }
        loop {
            let (began, was_due) = (Instant::now(), is_due(core));
            let pass = self.pass(Purpose::Rewrap).await?;
            if pass.older > 0 {
                tracing::info!(rows = pass.older, "rows were wrapped anew by the newest root key");
                continue;
            }
            self.tell(0).await?;
            if pass.unknown > 0 {
                tracing::error!(rows = pass.unknown, "rows were wrapped by no root key that is known here");
            }
            if core.root.former_since().is_some_and(|since| began >= since + REMEMBERED) {
                core.root.forget_former(revision);
            }
            if was_due && core.root.revision() == revision {
                core.root.retire(revision, &core.store).await?;
                tracing::info!("older root keys were dropped: nothing is wrapped by them");
            }
            return Ok(Some((core.root.revision(), began)));
        }
    }

    /// One pass through everything that root keys wrap.
    async fn pass(&self, purpose: Purpose) -> Result<Pass, Error> {
        let core = self.core;
        let mut pass = Pass::default();
        let beside = core.root.rewrapped_rows(&core.store).await?;
        pass.older += self.write(purpose, beside).await?;
        if let Some((count, change)) = core.tokens.rewrapped().await? {
            self.write(purpose, vec![change]).await?;
            pass.older += count;
        }
        let mut after = None;
        loop {
            let page = core.keyring.older_versions(after).await?;
            pass.unknown += page.unknown;
            pass.older += self.write(purpose, page.changes).await?;
            if page.next.is_none() {
                return Ok(pass);
            }
            after = page.next;
            self.renew().await?;
        }
    }

    /// Commits a page; returns how many rows it had. What somebody else has changed meanwhile is found again by the next pass.
    async fn write(&self, purpose: Purpose, changes: Vec<Change>) -> Result<u64, Error> {
        let count = changes.len() as u64;
        if count == 0 || purpose == Purpose::Count {
            return Ok(count);
        }
        match self.core.store.commit_unrecorded(changes.clone()).await {
            Ok(_) => {}
            Err(Error::Conflict(_)) => one_by_one(&self.core.store, changes).await?,
            Err(error) => return Err(error),
        }
        self.tell(self.core.sweep.left().saturating_sub(count)).await?;
        Ok(count)
    }

    /// Tells this and the other replicas how much is left.
    async fn tell(&self, left: u64) -> Result<(), Error> {
        self.core.sweep.left.store(left, Ordering::Relaxed);
        let value = left.to_string().into_bytes().into();
        self.core.store.backplane().set(&count(), value, Some(TOLD)).await?;
        Ok(())
    }

    async fn renew(&self) -> Result<(), Error> {
        let backplane = self.core.store.backplane();
        let is_held = backplane.renew(&self.lease, &self.holder, self.token, LEASE).await?;
        is_held.then_some(()).ok_or(Error::Busy)
    }

    async fn release(&self) {
        // One that is not released ends by itself.
        drop(self.core.store.backplane().release(&self.lease, &self.holder, self.token).await);
    }
}

async fn one_by_one(store: &Store, changes: Vec<Change>) -> Result<(), Error> {
    for change in changes {
        match store.commit_unrecorded(vec![change]).await {
            Ok(_) | Err(Error::Conflict(_)) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

/// What the replica that works has told.
async fn told(core: &Core) -> Result<u64, Error> {
    let told = core.store.backplane().get(&count()).await?;
    Ok(told.and_then(|told| std::str::from_utf8(&told.value).ok()?.parse().ok()).unwrap_or_default())
}

fn count() -> Name {
    Name::new("crypto", "sweep", "left")
}
