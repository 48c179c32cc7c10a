//! A copy of everything: rows of keys and accounts, with the root key that wrapped them, encrypted under a password.
//! It is restored on an empty store, whose own root key then wraps everything anew.
//!
//! The copy is `PBBK`, a format byte, 16 bytes of salt, and one XAES-256-GCM message under Argon2id of the password (64 MiB, 3
//! passes, 4 lanes) that is bound to what stands before it. Sessions, keys that sign tokens and the audit log are not in it:
//! they belong to the installation.

use crate::{
    audit::Entry,
    core::Core,
    error::Error,
    keyring,
    root_key::RootKey,
    store::{Store, Table},
};
use base64::{Engine, engine::general_purpose::STANDARD};
use patchbay_backplane::{Change, Expect, Order, Record, Scan};
use patchbay_crypto::{Secret, aead};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use zeroize::Zeroize;

/// Bytes of a backup at most.
pub(crate) const MAX_SIZE: usize = 1 << 30;

/// Characters of a password at least.
const PASSWORD_MIN: usize = 12;

/// What a backup begins with: a mark, and the format.
const MARK: &[u8] = b"PBBK\x01";
const SALT: usize = 16;

/// Rows read, and written, at once.
const PAGE: usize = 500;

/// Readings of a store that is changed all the time, until the copy is refused.
const READINGS: usize = 8;

/// What begins the keys of rows that change with every use and on which no other row depends.
const USES: [&str; 2] = ["usage/", "seen/"];

/// What is encrypted.
#[derive(Serialize, Deserialize)]
struct Contents {
    /// The root key.
    root: Base64,
    /// Root keys before it, which wrap some rows still.
    #[serde(default)]
    older_roots: Vec<Base64>,
    /// What went into the hashes of passwords.
    pepper: Base64,
    keys: Vec<CopiedRow>,
    accounts: Vec<CopiedRow>,
}

/// A secret in Base64, overwritten when it is dropped.
#[derive(Serialize, Deserialize)]
#[serde(transparent)]
struct Base64(String);

impl Base64 {
    fn of(secret: impl AsRef<[u8]>) -> Self {
        Self(STANDARD.encode(secret))
    }

    fn decode(&self) -> Result<Secret, Error> {
        STANDARD.decode(&self.0).map(Secret::new).map_err(|_| Error::BackupUnreadable)
    }
}

impl Drop for Base64 {
    fn drop(&mut self) {
        self.0.zeroize();
    }
}

/// A row; its value is JSON.
#[derive(Serialize, Deserialize)]
struct CopiedRow {
    key: String,
    value: Box<RawValue>,
}

/// What was restored.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Restored {
    pub(crate) keys: u64,
    pub(crate) accounts: u64,
}

/// Makes a copy; it is recorded before it is given out.
pub(crate) async fn make(core: &Core, password: &str, entry: Entry) -> Result<Vec<u8>, Error> {
    if password.chars().count() < PASSWORD_MIN {
        return Err(Error::WeakPassword(format!("must have {PASSWORD_MIN} characters at least")));
    }
    let mut roots = core.root.expose();
    let [keys, accounts] = snapshot(&core.store).await?;
    // Rows that were read may be wrapped by keys from before and from after the reading.
    core.root.catch_up(&core.store).await?;
    for (id, secret) in core.root.expose() {
        if roots.iter().all(|(known, _)| *known != id) {
            roots.push((id, secret));
        }
    }
    let mut roots = roots.into_iter().map(|(_, secret)| Base64::of(secret.expose()));
    let contents = Contents {
        root: roots.next().ok_or(Error::Unavailable)?,
        older_roots: roots.collect(),
        pepper: Base64::of(core.root.pepper()),
        keys: copied(keys)?,
        accounts: copied(accounts)?,
    };
    let plain = contents.write()?;
    let mut backup = MARK.to_vec();
    backup.extend_from_slice(Secret::random(SALT).map_err(Error::internal)?.expose());
    let key = password_key(core, password, backup.get(MARK.len()..).unwrap_or_default()).await?;
    let bound = backup.clone();
    key.seal_into(&bound, plain.expose(), &mut backup).map_err(Error::internal)?;
    core.store.record(entry).await?;
    Ok(backup)
}

/// Fills an empty store. Rows are written page by page; one that fails half-way leaves a store that is not empty, and has to be emptied by hand.
/// Replicas have to be started again before anybody signs in, because they have read another pepper.
pub(crate) async fn restore(
    core: &Core,
    password: &str,
    bytes: &[u8],
    entry: Entry,
) -> Result<Restored, Error> {
    let contents = open(core, password, bytes).await?;
    for table in [Table::Keys, Table::Accounts] {
        if !is_empty(&core.store, table).await? {
            return Err(Error::StoreNotEmpty);
        }
    }
    let roots = std::iter::once(&contents.root).chain(&contents.older_roots);
    let old = RootKey::of_backup(roots.map(Base64::decode).collect::<Result<_, _>>()?)?;
    let count = |rows: &[CopiedRow], prefix: &str| {
        rows.iter().filter(|row| row.key.starts_with(prefix)).count() as u64
    };
    let restored =
        Restored { keys: count(&contents.keys, "key/"), accounts: count(&contents.accounts, "account/") };
    let keys = contents.keys.into_iter().map(|row| (row.key, row.value.get().to_owned())).collect();
    let mut changes = vec![core.root.put_pepper(&contents.pepper.decode()?)?];
    for (key, value) in keyring::rewrapped(keys, &old, &core.root)? {
        changes.push(Table::Keys.change(key, Expect::Absent, Some(value.into())));
    }
    for row in contents.accounts {
        let value = row.value.get().to_owned();
        changes.push(Table::Accounts.change(row.key, Expect::Absent, Some(value.into())));
    }
    write(&core.store, changes, entry).await?;
    Ok(restored)
}

