//! Rows of the table of root keys. What is secret in them is wrapped by the seal key, each for its place.

use super::{Derivation, Derived, RootKeyError, ring::RingKey, wrapping::WrappingKey};
use crate::{
    error::Error,
    store::{Row, Store, Table},
};
use base64::{Engine, engine::general_purpose::STANDARD};
use patchbay_backplane::{Change, Expect};
use patchbay_crypto::Secret;
use serde::{Deserialize, Serialize};
use std::{collections::BTreeMap, sync::Arc};

/// Row with the check of the seal key, row of the root keys, and row that says how the seal key is shared.
pub(super) const CHECK_ROW: &str = "check";
const ROOT_ROW: &str = "root";
const SHARING_ROW: &str = "seal";

/// What is wrapped in the row that tells whether a seal key is the right one.
const CHECK: &[u8] = b"patchbay root key";

/// All root keys, and what was derived from the first.
#[derive(Clone, Serialize, Deserialize)]
pub(super) struct RootRow {
    /// Newest first.
    keys: Vec<WrappedKey>,
    /// By label, in Base64. It is the same for ever: a rotation that changed it would end all sessions and break the audit log.
    derived: BTreeMap<String, String>,
}

#[derive(Clone, Serialize, Deserialize)]
struct WrappedKey {
    id: String,
    generation: u32,
    created: u64,
    /// Base64.
    wrapped: String,
}

/// How the seal key is shared. Nothing of it is secret.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Sharing {
    /// Shares that were made.
    pub(crate) shares: u8,
    /// Shares that are needed.
    pub(crate) threshold: u8,
    /// What tells these shares from others, in hexadecimal.
    pub(crate) set: String,
    /// How often the seal was closed: a replica that was opened before the last time closes.
    pub(crate) closings: u64,
}

impl RootRow {
    pub(super) fn wrap(
        seal: &WrappingKey,
        keys: &[RingKey],
        derived: &BTreeMap<Derivation, Derived>,
    ) -> Result<Self, Error> {
        let wrapped = derived.iter().map(|(what, secret)| {
            Ok((what.word().to_owned(), STANDARD.encode(seal.wrap(&what.place(), &***secret)?)))
        });
        let keys = keys.iter().map(|ring| {
            let wrapped = seal.wrap(&place(ring.generation, ring.key.id()), ring.key.secret().expose())?;
            Ok(WrappedKey {
                id: ring.key.id().to_owned(),
                generation: ring.generation,
                created: ring.created,
                wrapped: STANDARD.encode(wrapped),
            })
        });
        Ok(Self {
            keys: keys.collect::<Result<_, Error>>()?,
            derived: wrapped.collect::<Result<_, Error>>()?,
        })
    }

    pub(super) fn open_keys(&self, seal: &WrappingKey) -> Result<Vec<RingKey>, Error> {
        let open = |key: &WrappedKey| {
            let secret = open(seal, &place(key.generation, &key.id), &key.wrapped)?;
            let opened = WrappingKey::new(secret)?;
            Ok(RingKey { generation: key.generation, created: key.created, key: Arc::new(opened) })
        };
        self.keys.iter().map(open).collect()
    }

    pub(super) fn open_derived(&self, seal: &WrappingKey) -> Result<BTreeMap<Derivation, Derived>, Error> {
        let open = |what: Derivation| {
            let missing = || Error::internal(format!("the row of root keys lacks `{}`", what.word()));
            let secret = open(seal, &what.place(), self.derived.get(what.word()).ok_or_else(missing)?)?;
            let mut derived = Derived::default();
            let bytes: &[u8; super::LENGTH] = secret.expose().try_into().map_err(Error::internal)?;
            derived.copy_from_slice(bytes);
            Ok((what, derived))
        };
        Derivation::ALL.into_iter().map(open).collect()
    }

    pub(super) fn put(&self, expect: Expect) -> Result<Change, Error> {
        Table::Root.put(ROOT_ROW, expect, self)
    }
}

fn open(seal: &WrappingKey, place: &str, wrapped: &str) -> Result<Secret, Error> {
    let wrapped = STANDARD.decode(wrapped).map_err(Error::internal)?;
    seal.unwrap(place, &wrapped).ok_or_else(|| Error::internal(super::SealChanged))
}

/// What a root key is wrapped for.
fn place(generation: u32, id: &str) -> String {
    format!("root/{generation}/{id}")
}

/// The row of root keys; `None` where the seal key itself is the only one.
pub(super) async fn read_root(store: &Store) -> Result<Option<Row<RootRow>>, Error> {
    store.get(Table::Root, ROOT_ROW).await
}

/// How the seal key is shared; `None` where it is not.
pub(crate) async fn read_sharing(store: &Store) -> Result<Option<Row<Sharing>>, Error> {
    store.get(Table::Root, SHARING_ROW).await
}

impl Sharing {
    pub(crate) fn put(&self, expect: Expect) -> Result<Change, Error> {
        Table::Root.put(SHARING_ROW, expect, self)
    }
}

/// Whether a key has been accepted by the store, and whether it is this one.
pub(super) async fn check(seal: &WrappingKey, store: &Store) -> Result<bool, RootKeyError> {
    let Some(row) = store.read_one(Table::Root, CHECK_ROW).await? else { return Ok(false) };
    seal.unwrap(CHECK_ROW, &row.value).map(|_| true).ok_or(RootKeyError::Wrong)
}

/// Whether any seal key has been accepted.
pub(crate) async fn is_initialized(store: &Store) -> Result<bool, Error> {
    Ok(store.read_one(Table::Root, CHECK_ROW).await?.is_some())
}

/// The row by which a seal key is known again.
pub(super) fn put_check(seal: &WrappingKey, expect: Expect) -> Result<Change, Error> {
    let wrapped = seal.wrap(CHECK_ROW, CHECK)?;
    Ok(Table::Root.change(CHECK_ROW, expect, Some(wrapped.into())))
}
