//! RTP (RFC 3550): units cut into payloads once for all viewers, and put together again.

pub mod depacketize;
pub mod header;
pub mod packetize;
pub mod reorder;

/// Longest unit that is cut or put together: more than a whole second of 100 Mbit/s, and small enough that a peer that never ends a unit
/// costs little.
pub const MAX_UNIT: usize = crate::codec::nal::MAX_UNIT_BYTES;
