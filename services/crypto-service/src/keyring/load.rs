//! Reads keys from the store and unwraps them.

use super::{
    Header, KeyName, Keyring, LoadedKey, LoadedVersion,
    counter::Counter,
    material::{Made, Material},
    rows::{VersionRow, place},
};
use crate::{
    error::Error,
    store::{Row, Table, parse},
};
use std::{collections::BTreeMap, sync::Arc};

/// How often a key is read again that is changed while it is read.
const ATTEMPTS: usize = 8;

/// Versions of one read.
const CHUNK: usize = 500;

/// Versions that are unwrapped at once; more would keep a thread from its other callers.
const FEW: usize = 32;

/// A version's row with its number.
pub(super) type Numbered = (u32, VersionRow);

impl Keyring {
    /// Reads a key; of versions that are in memory already only the header, because versions do not change.
    pub(super) async fn load(&self, name: &KeyName) -> Result<Arc<LoadedKey>, Error> {
        let since = self.0.root.revision();
        let loaded = self.read(name).await;
        if self.0.root.has_learnt(&self.0.store, since, loaded.as_ref().err()).await {
            return self.read(name).await;
        }
        loaded
    }

    async fn read(&self, name: &KeyName) -> Result<Arc<LoadedKey>, Error> {
        let generation = self.0.cache.generation();
        let known = self.0.cache.known(name.as_str());
        let needed = |row: &Row<Header>| match &known {
            Some(known) if known.header.id == row.value.id => {
                usable(&row.value).filter(|number| !known.versions.contains_key(number)).collect()
            }
            _ => usable(&row.value).collect(),
        };
        let (row, rows) = self.snapshot(name, needed).await?;
        if let Some(known) = known.as_ref().filter(|known| known.revision == row.revision) {
            return Ok(Arc::clone(known));
        }
        let read = self.unwrap_versions(name, &row.value, rows).await?;
        let key = assemble(name, row, known.as_deref(), read)
            .ok_or_else(|| Error::internal(format!("the key {name} lacks a version")))?;
        Ok(self.0.cache.insert(Arc::new(key), generation))
    }

    /// Reads a header.
    pub(super) async fn header(&self, name: &KeyName) -> Result<Option<Row<Header>>, Error> {
        self.0.store.get(Table::Keys, &name.header_row()).await
    }

    /// Reads a header, and the versions that are wanted of it, as they stood at one time: where the header has changed since, all is
    /// read again.
    pub(super) async fn snapshot(
        &self,
        name: &KeyName,
        wanted: impl Fn(&Row<Header>) -> Vec<u32>,
    ) -> Result<(Row<Header>, Vec<Numbered>), Error> {
        for _ in 0..ATTEMPTS {
            let Some(row) = self.header(name).await? else {
                self.0.cache.forget(name.as_str());
                return Err(name.not_found());
            };
            if let Some(versions) = self.read_versions(name, &row, &wanted(&row)).await? {
                return Ok((row, versions));
            }
        }
        Err(Error::Conflict(format!("the key `{name}`")))
    }

    /// Reads versions; `None` when the header is not the same any more.
    async fn read_versions(
        &self,
        name: &KeyName,
        header: &Row<Header>,
        numbers: &[u32],
    ) -> Result<Option<Vec<Numbered>>, Error> {
        let mut versions = Vec::with_capacity(numbers.len());
        for chunk in numbers.chunks(CHUNK) {
            let mut keys: Vec<String> = chunk.iter().map(|number| name.version_row(*number)).collect();
            keys.push(name.header_row());
            let mut rows = self.0.store.read(Table::Keys, keys).await?;
            if rows.pop().flatten().is_none_or(|row| row.revision != header.revision) {
                return Ok(None);
            }
            for (number, row) in chunk.iter().zip(rows) {
                let row =
                    row.ok_or_else(|| Error::internal(format!("the key {name} has lost version {number}")))?;
                versions.push((*number, parse(&row)?.value));
            }
        }
        Ok(Some(versions))
    }

    /// Unwraps and parses. RSA keys are checked number by number, which takes long: that is the pool's, as are many versions.
    async fn unwrap_versions(
        &self,
        name: &KeyName,
        header: &Header,
        rows: Vec<Numbered>,
    ) -> Result<Vec<LoadedVersion>, Error> {
        let (root, name, header) = (Arc::clone(&self.0.root), name.clone(), header.clone());
        let is_slow = rows.len() > FEW || header.key_type.is_rsa() && !rows.is_empty();
        let unwrap = move || -> Result<Vec<LoadedVersion>, Error> {
            rows.into_iter()
                .map(|(number, row)| {
                    let bytes = row.unwrap(&root, &place(&name, &header, number))?;
                    let made = Made::stored(header.key_type, bytes)?;
                    Ok(LoadedVersion::new(&header, number, row.created, *made.ready))
                })
                .collect()
        };
        if is_slow { self.0.pool.sign(unwrap).await? } else { unwrap() }
    }

    /// Puts a key that has just been committed in memory, before the change is answered.
    pub(super) fn adopt(&self, name: &KeyName, row: Row<Header>, new: Vec<LoadedVersion>) {
        let known = self.0.cache.known(name.as_str());
        match assemble(name, row, known.as_deref(), new) {
            Some(key) => self.0.cache.replace(&Arc::new(key)),
            None => self.0.cache.forget(name.as_str()),
        }
    }
}

impl LoadedVersion {
    pub(super) fn new(header: &Header, number: u32, created: u64, material: Material) -> Self {
        let counter = header.key_type.is_counted().then(Counter::default);
        Self { number, public: material.public(), material, created, counter }
    }
}

/// Versions that may be used, and are kept in memory.
fn usable(header: &Header) -> std::ops::RangeInclusive<u32> {
    header.min_decryption.max(header.min_available)..=header.latest
}

/// Puts together what was known and what was read; `None` where a version is missing.
fn assemble(
    name: &KeyName,
    row: Row<Header>,
    known: Option<&LoadedKey>,
    read: Vec<LoadedVersion>,
) -> Option<LoadedKey> {
    let known = known.filter(|known| known.header.id == row.value.id);
    let mut versions: BTreeMap<u32, Arc<LoadedVersion>> =
        known.map(|known| known.versions.clone()).unwrap_or_default();
    versions.extend(read.into_iter().map(|version| (version.number, Arc::new(version))));
    let usable = usable(&row.value);
    versions.retain(|number, _| usable.contains(number));
    let is_whole = usable.clone().all(|number| versions.contains_key(&number));
    is_whole.then(|| LoadedKey { name: name.shared(), header: row.value, versions, revision: row.revision })
}
