//! Sound: AAC (RFC 3640, mode AAC-hbr), Opus (RFC 7587) and G.711 (RFC 3551).

use super::{Arrival, DepacketizeError, Incoming, Unit};
use crate::Codec;
use bytes::Bytes;

/// Samples of a block of AAC.
const AAC_SAMPLES: u32 = 1024;

/// A packet that is a unit.
pub(super) fn push_whole(
    codec: Codec,
    arrival: Arrival,
    packet: Incoming<'_>,
    out: &mut Vec<Unit>,
) -> Result<(), DepacketizeError> {
    if packet.payload.is_empty() {
        return Err(DepacketizeError::Malformed { codec, what: "an empty payload" });
    }
    out.push(unit(packet.timestamp, packet.payload, arrival == Arrival::Gap));
    Ok(())
}

fn unit(timestamp: u32, data: &[u8], after_loss: bool) -> Unit {
    Unit { timestamp, data: Bytes::copy_from_slice(data), key: true, after_loss }
}

/// Blocks of AAC: several in a packet, or one in several packets.
#[derive(Debug, Default)]
pub(super) struct Aac {
    partial: Option<Partial>,
    lost: bool,
}

/// A block of which more is to come; at most the 8,191 bytes that its header can name.
#[derive(Debug)]
struct Partial {
    timestamp: u32,
    size: usize,
    data: Vec<u8>,
}

impl Aac {
    pub(super) fn held(&self) -> usize {
        self.partial.as_ref().map_or(0, |partial| partial.data.len())
    }

    pub(super) fn push(
        &mut self,
        arrival: Arrival,
        packet: Incoming<'_>,
        out: &mut Vec<Unit>,
    ) -> Result<(), DepacketizeError> {
        if arrival == Arrival::Gap {
            (self.partial, self.lost) = (None, true);
        }
        let read = self.read(packet, out);
        self.lost |= read.is_err();
        read
    }

    fn read(&mut self, packet: Incoming<'_>, out: &mut Vec<Unit>) -> Result<(), DepacketizeError> {
        let partial = self.partial.take();
        let (headers, data) = split(packet.payload).ok_or(malformed("headers that are cut off"))?;
        match partial {
            Some(partial) if partial.timestamp == packet.timestamp => {
                return self.go_on(partial, headers, data, packet.marker, out);
            }
            Some(_) => self.lost = true,
            None => {}
        }
        if let &[header] = headers
            && size(header)? > data.len()
        {
            return self.begin(size(header)?, data, packet);
        }
        self.read_whole(headers, data, packet.timestamp, out)
    }

    fn read_whole(
        &mut self,
        headers: &[[u8; 2]],
        data: &[u8],
        timestamp: u32,
        out: &mut Vec<Unit>,
    ) -> Result<(), DepacketizeError> {
        let (mut rest, mut timestamp) = (data, timestamp);
        for &header in headers {
            let (block, behind) =
                rest.split_at_checked(size(header)?).ok_or(malformed("a block that is cut off"))?;
            rest = behind;
            out.push(unit(timestamp, block, std::mem::take(&mut self.lost)));
            timestamp = timestamp.wrapping_add(AAC_SAMPLES);
        }
        if rest.is_empty() { Ok(()) } else { Err(malformed("more bytes than the headers say")) }
    }

    /// Takes the first part, if the packet is one: the marker of a part that is not the last one is not set. The end of a block whose beginning
    /// was lost looks the same but for that.
    fn begin(&mut self, size: usize, data: &[u8], packet: Incoming<'_>) -> Result<(), DepacketizeError> {
        if packet.marker {
            return Err(malformed("a block without its beginning"));
        }
        self.partial = Some(Partial { timestamp: packet.timestamp, size, data: data.to_vec() });
        Ok(())
    }

    fn go_on(
        &mut self,
        mut partial: Partial,
        headers: &[[u8; 2]],
        data: &[u8],
        marker: bool,
        out: &mut Vec<Unit>,
    ) -> Result<(), DepacketizeError> {
        let &[header] = headers else { return Err(malformed("a block without its end")) };
        if size(header)? != partial.size {
            return Err(malformed("parts of a block that differ in its size"));
        }
        partial.data.extend_from_slice(data);
        if partial.data.len() > partial.size {
            return Err(malformed("a block that is longer than its header says"));
        }
        if partial.data.len() == partial.size {
            out.push(unit(partial.timestamp, &partial.data, std::mem::take(&mut self.lost)));
            return Ok(());
        }
        if marker {
            return Err(malformed("a block without its beginning"));
        }
        self.partial = Some(partial);
        Ok(())
    }
}

/// The headers of blocks, two bytes each, and what is behind them (RFC 3640, section 3.2.1).
fn split(payload: &[u8]) -> Option<(&[[u8; 2]], &[u8])> {
    let (bits, rest) = payload.split_first_chunk()?;
    let bits = usize::from(u16::from_be_bytes(*bits));
    let (headers, data) = rest.split_at_checked(bits / 8)?;
    match headers.as_chunks() {
        (headers, []) if bits % 16 == 0 && !headers.is_empty() => Some((headers, data)),
        _ => None,
    }
}

/// The size of a block, whose index must be 0: no interleaving.
fn size(header: [u8; 2]) -> Result<usize, DepacketizeError> {
    let header = u16::from_be_bytes(header);
    if header & 7 != 0 {
        let (what, instead) = ("interleaved blocks", "AAC-hbr without interleaving");
        return Err(DepacketizeError::Unsupported { codec: Codec::Aac, what, instead });
    }
    match header >> 3 {
        0 => Err(malformed("a block without bytes")),
        size => Ok(usize::from(size)),
    }
}

fn malformed(what: &'static str) -> DepacketizeError {
    DepacketizeError::Malformed { codec: Codec::Aac, what }
}
