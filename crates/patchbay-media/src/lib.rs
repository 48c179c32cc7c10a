//! The stream hub: one writer a track, many readers, and what they need to understand each other.
//!
//! A source publishes a stream of [`Track`](track::Track)s; each track is a [`ring`] of [`AccessUnit`]s with an index of its key frames, capped
//! in bytes and time. Readers hold cursors, wait without polling and take units without copying them. `codec` reads the headers of the
//! formats that travel here, `rtp` cuts units into packets once for all viewers and puts them together again, `timeline` repairs
//! clocks, and `hub` starts sources when somebody wants what they offer.
//!
//! Pure Rust, no sockets and no native libraries: `patchbay-av` decodes and encodes, `patchbay-rtc` speaks WebRTC, services listen.

pub mod codec;
pub mod hub;
pub mod negotiate;
pub mod relay;
pub mod ring;
pub mod rtp;
mod spawn;
mod time;
pub mod timeline;
pub mod track;
mod unit;

pub use codec::{Codec, Kind};
pub use spawn::{Spawn, Task};
pub use time::MediaTime;
pub use unit::{AccessUnit, TrackId};
