//! The sequence parameter set (H.265, 7.3.2.2.1), up to where it tells the order of pictures.

use crate::codec::{HeaderError, VideoFormat, bits::BitReader, h265::NalType, nal};

/// Bytes of an SPS that are read: all fields up to the order of pictures fit even with eight sub-layers.
const SPS_HEAD: usize = 512;

/// `general_` fields of `profile_tier_level` (7.3.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ProfileTierLevel {
    /// `general_profile_space`
    pub space: u8,
    /// `general_tier_flag`: 0 Main, 1 High.
    pub tier: u8,
    /// `general_profile_idc`: 1 Main, 2 Main 10.
    pub profile: u8,
    /// `general_profile_compatibility_flag`, the first in the highest bit.
    pub compatibility: u32,
    /// The 48 bits of constraint flags after them.
    pub constraints: [u8; 6],
    /// `general_level_idc`: 30 times the level.
    pub level: u8,
}

/// A sequence parameter set, as far as somebody needs it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sps {
    /// Number.
    pub id: u8,
    /// Profile, tier and level.
    pub profile: ProfileTierLevel,
    /// `sps_max_sub_layers_minus1` plus one.
    pub temporal_layers: u8,
    /// `sps_temporal_id_nesting_flag`
    pub temporal_nesting: u8,
    /// `chroma_format_idc`: 1 for 4:2:0.
    pub chroma_format: u8,
    /// Bits a sample of luma.
    pub luma_bits: u8,
    /// Bits a sample of chroma.
    pub chroma_bits: u8,
    /// Pixels across after cropping.
    pub width: u16,
    /// Pixels down after cropping.
    pub height: u16,
    /// `sps_max_num_reorder_pics` of all temporal layers.
    pub max_reorder: u32,
}

impl Sps {
    /// Reads a NAL unit that is an SPS.
    pub fn parse(unit: &[u8]) -> Result<Self, HeaderError> {
        if NalType::of(unit) != NalType::Sps {
            return Err(HeaderError::Invalid("a NAL unit that is no SPS"));
        }
        let head = nal::without_emulation_prevention(unit, SPS_HEAD);
        let mut bits = BitReader::new(&head);
        bits.skip(16 + 4)?;
        let sub_layers = bits.small(3)?;
        let temporal_nesting = bits.small(1)?;
        let profile = ProfileTierLevel::parse(&mut bits, sub_layers)?;
        let id = small_ue(&mut bits, 15, "sps_seq_parameter_set_id")?;
        let chroma_format = small_ue(&mut bits, 3, "chroma_format_idc")?;
        let separate = chroma_format == 3 && bits.flag()?;
        let (width, height) = parse_size(&mut bits, crop_unit(chroma_format, separate))?;
        let luma_bits = 8 + small_ue(&mut bits, 8, "bit_depth_luma_minus8")?;
        let chroma_bits = 8 + small_ue(&mut bits, 8, "bit_depth_chroma_minus8")?;
        bits.ue_max(12, "log2_max_pic_order_cnt_lsb_minus4")?;
        let max_reorder = parse_reorder(&mut bits, sub_layers)?;
        let temporal_layers = sub_layers + 1;
        Ok(Self {
            id,
            profile,
            temporal_layers,
            temporal_nesting,
            chroma_format,
            luma_bits,
            chroma_bits,
            width,
            height,
            max_reorder,
        })
    }

    /// What a decoder must know.
    pub fn format(&self) -> VideoFormat {
        VideoFormat { width: self.width, height: self.height, reordered: self.max_reorder > 0 }
    }
}

impl ProfileTierLevel {
    fn parse(bits: &mut BitReader<'_>, sub_layers: u8) -> Result<Self, HeaderError> {
        let (space, tier, profile) = (bits.small(2)?, bits.small(1)?, bits.small(5)?);
        let compatibility = bits.bits(32)?;
        let mut constraints = [0; 6];
        for byte in &mut constraints {
            *byte = bits.small(8)?;
        }
        let level = bits.small(8)?;
        skip_sub_layers(bits, sub_layers)?;
        Ok(Self { space, tier, profile, compatibility, constraints, level })
    }
}

/// What `profile_tier_level` says of each sub-layer but the highest.
fn skip_sub_layers(bits: &mut BitReader<'_>, sub_layers: u8) -> Result<(), HeaderError> {
    if sub_layers == 0 {
        return Ok(());
    }
    let mut length = 0;
    for _ in 0..sub_layers {
        length += if bits.flag()? { 88 } else { 0 };
        length += if bits.flag()? { 8 } else { 0 };
    }
    bits.skip(usize::from(8 - sub_layers.min(8)) * 2)?;
    bits.skip(length)
}

/// Luma samples a step of cropping across and down (table 6-1).
const fn crop_unit(chroma_format: u8, separate: bool) -> (u32, u32) {
    match (chroma_format, separate) {
        (1, _) => (2, 2),
        (2, _) => (2, 1),
        _ => (1, 1),
    }
}

/// Size and conformance window: width and height as shown.
fn parse_size(bits: &mut BitReader<'_>, (across, down): (u32, u32)) -> Result<(u16, u16), HeaderError> {
    let (width, height) = (bits.ue()?, bits.ue()?);
    if !bits.flag()? {
        return Ok((crop(width, 0)?, crop(height, 0)?));
    }
    let mut offsets = [0_u64; 4];
    for offset in &mut offsets {
        *offset = u64::from(bits.ue()?);
    }
    let [left, right, top, bottom] = offsets;
    Ok((crop(width, u64::from(across) * (left + right))?, crop(height, u64::from(down) * (top + bottom))?))
}

fn crop(size: u32, away: u64) -> Result<u16, HeaderError> {
    let left = u64::from(size).checked_sub(away).filter(|left| *left > 0);
    let left = left.ok_or(HeaderError::Invalid("cropping leaves no picture"))?;
    u16::try_from(left).map_err(|_| HeaderError::Unsupported("a picture of more than 65535 pixels"))
}

/// `sps_max_num_reorder_pics` of the highest sub-layer.
fn parse_reorder(bits: &mut BitReader<'_>, sub_layers: u8) -> Result<u32, HeaderError> {
    let described = if bits.flag()? { sub_layers + 1 } else { 1 };
    let mut reorder = 0;
    for _ in 0..described {
        bits.ue()?;
        reorder = bits.ue_max(15, "sps_max_num_reorder_pics")?;
        bits.ue()?;
    }
    Ok(reorder)
}

fn small_ue(bits: &mut BitReader<'_>, limit: u8, what: &'static str) -> Result<u8, HeaderError> {
    let value = bits.ue_max(u32::from(limit), what)?;
    u8::try_from(value).map_err(|_| HeaderError::Invalid(what))
}
