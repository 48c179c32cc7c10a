//! Sessions: what a sign-in begins, and what refresh tokens belong to.
//!
//! A refresh token is `pbr_<session>_<secret>` and good once. Whoever shows one that was used ends the session: then two people have it.
//! Half of the secret is a MAC over the rest, by which one that was used is told from one that somebody has made up: that one does nothing,
//! or whoever has seen a session's id could end it.

use crate::{
    accounts::{
        Name, grants,
        manage::own_or,
        rows::{self, AccountRow, account_key, all, delete},
        secrets, timestamp,
    },
    audit::Entry,
    caller::Caller,
    core::Core,
    error::Error,
    store::{Row, Store, Table, parse},
};
use patchbay_auth::Claims;
use patchbay_backplane::{Change, Expect, Order, Record, Scan};
use patchbay_chassis::Clock;
use patchbay_proto::crypto::v1::{Session, SessionInfo};
use prometheus_client::metrics::gauge::Gauge;
use serde::{Deserialize, Serialize};
use std::{sync::Arc, time::Duration};

/// What refresh tokens begin with.
const PREFIX: &str = "pbr";

/// Sessions of an account; the one that was used least lately ends for a new one.
const MAX_SESSIONS: usize = 100;

/// Characters of what a session calls itself.
const MAX_DEVICE: usize = 100;

/// How often ended sessions are removed, and how many rows are read at once.
const SWEEP_EVERY: Duration = Duration::from_mins(10);
const SWEEP_PAGE: usize = 500;

/// A session: `session/<id>`. `of/<account>/<id>` tells whose it is.
#[derive(Clone, Serialize, Deserialize)]
struct SessionRow {
    id: String,
    account: Name,
    /// It has ended when the account has another.
    mark: String,
    /// Fingerprint of the refresh token that is good.
    fingerprint: String,
    generation: u64,
    device: String,
    // Unix seconds.
    created: u64,
    last_used: u64,
    /// When it ends if it is not refreshed.
    expires: u64,
    /// When it ends however often it is refreshed.
    ends: u64,
}

fn key(id: &str) -> String {
    format!("session/{id}")
}

fn index_key(account: &Name, id: &str) -> String {
    format!("of/{account}/{id}")
}

/// Begins a session in the same commit as other changes.
pub(crate) async fn begin(
    core: &Arc<Core>,
    account: &AccountRow,
    device: &str,
    mut changes: Vec<Change>,
    entry: Entry,
) -> Result<Session, Error> {
    let (now, config) = (core.tokens.now(), &core.config.tokens);
    let id = secrets::id()?;
    let secret = core.tokens.refresh_secrets().generate(&id)?;
    let ends = now + config.session_ttl.duration().as_secs();
    let row = SessionRow {
        id,
        account: account.name.clone(),
        mark: account.sessions_mark.clone(),
        fingerprint: secrets::fingerprint(&secret),
        generation: 1,
        device: device.chars().filter(|c| !c.is_control()).take(MAX_DEVICE).collect(),
        created: now,
        last_used: now,
        expires: ends.min(now + config.refresh_ttl.duration().as_secs()),
        ends,
    };
    changes.push(Table::Sessions.put(key(&row.id), Expect::Absent, &row)?);
    changes.push(Table::Sessions.put(index_key(&row.account, &row.id), Expect::Absent, &())?);
    changes.push(rows::seen(&account_key(&row.account), now)?);
    changes.extend(make_room(core, &row.account).await?);
    core.store.commit(changes, entry.detail(format!("session {}", row.id))).await?;
    issue(core, &row, &secret).await?.ok_or(Error::SignInFailed)
}

