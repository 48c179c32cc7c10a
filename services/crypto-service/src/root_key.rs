//! The keys that wrap all others.
//!
//! The seal key comes from a file, from a passphrase or from shares, and is nowhere but in memory. It wraps the root keys, which stand in one row
//! of the store; the newest of these wraps everything else, older ones unwrap until everything is wrapped anew. In a store that was never rotated there is no such row:
//! the seal key itself is the root key, with generation 0.

mod change;
mod ring;
mod row;
mod source;
#[cfg(test)]
#[path = "root_key/tests.rs"]
mod tests;
mod wrapping;

pub(crate) use change::{Initial, initialize};
pub(crate) use row::{Sharing, is_initialized, read_sharing};
pub(crate) use source::read_seal_key;

use crate::{
    error::Error,
    store::{Store, Table},
};
use parking_lot::RwLock;
use patchbay_backplane::{Change, Expect};
use patchbay_crypto::Secret;
use ring::Ring;
use std::{collections::BTreeMap, sync::Arc};
use tokio::time::Instant;
use wrapping::WrappingKey;
use zeroize::Zeroizing;

/// Bytes of a key.
pub const LENGTH: usize = 32;

/// Row with the pepper of an installation whose backup was restored here.
const PEPPER_ROW: &str = "pepper";

/// Rows beside the root keys that these wrap, each for the place of its own name.
const WRAPPED_ROWS: [&str; 2] = [PEPPER_ROW, crate::keyring::WRAPPING_ROW];

/// Why there is no root key.
#[derive(Debug, thiserror::Error)]
pub enum RootKeyError {
    /// Nothing is configured.
    #[error(
        "root_key.file, root_key.passphrase_file or root_key.shares must be set (`patchbay init-secrets` makes a file)"
    )]
    NotConfigured,
    /// The file cannot be read.
    #[error("cannot read {path}")]
    Read {
        /// Which.
        path: String,
        /// Why.
        source: std::io::Error,
    },
    /// The file is no key.
    #[error("{0} has not 32 bytes, raw, in Base64 or in hexadecimal")]
    NotAKey(String),
    /// The passphrase is too short.
    #[error("the passphrase in {path} has less than {min} characters")]
    ShortPassphrase {
        /// Where it is.
        path: String,
        /// Characters at least.
        min: usize,
    },
    /// The store was written with another key.
    #[error("this is not the root key that the store was written with; put the right one back")]
    Wrong,
    /// The store's seal key was shared since.
    #[error(
        "the seal of this store was made to be opened with shares: set root_key.shares, take root_key.file and root_key.passphrase_file away, and bring the shares with `patchbay seal unseal`"
    )]
    Shared,
    /// The store's seal key was never shared.
    #[error(
        "root_key.shares is set, but this store is opened with a key file or a passphrase: start with that once more and run `patchbay seal rekey`, which makes shares"
    )]
    NotShared,
    /// The store cannot be read.
    #[error("the store cannot be read")]
    Store(#[from] Error),
}

/// A row that no key here has wrapped.
#[derive(Debug, thiserror::Error)]
#[error("the row {0} was not wrapped by this root key, or was changed")]
struct NotWrapped(String);

/// Root keys that the seal key known here does not open.
#[derive(Debug, thiserror::Error)]
#[error("the root keys were wrapped by another seal key")]
struct SealChanged;

/// A secret made from a key. It stays where it is when it is handed on, and is overwritten in the end.
pub type Derived = Box<Zeroizing<[u8; LENGTH]>>;

/// What is made from the first root key and stays for ever.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Derivation {
    /// The key of the audit log.
    Audit,
    /// The key of refresh tokens.
    Refresh,
    /// What goes into the hashes of passwords.
    Pepper,
}

impl Derivation {
    const ALL: [Self; 3] = [Self::Audit, Self::Refresh, Self::Pepper];

    fn word(self) -> &'static str {
        match self {
            Self::Audit => "audit",
            Self::Refresh => "refresh",
            Self::Pepper => "pepper",
        }
    }

    fn place(self) -> String {
        format!("derived/{}", self.word())
    }
}

/// How a row stands to the newest root key.
pub(crate) enum Rewrapped {
    /// That has wrapped it.
    Newest,
    /// An older one has; this is the same secret, wrapped by the newest.
    Anew(Vec<u8>),
    /// None that is known here has.
    Unknown,
}

/// What is told of the root key in use.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct RootStatus {
    pub(crate) id: String,
    pub(crate) generation: u32,
    /// In milliseconds since 1970; 0 is as old as the store.
    pub(crate) created: u64,
}

