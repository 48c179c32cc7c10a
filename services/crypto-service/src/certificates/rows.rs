//! Rows of what was seen of hosts, and of what was told. Nothing in them is secret.

use super::seen::{Found, Seen};
use crate::{
    error::Error,
    store::{Row, Store, Table, parse},
};
use patchbay_backplane::{Change, Expect, Order, Scan};
use serde::{Deserialize, Serialize, de::DeserializeOwned};

/// What rows of hosts begin with.
const HOSTS: &str = "host/";

/// What rows of certificates begin with that were told of.
const TOLD: &str = "told/";

/// Rows read at once, and in all: as many as are ever written, and some that are about to be removed.
const PAGE: usize = 500;
const MAX_ROWS: usize = 20_000;

/// What was seen of a host last.
#[derive(Serialize, Deserialize)]
pub(super) struct HostRow {
    /// In milliseconds since 1970.
    checked: u64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    found: Option<FoundRow>,
    /// Why nothing was found.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    failure: String,
}

#[derive(Serialize, Deserialize)]
struct FoundRow {
    not_after: i64,
    sha256: String,
    subject: String,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    grade: String,
}

/// That a certificate was told of.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct ToldRow {
    /// Where it is in use; for people who look into the store.
    pub(super) name: String,
    /// Its end, in seconds since 1970.
    pub(super) not_after: i64,
    /// The smallest threshold that was told.
    pub(super) threshold: u32,
}

impl HostRow {
    fn of(seen: &Seen) -> Self {
        let found = seen.found.as_ref().ok().map(|found| FoundRow {
            not_after: found.not_after,
            sha256: found.sha256.clone(),
            subject: found.subject.clone(),
            grade: found.grade.clone(),
        });
        let failure = seen.found.as_ref().err().cloned().unwrap_or_default();
        Self { checked: seen.checked, found, failure }
    }

    fn seen(self, name: String) -> Seen {
        let found = self.found.map(|row| Found {
            not_after: row.not_after,
            sha256: row.sha256,
            subject: row.subject,
            grade: row.grade,
        });
        Seen { name, replicas: None, checked: self.checked, found: found.ok_or(self.failure) }
    }
}

/// What was seen of all hosts.
pub(super) async fn hosts(store: &Store) -> Result<Vec<Seen>, Error> {
    let rows = all::<HostRow>(store, HOSTS).await?;
    Ok(rows.into_iter().map(|(name, row)| row.value.seen(name)).collect())
}

/// Keeps what was seen of a host; who writes last is right.
pub(super) async fn keep(store: &Store, seen: &Seen) -> Result<(), Error> {
    let row = format!("{HOSTS}{}", seen.name);
    write(store, vec![Table::Certificates.put(row, Expect::Anything, &HostRow::of(seen))?]).await
}

/// Forgets hosts that are not watched any more.
pub(super) async fn forget_hosts(store: &Store, names: &[String]) -> Result<(), Error> {
    remove(store, HOSTS, names).await
}

/// Everything that was told, by identity.
pub(super) async fn told(store: &Store) -> Result<Vec<(String, Row<ToldRow>)>, Error> {
    all(store, TOLD).await
}

/// Notes that a certificate was told of; [`Error::Conflict`] where somebody else has noted it meanwhile.
pub(super) async fn note(store: &Store, identity: &str, expect: Expect, row: &ToldRow) -> Result<(), Error> {
    write(store, vec![Table::Certificates.put(format!("{TOLD}{identity}"), expect, row)?]).await
}

/// Forgets what was told of certificates that are gone.
pub(super) async fn forget_told(store: &Store, identities: &[String]) -> Result<(), Error> {
    remove(store, TOLD, identities).await
}

async fn remove(store: &Store, prefix: &str, keys: &[String]) -> Result<(), Error> {
    for chunk in keys.chunks(PAGE) {
        let mut changes = Vec::with_capacity(chunk.len());
        for key in chunk {
            changes.push(Table::Certificates.change(format!("{prefix}{key}"), Expect::Anything, None));
        }
        write(store, changes).await?;
    }
    Ok(())
}

/// These rows say nothing of anybody: there is no audit record of them.
async fn write(store: &Store, changes: Vec<Change>) -> Result<(), Error> {
    store.commit_unrecorded(changes).await.map(drop)
}

async fn all<T: DeserializeOwned>(store: &Store, prefix: &str) -> Result<Vec<(String, Row<T>)>, Error> {
    let mut rows = Vec::new();
    let mut after = None;
    loop {
        let scan = Scan { prefix: prefix.to_owned(), after, order: Order::Ascending, limit: PAGE };
        let page = store.scan(Table::Certificates, scan).await?;
        for record in &page.records {
            let key = record.key.strip_prefix(prefix).unwrap_or_default().to_owned();
            rows.push((key, parse(record)?));
        }
        after = page.records.last().map(|record| record.key.clone());
        if !page.more || rows.len() >= MAX_ROWS {
            return Ok(rows);
        }
    }
}