/// Gives the next token of a session.
pub(crate) async fn refresh(core: &Arc<Core>, refresh_token: &str) -> Result<Session, Error> {
    let row = match present(core, refresh_token).await? {
        Presented::Good(row) => row,
        Presented::Used(row) => {
            end(core, &row, Entry::by(row.value.account.as_str(), "session.refresh_reuse", &row.value.id))
                .await?;
            return Err(Error::RefreshTokenInvalid);
        }
        Presented::Unknown => return Err(Error::RefreshTokenInvalid),
    };
    let now = core.tokens.now();
    let expect = row.unchanged();
    let mut session = row.value;
    let secret = core.tokens.refresh_secrets().generate(&session.id)?;
    session.fingerprint = secrets::fingerprint(&secret);
    session.generation += 1;
    session.last_used = now;
    session.expires = session.ends.min(now + core.config.tokens.refresh_ttl.duration().as_secs());
    // Before the one that was shown is used up: a store that goes away between the two must not cost the session. Whatever ends the
    // account or the session meanwhile removes the row, and then nothing is written.
    let next = issue(core, &session, &secret).await?.ok_or(Error::RefreshTokenInvalid)?;
    let change = Table::Sessions.put(key(&session.id), expect, &session)?;
    match core.store.commit_unrecorded(vec![change]).await {
        // Somebody else has used it in this moment: then two have it.
        Err(Error::Conflict(_)) => Box::pin(refresh(core, refresh_token)).await,
        Err(error) => Err(error),
        Ok(_) => Ok(next),
    }
}

/// Ends the session of a refresh token, if there is one.
pub(crate) async fn sign_out(core: &Arc<Core>, refresh_token: &str) -> Result<(), Error> {
    let (Presented::Good(row) | Presented::Used(row)) = present(core, refresh_token).await? else {
        return Ok(());
    };
    end(core, &row, Entry::by(row.value.account.as_str(), "session.sign_out", &row.value.id)).await
}

/// What a refresh token is.
enum Presented {
    Good(Row<SessionRow>),
    /// It was good once: two people have it.
    Used(Row<SessionRow>),
    Unknown,
}

async fn present(core: &Core, refresh_token: &str) -> Result<Presented, Error> {
    let Some((id, secret)) = secrets::split(PREFIX, refresh_token) else { return Ok(Presented::Unknown) };
    let Some(row) = core.store.get::<SessionRow>(Table::Sessions, &key(id)).await? else {
        return Ok(Presented::Unknown);
    };
    if row.value.expires <= core.tokens.now() {
        return Ok(Presented::Unknown);
    }
    if secrets::matches(secret, &row.value.fingerprint) {
        return Ok(Presented::Good(row));
    }
    let was_good = core.tokens.refresh_secrets().is_ours(id, secret);
    Ok(if was_good { Presented::Used(row) } else { Presented::Unknown })
}

/// Mints the token of a session; `None` when the account was disabled, deleted or given another password, now or before.
async fn issue(core: &Core, session: &SessionRow, secret: &str) -> Result<Option<Session>, Error> {
    // Taken before the account is read: a revocation that comes meanwhile hits this token.
    let now_ms = core.tokens.now_ms();
    let account = core.store.get::<AccountRow>(Table::Accounts, &account_key(&session.account)).await?;
    let account = account.map(|row| row.value);
    let account = account.filter(|account| !account.disabled && account.sessions_mark == session.mark);
    let Some(account) = account else { return Ok(None) };
    let mut claims = Claims::new(account.name.as_str(), grants::effective(&core.store, &account).await?);
    claims.name = Some(account.display_name).filter(|name| !name.is_empty());
    claims.avatar = Some(account.avatar).filter(|avatar| !avatar.is_empty());
    claims.session = Some(session.id.clone());
    claims.ttl = claims.ttl.min(Duration::from_secs(session.ends.saturating_sub(now_ms / 1000).max(1)));
    let minted = core.tokens.mint(claims, now_ms)?;
    Ok(Some(Session {
        token: minted.token,
        expires: Some(timestamp(minted.expires_at)),
        refresh_token: format!("{PREFIX}_{}_{secret}", session.id),
        refresh_expires: Some(timestamp(session.expires)),
        session_id: session.id.clone(),
    }))
}

