//! Units to RTP payloads, cut once however many viewers there are.
//!
//! The payloads of a unit lie one behind the other in one buffer; whoever sends puts a header in front of each. Sequence numbers, time stamps
//! and encryption are the sender's.

mod audio;
mod av1;
mod nal;
mod vp8;
mod vp9;

use super::MAX_UNIT;
use crate::{Codec, Kind};
use bytes::Bytes;
use thiserror::Error;

/// Usual limit of a payload: with the RTP header 1,200 bytes, which is what browsers send themselves. Header extensions, the two bytes of RTX, the tag
/// of SRTP and the headers of UDP and IPv6 keep it under 1,300, so that it passes tunnels and mobile networks whole.
pub const PAYLOAD_SIZE: usize = 1188;

/// Smallest limit of a payload: room for every codec's headers and something behind them.
pub const MIN_PAYLOAD_SIZE: usize = 64;

/// Why a unit was not cut. Nothing of it should be sent: viewers see the unit as lost.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum PacketizeError {
    /// There is nothing in it.
    #[error("the unit is empty, or holds nothing that is sent")]
    Empty,
    /// It is longer than [`MAX_UNIT`].
    #[error("a unit of {0} bytes is over the limit of {MAX_UNIT}")]
    TooLong(usize),
    /// It is longer than a packet, and the codec's packets hold whole units.
    #[error(
        "a unit of {size} bytes does not fit into {limit}, and {codec:?} cannot be split: raise the payload size or shorten the frames"
    )]
    Indivisible {
        /// What it is.
        codec: Codec,
        /// Its length.
        size: usize,
        /// The most that it may be.
        limit: usize,
    },
    /// It is not in the form that the hub uses for its codec.
    #[error("the unit is not valid {codec:?} at byte {at}")]
    Malformed {
        /// What it should be.
        codec: Codec,
        /// Where reading ended.
        at: usize,
    },
}

/// The payloads of one unit, which share one buffer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Payloads {
    data: Bytes,
    ends: Box<[u32]>,
    codec: Codec,
}

impl Payloads {
    /// How many there are; never none.
    pub fn len(&self) -> usize {
        self.ends.len()
    }

    /// Whether there are none, which does not happen.
    pub fn is_empty(&self) -> bool {
        self.ends.is_empty()
    }

    /// The payload at `index`; it shares the buffer.
    pub fn get(&self, index: usize) -> Option<Bytes> {
        let (start, end) = self.range(index)?;
        Some(self.data.slice(start..end))
    }

    /// The payload at `index`, borrowed.
    pub fn payload(&self, index: usize) -> Option<&[u8]> {
        let (start, end) = self.range(index)?;
        self.data.get(start..end)
    }

    /// All of them in order.
    pub fn iter(&self) -> impl Iterator<Item = &[u8]> {
        (0..self.len()).filter_map(|index| self.payload(index))
    }

    /// Whether the packet at `index` carries the marker: the last of a picture, and the last of an AAC block (RFC 3640, section 3.1). Opus and
    /// G.711 use it for the end of silence, which we do not suppress.
    pub fn marker(&self, index: usize) -> bool {
        let marks = self.codec.kind() == Kind::Video || self.codec == Codec::Aac;
        marks && index.checked_add(1) == Some(self.len())
    }

    /// What to add to the unit's time stamp for the packet at `index`: samples in front of it for G.711, where each packet is heard on its own; else 0.
    pub fn timestamp_offset(&self, index: usize) -> u32 {
        match self.codec {
            Codec::Pcma | Codec::Pcmu => self.start(index).unwrap_or(0),
            _ => 0,
        }
    }

    /// Bytes of all of them together.
    pub fn bytes(&self) -> usize {
        self.data.len()
    }

    fn start(&self, index: usize) -> Option<u32> {
        index.checked_sub(1).map_or(Some(0), |before| self.ends.get(before).copied())
    }

    fn range(&self, index: usize) -> Option<(usize, usize)> {
        let end = *self.ends.get(index)?;
        Some((usize::try_from(self.start(index)?).ok()?, usize::try_from(end).ok()?))
    }
}

/// Cuts the units of one track. It numbers pictures where the payload format wants that, so a track has one.
#[derive(Debug)]
pub struct Packetizer {
    codec: Codec,
    limit: usize,
    picture: PictureId,
}

