//! Cameras that were added by calls: rows on the backplane, which all replicas share.

use super::{CameraName, CameraSpec, secrets::Secrets};
use crate::error::Error;
use patchbay_backplane::{Change, Committed, Expect, Name, Order, Record, Scan, SharedBackplane, Subscriber};
use std::collections::BTreeMap;

/// Rows read at once.
const PAGE: usize = 200;

/// Times that a change is tried which names no revision, when others change the same camera.
const TRIES: usize = 5;

/// A camera that is kept.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Kept {
    /// Its settings.
    pub(super) spec: CameraSpec,
    /// What an update names.
    pub(super) revision: u64,
}

/// Why a row is left out.
#[derive(Debug, thiserror::Error)]
enum Unreadable {
    #[error("{0}")]
    Form(#[from] serde_json::Error),
    #[error("its address could not be sealed: {0}")]
    Seal(#[from] patchbay_crypto::Error),
}

/// The rows.
pub(super) struct Store {
    backplane: SharedBackplane,
    table: Name,
    secrets: Secrets,
}

impl Store {
    pub(super) fn new(backplane: SharedBackplane, secrets: Secrets) -> Self {
        Self { backplane, table: Name::new("camera", "cameras", "store"), secrets }
    }

    /// A subscriber to changes; `capacity` is how many may wait before they become one gap.
    pub(super) fn subscriber(&self, capacity: usize) -> (Subscriber, &Name) {
        (self.backplane.subscriber(capacity), &self.table)
    }

    /// Revision of the whole: nothing has changed as long as this has not.
    pub(super) async fn revision(&self) -> Result<u64, Error> {
        Ok(self.backplane.revision(&self.table).await?)
    }

    /// All of them. Rows that this version cannot read are left out.
    pub(super) async fn all(&self) -> Result<BTreeMap<CameraName, Kept>, Error> {
        let mut all = BTreeMap::new();
        let mut after = None;
        loop {
            let scan = Scan { prefix: String::new(), after, order: Order::Ascending, limit: PAGE };
            let page = self.backplane.scan(&self.table, scan).await?;
            after = page.records.last().map(|record| record.key.clone());
            all.extend(page.records.iter().filter_map(|record| self.parse(record)));
            if !page.more {
                return Ok(all);
            }
        }
    }

    /// Adds a camera where there is none.
    pub(super) async fn add(&self, name: &CameraName, spec: &CameraSpec) -> Result<(), Error> {
        if self.write(name, Expect::Absent, Some(spec)).await? {
            return Ok(());
        }
        // The same again changes nothing, so that a call whose answer was lost can be repeated.
        match self.get(name).await? {
            Some(kept) if kept.spec.source == spec.source => Ok(()),
            _ => Err(Error::AlreadyExists(name.clone())),
        }
    }

    /// Replaces a camera's settings; `expected` is the revision that the caller has read, or none for any.
    pub(super) async fn update(
        &self,
        name: &CameraName,
        spec: &CameraSpec,
        expected: Option<u64>,
    ) -> Result<(), Error> {
        for _ in 0..TRIES {
            let kept = self.get(name).await?.ok_or_else(|| Error::NoCamera(name.clone()))?;
            if expected.is_some_and(|expected| expected != kept.revision) {
                return Err(Error::Conflict(name.clone()));
            }
            if self.write(name, Expect::Revision(kept.revision), Some(spec)).await? {
                return Ok(());
            }
        }
        Err(Error::Conflict(name.clone()))
    }

    /// Removes a camera.
    pub(super) async fn remove(&self, name: &CameraName) -> Result<(), Error> {
        for _ in 0..TRIES {
            let record = self.read(name).await?.ok_or_else(|| Error::NoCamera(name.clone()))?;
            if self.write(name, Expect::Revision(record.revision), None).await? {
                return Ok(());
            }
        }
        Err(Error::Conflict(name.clone()))
    }

    async fn get(&self, name: &CameraName) -> Result<Option<Kept>, Error> {
        Ok(self.read(name).await?.as_ref().and_then(|record| self.parse(record)).map(|(_, kept)| kept))
    }

    async fn read(&self, name: &CameraName) -> Result<Option<Record>, Error> {
        let mut records = self.backplane.records(&self.table, vec![name.as_str().to_owned()]).await?;
        Ok(records.pop().flatten())
    }

    /// Tells whether the row was as expected.
    async fn write(
        &self,
        name: &CameraName,
        expect: Expect,
        spec: Option<&CameraSpec>,
    ) -> Result<bool, Error> {
        let value = spec.map(serde_json::to_vec).transpose().map_err(Error::internal)?;
        let key = name.as_str().to_owned();
        let change = Change { table: self.table.clone(), key, expect, value: value.map(Into::into) };
        Ok(matches!(self.backplane.commit(vec![change]).await?, Committed::Done { .. }))
    }

    fn parse(&self, record: &Record) -> Option<(CameraName, Kept)> {
        let name = record.key.parse::<CameraName>().ok()?;
        match self.spec(&name, &record.value) {
            Ok(spec) => Some((name, Kept { spec, revision: record.revision })),
            Err(error) => {
                tracing::warn!(camera = %name, %error, "a camera that is kept cannot be read; it is left out");
                None
            }
        }
    }

    /// Older versions kept addresses with their secrets; those are sealed in the store when the camera is next written.
    fn spec(&self, name: &CameraName, row: &[u8]) -> Result<CameraSpec, Unreadable> {
        let mut spec: CameraSpec = serde_json::from_slice(row)?;
        self.secrets.seal_address(name, &mut spec.source)?;
        Ok(spec)
    }
}
