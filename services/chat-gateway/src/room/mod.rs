//! Rooms: who is in them, where their streams stand, and how a message reaches everybody.
//!
//! A room lives in one shard of a replica. A shard is one task that owns its rooms, so that the order of a room needs
//! no lock: whatever happens to it, happens in the shard's order.

pub mod fanout;
pub mod handle;
pub(crate) mod presence;
mod shard;
pub mod signal;
pub mod state;
pub(crate) mod subscribing;
pub mod timeline;

pub use handle::{Command, Rooms, Subscribe, Watched};
pub(crate) use presence::shown;