impl Contents {
    fn write(&self) -> Result<Secret, Error> {
        // With room from the start: a buffer that grows leaves copies behind.
        let mut json = Vec::with_capacity(self.room());
        serde_json::to_writer(&mut json, self).map_err(Error::internal)?;
        Ok(Secret::new(json))
    }

    /// Bytes that this is not longer than as JSON. Each byte of a row's key becomes six at most (`\u001f`), beside less than 32 of
    /// frame.
    fn room(&self) -> usize {
        let rows = self.keys.iter().chain(&self.accounts);
        let rows: usize = rows.map(|row| 6 * row.key.len() + row.value.get().len() + 32).sum();
        let roots: usize = self.older_roots.iter().map(|root| root.0.len() + 4).sum();
        rows + roots + self.root.0.len() + self.pepper.0.len() + 96
    }
}

async fn write(store: &Store, changes: Vec<Change>, entry: Entry) -> Result<(), Error> {
    let mut changes = changes.into_iter();
    loop {
        let page: Vec<Change> = changes.by_ref().take(PAGE).collect();
        if page.len() < PAGE {
            return store.commit(page, entry).await.map(drop);
        }
        store.commit_unrecorded(page).await?;
    }
}

async fn open(core: &Core, password: &str, bytes: &[u8]) -> Result<Contents, Error> {
    let head = bytes
        .get(..MARK.len() + SALT)
        .filter(|head| head.starts_with(MARK))
        .ok_or(Error::BackupUnreadable)?;
    let key = password_key(core, password, head.get(MARK.len()..).unwrap_or_default()).await?;
    let sealed = bytes.get(head.len()..).unwrap_or_default();
    let plain = key.open(head, sealed).map_err(|_| Error::BackupUnreadable)?;
    serde_json::from_slice(plain.expose()).map_err(|_| Error::BackupUnreadable)
}

async fn password_key(core: &Core, password: &str, salt: &[u8]) -> Result<aead::Key, Error> {
    const MEMORY_KIB: u32 = 64 * 1024;
    let (password, salt) = (Secret::new(password.as_bytes().to_vec()), salt.to_vec());
    let derive =
        move || patchbay_crypto::password::argon2id_key(password.expose(), &salt, MEMORY_KIB, 3, 4, 32);
    let key = core.pool.hash(u64::from(MEMORY_KIB) * 1024, derive).await?.map_err(Error::internal)?;
    aead::Key::new(aead::Algorithm::Xaes256Gcm, key.expose()).map_err(Error::internal)
}

fn copied(rows: Vec<Record>) -> Result<Vec<CopiedRow>, Error> {
    let copied = rows.into_iter().map(|record| {
        let value = serde_json::from_slice(&record.value).map_err(Error::internal)?;
        Ok(CopiedRow { key: record.key, value })
    });
    copied.collect()
}

/// Reads keys and accounts as they stood together at one moment. Pages of one reading may be from before and from after a
/// rotation; where two readings in a row find the same, nothing was changed between the first one's end and the second one's
/// beginning.
async fn snapshot(store: &Store) -> Result<[Vec<Record>; 2], Error> {
    let mut before = None;
    for _ in 0..READINGS {
        let rows = [all(store, Table::Keys).await?, all(store, Table::Accounts).await?];
        let found = Some(revisions(&rows));
        if found == before {
            return Ok(rows);
        }
        before = found;
    }
    Err(Error::Conflict("the store".to_owned()))
}

fn revisions(rows: &[Vec<Record>; 2]) -> Vec<(String, u64)> {
    let lasting = rows.iter().flatten().filter(|row| !USES.iter().any(|uses| row.key.starts_with(uses)));
    lasting.map(|row| (row.key.clone(), row.revision)).collect()
}

async fn all(store: &Store, table: Table) -> Result<Vec<Record>, Error> {
    let mut found = Vec::new();
    let mut after = None;
    loop {
        let scan = Scan { prefix: String::new(), after, order: Order::Ascending, limit: PAGE };
        let page = store.scan(table, scan).await?;
        after = page.records.last().map(|record| record.key.clone());
        found.extend(page.records);
        if !page.more {
            return Ok(found);
        }
    }
}

async fn is_empty(store: &Store, table: Table) -> Result<bool, Error> {
    let first = Scan { prefix: String::new(), after: None, order: Order::Ascending, limit: 1 };
    Ok(store.scan(table, first).await?.records.is_empty())
}

#[cfg(test)]
#[path = "backup_tests.rs"]
mod tests;
