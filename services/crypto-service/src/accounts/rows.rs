//! What is kept of people, groups, API keys and credentials, as JSON. Passwords and secrets stand there as hashes; none of these has a
//! `Debug`, so that not even those are logged.

use super::names::Name;
use crate::{
    error::Error,
    store::{Row, Store, Table, parse},
};
use patchbay_auth::Scope;
use patchbay_backplane::{Change, Expect, Order, Record, Scan};
use serde::{Deserialize, Serialize};

/// Rows of a page when all are read.
const PAGE: usize = 500;

/// The row that every change of who may do what rewrites, so that two such changes never pass each other. It is there once there was
/// an account.
const GUARD: &str = "guard";

/// An account: `account/<name>`.
#[derive(Clone, Serialize, Deserialize)]
pub(crate) struct AccountRow {
    /// Different for an account that is made again under the same name.
    pub(crate) id: String,
    pub(crate) name: Name,
    pub(crate) display_name: String,
    pub(crate) avatar: String,
    pub(crate) scopes: Vec<Scope>,
    pub(crate) groups: Vec<Name>,
    pub(crate) disabled: bool,
    /// PHC string; `None` cannot sign in with a password.
    pub(crate) password: Option<String>,
    /// Unix seconds.
    pub(crate) created: u64,
    /// Sessions with another mark have ended.
    pub(crate) sessions_mark: String,
}

/// A group: `group/<name>`.
#[derive(Clone, Serialize, Deserialize)]
pub(crate) struct GroupRow {
    pub(crate) name: Name,
    pub(crate) scopes: Vec<Scope>,
    pub(crate) description: String,
}

/// An API key: `apikey/<id>`.
#[derive(Clone, Serialize, Deserialize)]
pub(crate) struct ApiKeyRow {
    pub(crate) id: String,
    pub(crate) account: Name,
    pub(crate) account_id: String,
    pub(crate) fingerprint: String,
    pub(crate) description: String,
    /// Empty is all that the account may.
    pub(crate) scopes: Vec<Scope>,
    pub(crate) created: u64,
    pub(crate) expires: Option<u64>,
}

/// A credential: `credential/<protocol word>/<user name>`.
#[derive(Clone, Serialize, Deserialize)]
pub(crate) struct CredentialRow {
    /// Different for a credential that is made again under the same name.
    pub(crate) id: String,
    pub(crate) protocol: String,
    pub(crate) username: String,
    pub(crate) account: Name,
    pub(crate) account_id: String,
    /// Fingerprint of a password that was made here, PHC string of a chosen one.
    pub(crate) hash: String,
    /// Empty is all that the account may.
    pub(crate) scopes: Vec<Scope>,
    pub(crate) created: u64,
    pub(crate) expires: Option<u64>,
}

/// How often it was changed who may do what.
#[derive(Clone, Default, Serialize, Deserialize)]
pub(crate) struct Guard {
    changes: u64,
}

pub(crate) fn account_key(name: &Name) -> String {
    format!("account/{name}")
}

pub(crate) fn group_key(name: &Name) -> String {
    format!("group/{name}")
}

pub(crate) fn api_key_key(id: &str) -> String {
    format!("apikey/{id}")
}

pub(crate) fn credential_key(protocol: &str, username: &str) -> String {
    format!("credential/{protocol}/{username}")
}

/// Row that tells that an API key or a credential is an account's; `what` is its key, empty for the prefix of all.
pub(crate) fn owned_key(account: &Name, what: &str) -> String {
    format!("owned/{account}/{what}")
}

/// Row with the Unix seconds of the last use of an account or an API key. Apart, so that a use does not disturb a change.
pub(crate) fn seen_key(of: &str) -> String {
    format!("seen/{of}")
}

/// Writes when something was used last, to the minute.
pub(crate) fn seen(of: &str, now: u64) -> Result<Change, Error> {
    Table::Accounts.put(seen_key(of), Expect::Anything, &(now - now % 60))
}

/// Deletes a row, whatever stands there.
pub(crate) fn delete(table: Table, key: impl Into<String>) -> Change {
    table.change(key, Expect::Anything, None)
}

/// Reads the guard; `None` while there was no account.
pub(crate) async fn guard(store: &Store) -> Result<Option<Row<Guard>>, Error> {
    store.get(Table::Accounts, GUARD).await
}

/// Makes a commit fail when it was changed who may do what since the guard was read.
pub(crate) fn bump(guard: Option<&Row<Guard>>) -> Result<Change, Error> {
    let expect = guard.map_or(Expect::Absent, Row::unchanged);
    let changes = guard.map_or(0, |row| row.value.changes) + 1;
    Table::Accounts.put(GUARD, expect, &Guard { changes })
}

/// Makes a commit fail when an account was changed or removed since it was read: what is made for it belongs to it as it was.
pub(crate) fn hold(account: &Row<AccountRow>) -> Result<Change, Error> {
    Table::Accounts.put(account_key(&account.value.name), account.unchanged(), &account.value)
}

/// Reads an account that must be there.
pub(crate) async fn account(store: &Store, name: &Name) -> Result<Row<AccountRow>, Error> {
    let row = store.get(Table::Accounts, &account_key(name)).await?;
    row.ok_or_else(|| Error::NotFound(format!("the account `{name}`")))
}

/// Reads all rows of a prefix.
pub(crate) async fn all(store: &Store, table: Table, prefix: &str) -> Result<Vec<Record>, Error> {
    let mut records: Vec<Record> = Vec::new();
    loop {
        let after = records.last().map(|record| record.key.clone());
        let scan = Scan { prefix: prefix.to_owned(), after, order: Order::Ascending, limit: PAGE };
        let page = store.scan(table, scan).await?;
        records.extend(page.records);
        if !page.more {
            return Ok(records);
        }
    }
}

/// Reads all groups.
pub(crate) async fn groups(store: &Store) -> Result<Vec<GroupRow>, Error> {
    let records = all(store, Table::Accounts, "group/").await?;
    records.iter().map(|record| Ok(parse(record)?.value)).collect()
}

/// Reads all accounts.
pub(crate) async fn accounts(store: &Store) -> Result<Vec<AccountRow>, Error> {
    let records = all(store, Table::Accounts, "account/").await?;
    records.iter().map(|record| Ok(parse(record)?.value)).collect()
}

/// Tries again what lost against another change; the work reads everything anew.
pub(crate) async fn retrying<T, W>(work: impl Fn() -> W) -> Result<T, Error>
where
    W: Future<Output = Result<T, Error>>,
{
    const TRIES: usize = 8;
    for _ in 1..TRIES {
        match work().await {
            Err(Error::Conflict(_)) => {}
            done => return done,
        }
    }
    work().await
}
