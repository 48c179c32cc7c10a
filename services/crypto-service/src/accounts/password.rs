//! Passwords of accounts: what they must be, how they are set, changed and checked.

use super::{
    attempts::Attempt,
    grants::{self, require_held},
    names::Name,
    rows::{self, AccountRow, account_key},
    secrets,
};
use crate::{
    audit::Entry,
    caller::Caller,
    core::Core,
    error::Error,
    passwords::Pepper,
    store::{Row, Table},
    tokens::sessions,
};
use patchbay_crypto::password::Algorithm;
use std::sync::Arc;

/// Bytes of a password at most: more would only be work for the hash.
const MAX_PASSWORD: usize = 1024;

/// Refuses a password that is too short or too plain. What it must be is said; what it was never is.
pub(crate) fn check(core: &Core, name: &Name, password: &str) -> Result<(), Error> {
    let min = core.config.accounts.password_min;
    if password.chars().count() < min {
        return Err(Error::WeakPassword(format!("must have {min} characters at least")));
    }
    if password.len() > MAX_PASSWORD {
        return Err(Error::WeakPassword(format!("must have {MAX_PASSWORD} bytes at most")));
    }
    let first = password.chars().next();
    if password.to_lowercase().contains(name.as_str()) && password.len() < 2 * name.as_str().len().max(min) {
        return Err(Error::WeakPassword("must not be made of the account's name".to_owned()));
    }
    if password.chars().all(|c| Some(c) == first) {
        return Err(Error::WeakPassword("must not be one character repeated".to_owned()));
    }
    Ok(())
}

/// Hashes a password as accounts and credentials keep it: without the pepper, so that a backup can move to another root key.
pub(crate) async fn hash(core: &Core, password: &str) -> Result<String, Error> {
    core.accounts.passwords.hash(Algorithm::default(), password, Pepper::Without).await
}

/// Whether it can be anybody's password.
pub(crate) fn is_possible(password: &str) -> bool {
    (1..=MAX_PASSWORD).contains(&password.len())
}

/// Costs what a check costs.
pub(crate) async fn verify_nothing(core: &Core) -> Result<(), Error> {
    core.accounts.passwords.verify_nothing("nothing").await
}

/// Checks a password against an account, if there is one that can sign in; every failure takes as long and says the same.
pub(crate) async fn verify(
    core: &Arc<Core>,
    name: Option<&Name>,
    password: &str,
) -> Result<AccountRow, Error> {
    let Some(name) = name.filter(|_| is_possible(password)) else {
        verify_nothing(core).await?;
        return Err(Error::SignInFailed);
    };
    let is_locked = core.accounts.attempts.locked_until(name.as_str()).await?.is_some();
    let row = core.store.get::<AccountRow>(Table::Accounts, &account_key(name)).await?;
    let usable = row.filter(|row| !is_locked && !row.value.disabled && row.value.password.is_some());
    let Some(row) = usable else {
        verify_nothing(core).await?;
        if !is_locked {
            failed(core, name).await?;
        }
        return Err(Error::SignInFailed);
    };
    let hash = row.value.password.clone().unwrap_or_default();
    let verdict = core.accounts.passwords.verify(password, &hash).await?;
    if !verdict.is_valid {
        failed(core, name).await?;
        return Err(Error::SignInFailed);
    }
    core.accounts.attempts.forgive(name.as_str()).await?;
    if verdict.needs_rehash {
        rehash(core, &row, password);
    }
    Ok(row.value)
}

async fn failed(core: &Core, name: &Name) -> Result<(), Error> {
    if core.accounts.attempts.failed(name.as_str()).await?.is_some() {
        core.store.record(Entry::by(name.as_str(), "account.lock", name.as_str())).await?;
    }
    Ok(())
}

/// Replaces a hash that is weaker than what is configured now. Nobody waits for it; one that fails is tried at the next sign-in.
fn rehash(core: &Arc<Core>, row: &Row<AccountRow>, password: &str) {
    let (core, row, password) = (Arc::clone(core), row.clone(), zeroize::Zeroizing::new(password.to_owned()));
    let tasks = core.context.tasks.clone();
    tasks.spawn("rehash", async move {
        let expect = row.unchanged();
        let replaced = async {
            let mut account = row.value;
            account.password = Some(hash(&core, &password).await?);
            let change = Table::Accounts.put(account_key(&account.name), expect, &account)?;
            core.store.commit_unrecorded(vec![change]).await
        };
        if let Err(error) = replaced.await {
            tracing::debug!(%error, "a password was not hashed anew");
        }
    });
}

