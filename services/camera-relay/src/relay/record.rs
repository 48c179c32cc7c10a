//! What stands on the backplane of the owner of a camera: a lease, which says that there is one, and a record, which says where it is reached.
//!
//! The record follows the lease: it is written only by the lease's holder, never over one with a newer epoch, and expires with the lease. One that is
//! stale for a moment does no harm, because whoever is asked for a stream that it does not own says so.

use super::{CALL, CALL_WHEN_AWAY, LEASE};
use crate::cameras::CameraName;
use patchbay_backplane::{Answer, BackplaneError, FencingToken, Health, Name, SharedBackplane, Version};
use serde::{Deserialize, Serialize};
use std::time::Duration;
use tokio::time::timeout;

/// How long an empty record stands in place of one that was given up.
const GIVEN_UP: Duration = Duration::from_secs(1);

/// Who owns a camera.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Owner {
    /// The replica.
    pub(super) node: String,
    /// Its gRPC server, `host:port`.
    pub(super) address: String,
    /// Its fencing token.
    pub(super) epoch: u64,
}

/// A replica has become the owner of a camera: published to all.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct News {
    /// The camera.
    pub(super) camera: CameraName,
    /// Its owner.
    pub(super) owner: Owner,
}

/// What became of writing a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Written {
    /// It stands.
    Done(Version),
    /// Somebody else wrote at the same time.
    Disturbed,
    /// There is a newer owner.
    Newer,
}

/// The backplane did not do it in time, or could not.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the backplane does not answer")]
pub(super) struct Away;

/// The channel on which new owners are told.
pub(super) fn channel() -> Name {
    Name::new("camera", "owners", "all")
}

/// Leases and records of cameras.
#[derive(Clone)]
pub(super) struct Records {
    backplane: SharedBackplane,
    node: String,
}

impl Records {
    pub(super) fn new(backplane: SharedBackplane, node: String) -> Self {
        Self { backplane, node }
    }

    /// Takes the lease, or extends it; none when somebody else has it.
    pub(super) async fn acquire(&self, camera: &CameraName) -> Result<Option<FencingToken>, Away> {
        self.in_time(self.backplane.acquire(&lease(camera), &self.node, LEASE)).await
    }

    /// Extends the lease; false when it is no longer ours.
    pub(super) async fn renew(&self, camera: &CameraName, token: FencingToken) -> Result<bool, Away> {
        self.in_time(self.backplane.renew(&lease(camera), &self.node, token, LEASE)).await
    }

    /// The owner, as far as its record tells.
    pub(super) async fn owner(&self, camera: &CameraName) -> Result<Option<Owner>, Away> {
        let found = self.in_time(self.backplane.get(&record(camera))).await?;
        Ok(found.and_then(|found| parse(&found.value)))
    }

    /// Writes the record of a lease that is ours.
    pub(super) async fn write(&self, camera: &CameraName, owner: &Owner) -> Result<Written, Away> {
        let key = record(camera);
        let found = self.in_time(self.backplane.get(&key)).await?;
        let stands = found.as_ref().and_then(|found| parse(&found.value));
        if stands.is_some_and(|stands| stands.epoch > owner.epoch) {
            return Ok(Written::Newer);
        }
        let value = serde_json::to_vec(owner).expect("strings and numbers always encode");
        let expected = found.map(|found| found.version);
        let written = self.backplane.compare_and_set(&key, expected, value.into(), Some(LEASE));
        Ok(self.in_time(written).await?.map_or(Written::Disturbed, Written::Done))
    }

    /// Tells all that a camera has a new owner. Nobody waits for it: whoever misses it learns it at the next renewal.
    pub(super) fn announce(&self, camera: &CameraName, owner: &Owner) {
        let news = News { camera: camera.clone(), owner: owner.clone() };
        let text = serde_json::to_vec(&news).expect("strings and numbers always encode");
        drop(self.backplane.publish(&channel(), text.into()));
    }

    /// Gives a lease up, and the record before it where that is still what was written. Nothing is waited for: the calls are under way when this returns,
    /// and if they are lost, both expire.
    pub(super) fn give_up(&self, camera: &CameraName, token: FencingToken, version: Option<Version>) {
        if let Some(version) = version {
            let nothing = bytes::Bytes::new();
            drop(self.backplane.compare_and_set(&record(camera), Some(version), nothing, Some(GIVEN_UP)));
        }
        drop(self.backplane.release(&lease(camera), &self.node, token));
    }

    /// Gives up the lease of a replica that is known to be dead.
    pub(super) async fn bury(&self, camera: &CameraName, dead: &Owner) -> Result<bool, Away> {
        self.in_time(self.backplane.release(&lease(camera), &dead.node, FencingToken(dead.epoch))).await
    }
}

impl Records {
    /// Waits for the backplane, but not long where it is known to be away: somebody waits for a picture.
    async fn in_time<T>(&self, answer: Answer<T>) -> Result<T, Away> {
        let is_up = *self.backplane.health().borrow() == Health::Up;
        match timeout(if is_up { CALL } else { CALL_WHEN_AWAY }, answer).await {
            Ok(Ok(done)) => Ok(done),
            Ok(Err(error)) => Err(away(&error)),
            Err(_) => Err(Away),
        }
    }
}

/// An empty record, or one of another version, tells nothing.
fn parse(value: &[u8]) -> Option<Owner> {
    serde_json::from_slice(value).ok()
}

fn lease(camera: &CameraName) -> Name {
    Name::new("camera", "owner", camera.as_str())
}

fn record(camera: &CameraName) -> Name {
    Name::new("camera", "owner-record", camera.as_str())
}

fn away(error: &BackplaneError) -> Away {
    if !matches!(error, BackplaneError::Unavailable(_)) {
        tracing::warn!(%error, "the backplane refuses to tell who captures a camera");
    }
    Away
}