/// The root keys.
pub struct RootKey {
    // Held for a look-up, never across an await.
    seal: RwLock<Arc<WrappingKey>>,
    ring: RwLock<Arc<Ring>>,
    derived: BTreeMap<Derivation, Derived>,
    pepper: Derived,
}

impl RootKey {
    /// Reads the root keys with a seal key. An empty store believes one that comes from a file or a passphrase.
    pub async fn open(seal: Secret, store: &Store) -> Result<Self, RootKeyError> {
        let seal = Arc::new(WrappingKey::new(seal)?);
        while !row::check(&seal, store).await? {
            change::accept(&seal, store).await?;
        }
        Self::read(seal, store).await
    }

    /// As [`Self::open`], with a key that was put together from shares: an empty store believes none that it did not make.
    pub(crate) async fn open_shared(seal: Secret, store: &Store) -> Result<Option<Self>, RootKeyError> {
        let seal = Arc::new(WrappingKey::new(seal)?);
        if !row::check(&seal, store).await? {
            return Ok(None);
        }
        Self::read(seal, store).await.map(Some)
    }

    async fn read(seal: Arc<WrappingKey>, store: &Store) -> Result<Self, RootKeyError> {
        let mut key = match row::read_root(store).await? {
            Some(row) => Self {
                ring: RwLock::new(Arc::new(Ring::read(&row, &seal)?)),
                pepper: Derived::default(),
                derived: row.value.open_derived(&seal)?,
                seal: RwLock::new(seal),
            },
            None => Self::of(seal),
        };
        let pepper = key.derive(Derivation::Pepper);
        key.pepper.copy_from_slice(&**pepper);
        key.read_pepper(store).await?;
        Ok(key)
    }

    /// Takes 32 bytes as the root key of a store that was never rotated.
    pub fn new(secret: Secret) -> Result<Self, Error> {
        Ok(Self::of(Arc::new(WrappingKey::new(secret)?)))
    }

    fn of(seal: Arc<WrappingKey>) -> Self {
        let derived = Derivation::ALL.into_iter().map(|what| (what, seal.derive(what.word()))).collect();
        Self {
            ring: RwLock::new(Arc::new(Ring::of_seal(&seal))),
            pepper: seal.derive(Derivation::Pepper.word()),
            derived,
            seal: RwLock::new(seal),
        }
    }

    /// Takes the root keys of a backup, newest first.
    pub(crate) fn of_backup(secrets: Vec<Secret>) -> Result<Self, Error> {
        let keys = secrets.into_iter().map(|secret| {
            Ok(ring::RingKey { generation: 0, created: 0, key: Arc::new(WrappingKey::new(secret)?) })
        });
        let keys = keys.collect::<Result<Vec<_>, Error>>()?;
        let newest = keys.first().map(|ring| Arc::clone(&ring.key)).ok_or(Error::BackupUnreadable)?;
        let key = Self::of(newest);
        *key.ring.write() = Arc::new(Ring::of_keys(keys, 0));
        Ok(key)
    }

    /// Tells root keys apart without telling anything of them.
    pub fn id(&self) -> String {
        self.ring().newest().key.id().to_owned()
    }

    /// What is told of the key in use.
    pub(crate) fn status(&self) -> RootStatus {
        let ring = self.ring();
        let newest = ring.newest();
        RootStatus { id: newest.key.id().to_owned(), generation: newest.generation, created: newest.created }
    }

    /// Changes whenever the root keys do.
    pub(crate) fn revision(&self) -> u64 {
        self.ring().revision
    }

    /// Root keys that the store has.
    pub(crate) fn generations(&self) -> usize {
        self.ring().keys().len()
    }

    /// Whether there is a key beside the newest.
    pub(crate) fn has_older(&self) -> bool {
        self.ring().has_older()
    }

    /// The keys themselves, newest first, for an encrypted copy of everything.
    pub(crate) fn expose(&self) -> Vec<(String, Secret)> {
        self.ring().secrets().map(|(id, secret)| (id.to_owned(), secret.clone())).collect()
    }

    /// Wraps a secret for the place that `context` names; it can be unwrapped for that place only.
    pub fn wrap(&self, context: &str, secret: &Secret) -> Result<Vec<u8>, Error> {
        self.ring().newest().key.wrap(context, secret.expose())
    }

    /// Unwraps what was wrapped for the same place.
    pub fn unwrap(&self, context: &str, wrapped: &[u8]) -> Result<Secret, Error> {
        let ring = self.ring();
        let opened = ring.newest().key.unwrap(context, wrapped);
        let opened = opened.or_else(|| ring.unwrap_by_older(context, wrapped));
        opened.ok_or_else(|| Error::internal(NotWrapped(context.to_owned())))
    }

