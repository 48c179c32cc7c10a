//! The sequence header (5.5).

use crate::codec::{HeaderError, VideoFormat, bits::BitReader};

/// A sequence header, as far as somebody needs it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SequenceHeader {
    /// 0 Main, 1 High, 2 Professional.
    pub profile: u8,
    /// `reduced_still_picture_header`: each frame is a picture of its own, with a header that says so by its absence.
    pub single_picture: bool,
    /// `seq_level_idx` of the first operating point.
    pub level: u8,
    /// 0 Main, 1 High.
    pub tier: u8,
    /// Most pixels across.
    pub width: u16,
    /// Most pixels down.
    pub height: u16,
    /// Kinds of samples.
    pub color: ColorFormat,
}

/// What samples a picture is made of (5.5.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ColorFormat {
    /// Bits a sample.
    pub bit_depth: u8,
    /// No chroma.
    pub monochrome: bool,
    /// Chroma has half the samples across.
    pub subsampling_x: bool,
    /// Chroma has half the samples down.
    pub subsampling_y: bool,
    /// Where chroma samples lie (6.4.2).
    pub chroma_position: u8,
}

#[derive(Default)]
struct OperatingPoint {
    level: u8,
    tier: u8,
}

impl SequenceHeader {
    /// Reads the body of a sequence header OBU.
    pub fn parse(body: &[u8]) -> Result<Self, HeaderError> {
        let mut bits = BitReader::new(body);
        let profile = bits.small(3)?;
        if profile > 2 {
            return Err(HeaderError::Invalid("seq_profile"));
        }
        bits.skip(1)?;
        let single_picture = bits.flag()?;
        let point = if single_picture {
            OperatingPoint { level: bits.small(5)?, tier: 0 }
        } else {
            parse_operating_points(&mut bits)?
        };
        let (width, height) = parse_size(&mut bits)?;
        skip_tools(&mut bits, single_picture)?;
        let color = ColorFormat::parse(&mut bits, profile)?;
        let OperatingPoint { level, tier } = point;
        Ok(Self { profile, single_picture, level, tier, width, height, color })
    }

    /// What a decoder must know. AV1 hides frames instead of sending them in another order.
    pub fn format(&self) -> VideoFormat {
        VideoFormat { width: self.width, height: self.height, reordered: false }
    }
}

/// From the timing to the operating points: level and tier of the first.
fn parse_operating_points(bits: &mut BitReader<'_>) -> Result<OperatingPoint, HeaderError> {
    let mut delay_bits = None;
    if bits.flag()? {
        bits.skip(64)?;
        if bits.flag()? {
            bits.skip_uvlc()?;
        }
        if bits.flag()? {
            delay_bits = Some(usize::from(bits.small(5)?) + 1);
            bits.skip(32 + 5 + 5)?;
        }
    }
    let initial_delay = bits.flag()?;
    let mut first = None;
    for _ in 0..=bits.bits(5)? {
        bits.skip(12)?;
        let level = bits.small(5)?;
        let tier = if level > 7 { bits.small(1)? } else { 0 };
        first.get_or_insert(OperatingPoint { level, tier });
        if let Some(delay_bits) = delay_bits
            && bits.flag()?
        {
            bits.skip(2 * delay_bits + 1)?;
        }
        if initial_delay && bits.flag()? {
            bits.skip(4)?;
        }
    }
    Ok(first.unwrap_or_default())
}

fn parse_size(bits: &mut BitReader<'_>) -> Result<(u16, u16), HeaderError> {
    let (width_bits, height_bits) = (bits.bits(4)? + 1, bits.bits(4)? + 1);
    let fit =
        |value: u32| u16::try_from(value + 1).map_err(|_| HeaderError::Unsupported("65536 pixels in a row"));
    let (width, height) = (bits.bits(width_bits)?, bits.bits(height_bits)?);
    Ok((fit(width)?, fit(height)?))
}

/// From the frame numbers to `enable_restoration`: which coding tools frames may use.
fn skip_tools(bits: &mut BitReader<'_>, single_picture: bool) -> Result<(), HeaderError> {
    if !single_picture && bits.flag()? {
        bits.skip(7)?;
    }
    bits.skip(3)?;
    if !single_picture {
        bits.skip(4)?;
        let order_hint = bits.flag()?;
        if order_hint {
            bits.skip(2)?;
        }
        // seq_choose_screen_content_tools stands for a value above 0.
        let screen_content = bits.flag()? || bits.flag()?;
        if screen_content && !bits.flag()? {
            bits.skip(1)?;
        }
        if order_hint {
            bits.skip(3)?;
        }
    }
    bits.skip(3)
}

impl ColorFormat {
    /// The fields `high_bitdepth` to `chroma_sample_position` of an `av1C` record.
    pub(super) fn bits(self) -> u8 {
        let bit = |set: bool, place: u8| u8::from(set) << place;
        bit(self.bit_depth > 8, 6)
            | bit(self.bit_depth == 12, 5)
            | bit(self.monochrome, 4)
            | bit(self.subsampling_x, 3)
            | bit(self.subsampling_y, 2)
            | self.chroma_position
    }

    fn parse(bits: &mut BitReader<'_>, profile: u8) -> Result<Self, HeaderError> {
        let high = bits.flag()?;
        let bit_depth = match high {
            false => 8,
            true if profile == 2 && bits.flag()? => 12,
            true => 10,
        };
        let monochrome = profile != 1 && bits.flag()?;
        // Primaries 1, transfer 13 and matrix 0 are sRGB, of which nothing more is said.
        let srgb = bits.flag()? && bits.bits(24)? == 0x01_0d_00;
        let (subsampling_x, subsampling_y) = if monochrome {
            bits.skip(1)?;
            (true, true)
        } else if srgb {
            (false, false)
        } else {
            bits.skip(1)?;
            parse_subsampling(bits, profile, bit_depth)?
        };
        let both = subsampling_x && subsampling_y && !monochrome;
        let chroma_position = if both { bits.small(2)? } else { 0 };
        Ok(Self { bit_depth, monochrome, subsampling_x, subsampling_y, chroma_position })
    }
}

fn parse_subsampling(
    bits: &mut BitReader<'_>,
    profile: u8,
    bit_depth: u8,
) -> Result<(bool, bool), HeaderError> {
    Ok(match (profile, bit_depth) {
        (0, _) => (true, true),
        (1, _) => (false, false),
        (_, 12) => {
            let across = bits.flag()?;
            (across, across && bits.flag()?)
        }
        _ => (true, false),
    })
}
