//! NAL units (H.264 and H.265): walks over them, and brings them from other framings into that of the hub.
//!
//! In the hub each unit stands after its length in four bytes. Elementary streams and encoders put start codes between them instead
//! (Annex B), MP4 and FLV may use shorter lengths.

use super::{HeaderError, bits::BitReader};
use bytes::{BufMut, Bytes, BytesMut};
use std::borrow::Cow;

/// Most NAL units in one access unit. A picture of 8K in slices of one macroblock row has 270.
pub const MAX_NAL_UNITS: usize = 4096;

/// Most bytes in one access unit.
pub const MAX_UNIT_BYTES: usize = 16 * 1024 * 1024;

const TOO_MANY: HeaderError = HeaderError::TooLarge { what: "the number of NAL units", limit: MAX_NAL_UNITS };
const TOO_LONG: HeaderError = HeaderError::TooLarge { what: "an access unit's size", limit: MAX_UNIT_BYTES };

/// Bytes in front of each NAL unit that hold its length.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LengthSize {
    /// One byte.
    One,
    /// Two bytes.
    Two,
    /// Four bytes, as in the hub.
    Four,
}

impl LengthSize {
    /// From the field `lengthSizeMinusOne` of a decoder configuration record.
    pub fn from_minus_one(value: u8) -> Result<Self, HeaderError> {
        match value {
            0 => Ok(Self::One),
            1 => Ok(Self::Two),
            3 => Ok(Self::Four),
            _ => Err(HeaderError::Invalid("a NAL length of three bytes")),
        }
    }

    const fn bytes(self) -> usize {
        match self {
            Self::One => 1,
            Self::Two => 2,
            Self::Four => 4,
        }
    }
}

/// The NAL units of an access unit in the hub's form; they share its bytes. After an error there is nothing more.
pub fn units(data: &Bytes) -> NalUnits {
    NalUnits { rest: data.clone(), size: LengthSize::Four, left: MAX_NAL_UNITS }
}

/// See [`units`].
#[derive(Clone, Debug)]
pub struct NalUnits {
    rest: Bytes,
    size: LengthSize,
    left: usize,
}

impl NalUnits {
    fn take(&mut self) -> Result<Bytes, HeaderError> {
        if self.left == 0 {
            return Err(TOO_MANY);
        }
        let (length, _) = self.rest.split_at_checked(self.size.bytes()).ok_or(HeaderError::Truncated)?;
        let length = length.iter().fold(0, |length, byte| length << 8 | usize::from(*byte));
        if length == 0 {
            return Err(HeaderError::Invalid("an empty NAL unit"));
        }
        let end = self.size.bytes().checked_add(length).ok_or(HeaderError::Truncated)?;
        if end > self.rest.len() {
            return Err(HeaderError::Truncated);
        }
        let unit = self.rest.split_to(end).slice(self.size.bytes()..);
        self.left -= 1;
        Ok(unit)
    }
}

impl Iterator for NalUnits {
    type Item = Result<Bytes, HeaderError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.rest.is_empty() {
            return None;
        }
        let taken = self.take();
        if taken.is_err() {
            self.rest.clear();
        }
        Some(taken)
    }
}

/// The hub's form of NAL units, each after its length.
pub fn join<T: AsRef<[u8]>>(units: &[T]) -> Result<Bytes, HeaderError> {
    if units.len() > MAX_NAL_UNITS {
        return Err(TOO_MANY);
    }
    let size = units.iter().fold(0_usize, |size, unit| size.saturating_add(4 + unit.as_ref().len()));
    if size > MAX_UNIT_BYTES {
        return Err(TOO_LONG);
    }
    let mut data = BytesMut::with_capacity(size);
    for unit in units.iter().map(AsRef::as_ref) {
        data.put_u32(u32::try_from(unit.len()).map_err(|_| TOO_LONG)?);
        data.put_slice(unit);
    }
    Ok(data.freeze())
}

