//! H.265 (ITU-T H.265): what its parameter sets tell.

mod hvcc;
mod sps;

pub use hvcc::Hvcc;
pub use sps::{ProfileTierLevel, Sps};

use super::{HeaderError, bits::BitReader, nal};
use bytes::Bytes;

/// Kinds of NAL units (table 7-1) that something here treats in its own way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NalType {
    /// Part of a picture that others are needed for.
    Slice,
    /// Part of a picture where decoding can start: BLA, IDR or CRA.
    Irap,
    /// Video parameter set.
    Vps,
    /// Sequence parameter set.
    Sps,
    /// Picture parameter set.
    Pps,
    /// Access unit delimiter.
    Delimiter,
    /// Bytes that only fill the line.
    Filler,
    /// Any other.
    Other,
}

impl NalType {
    /// The kind of a NAL unit; an empty one is [`NalType::Other`].
    pub fn of(nal: &[u8]) -> Self {
        let Some(header) = nal.first() else { return Self::Other };
        match header >> 1 & 0x3f {
            0..=9 => Self::Slice,
            16..=21 => Self::Irap,
            32 => Self::Vps,
            33 => Self::Sps,
            34 => Self::Pps,
            35 => Self::Delimiter,
            38 => Self::Filler,
            _ => Self::Other,
        }
    }
}

/// Whether decoding can start at an access unit: it has an IRAP picture.
pub fn is_key(unit: &Bytes) -> Result<bool, HeaderError> {
    for nal in nal::units(unit) {
        if NalType::of(&nal?) == NalType::Irap {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Bytes of a VPS or PPS that hold its number.
const ID_HEAD: usize = 16;

/// Number of a VPS (7.3.2.1).
pub(super) fn vps_id(unit: &[u8]) -> Result<u8, HeaderError> {
    let mut bits = BitReader::new(unit);
    bits.skip(16)?;
    bits.small(4)
}

/// Number of a PPS (7.3.2.3.1).
pub(super) fn pps_id(unit: &[u8]) -> Result<u8, HeaderError> {
    let head = nal::without_emulation_prevention(unit, ID_HEAD);
    let mut bits = BitReader::new(&head);
    bits.skip(16)?;
    let id = bits.ue_max(63, "pps_pic_parameter_set_id")?;
    u8::try_from(id).map_err(|_| HeaderError::Invalid("pps_pic_parameter_set_id"))
}

#[cfg(test)]
#[path = "h265_tests.rs"]
mod tests;