async fn end(core: &Core, row: &Row<SessionRow>, entry: Entry) -> Result<(), Error> {
    let changes = ending(core, &row.value)?;
    core.store.commit(changes, entry).await?;
    core.tokens.flush().await;
    Ok(())
}

fn ending(core: &Core, session: &SessionRow) -> Result<Vec<Change>, Error> {
    Ok(vec![
        delete(Table::Sessions, key(&session.id)),
        delete(Table::Sessions, index_key(&session.account, &session.id)),
        core.tokens.revoke_session(&session.id)?,
    ])
}

/// Changes by which the sessions of an account end, but for one, which gets a new mark.
pub(crate) async fn end_all(
    core: &Core,
    account: &Name,
    kept: Option<(&str, &str)>,
) -> Result<Vec<Change>, Error> {
    let mut changes = Vec::new();
    for row in of(core, account).await? {
        match kept.filter(|(id, _)| *id == row.value.id) {
            None => changes.extend(ending(core, &row.value)?),
            Some((id, mark)) => {
                let session = SessionRow { mark: mark.to_owned(), ..row.value.clone() };
                changes.push(Table::Sessions.put(key(id), row.unchanged(), &session)?);
            }
        }
    }
    Ok(changes)
}

/// Ends one session by its id; the caller has checked that it may be ended.
pub(crate) async fn end_one(core: &Core, account: &Name, id: &str, entry: Entry) -> Result<bool, Error> {
    let rows = of(core, account).await?;
    let Some(row) = rows.iter().find(|row| row.value.id == id) else { return Ok(false) };
    end(core, row, entry).await.map(|()| true)
}

/// Whose session it is.
pub(crate) async fn account_of(core: &Core, id: &str) -> Result<Option<Name>, Error> {
    if !secrets::is_id(id) {
        return Ok(None);
    }
    let row = core.store.get::<SessionRow>(Table::Sessions, &key(id)).await?;
    Ok(row.map(|row| row.value.account))
}

async fn make_room(core: &Core, account: &Name) -> Result<Vec<Change>, Error> {
    let prefix = index_key(account, "");
    if core.store.count(Table::Sessions, &prefix).await? < MAX_SESSIONS as u64 {
        return Ok(Vec::new());
    }
    let mut rows = of(core, account).await?;
    rows.sort_by_key(|row| row.value.last_used);
    let surplus = (rows.len() + 1).saturating_sub(MAX_SESSIONS);
    let mut changes = Vec::new();
    for row in rows.iter().take(surplus) {
        changes.extend(ending(core, &row.value)?);
    }
    Ok(changes)
}

async fn of(core: &Core, account: &Name) -> Result<Vec<Row<SessionRow>>, Error> {
    let prefix = index_key(account, "");
    let ids = all(&core.store, Table::Sessions, &prefix).await?;
    let keys: Vec<String> =
        ids.iter().filter_map(|record| record.key.strip_prefix(&prefix)).map(key).collect();
    if keys.is_empty() {
        return Ok(Vec::new());
    }
    let records = core.store.read(Table::Sessions, keys).await?;
    records.iter().flatten().map(parse).collect()
}

/// Lists an account's sessions, newest first.
pub(crate) async fn list(core: &Core, caller: &Caller, account: &str) -> Result<Vec<SessionInfo>, Error> {
    let name = own_or(caller, "read", "account", account)?;
    let mark = rows::account(&core.store, &name).await?.value.sessions_mark;
    let now = core.tokens.now();
    let mut rows = of(core, &name).await?;
    rows.retain(|row| row.value.expires > now && row.value.mark == mark);
    rows.sort_by_key(|row| std::cmp::Reverse(row.value.created));
    let info = |row: Row<SessionRow>| SessionInfo {
        session_id: row.value.id,
        device: row.value.device,
        created: Some(timestamp(row.value.created)),
        last_used: Some(timestamp(row.value.last_used)),
        expires: Some(timestamp(row.value.expires)),
    };
    Ok(rows.into_iter().map(info).collect())
}