/// Sets somebody's password, lifts a lock and ends all sessions.
pub(crate) async fn set(core: &Arc<Core>, caller: &Caller, name: &str, password: &str) -> Result<(), Error> {
    caller.require("accounts", "write", name)?;
    let name = Name::account("name", name)?;
    check(core, &name, password)?;
    // Before the work of hashing.
    authorize(core, caller, &name).await?;
    let hash = hash(core, password).await?;
    rows::retrying(|| try_set(core, caller, &name, &hash)).await?;
    core.accounts.attempts.forgive(name.as_str()).await?;
    core.tokens.flush().await;
    Ok(())
}

async fn authorize(core: &Core, caller: &Caller, name: &Name) -> Result<Row<AccountRow>, Error> {
    let row = rows::account(&core.store, name).await?;
    require_held(caller, &grants::effective(&core.store, &row.value).await?)?;
    Ok(row)
}

async fn try_set(core: &Core, caller: &Caller, name: &Name, hash: &str) -> Result<(), Error> {
    let guard = rows::guard(&core.store).await?;
    let row = authorize(core, caller, name).await?;
    let expect = row.unchanged();
    let mut account = row.value;
    account.password = Some(hash.to_owned());
    account.sessions_mark = secrets::id()?;
    let mut changes =
        vec![rows::bump(guard.as_ref())?, Table::Accounts.put(account_key(name), expect, &account)?];
    changes.extend(sessions::end_all(core, name, None).await?);
    changes.push(core.tokens.revoke_subject(name.as_str())?);
    core.store.commit(changes, Entry::of(caller, "account.set_password", name.as_str())).await.map(drop)
}

/// Changes the caller's own password; the session that is used goes on, the others end.
pub(crate) async fn change(core: &Arc<Core>, caller: &Caller, current: &str, new: &str) -> Result<(), Error> {
    let name = caller.account().ok_or_else(|| Error::Denied("account of one's own".to_owned()))?;
    core.accounts.attempts.admit(Attempt::Name(name)).await?;
    let name = Name::account("name", name).map_err(|_| Error::SignInFailed)?;
    let verified = verify(core, Some(&name), current).await?;
    check(core, &name, new)?;
    let hash = hash(core, new).await?;
    rows::retrying(|| try_change(core, caller, &verified, &hash)).await?;
    core.tokens.flush().await;
    Ok(())
}

async fn try_change(core: &Core, caller: &Caller, verified: &AccountRow, hash: &str) -> Result<(), Error> {
    let name = &verified.name;
    let row = core.store.get::<AccountRow>(Table::Accounts, &account_key(name)).await?;
    // Who has set the password, or disabled the account, since the current one was checked has the last word.
    let row = row.filter(|row| row.value.sessions_mark == verified.sessions_mark && !row.value.disabled);
    let row = row.ok_or(Error::SignInFailed)?;
    let expect = row.unchanged();
    let mut account = row.value;
    account.password = Some(hash.to_owned());
    account.sessions_mark = secrets::id()?;
    let mut changes = vec![Table::Accounts.put(account_key(name), expect, &account)?];
    let kept = caller.identity().session.as_deref();
    changes.extend(sessions::end_all(core, name, kept.map(|id| (id, account.sessions_mark.as_str()))).await?);
    core.store.commit(changes, Entry::of(caller, "account.change_password", name.as_str())).await.map(drop)
}

/// Lifts a lock.
pub(crate) async fn unlock(core: &Core, caller: &Caller, name: &str) -> Result<(), Error> {
    caller.require("accounts", "write", name)?;
    let name = Name::account("name", name)?;
    rows::account(&core.store, &name).await?;
    // First: what cannot be recorded is not done.
    core.store.record(Entry::of(caller, "account.unlock", name.as_str())).await?;
    core.accounts.attempts.forgive(name.as_str()).await
}
