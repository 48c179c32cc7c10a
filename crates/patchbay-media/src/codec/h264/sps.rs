//! The sequence parameter set (H.264, 7.3.2.1.1 and annex E.1.1).

use crate::codec::{HeaderError, VideoFormat, bits::BitReader, h264::NalType, nal};

/// Bytes of an SPS that are read; real ones have 10 to 60, and some hundreds with scaling lists.
const MAX_SPS_BYTES: usize = 4096;

/// A sequence parameter set, as far as somebody needs it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sps {
    /// `profile_idc`: 66 Baseline, 77 Main, 100 High.
    pub profile: u8,
    /// Constraint flags, the first in the highest bit.
    pub constraints: u8,
    /// `level_idc`: ten times the level.
    pub level: u8,
    /// Number.
    pub id: u8,
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
    /// `max_num_reorder_frames`, where the stream says it.
    pub max_reorder: Option<u32>,
    /// Pictures are shown in the order in which they come (`pic_order_cnt_type` 2).
    pub output_in_order: bool,
    /// `num_units_in_tick` and `time_scale`, where the stream says them; there are two ticks a frame.
    pub timing: Option<(u32, u32)>,
}

impl Sps {
    /// Reads a NAL unit that is an SPS.
    pub fn parse(unit: &[u8]) -> Result<Self, HeaderError> {
        if NalType::of(unit) != NalType::Sps {
            return Err(HeaderError::Invalid("a NAL unit that is no SPS"));
        }
        let head = nal::without_emulation_prevention(unit, MAX_SPS_BYTES);
        let mut bits = BitReader::new(&head);
        bits.skip(8)?;
        let (profile, constraints, level) = (bits.small(8)?, bits.small(8)?, bits.small(8)?);
        let id = small_ue(&mut bits, 31, "seq_parameter_set_id")?;
        let chroma = if has_chroma_fields(profile) { Chroma::parse(&mut bits)? } else { Chroma::DEFAULT };
        let output_in_order = parse_order(&mut bits)?;
        let (width, height) = parse_size(&mut bits, chroma)?;
        // Cameras are known to write unreadable VUI, which decoders do not need either: what it says is then unknown.
        let vui = Vui::parse(&mut bits).unwrap_or_default();
        Ok(Self {
            profile,
            constraints,
            level,
            id,
            chroma_format: chroma.format,
            luma_bits: chroma.luma_depth,
            chroma_bits: chroma.depth,
            width,
            height,
            max_reorder: vui.max_reorder,
            output_in_order,
            timing: vui.timing,
        })
    }

    /// Six hexadecimal digits, as in SDP (RFC 6184, 8.1) and RFC 6381.
    pub fn profile_level_id(&self) -> String {
        format!("{:02x}{:02x}{:02x}", self.profile, self.constraints, self.level)
    }

    /// Whether pictures may be shown in another order than they come in. Many streams that never do so do not say it: a unit for which
    /// [`is_bidirectional`](super::is_bidirectional) holds is the proof.
    pub fn reordered(&self) -> bool {
        // Intra profiles (E.2.1) have nothing to reorder.
        let intra = self.constraints & 0x10 != 0 && matches!(self.profile, 44 | 86 | 100 | 110 | 122 | 244);
        !(self.profile == 66 || self.output_in_order || intra || self.max_reorder == Some(0))
    }

    /// What a decoder must know.
    pub fn format(&self) -> VideoFormat {
        VideoFormat { width: self.width, height: self.height, reordered: self.reordered() }
    }

    pub(super) fn has_chroma_fields(&self) -> bool {
        has_chroma_fields(self.profile)
    }
}

const fn has_chroma_fields(profile: u8) -> bool {
    matches!(profile, 100 | 110 | 122 | 244 | 44 | 83 | 86 | 118 | 128 | 138 | 139 | 134 | 135)
}

fn small_ue(bits: &mut BitReader<'_>, limit: u8, what: &'static str) -> Result<u8, HeaderError> {
    let value = bits.ue_max(u32::from(limit), what)?;
    u8::try_from(value).map_err(|_| HeaderError::Invalid(what))
}

#[derive(Clone, Copy)]
struct Chroma {
    format: u8,
    /// Three planes coded apart, each as if there were no chroma.
    separate: bool,
    luma_depth: u8,
    depth: u8,
}

impl Chroma {
    const DEFAULT: Self = Self { format: 1, separate: false, luma_depth: 8, depth: 8 };

    fn parse(bits: &mut BitReader<'_>) -> Result<Self, HeaderError> {
        let format = small_ue(bits, 3, "chroma_format_idc")?;
        let separate = format == 3 && bits.flag()?;
        let luma_depth = 8 + small_ue(bits, 6, "bit_depth_luma_minus8")?;
        let depth = 8 + small_ue(bits, 6, "bit_depth_chroma_minus8")?;
        bits.skip(1)?;
        if bits.flag()? {
            for list in 0..if format == 3 { 12 } else { 8 } {
                if bits.flag()? {
                    skip_scaling_list(bits, if list < 6 { 16 } else { 64 })?;
                }
            }
        }
        Ok(Self { format, separate, luma_depth, depth })
    }

