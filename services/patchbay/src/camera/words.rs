//! Small things that all commands write.

pub(super) use crate::events::harmless;

use std::time::Duration;

/// A time of the interface; zero where there is none.
pub(super) fn duration(time: Option<prost_types::Duration>) -> Duration {
    time.and_then(|time| time.try_into().ok()).unwrap_or_default()
}

/// `2048 kbit/s`
pub(super) fn kbit(bits: u64) -> String {
    format!("{} kbit/s", bits / 1000)
}
