//! RTP payloads back to units in the form of the hub.
//!
//! Packets come in the order of their sequence numbers (a [`Reorder`](super::reorder) buffer sees to that); what is missing is noticed here. A picture of which
//! a packet is missing is dropped, and with it all that follow until the next key frame; of sound only that unit.

mod audio;
mod av1;
mod nal;
mod video;
mod vp8;
mod vp9;

use super::MAX_UNIT;
use crate::Codec;
use audio::Aac;
use bytes::Bytes;
use thiserror::Error;
use video::Video;

/// A unit that came whole.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unit {
    /// Its time on the codec's RTP clock.
    pub timestamp: u32,
    /// The coded data, in the form that [`Codec`] names.
    pub data: Bytes,
    /// Decoding can start here.
    pub key: bool,
    /// Something in front of it was lost.
    pub after_loss: bool,
}

/// What of a packet a depacketiser wants.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Incoming<'a> {
    /// Sequence number.
    pub sequence: u16,
    /// Time stamp.
    pub timestamp: u32,
    /// Marker.
    pub marker: bool,
    /// Payload without padding.
    pub payload: &'a [u8],
}

/// Why a packet was not used. Its unit is dropped; later ones may come through.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum DepacketizeError {
    /// The payload does not follow the format.
    #[error("the payload is not valid {codec:?}: {what}")]
    Malformed {
        /// What it should be.
        codec: Codec,
        /// What is wrong.
        what: &'static str,
    },
    /// The payload is in a mode that is not read.
    #[error("the sender uses {what}, which is not supported for {codec:?}: set it to {instead}")]
    Unsupported {
        /// The codec.
        codec: Codec,
        /// What it uses.
        what: &'static str,
        /// What it could use.
        instead: &'static str,
    },
    /// The unit gets longer than [`MAX_UNIT`].
    #[error("the unit is over the limit of {MAX_UNIT} bytes")]
    TooLong,
}

/// Puts together the units of one track.
#[derive(Debug)]
pub struct Depacketizer {
    order: Order,
    state: State,
}

#[derive(Debug)]
enum State {
    Video(Video),
    Aac(Aac),
    /// Opus and G.711: each packet is a unit.
    Whole(Codec),
}

impl Depacketizer {
    /// For units of `codec`.
    pub fn new(codec: Codec) -> Self {
        let state = match codec {
            Codec::H264 | Codec::H265 | Codec::Av1 | Codec::Vp8 | Codec::Vp9 => {
                State::Video(Video::new(codec))
            }
            Codec::Aac => State::Aac(Aac::default()),
            Codec::Opus | Codec::Pcma | Codec::Pcmu => State::Whole(codec),
        };
        Self { order: Order::default(), state }
    }

    /// Takes a packet and adds the units that it completes to `out`: none or one, two where the sender does not mark the last packet of a picture,
    /// several blocks of AAC. An error costs the unit that the packet belongs to. A packet that comes again or late is passed over.
    pub fn push(&mut self, packet: Incoming<'_>, out: &mut Vec<Unit>) -> Result<(), DepacketizeError> {
        let arrival = self.order.arrive(packet.sequence);
        if arrival == Arrival::Late {
            return Ok(());
        }
        match &mut self.state {
            State::Video(video) => video.push(arrival, packet, out),
            State::Aac(aac) => aac.push(arrival, packet, out),
            State::Whole(codec) => audio::push_whole(*codec, arrival, packet, out),
        }
    }

    /// Whether nothing comes out until the sender makes a key frame: ask it for one.
    pub fn needs_key(&self) -> bool {
        matches!(&self.state, State::Video(video) if video.needs_key())
    }

    /// Bytes that wait for the rest of their unit.
    pub fn held(&self) -> usize {
        match &self.state {
            State::Video(video) => video.held(),
            State::Aac(aac) => aac.held(),
            State::Whole(_) => 0,
        }
    }
}

/// How a packet stands to the ones before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Arrival {
    /// There was none before it.
    First,
    /// It follows the last one.
    Next,
    /// Packets in front of it are missing, or the sender started again.
    Gap,
    /// It was here already, or was given up.
    Late,
}

/// How far back a packet is late; further back, the sender started again with other numbers (RFC 3550, appendix A.1).
const LATE: u16 = 100;

#[derive(Debug, Default)]
struct Order {
    last: Option<u16>,
}

impl Order {
    fn arrive(&mut self, sequence: u16) -> Arrival {
        let Some(last) = self.last.replace(sequence) else { return Arrival::First };
        if sequence == last.wrapping_add(1) {
            return Arrival::Next;
        }
        if last.wrapping_sub(sequence) <= LATE {
            self.last = Some(last);
            return Arrival::Late;
        }
        Arrival::Gap
    }
}

/// Adds bytes to a unit that may not get longer than [`MAX_UNIT`].
fn append(unit: &mut Vec<u8>, bytes: &[u8]) -> Result<(), DepacketizeError> {
    if unit.len() + bytes.len() > MAX_UNIT {
        return Err(DepacketizeError::TooLong);
    }
    unit.extend_from_slice(bytes);
    Ok(())
}

#[cfg(test)]
#[path = "depacketize_tests.rs"]
mod tests;