/// The hub's form of units with lengths of another size. Free of copies when the size is the same.
pub fn from_lengths(data: &Bytes, size: LengthSize) -> Result<Bytes, HeaderError> {
    if data.len() > MAX_UNIT_BYTES {
        return Err(TOO_LONG);
    }
    let units = NalUnits { rest: data.clone(), size, left: MAX_NAL_UNITS };
    let units = units.collect::<Result<Vec<_>, _>>()?;
    if size == LengthSize::Four { Ok(data.clone()) } else { join(&units) }
}

/// The hub's form of an access unit with start codes. Bytes before the first start code and zeros before the next are no part of a unit.
pub fn from_annex_b(data: &[u8]) -> Result<Bytes, HeaderError> {
    if data.len() > MAX_UNIT_BYTES {
        return Err(TOO_LONG);
    }
    let units: Vec<_> = annex_b_units(data).take(MAX_NAL_UNITS + 1).collect();
    if units.is_empty() && !data.is_empty() {
        return Err(HeaderError::Invalid("no start code in an Annex B stream"));
    }
    join(&units)
}

/// An access unit of the hub with start codes of four bytes.
pub fn to_annex_b(data: &Bytes) -> Result<Bytes, HeaderError> {
    let mut stream = BytesMut::with_capacity(data.len());
    for unit in units(data) {
        stream.put_slice(&[0, 0, 0, 1]);
        stream.put_slice(&unit?);
    }
    Ok(stream.freeze())
}

/// The units between start codes, without the empty ones.
pub fn annex_b_units(data: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut rest = after_start_code(data);
    std::iter::from_fn(move || {
        let data = rest?;
        let (unit, next) = match find_start_code(data) {
            Some(at) => data.split_at(at),
            None => (data, &[][..]),
        };
        rest = after_start_code(next);
        Some(trim_zeros(unit))
    })
    .filter(|unit| !unit.is_empty())
}

fn after_start_code(data: &[u8]) -> Option<&[u8]> {
    data.get(find_start_code(data)? + 3..)
}

fn find_start_code(data: &[u8]) -> Option<usize> {
    data.windows(3).position(|window| window == [0, 0, 1])
}

/// A unit never ends in a zero byte (H.264, 7.4.1): such bytes belong to the next start code, or are `trailing_zero_8bits`.
fn trim_zeros(unit: &[u8]) -> &[u8] {
    let length = unit.iter().rposition(|byte| *byte != 0).map_or(0, |last| last + 1);
    unit.get(..length).unwrap_or_default()
}

/// The first `limit` bytes of a unit without the bytes that keep start codes out of it (H.264, 7.4.1.1). Free of copies when there are none.
pub fn without_emulation_prevention(unit: &[u8], limit: usize) -> Cow<'_, [u8]> {
    let head = unit.get(..limit).unwrap_or(unit);
    if !head.windows(3).any(|window| window == [0, 0, 3]) {
        return Cow::Borrowed(head);
    }
    let mut clean = Vec::with_capacity(head.len());
    let mut zeros = 0;
    for byte in head {
        if zeros >= 2 && *byte == 3 {
            zeros = 0;
            continue;
        }
        zeros = if *byte == 0 { zeros + 1 } else { 0 };
        clean.push(*byte);
    }
    Cow::Owned(clean)
}

/// Parameter sets of a decoder configuration record, each after its length in two bytes.
pub(super) fn read_sets(
    record: &Bytes,
    bits: &mut BitReader<'_>,
    count: u32,
    sets: &mut Vec<Bytes>,
) -> Result<(), HeaderError> {
    for _ in 0..count {
        let length = usize::try_from(bits.bits(16)?).map_err(|_| HeaderError::Truncated)?;
        let start = bits.position() / 8;
        bits.skip(length * 8)?;
        // An empty one says nothing, and would not be valid in a track's configuration.
        if length > 0 {
            sets.push(record.slice(start..start + length));
        }
    }
    Ok(())
}

/// The reverse for one.
pub(super) fn put_set(record: &mut BytesMut, set: &Bytes) -> Result<(), HeaderError> {
    let limit = usize::from(u16::MAX);
    let length = u16::try_from(set.len())
        .map_err(|_| HeaderError::TooLarge { what: "a parameter set's size", limit })?;
    record.put_u16(length);
    record.put_slice(set);
    Ok(())
}

#[cfg(test)]
#[path = "nal_tests.rs"]
mod tests;
