//! What can go wrong with an event.

use patchbay_backplane::BackplaneError;

/// Why an event was not written, or events not read.
#[derive(Debug, thiserror::Error)]
pub enum EventError {
    /// Its data cannot be written as JSON.
    #[error("the data of the event cannot be written as JSON")]
    Data(#[source] serde_json::Error),
    /// One of its words is empty, too long, or has control characters.
    #[error("the {0} of the event must have 1 to {limit} characters and no control characters", limit = crate::event::MAX_WORD)]
    Word(&'static str),
    /// It is larger than [`crate::MAX_SIZE`].
    #[error("the event has {size} bytes, and {limit} are allowed", limit = crate::MAX_SIZE)]
    TooLarge {
        /// Bytes that it has.
        size: usize,
    },
    /// The backplane failed; it may or may not have taken effect.
    #[error("the stream of events cannot be used")]
    Backplane(#[from] BackplaneError),
    /// The backplane was closed: the process stops.
    #[error("the backplane was closed")]
    Closed,
}

impl EventError {
    /// Whether the same call may do better later.
    pub fn is_temporary(&self) -> bool {
        matches!(self, Self::Backplane(BackplaneError::Unavailable(_)))
    }
}
