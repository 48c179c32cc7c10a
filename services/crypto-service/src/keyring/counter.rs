//! Encryptions with 96-bit nonces, counted over all replicas: each reserves a block on the disk before it uses it.
//!
//! A nonce of 96 random bits repeats with a chance of 2^-32 after 2^32 messages (NIST SP 800-38D, section 8.3); a version that has
//! come so far encrypts no more.

use super::rows::{UsageRow, usage_row};
use crate::{
    error::Error,
    store::{Store, Table},
};
use patchbay_backplane::Expect;
use prometheus_client::metrics::counter::Counter as Metric;
use std::sync::atomic::{AtomicU64, Ordering};

/// Encryptions of one version after which it is told to be nearly exhausted.
pub(crate) const WARN_AT: u64 = 1 << 31;

/// Encryptions of one version at most.
pub(crate) const LIMIT: u64 = 1 << 32;

/// How often a reservation is tried again after another replica was quicker.
const ATTEMPTS: usize = 16;

/// What is left of the block of one version on this replica.
#[derive(Default)]
pub(super) struct Counter {
    left: AtomicU64,
    // Held while a block is reserved, so that all who wait share it.
    reserving: tokio::sync::Mutex<()>,
}

/// Where and how blocks are reserved.
pub(super) struct Blocks<'a> {
    pub(super) store: &'a Store,
    /// Encryptions of a block.
    pub(super) size: u64,
    /// Counts versions that have come to [`WARN_AT`].
    pub(super) warnings: &'a Metric,
}

/// One version of one key.
pub(super) struct Target<'a> {
    pub(super) name: &'a str,
    pub(super) id: &'a str,
    pub(super) number: u32,
}

impl Counter {
    /// Takes from what is left, if that is enough.
    pub(super) fn try_take(&self, count: u32) -> bool {
        let take = |left: u64| left.checked_sub(u64::from(count));
        self.left.fetch_update(Ordering::AcqRel, Ordering::Acquire, take).is_ok()
    }

    /// Takes, and reserves another block where that is needed. What a reservation got whose caller went away, or that was
    /// not answered, is lost: the count is never too low.
    pub(super) async fn take(
        &self,
        blocks: &Blocks<'_>,
        target: &Target<'_>,
        count: u32,
    ) -> Result<(), Error> {
        if self.try_take(count) {
            return Ok(());
        }
        let _reserving = self.reserving.lock().await;
        for _ in 0..ATTEMPTS {
            if self.try_take(count) {
                return Ok(());
            }
            let missing = u64::from(count).saturating_sub(self.left.load(Ordering::Acquire));
            match blocks.reserve(target, missing).await {
                Ok(reserved) => {
                    self.left.fetch_add(reserved, Ordering::AcqRel);
                }
                Err(Error::Conflict(_)) => {}
                Err(error) => return Err(error),
            }
        }
        Err(Error::Busy)
    }
}

impl Blocks<'_> {
    /// Adds a block of at least `missing` to the row; a smaller one where the limit is near.
    async fn reserve(&self, target: &Target<'_>, missing: u64) -> Result<u64, Error> {
        let row_key = usage_row(target.id, target.number);
        let row = self.store.get::<UsageRow>(Table::Keys, &row_key).await?;
        let expect = row.as_ref().map_or(Expect::Absent, crate::store::Row::unchanged);
        let before = row.map_or(0, |row| row.value.reserved);
        let room = LIMIT.saturating_sub(before);
        if room < missing {
            return Err(Error::KeyExhausted);
        }
        let block = self.size.max(missing).min(room);
        let after = UsageRow { reserved: before + block };
        self.store.commit_unrecorded(vec![Table::Keys.put(row_key, expect, &after)?]).await?;
        if before < WARN_AT && WARN_AT <= after.reserved {
            self.warnings.inc();
            tracing::warn!(
                key = target.name,
                version = target.number,
                "half of the 2^32 messages of this version are used up: rotate the key"
            );
        }
        Ok(block)
    }
}
