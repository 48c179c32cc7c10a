//! The first account: made with a secret that is good once, which the service prints while there is no account.

use super::{
    attempts::Attempt,
    manage,
    names::Name,
    password,
    rows::{self, account_key},
    secrets,
};
use crate::{
    audit::Entry,
    core::Core,
    error::Error,
    store::{Row, Table},
    tokens::sessions,
};
use patchbay_auth::Scope;
use patchbay_backplane::Expect;
use patchbay_proto::crypto::v1::{Session, SetupRequest};
use std::sync::Arc;

/// Row with the fingerprints of the secrets that are good. It stands beside the sessions, so that a store which has shown a link and nothing
/// else is still an empty one, on which a backup can be restored.
const TABLE: Table = Table::Sessions;
const ROW: &str = "setup";

/// Links that are good at one time: each replica prints one when it starts, and the newest of this many work.
const LINKS: usize = 8;

/// Whether there is no account yet.
pub(crate) async fn is_needed(core: &Core) -> Result<bool, Error> {
    Ok(rows::guard(&core.store).await?.is_none())
}

/// Makes a new link while there is no account. It is shown in the log: whoever reads that is the operator, and it is good once.
pub(super) async fn link(core: &Arc<Core>) -> Result<Option<String>, Error> {
    if !is_needed(core).await? {
        return Ok(None);
    }
    let secret = secrets::generate()?;
    rows::retrying(|| remember(core, &secret)).await?;
    let console = core.config.accounts.console_url.trim_end_matches('/');
    let url = format!("{console}/#setup={}", *secret);
    tracing::warn!(
        "there is no account yet: make the first one, an administrator, with this link, good once: {url}"
    );
    Ok(Some(url))
}

async fn remember(core: &Core, secret: &str) -> Result<(), Error> {
    let row = core.store.get::<Vec<String>>(TABLE, ROW).await?;
    let expect = row.as_ref().map_or(Expect::Absent, Row::unchanged);
    let mut fingerprints = row.map_or_else(Vec::new, |row| row.value);
    fingerprints.push(secrets::fingerprint(secret));
    let surplus = fingerprints.len().saturating_sub(LINKS);
    fingerprints.drain(..surplus);
    let change = TABLE.put(ROW, expect, &fingerprints)?;
    core.store.commit(vec![change], Entry::by_service("account.setup", "").detail("link")).await.map(drop)
}

/// Makes the first account and signs it in. Of two at once, one wins.
pub(crate) async fn set_up(core: &Arc<Core>, client: &str, request: SetupRequest) -> Result<Session, Error> {
    let SetupRequest { secret, name, password } = request;
    core.accounts.attempts.admit(Attempt::Address(client)).await?;
    if !is_needed(core).await? {
        return Err(Error::SetupDone);
    }
    let row = core.store.get::<Vec<String>>(TABLE, ROW).await?;
    let fingerprints = row.map_or_else(Vec::new, |row| row.value);
    // All are compared, so that time tells nothing.
    if fingerprints.iter().filter(|kept| secrets::matches(&secret, kept)).count() == 0 {
        return Err(Error::SetupSecretWrong);
    }
    let name = Name::account("name", &name)?;
    password::check(core, &name, &password)?;
    let hash = password::hash(core, &password).await?;
    let mut account = manage::new_account(core, name.clone(), Some(hash))?;
    account.scopes = vec![Scope::Admin];
    let changes = vec![
        rows::bump(None)?,
        Table::Accounts.put(account_key(&name), Expect::Absent, &account)?,
        rows::delete(TABLE, ROW),
    ];
    let entry = Entry::by(name.as_str(), "account.setup", name.as_str());
    match sessions::begin(core, &account, "", changes, entry).await {
        Err(Error::Conflict(_)) => Err(Error::SetupDone),
        done => done,
    }
}
