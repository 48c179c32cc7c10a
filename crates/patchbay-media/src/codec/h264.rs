//! H.264 (ITU-T H.264): what its parameter sets and slice headers tell.

mod sps;

pub use sps::Sps;

use super::{
    HeaderError,
    bits::BitReader,
    nal::{self, LengthSize},
};
use bytes::{BufMut, Bytes, BytesMut};

/// Kinds of NAL units (table 7-1) that something here treats in its own way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NalType {
    /// Part of a picture that others are needed for.
    Slice,
    /// Part of a picture where decoding can start.
    Idr,
    /// Supplemental information.
    Sei,
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
        match nal.first().map_or(0, |header| header & 0x1f) {
            1 | 2 => Self::Slice,
            5 => Self::Idr,
            6 => Self::Sei,
            7 => Self::Sps,
            8 => Self::Pps,
            9 => Self::Delimiter,
            12 => Self::Filler,
            _ => Self::Other,
        }
    }
}

/// How a slice is predicted (table 7-6).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SliceType {
    /// From earlier pictures; SP too.
    P,
    /// From pictures on both sides.
    B,
    /// From nothing; SI too.
    I,
}

/// The first fields of a slice.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SliceHeader {
    /// 0 when no other picture needs this one.
    pub ref_idc: u8,
    /// It is the first slice of its picture.
    pub first: bool,
    /// How it is predicted.
    pub slice_type: SliceType,
    /// Picture parameter set that it uses.
    pub pps: u8,
}

/// Bytes of a slice that hold the fields read here: three Exp-Golomb values.
const SLICE_HEAD: usize = 32;

impl SliceHeader {
    /// Reads the header of a NAL unit that is a slice (7.3.3).
    pub fn parse(unit: &[u8]) -> Result<Self, HeaderError> {
        if !matches!(NalType::of(unit), NalType::Slice | NalType::Idr) {
            return Err(HeaderError::Invalid("a NAL unit that is no slice"));
        }
        let head = nal::without_emulation_prevention(unit, SLICE_HEAD);
        let mut bits = BitReader::new(&head);
        bits.skip(1)?;
        let ref_idc = bits.small(2)?;
        bits.skip(5)?;
        let first = bits.ue()? == 0;
        let slice_type = match bits.ue_max(9, "slice_type")? % 5 {
            0 | 3 => SliceType::P,
            1 => SliceType::B,
            _ => SliceType::I,
        };
        let pps = parameter_set_id(&mut bits, u8::MAX)?;
        Ok(Self { ref_idc, first, slice_type, pps })
    }
}

/// Whether decoding can start at an access unit: it has an IDR picture.
pub fn is_key(unit: &Bytes) -> Result<bool, HeaderError> {
    has_slice(unit, |nal| Ok(NalType::of(nal) == NalType::Idr))
}

/// Whether an access unit is predicted from both sides, which proves that pictures are shown in another order than they come in.
pub fn is_bidirectional(unit: &Bytes) -> Result<bool, HeaderError> {
    has_slice(unit, |nal| match NalType::of(nal) {
        NalType::Slice => Ok(SliceHeader::parse(nal)?.slice_type == SliceType::B),
        _ => Ok(false),
    })
}

fn has_slice(unit: &Bytes, test: impl Fn(&[u8]) -> Result<bool, HeaderError>) -> Result<bool, HeaderError> {
    for nal in nal::units(unit) {
        if test(&nal?)? {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Numbers of a picture parameter set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PpsIds {
    /// Its own.
    pub id: u8,
    /// Of the sequence parameter set that it builds on.
    pub sps: u8,
}

impl PpsIds {
    /// Reads the beginning of a PPS (7.3.2.2).
    pub fn parse(unit: &[u8]) -> Result<Self, HeaderError> {
        if NalType::of(unit) != NalType::Pps {
            return Err(HeaderError::Invalid("a NAL unit that is no PPS"));
        }
        let head = nal::without_emulation_prevention(unit, SLICE_HEAD);
        let mut bits = BitReader::new(&head);
        bits.skip(8)?;
        Ok(Self { id: parameter_set_id(&mut bits, u8::MAX)?, sps: parameter_set_id(&mut bits, 31)? })
    }
}

fn parameter_set_id(bits: &mut BitReader<'_>, limit: u8) -> Result<u8, HeaderError> {
    let id = bits.ue_max(u32::from(limit), "the number of a parameter set")?;
    u8::try_from(id).map_err(|_| HeaderError::Invalid("the number of a parameter set"))
}

/// `AVCDecoderConfigurationRecord` (ISO/IEC 14496-15, 5.3.3.1), the `avcC` of MP4 and FLV.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Avcc {
    /// Lengths in front of NAL units.
    pub length_size: LengthSize,
    /// Parameter sets in the form of a track's configuration.
    pub configuration: Bytes,
}

impl Avcc {
    /// Reads a record.
    pub fn parse(record: &Bytes) -> Result<Self, HeaderError> {
        let mut bits = BitReader::new(record);
        if bits.bits(8)? != 1 {
            return Err(HeaderError::Invalid("the version of an avcC record"));
        }
        bits.skip(24 + 6)?;
        let length_size = LengthSize::from_minus_one(bits.small(2)?)?;
        bits.skip(3)?;
        let mut sets = Vec::new();
        let count = bits.bits(5)?;
        nal::read_sets(record, &mut bits, count, &mut sets)?;
        let count = bits.bits(8)?;
        nal::read_sets(record, &mut bits, count, &mut sets)?;
        Ok(Self { length_size, configuration: nal::join(&sets)? })
    }

    /// The record for a track's configuration, with lengths of four bytes.
    pub fn build(configuration: &Bytes) -> Result<Bytes, HeaderError> {
        let units = nal::units(configuration).collect::<Result<Vec<_>, _>>()?;
        let of = |kind| units.iter().filter(move |unit| NalType::of(unit) == kind);
        let first = of(NalType::Sps).next().ok_or(HeaderError::NoParameterSets)?;
        let sps = Sps::parse(first)?;
        let mut record = BytesMut::with_capacity(configuration.len() + 16);
        record.put_slice(&[1, sps.profile, sps.constraints, sps.level, 0xff]);
        let count = u8::try_from(of(NalType::Sps).count()).ok().filter(|count| *count <= 31);
        record.put_u8(0xe0 | count.ok_or(HeaderError::Invalid("more than 31 SPS"))?);
        of(NalType::Sps).try_for_each(|unit| nal::put_set(&mut record, unit))?;
        let count = u8::try_from(of(NalType::Pps).count());
        record.put_u8(count.map_err(|_| HeaderError::Invalid("more than 255 PPS"))?);
        of(NalType::Pps).try_for_each(|unit| nal::put_set(&mut record, unit))?;
        if sps.has_chroma_fields() {
            let depth = |bits: u8| 0xf8 | bits.saturating_sub(8);
            record.put_slice(&[0xfc | sps.chroma_format, depth(sps.luma_bits), depth(sps.chroma_bits), 0]);
        }
        Ok(record.freeze())
    }
}

#[cfg(test)]
#[path = "h264_tests.rs"]
mod tests;
