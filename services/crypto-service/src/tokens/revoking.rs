//! What ended, told to every process. A revocation is written in the same commit as the change that causes it, and told afterwards, so
//! that a replica which dies between the two leaves it to another.

use super::TOKEN_LIFE;
use crate::{
    accounts::{
        rows::{all, delete},
        secrets,
    },
    error::Error,
    store::{Store, Table, parse},
};
use patchbay_auth::{Authenticator, Revocation, Revoked, announce_revocation};
use patchbay_backplane::{Change, Expect, Record, SharedBackplane};
use patchbay_chassis::{Clock, Context};
use std::sync::Arc;

/// What rows of revocations begin with that were not told yet.
const ROWS: &str = "revoke/";

/// Longest life, in seconds, of a token that was made by hand with the issuer's key: a day, and 60 s for clocks that disagree.
const LONGEST_LIFE: u64 = 24 * 3600 + 60;

/// Tells what ended.
pub(super) struct Revoking {
    store: Arc<Store>,
    backplane: SharedBackplane,
    auth: Arc<Authenticator>,
    clock: Clock,
}

impl Revoking {
    pub(super) fn new(context: &Context, store: &Arc<Store>) -> Self {
        Self {
            store: Arc::clone(store),
            backplane: context.backplane.clone(),
            auth: Arc::clone(&context.auth),
            clock: context.clock.clone(),
        }
    }

    pub(super) fn subject(&self, subject: &str) -> Result<Change, Error> {
        // The time is set when it is told: see `timed`.
        change(&Revocation::subject(subject, 0, self.now() + LONGEST_LIFE))
    }

    pub(super) fn session(&self, session: &str) -> Result<Change, Error> {
        change(&Revocation::session(session, self.now() + TOKEN_LIFE))
    }

    #[expect(clippy::unused_self, reason = "as its siblings are called")]
    pub(super) fn token(&self, id: &str, expires_at: u64) -> Result<Change, Error> {
        change(&Revocation::token(id, expires_at))
    }

    /// Tells all that was not told yet.
    pub(super) async fn flush(&self) -> Result<(), Error> {
        let mut told = Vec::new();
        for record in all(&self.store, Table::Sessions, ROWS).await? {
            let Some(revocation) = self.timed(&record).await? else { continue };
            self.auth.revoke(revocation.clone());
            announce_revocation(&self.backplane, &revocation).await?;
            told.push(delete(Table::Sessions, record.key));
        }
        if told.is_empty() {
            return Ok(());
        }
        // What is told twice, by another replica or after a crash, says the same.
        self.store.commit_unrecorded(told).await.map(drop)
    }

    /// The revocation of a row. That of a subject gets its time first, once for all who may tell it: a later one would also hit tokens
    /// that the subject got since. `None` where another replica has told it.
    async fn timed(&self, record: &Record) -> Result<Option<Revocation>, Error> {
        let row = parse::<Revocation>(record)?;
        let expect = row.unchanged();
        let mut revocation = row.value;
        let Revoked::Subject { before_ms, .. } = &mut revocation.what else { return Ok(Some(revocation)) };
        if *before_ms != 0 {
            return Ok(Some(revocation));
        }
        // Later than the commit, so that no token which was minted from what stood there before is left.
        *before_ms = self.clock.now_millis();
        let change = Table::Sessions.put(record.key.clone(), expect, &revocation)?;
        match self.store.commit_unrecorded(vec![change]).await {
            Ok(_) => Ok(Some(revocation)),
            Err(Error::Conflict(_)) => {
                let theirs = self.store.get::<Revocation>(Table::Sessions, &record.key).await?;
                Ok(theirs.map(|row| row.value))
            }
            Err(error) => Err(error),
        }
    }

    fn now(&self) -> u64 {
        self.clock.now_millis() / 1000
    }
}

fn change(revocation: &Revocation) -> Result<Change, Error> {
    Table::Sessions.put(format!("{ROWS}{}", secrets::id()?), Expect::Absent, revocation)
}
