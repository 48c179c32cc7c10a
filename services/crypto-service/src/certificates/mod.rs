//! Watches certificates: those of the suite's own listeners, as replicas tell of them in the node registry, and those of configured hosts.
//!
//! One replica at a time, the one that has the lease, looks at the hosts and tells of what ends soon; all of them show the same, because what was seen stands in the store.
//! `target`, `threshold` and `seen` decide and do no I/O; `rows` is the store; `round` puts them together; `probe` reaches the hosts.

mod config;
mod metrics;
mod own;
mod probe;
mod round;
mod rows;
mod seen;
mod target;
mod threshold;
mod watch;

pub use config::Certificates;
pub use target::{Target, TargetError};
pub(crate) use watch::spawn;

use crate::{core::Core, error::Error};
use patchbay_proto::crypto::v1 as pb;
use round::Monitor;

/// All certificates that are known, the one that ends first before the others; the same from every replica.
pub(crate) async fn list(core: &Core) -> Result<Vec<pb::WatchedCertificate>, Error> {
    let now = core.context.clock.now_millis();
    let seen = Monitor::of(core).gather().await?;
    Ok(seen.iter().map(|seen| seen.shown(now)).collect())
}

#[cfg(test)]
mod tests;