    /// Wraps anew what an older key has wrapped.
    pub(crate) fn rewrap(&self, context: &str, wrapped: &[u8]) -> Result<Rewrapped, Error> {
        let ring = self.ring();
        if ring.newest().key.unwrap(context, wrapped).is_some() {
            return Ok(Rewrapped::Newest);
        }
        match ring.unwrap_by_older(context, wrapped) {
            Some(secret) => Ok(Rewrapped::Anew(ring.newest().key.wrap(context, secret.expose())?)),
            None => Ok(Rewrapped::Unknown),
        }
    }

    /// A secret of 32 bytes made from the first root key; no rotation changes it.
    pub fn derive(&self, what: Derivation) -> Derived {
        self.derived.get(&what).cloned().expect("all derivations are made at once")
    }

    /// What goes into the hashes of passwords, beside the password: made from the first root key, unless accounts came from a backup.
    pub fn pepper(&self) -> &[u8; LENGTH] {
        &self.pepper
    }

    /// A change that keeps another installation's pepper, for the next start.
    pub(crate) fn put_pepper(&self, pepper: &Secret) -> Result<Change, Error> {
        let wrapped = self.wrap(PEPPER_ROW, pepper)?;
        Ok(Table::Root.change(PEPPER_ROW, Expect::Anything, Some(wrapped.into())))
    }

    /// Changes that wrap anew what stands beside the root keys, where an older key has wrapped it.
    pub(crate) async fn rewrapped_rows(&self, store: &Store) -> Result<Vec<Change>, Error> {
        let names = WRAPPED_ROWS.iter().map(|row| (*row).to_owned()).collect();
        let rows = store.read(Table::Root, names).await?.into_iter().flatten();
        let mut changes = Vec::new();
        for row in rows {
            if let Rewrapped::Anew(wrapped) = self.rewrap(&row.key, &row.value)? {
                let expect = Expect::Revision(row.revision);
                changes.push(Table::Root.change(row.key, expect, Some(wrapped.into())));
            }
        }
        Ok(changes)
    }

    async fn read_pepper(&mut self, store: &Store) -> Result<(), Error> {
        let Some(row) = store.read_one(Table::Root, PEPPER_ROW).await? else { return Ok(()) };
        let pepper = self.unwrap(PEPPER_ROW, &row.value)?;
        let pepper: &[u8; LENGTH] = pepper.expose().try_into().map_err(Error::internal)?;
        self.pepper.copy_from_slice(pepper);
        Ok(())
    }

    /// Reads the root keys again where they have changed. Whatever was read from the store before this can be unwrapped after it.
    pub(crate) async fn reload(&self, store: &Store) -> Result<Reload, Error> {
        let Some(row) = row::read_root(store).await? else { return Ok(Reload::Same) };
        let before = self.ring();
        if row.revision == before.revision {
            return Ok(Reload::Same);
        }
        let seal = Arc::clone(&self.seal.read());
        match Ring::read(&row, &seal) {
            Ok(ring) => Ok(self.adopt(ring)),
            Err(Error::Internal(cause)) if cause.is::<SealChanged>() => Ok(Reload::SealChanged),
            Err(error) => Err(error),
        }
    }

    /// Whether something failed because of a root key that was not known here when the root keys had the revision `since`, and is now, whoever has read it: then it
    /// should be tried again.
    pub(crate) async fn has_learnt(&self, store: &Store, since: u64, error: Option<&Error>) -> bool {
        let is_unknown = matches!(error, Some(Error::Internal(cause)) if cause.is::<NotWrapped>());
        is_unknown && self.reload(store).await.is_ok() && self.revision() != since
    }

    /// When the last of the keys that have gone from the store went; `None` where there is none.
    pub(crate) fn former_since(&self) -> Option<Instant> {
        self.ring().former_since()
    }

    /// Forgets keys that have gone from the store, once nothing is wrapped by them.
    pub(crate) fn forget_former(&self, revision: u64) {
        let mut ring = self.ring.write();
        if ring.revision == revision {
            *ring = Arc::new(ring.without_former());
        }
    }

    fn ring(&self) -> Arc<Ring> {
        Arc::clone(&self.ring.read())
    }

    /// Takes a ring unless a newer one is here.
    fn adopt(&self, ring: Ring) -> Reload {
        let mut here = self.ring.write();
        if ring.revision <= here.revision {
            return Reload::Same;
        }
        *here = Arc::new(ring.after(&here));
        Reload::Changed
    }
}

/// What reading the root keys again has brought.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Reload {
    /// Nothing.
    Same,
    /// Other keys.
    Changed,
    /// The row cannot be opened any more: the seal key was changed, and this replica was not told.
    SealChanged,
}
