//! Sound: AAC (RFC 3640, mode AAC-hbr), Opus (RFC 7587) and G.711 (RFC 3551).

use super::{Builder, PacketizeError};
use crate::Codec;

/// Longest block that the 13 bits of AAC-hbr can name.
const MAX_AAC: usize = 0x1FFF;

/// One block a packet, or in fragments that each name the length of the whole.
pub(super) fn cut_aac(block: &[u8], out: &mut Builder) -> Result<(), PacketizeError> {
    let too_long = PacketizeError::Indivisible { codec: Codec::Aac, size: block.len(), limit: MAX_AAC };
    let size =
        u16::try_from(block.len()).ok().filter(|size| usize::from(*size) <= MAX_AAC).ok_or(too_long)?;
    for chunk in block.chunks(out.limit - 4) {
        // Length of the headers in bits, then one: the size in 13 bits and an index of 0 in 3.
        out.put(&16_u16.to_be_bytes());
        out.put(&(size << 3).to_be_bytes());
        out.put(chunk);
        out.end();
    }
    Ok(())
}

/// A packet of Opus is the payload.
pub(super) fn cut_opus(packet: &[u8], out: &mut Builder) -> Result<(), PacketizeError> {
    if packet.is_empty() {
        return Ok(());
    }
    if packet.len() > out.limit {
        return Err(PacketizeError::Indivisible { codec: Codec::Opus, size: packet.len(), limit: out.limit });
    }
    out.put(packet);
    out.end();
    Ok(())
}

/// Samples of one byte can be parted anywhere.
pub(super) fn cut_samples(samples: &[u8], out: &mut Builder) {
    for chunk in samples.chunks(out.limit) {
        out.put(chunk);
        out.end();
    }
}
