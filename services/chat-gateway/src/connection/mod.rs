//! One client: its socket, who it is, and the rooms it is in.

pub mod handle;
pub mod outbound;
pub mod registry;

mod classic;
mod frames;
mod hello;
mod native;
pub(crate) mod publishing;
pub(crate) mod session;
mod task;
mod verbs;

pub use handle::Connection;
pub use task::ConnectionTask;
