//! `HEVCDecoderConfigurationRecord` (ISO/IEC 14496-15, 8.3.3.1), the `hvcC` of MP4 and enhanced FLV.

use crate::codec::{
    HeaderError,
    bits::BitReader,
    h265::{NalType, Sps},
    nal::{self, LengthSize},
};
use bytes::{BufMut, Bytes, BytesMut};

/// What a record says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hvcc {
    /// Lengths in front of NAL units.
    pub length_size: LengthSize,
    /// Parameter sets in the form of a track's configuration.
    pub configuration: Bytes,
}

impl Hvcc {
    /// Reads a record. Units that are no parameter sets (SEI) are left out.
    pub fn parse(record: &Bytes) -> Result<Self, HeaderError> {
        let mut bits = BitReader::new(record);
        // Some writers put 0 here.
        if bits.bits(8)? > 1 {
            return Err(HeaderError::Invalid("the version of an hvcC record"));
        }
        bits.skip(20 * 8 + 6)?;
        let length_size = LengthSize::from_minus_one(bits.small(2)?)?;
        let mut sets = Vec::new();
        for _ in 0..bits.bits(8)? {
            bits.skip(8)?;
            let count = bits.bits(16)?;
            nal::read_sets(record, &mut bits, count, &mut sets)?;
        }
        sets.retain(|set| matches!(NalType::of(set), NalType::Vps | NalType::Sps | NalType::Pps));
        Ok(Self { length_size, configuration: nal::join(&sets)? })
    }

    /// The record for a track's configuration, with lengths of four bytes. It says that parameter sets stand in the units too.
    pub fn build(configuration: &Bytes) -> Result<Bytes, HeaderError> {
        let units = nal::units(configuration).collect::<Result<Vec<_>, _>>()?;
        let first = units
            .iter()
            .find(|unit| NalType::of(unit) == NalType::Sps)
            .ok_or(HeaderError::NoParameterSets)?;
        let mut record = BytesMut::with_capacity(configuration.len() + 48);
        put_head(&mut record, &Sps::parse(first)?);
        record.put_u8(3);
        for (kind, code) in [(NalType::Vps, 32), (NalType::Sps, 33), (NalType::Pps, 34)] {
            let sets: Vec<_> = units.iter().filter(|unit| NalType::of(unit) == kind).collect();
            record.put_u8(code);
            record.put_u16(
                u16::try_from(sets.len()).map_err(|_| HeaderError::Invalid("too many parameter sets"))?,
            );
            sets.into_iter().try_for_each(|set| nal::put_set(&mut record, set))?;
        }
        Ok(record.freeze())
    }
}

fn put_head(record: &mut BytesMut, sps: &Sps) {
    let profile = &sps.profile;
    record.put_slice(&[1, profile.space << 6 | profile.tier << 5 | profile.profile]);
    record.put_u32(profile.compatibility);
    record.put_slice(&profile.constraints);
    record.put_u8(profile.level);
    // Neither a least spatial segmentation nor a kind of parallelism is known.
    record.put_slice(&[0xf0, 0, 0xfc, 0xfc | sps.chroma_format]);
    record.put_slice(&[0xf8 | sps.luma_bits.saturating_sub(8), 0xf8 | sps.chroma_bits.saturating_sub(8)]);
    // The average frame rate is not known; lengths have four bytes.
    record.put_slice(&[0, 0, sps.temporal_layers << 3 | sps.temporal_nesting << 2 | 3]);
}