impl Packetizer {
    /// For units of `codec`, into payloads of at most `limit` bytes (at least [`MIN_PAYLOAD_SIZE`]; usually [`PAYLOAD_SIZE`]).
    pub fn new(codec: Codec, limit: usize) -> Self {
        Self {
            codec,
            limit: limit.clamp(MIN_PAYLOAD_SIZE, usize::from(u16::MAX)),
            picture: PictureId::default(),
        }
    }

    /// Cuts a unit in the form that [`Codec`] names.
    pub fn packetize(&mut self, unit: &[u8]) -> Result<Payloads, PacketizeError> {
        if unit.len() > MAX_UNIT {
            return Err(PacketizeError::TooLong(unit.len()));
        }
        let mut builder = Builder::new(unit.len(), self.limit);
        self.cut(unit, &mut builder)?;
        builder.finish(self.codec)
    }

    fn cut(&mut self, unit: &[u8], out: &mut Builder) -> Result<(), PacketizeError> {
        match self.codec {
            Codec::H264 => nal::cut(nal::Family::H264, unit, out),
            Codec::H265 => nal::cut(nal::Family::H265, unit, out),
            Codec::Av1 => av1::cut(unit, out),
            Codec::Vp8 => {
                vp8::cut(unit, self.picture.advance(), out);
                Ok(())
            }
            Codec::Vp9 => vp9::cut(unit, self.picture.advance(), out),
            Codec::Aac => audio::cut_aac(unit, out),
            Codec::Opus => audio::cut_opus(unit, out),
            Codec::Pcma | Codec::Pcmu => {
                audio::cut_samples(unit, out);
                Ok(())
            }
        }
    }
}

/// Number of a picture in 15 bits (RFC 7741 and RFC 9628): receivers follow it across lost packets.
#[derive(Clone, Copy, Debug, Default)]
struct PictureId(u16);

impl PictureId {
    /// The number of the next picture, in its two bytes with the bit that says that it is long.
    fn advance(&mut self) -> [u8; 2] {
        let now = self.0;
        self.0 = now.wrapping_add(1) & 0x7FFF;
        (now | 0x8000).to_be_bytes()
    }
}

/// Payloads while they are written, into one buffer.
struct Builder {
    buffer: Vec<u8>,
    ends: Vec<u32>,
    start: usize,
    limit: usize,
}

/// Bytes that a payload format puts in front of a payload, to reserve room once: most have 2 to 4; the first packet of a VP9 key frame, with 11, borrows
/// from the packet that is reserved in excess.
const OVERHEAD: usize = 8;

impl Builder {
    fn new(unit: usize, limit: usize) -> Self {
        let packets = unit / (limit - OVERHEAD) + 2;
        let buffer = Vec::with_capacity(unit + packets * OVERHEAD);
        Self { buffer, ends: Vec::with_capacity(packets), start: 0, limit }
    }

    /// Bytes left in the payload that is being written.
    fn room(&self) -> usize {
        (self.start + self.limit).saturating_sub(self.buffer.len())
    }

    fn put(&mut self, bytes: &[u8]) {
        self.buffer.extend_from_slice(bytes);
    }

    fn is_empty(&self) -> bool {
        self.buffer.len() == self.start
    }

    /// Sets bits in the first byte of the payload that is being written.
    fn mark(&mut self, bits: u8) {
        if let Some(first) = self.buffer.get_mut(self.start) {
            *first |= bits;
        }
    }

    /// Ends the payload.
    fn end(&mut self) {
        debug_assert!(self.buffer.len() <= self.start + self.limit, "a payload over its limit");
        self.start = self.buffer.len();
        let end = u32::try_from(self.start)
            .expect("units are limited to 16 MiB and their headers are shorter than they");
        self.ends.push(end);
    }

    fn finish(self, codec: Codec) -> Result<Payloads, PacketizeError> {
        if self.ends.is_empty() {
            return Err(PacketizeError::Empty);
        }
        Ok(Payloads { data: self.buffer.into(), ends: self.ends.into(), codec })
    }
}

#[cfg(test)]
#[path = "packetize_tests.rs"]
mod tests;
