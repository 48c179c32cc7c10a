//! The program configuration element (ISO/IEC 14496-3, 4.4.1.1), which describes channels that no number stands for.

use crate::codec::{HeaderError, bits::BitReader};

/// How many channels it has.
pub(super) fn count_channels(bits: &mut BitReader<'_>) -> Result<u8, HeaderError> {
    bits.skip(4 + 2 + 4)?;
    let (front, side, back) = (bits.small(4)?, bits.small(4)?, bits.small(4)?);
    let (low, data, coupling) = (bits.small(2)?, bits.small(3)?, bits.small(4)?);
    for mix_down in [4, 4, 3] {
        if bits.flag()? {
            bits.skip(mix_down)?;
        }
    }
    let mut channels = low;
    for _ in 0..front + side + back {
        channels += if bits.flag()? { 2 } else { 1 };
        bits.skip(4)?;
    }
    bits.skip(4 * usize::from(low + data) + 5 * usize::from(coupling))?;
    bits.align();
    let comment = usize::from(bits.small(8)?);
    bits.skip(8 * comment)?;
    if channels == 0 { Err(HeaderError::Invalid("AAC without channels")) } else { Ok(channels) }
}