    /// Luma samples a step of cropping across and down (table 6-1).
    const fn crop_unit(self) -> (u32, u32) {
        match (self.format, self.separate) {
            (1, _) => (2, 2),
            (2, _) => (2, 1),
            _ => (1, 1),
        }
    }
}

/// 7.3.2.1.1.1
fn skip_scaling_list(bits: &mut BitReader<'_>, size: usize) -> Result<(), HeaderError> {
    let (mut last, mut next) = (8_i64, 8_i64);
    for _ in 0..size {
        if next != 0 {
            next = (last + i64::from(bits.se()?)).rem_euclid(256);
        }
        if next != 0 {
            last = next;
        }
    }
    Ok(())
}

/// From `log2_max_frame_num_minus4` to the order count; true when pictures come in the order in which they are shown.
fn parse_order(bits: &mut BitReader<'_>) -> Result<bool, HeaderError> {
    bits.ue_max(12, "log2_max_frame_num_minus4")?;
    let order_type = bits.ue_max(2, "pic_order_cnt_type")?;
    if order_type == 0 {
        bits.ue_max(12, "log2_max_pic_order_cnt_lsb_minus4")?;
    }
    if order_type == 1 {
        bits.skip(1)?;
        bits.se()?;
        bits.se()?;
        for _ in 0..bits.ue_max(255, "num_ref_frames_in_pic_order_cnt_cycle")? {
            bits.se()?;
        }
    }
    Ok(order_type == 2)
}

/// From `max_num_ref_frames` to the cropping: width and height as shown.
fn parse_size(bits: &mut BitReader<'_>, chroma: Chroma) -> Result<(u16, u16), HeaderError> {
    bits.ue()?;
    bits.skip(1)?;
    // 4096 macroblocks are 65536 samples.
    let columns = 1 + bits.ue_max(4095, "pic_width_in_mbs_minus1")?;
    let rows = 1 + bits.ue_max(4095, "pic_height_in_map_units_minus1")?;
    let fields = if bits.flag()? { 1 } else { 2 };
    if fields == 2 {
        bits.skip(1)?;
    }
    bits.skip(1)?;
    let (across, down) = chroma.crop_unit();
    let (mut width, mut height) = (columns * 16, rows * 16 * fields);
    if bits.flag()? {
        let (left, right) = (bits.ue()?, bits.ue()?);
        let (top, bottom) = (bits.ue()?, bits.ue()?);
        width = crop(width, across, left, right)?;
        height = crop(height, down * fields, top, bottom)?;
    }
    let fit = |size| {
        u16::try_from(size).map_err(|_| HeaderError::Unsupported("a picture of more than 65535 pixels"))
    };
    Ok((fit(width)?, fit(height)?))
}

fn crop(size: u32, unit: u32, before: u32, after: u32) -> Result<u32, HeaderError> {
    let cropped = u64::from(unit) * (u64::from(before) + u64::from(after));
    let left = u64::from(size).checked_sub(cropped).filter(|left| *left > 0);
    left.and_then(|left| u32::try_from(left).ok()).ok_or(HeaderError::Invalid("cropping leaves no picture"))
}

#[derive(Default)]
struct Vui {
    timing: Option<(u32, u32)>,
    max_reorder: Option<u32>,
}

impl Vui {
    fn parse(bits: &mut BitReader<'_>) -> Result<Self, HeaderError> {
        let mut vui = Self::default();
        if !bits.flag()? {
            return Ok(vui);
        }
        skip_picture_fields(bits)?;
        if bits.flag()? {
            vui.timing = Some((bits.bits(32)?, bits.bits(32)?));
            bits.skip(1)?;
        }
        let (nal_hrd, vcl_hrd) = (skip_hrd(bits)?, skip_hrd(bits)?);
        if nal_hrd || vcl_hrd {
            bits.skip(1)?;
        }
        bits.skip(1)?;
        if bits.flag()? {
            bits.skip(1)?;
            for _ in 0..4 {
                bits.ue()?;
            }
            vui.max_reorder = Some(bits.ue()?);
        }
        Ok(vui)
    }
}

/// Aspect ratio, overscan, kind of signal and place of chroma.
fn skip_picture_fields(bits: &mut BitReader<'_>) -> Result<(), HeaderError> {
    if bits.flag()? && bits.bits(8)? == 255 {
        bits.skip(32)?;
    }
    if bits.flag()? {
        bits.skip(1)?;
    }
    if bits.flag()? {
        bits.skip(4)?;
        if bits.flag()? {
            bits.skip(24)?;
        }
    }
    if bits.flag()? {
        bits.ue()?;
        bits.ue()?;
    }
    Ok(())
}

/// Annex E.1.2, after its flag; true when it was there.
fn skip_hrd(bits: &mut BitReader<'_>) -> Result<bool, HeaderError> {
    if !bits.flag()? {
        return Ok(false);
    }
    let count = 1 + bits.ue_max(31, "cpb_cnt_minus1")?;
    bits.skip(8)?;
    for _ in 0..count {
        bits.ue()?;
        bits.ue()?;
        bits.skip(1)?;
    }
    bits.skip(20)?;
    Ok(true)
}