/// Removes sessions whose time is over, from time to time.
pub(super) async fn sweep(store: Arc<Store>, clock: Clock, open: Gauge) {
    let mut ticks = tokio::time::interval(SWEEP_EVERY);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        match remove_ended(&store, clock.now_millis() / 1000).await {
            Ok(found) => {
                open.set(i64::try_from(found.open).unwrap_or(i64::MAX));
                if found.removed > 0 {
                    tracing::info!(sessions = found.removed, "ended sessions were removed");
                }
            }
            Err(error) => tracing::debug!(%error, "ended sessions cannot be removed"),
        }
    }
}

/// What a sweep has found.
#[derive(Debug, Default, PartialEq, Eq)]
struct Found {
    removed: usize,
    open: usize,
}

async fn remove_ended(store: &Store, now: u64) -> Result<Found, Error> {
    let (mut found, mut after) = (Found::default(), None);
    loop {
        let scan = Scan { prefix: "session/".to_owned(), after, order: Order::Ascending, limit: SWEEP_PAGE };
        let page = store.scan(Table::Sessions, scan).await?;
        let mut changes = Vec::new();
        for record in &page.records {
            changes.extend(removal(record, now)?);
        }
        let ended = changes.len() / 2;
        found.removed += ended;
        found.open += page.records.len() - ended;
        if !changes.is_empty() {
            match store.commit_unrecorded(changes).await {
                // Another replica does the same; the next sweep finds what is left.
                Ok(_) | Err(Error::Conflict(_)) => {}
                Err(error) => return Err(error),
            }
        }
        after = page.records.last().map(|record| record.key.clone());
        if !page.more {
            return Ok(found);
        }
    }
}

fn removal(record: &Record, now: u64) -> Result<Vec<Change>, Error> {
    let row = parse::<SessionRow>(record)?;
    if row.value.expires > now {
        return Ok(Vec::new());
    }
    Ok(vec![
        Table::Sessions.change(record.key.clone(), row.unchanged(), None),
        delete(Table::Sessions, index_key(&row.value.account, &row.value.id)),
    ])
}

#[cfg(test)]
mod tests {
    use super::*;
    use patchbay_backplane::MemoryBackplane;
    use tokio_util::{sync::CancellationToken, task::TaskTracker};

    fn session(id: &str, expires: u64) -> SessionRow {
        SessionRow {
            id: id.to_owned(),
            account: Name::account("account", "ada").unwrap(),
            mark: String::new(),
            fingerprint: String::new(),
            generation: 1,
            device: String::new(),
            created: 0,
            last_used: 0,
            expires,
            ends: expires,
        }
    }

    #[tokio::test]
    async fn ended_sessions_are_removed_and_others_stay() {
        let backplane = MemoryBackplane::volatile(&TaskTracker::new(), &CancellationToken::new());
        let store = Store::new(Arc::new(backplane), "node", Clock::manual(0));
        for (id, expires) in [("one", 99), ("two", 100), ("three", 101)] {
            let row = session(id, expires);
            let changes = vec![
                Table::Sessions.put(key(id), Expect::Absent, &row).unwrap(),
                Table::Sessions.put(index_key(&row.account, id), Expect::Absent, &()).unwrap(),
            ];
            store.commit_unrecorded(changes).await.unwrap();
        }
        assert_eq!(remove_ended(&store, 100).await.unwrap(), Found { removed: 2, open: 1 });
        let left = all(&store, Table::Sessions, "").await.unwrap();
        let left: Vec<&str> = left.iter().map(|record| record.key.as_str()).collect();
        assert_eq!(left, ["of/ada/three", "session/three"]);
    }
}
