//! NAL units on their way between libav, which wants start codes, and the hub, which has lengths.

use crate::AvError;
use bytes::Bytes;
use patchbay_media::{
    Codec,
    codec::{HeaderError, nal},
};

impl From<HeaderError> for AvError {
    fn from(_: HeaderError) -> Self {
        Self::Unsuitable { codec: "the coded picture", reason: "its NAL units are not well-formed" }
    }
}

/// A coded picture of x264 in the hub's form: slices and parameter sets. What x264 tells about itself takes room, and nobody reads it.
pub(crate) fn from_x264(coded: &[u8]) -> Result<Bytes, AvError> {
    let units: Vec<&[u8]> =
        nal::annex_b_units(coded).filter(|unit| matches!(kind(Codec::H264, unit), 1..=5 | 7 | 8)).collect();
    Ok(nal::join(&units)?)
}

/// The parameter sets in a unit, in the hub's form.
pub(crate) fn parameter_sets(codec: Codec, data: &Bytes) -> Result<Bytes, AvError> {
    let units = nal::units(data).collect::<Result<Vec<_>, _>>()?;
    let sets: Vec<_> = units.into_iter().filter(|unit| is_parameter_set(codec, unit)).collect();
    Ok(nal::join(&sets)?)
}

/// VPS, SPS or PPS.
pub(crate) fn is_parameter_set(codec: Codec, unit: &[u8]) -> bool {
    match codec {
        Codec::H264 => matches!(kind(codec, unit), 7 | 8),
        Codec::H265 => matches!(kind(codec, unit), 32..=34),
        _ => false,
    }
}

/// `nal_unit_type`; 0 for an empty unit (H.264, 7.3.1; H.265, 7.3.1.2).
pub(crate) fn kind(codec: Codec, unit: &[u8]) -> u8 {
    let Some(first) = unit.first() else { return 0 };
    if codec == Codec::H265 { (first >> 1) & 0x3F } else { first & 0x1F }
}
