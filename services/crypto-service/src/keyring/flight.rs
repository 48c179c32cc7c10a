//! One read of a key for all who want it at the same time: hundreds of callers of a key that is not in memory would read, unwrap and
//! check it hundreds of times, and fill the pool with that.

use super::{KeyName, Keyring, LoadedKey};
use crate::error::Error;
use std::sync::Arc;
use tokio::sync::OnceCell;

/// A read that has begun, and what came of it. Where the first who wants it goes away, the next one reads.
pub(super) type Flight = OnceCell<Result<Arc<LoadedKey>, Error>>;

impl Keyring {
    /// Reads a key, or waits for a read that goes on; never for one that began before a change that is known here.
    pub(super) async fn load_once(&self, name: &KeyName) -> Result<Arc<LoadedKey>, Error> {
        let flight = self.0.cache.flight(name.as_str());
        let landed = flight.get_or_init(|| self.load(name)).await;
        self.0.cache.landed(name.as_str(), &flight);
        landed.as_ref().map(Arc::clone).map_err(again)
    }
}

/// The same error for one more who waited.
fn again(error: &Error) -> Error {
    match error {
        Error::NotFound(what) => Error::NotFound(what.clone()),
        Error::Conflict(what) => Error::Conflict(what.clone()),
        Error::Busy => Error::Busy,
        Error::Unavailable => Error::Unavailable,
        Error::Internal(cause) => Error::internal(cause.to_string()),
        other => Error::internal(other.to_string()),
    }
}
