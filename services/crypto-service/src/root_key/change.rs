//! Changes of root keys and of the seal key: each is one commit, complete whatever happens after it.

use super::{
    Derivation, LENGTH, Reload, RootKey, RootKeyError, SealChanged,
    ring::{Ring, RingKey},
    row::{self, RootRow, Sharing},
    wrapping::WrappingKey,
};
use crate::{audit::Entry, error::Error, store::Store};
use patchbay_backplane::Expect;
use patchbay_crypto::Secret;
use std::sync::Arc;

/// Root keys at one time. One more is refused until the oldest has gone.
const MAX_KEYS: usize = 16;

/// What a store begins with that is opened with shares.
pub(crate) struct Initial {
    /// The seal key.
    pub(crate) seal: Secret,
    /// How it is shared.
    pub(crate) sharing: Sharing,
}

/// Believes a key in an empty store. Two replicas may start at once: whose row stands there first decides.
pub(super) async fn accept(seal: &WrappingKey, store: &Store) -> Result<(), RootKeyError> {
    let change = row::put_check(seal, Expect::Absent)?;
    match store.commit(vec![change], Entry::by_service("root.accept", seal.id())).await {
        Ok(_) | Err(Error::Conflict(_)) => Ok(()),
        Err(error) => Err(error.into()),
    }
}

/// Writes what an empty store begins with; [`Error::AlreadyInitialized`] where somebody else was quicker.
/// `store` is one that has no key of the audit log yet, and must not be used after a failure.
pub(crate) async fn initialize(
    initial: &Initial,
    now_ms: u64,
    store: &Store,
    entry: Entry,
) -> Result<(), Error> {
    let seal = WrappingKey::new(initial.seal.clone())?;
    let first = RingKey { generation: 1, created: now_ms, key: Arc::new(WrappingKey::random()?) };
    let root = RootKey::of(Arc::clone(&first.key));
    let row = RootRow::wrap(&seal, &[first], &root.derived)?;
    let changes = vec![
        row::put_check(&seal, Expect::Absent)?,
        row.put(Expect::Absent)?,
        initial.sharing.put(Expect::Absent)?,
    ];
    store.seal_audit(&root.derive(Derivation::Audit));
    match store.commit(changes, entry).await {
        Ok(_) => Ok(()),
        Err(Error::Conflict(_)) => Err(Error::AlreadyInitialized),
        Err(error) => Err(error),
    }
}

impl RootKey {
    /// Makes a new root key, which wraps from then on.
    pub(crate) async fn rotate(&self, now_ms: u64, store: &Store, entry: Entry) -> Result<(), Error> {
        self.catch_up(store).await?;
        let ring = self.ring();
        if ring.keys().len() >= MAX_KEYS {
            return Err(Error::Conflict("the root key".to_owned()));
        }
        let generation =
            ring.newest().generation.checked_add(1).ok_or_else(|| Error::internal("2^32 keys"))?;
        let made = RingKey { generation, created: now_ms, key: Arc::new(WrappingKey::random()?) };
        let entry = Entry { target: made.key.id().to_owned(), ..entry };
        let keys = [&[made], ring.keys()].concat();
        self.put_keys(keys, &ring, store, entry.detail(format!("generation {generation}"))).await
    }

    /// Drops all root keys but the newest, where they are still those that were looked at.
    pub(crate) async fn retire(&self, revision: u64, store: &Store) -> Result<(), Error> {
        let ring = self.ring();
        if ring.revision != revision || ring.keys().len() < 2 {
            return Err(Error::Conflict("the root keys".to_owned()));
        }
        let gone: Vec<&str> = ring.keys().iter().skip(1).map(|ring| ring.key.id()).collect();
        let entry = Entry::by_service("root.retire", &gone.join(" "));
        self.put_keys(vec![ring.newest().clone()], &ring, store, entry).await
    }

    async fn put_keys(
        &self,
        keys: Vec<RingKey>,
        before: &Ring,
        store: &Store,
        entry: Entry,
    ) -> Result<(), Error> {
        let seal = Arc::clone(&self.seal.read());
        let row = RootRow::wrap(&seal, &keys, &self.derived)?;
        let revision = store.commit(vec![row.put(expected(before))?], entry).await?;
        self.adopt(Ring::of_keys(keys, revision));
        Ok(())
    }

    /// Puts a new seal key in the place of the old one. The root keys stay; only what wraps them changes.
    pub(crate) async fn rekey(&self, initial: &Initial, store: &Store, entry: Entry) -> Result<(), Error> {
        self.catch_up(store).await?;
        let ring = self.ring();
        let seal = Arc::new(WrappingKey::new(initial.seal.clone())?);
        let row = RootRow::wrap(&seal, ring.keys(), &self.derived)?;
        let before = row::read_sharing(store).await?;
        let closings = before.as_ref().map_or(0, |row| row.value.closings);
        let sharing = Sharing { closings, ..initial.sharing.clone() };
        let changes = vec![
            row.put(expected(&ring))?,
            row::put_check(&seal, Expect::Anything)?,
            sharing.put(before.map_or(Expect::Absent, |row| row.unchanged()))?,
        ];
        let revision = store.commit(changes, entry).await?;
        self.adopt_seal(seal, Ring::of_keys(ring.keys().to_vec(), revision));
        Ok(())
    }

    /// Takes a seal key that was put in place; an error where the store has another one.
    pub(crate) async fn learn_seal(&self, secret: Secret, store: &Store) -> Result<(), Error> {
        let seal = Arc::new(WrappingKey::new(secret)?);
        let row = row::read_root(store).await?.ok_or_else(|| Error::internal(SealChanged))?;
        let ring = Ring::read(&row, &seal)?;
        self.adopt_seal(seal, ring);
        Ok(())
    }

    fn adopt_seal(&self, seal: Arc<WrappingKey>, ring: Ring) {
        *self.seal.write() = seal;
        self.adopt(ring);
    }

    /// Reads the root keys again; an error where they cannot be read any more.
    pub(crate) async fn catch_up(&self, store: &Store) -> Result<(), Error> {
        match self.reload(store).await? {
            Reload::Same | Reload::Changed => Ok(()),
            Reload::SealChanged => Err(Error::Conflict("the seal key".to_owned())),
        }
    }

    /// A fresh seal key.
    pub(crate) fn new_seal_key() -> Result<Secret, Error> {
        Secret::random(LENGTH).map_err(Error::internal)
    }
}

/// What the row of root keys must be for a change of this ring.
fn expected(ring: &Ring) -> Expect {
    match ring.revision {
        0 => Expect::Absent,
        revision => Expect::Revision(revision),
    }
}
