//! Tracks of the hub as fragmented MP4 (ISO/IEC 14496-12): an init segment, and fragments of one or more units of one or several tracks.
//!
//! [`Muxer`] writes the bytes; `timing` gives units the durations that MP4 needs and the hub does not know. A player appends the init segment and then
//! every fragment; put one after the other, a segment and its parts are the same bytes. Pure: no I/O, no clock; bytes are shared with the units, not
//! copied. Called by the MSE door of camera-relay.

mod description;
mod error;
mod fragment;
mod init;
mod muxer;
mod payload;
pub mod timing;

pub use description::Description;
pub use error::MuxError;
pub use fragment::Fragment;
pub use muxer::{MAX_FRAGMENT_BYTES, MAX_FRAGMENT_UNITS, Muxer, Sample};
