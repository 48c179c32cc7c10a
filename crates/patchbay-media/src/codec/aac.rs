//! AAC (ISO/IEC 14496-3): the `AudioSpecificConfig`, and ADTS, the framing of elementary streams.

mod adts;
mod program;

pub use adts::{AdtsFrames, adts_frames};

use super::{HeaderError, bits::BitReader};
use bytes::Bytes;

/// Sampling frequencies by index (table 1.18).
const RATES: [u32; 13] =
    [96_000, 88_200, 64_000, 48_000, 44_100, 32_000, 24_000, 22_050, 16_000, 12_000, 11_025, 8000, 7350];
/// Index that says that the frequency follows in 24 bits.
const EXPLICIT_RATE: u8 = 15;

const LOW_COMPLEXITY: u8 = 2;
const SBR: u8 = 5;
const PARAMETRIC_STEREO: u8 = 29;

/// `AudioSpecificConfig` (1.6.2.1) of the general audio object types.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AudioSpecificConfig {
    /// Audio object type of the core: 2 for AAC-LC.
    pub object_type: u8,
    /// Samples a second of the core.
    pub core_rate: u32,
    /// Channels of the core.
    pub core_channels: u8,
    /// Samples a second with spectral band replication (HE-AAC), where the configuration says that there is some.
    pub sbr_rate: Option<u32>,
    /// There is parametric stereo (HE-AAC v2): one channel becomes two.
    pub parametric_stereo: bool,
    /// Samples in a block of the core: 1024, or 960.
    pub block: u16,
}

impl AudioSpecificConfig {
    /// AAC-LC.
    pub const fn low_complexity(rate: u32, channels: u8) -> Self {
        let object_type = LOW_COMPLEXITY;
        Self {
            object_type,
            core_rate: rate,
            core_channels: channels,
            sbr_rate: None,
            parametric_stereo: false,
            block: 1024,
        }
    }

    /// Samples a second of what is heard.
    pub fn rate(&self) -> u32 {
        self.sbr_rate.unwrap_or(self.core_rate)
    }

    /// Channels of what is heard.
    pub fn channels(&self) -> u8 {
        if self.parametric_stereo && self.core_channels == 1 { 2 } else { self.core_channels }
    }

    /// The object type that names the whole: 29 with parametric stereo, 5 with spectral band replication, else that of the core.
    pub fn signalled_type(&self) -> u8 {
        match self.sbr_rate {
            Some(_) if self.parametric_stereo => PARAMETRIC_STEREO,
            Some(_) => SBR,
            None => self.object_type,
        }
    }

    /// Reads a configuration, with both ways to signal extensions.
    pub fn parse(config: &[u8]) -> Result<Self, HeaderError> {
        let mut bits = BitReader::new(config);
        let mut object_type = parse_object_type(&mut bits)?;
        let core_rate = parse_rate(&mut bits)?;
        let channel_config = bits.small(4)?;
        let parametric_stereo = object_type == PARAMETRIC_STEREO;
        let mut sbr_rate = None;
        if object_type == SBR || parametric_stereo {
            sbr_rate = Some(parse_rate(&mut bits)?);
            object_type = parse_object_type(&mut bits)?;
        }
        let (block, core_channels) = parse_general(&mut bits, object_type, channel_config)?;
        let mut parsed = Self { object_type, core_rate, core_channels, sbr_rate, parametric_stereo, block };
        if parsed.sbr_rate.is_none() {
            // What follows the end of the configuration is not always an extension.
            parsed.parse_extension(&mut bits).unwrap_or_default();
        }
        Ok(parsed)
    }

    /// The extension that older decoders do not see (1.6.5).
    fn parse_extension(&mut self, bits: &mut BitReader<'_>) -> Result<(), HeaderError> {
        if bits.bits(11)? != 0x2b7 || parse_object_type(bits)? != SBR || !bits.flag()? {
            return Ok(());
        }
        self.sbr_rate = Some(parse_rate(bits)?);
        self.parametric_stereo = bits.bits(11)? == 0x548 && bits.flag()?;
        Ok(())
    }

    /// Writes it, extensions signalled so that every decoder must see them.
    pub fn build(&self) -> Result<Bytes, HeaderError> {
        // Others have fields behind these, which nothing here knows.
        if !matches!(self.object_type, 1..=4) {
            return Err(HeaderError::Unsupported("writing the configuration of this audio object type"));
        }
        let mut bits = BitWriter::default();
        bits.object_type(self.signalled_type());
        bits.rate(self.core_rate);
        bits.put(u32::from(channel_config(self.core_channels)?), 4);
        if let Some(rate) = self.sbr_rate {
            bits.rate(rate);
            bits.object_type(self.object_type);
        }
        let short = match self.block {
            1024 => 0,
            960 => 1,
            _ => return Err(HeaderError::Invalid("the length of AAC blocks")),
        };
        bits.put(short, 1);
        bits.put(0, 2);
        Ok(bits.finish())
    }
}

/// 1.6.2.1, `GetAudioObjectType`
fn parse_object_type(bits: &mut BitReader<'_>) -> Result<u8, HeaderError> {
    match bits.small(5)? {
        0 => Err(HeaderError::Invalid("the audio object type")),
        31 => Ok(32 + bits.small(6)?),
        object_type => Ok(object_type),
    }
}

fn parse_rate(bits: &mut BitReader<'_>) -> Result<u32, HeaderError> {
    let rate = match bits.small(4)? {
        EXPLICIT_RATE => bits.bits(24)?,
        index => rate_at(index)?,
    };
    if (1000..=192_000).contains(&rate) {
        Ok(rate)
    } else {
        Err(HeaderError::Invalid("the AAC sampling frequency"))
    }
}

fn rate_at(index: u8) -> Result<u32, HeaderError> {
    RATES.get(usize::from(index)).copied().ok_or(HeaderError::Invalid("the AAC sampling frequency"))
}

/// `GASpecificConfig` (4.4.1): samples in a block, and channels.
fn parse_general(bits: &mut BitReader<'_>, object_type: u8, config: u8) -> Result<(u16, u8), HeaderError> {
    if !matches!(object_type, 1..=4 | 6 | 7 | 17 | 19..=23) {
        return Err(HeaderError::Unsupported("this audio object type"));
    }
    let block = if bits.flag()? { 960 } else { 1024 };
    if bits.flag()? {
        bits.skip(14)?;
    }
    let extended = bits.flag()?;
    let channels = if config == 0 { program::count_channels(bits)? } else { channels_of(config)? };
    if matches!(object_type, 6 | 20) {
        bits.skip(3)?;
    }
    if extended {
        bits.skip(match object_type {
            22 => 17,
            17 | 19 | 20 | 23 => 4,
            _ => 1,
        })?;
    }
    Ok((block, channels))
}

/// Table 1.19
fn channels_of(config: u8) -> Result<u8, HeaderError> {
    match config {
        1..=6 => Ok(config),
        7 | 12 | 14 => Ok(8),
        11 => Ok(7),
        13 => Ok(24),
        _ => Err(HeaderError::Invalid("the AAC channel configuration")),
    }
}

fn channel_config(channels: u8) -> Result<u8, HeaderError> {
    match channels {
        1..=6 => Ok(channels),
        8 => Ok(7),
        _ => Err(HeaderError::Unsupported("this number of AAC channels")),
    }
}

/// Collects the bits of a configuration, of which there are less than 100.
#[derive(Default)]
struct BitWriter {
    bytes: Vec<u8>,
    pending: u8,
    used: u32,
}

impl BitWriter {
    fn put(&mut self, value: u32, count: u32) {
        for bit in (0..count).rev() {
            self.pending = self.pending << 1 | u8::from(value >> bit & 1 == 1);
            self.used += 1;
            if self.used == 8 {
                self.bytes.push(std::mem::take(&mut self.pending));
                self.used = 0;
            }
        }
    }

    fn object_type(&mut self, object_type: u8) {
        if let Some(escaped) = object_type.checked_sub(32) {
            self.put(31, 5);
            return self.put(u32::from(escaped), 6);
        }
        self.put(u32::from(object_type), 5);
    }

    fn rate(&mut self, rate: u32) {
        let known = (0_u8..).zip(RATES).find(|(_, known)| *known == rate);
        self.put(u32::from(known.map_or(EXPLICIT_RATE, |(index, _)| index)), 4);
        if known.is_none() {
            self.put(rate, 24);
        }
    }

    fn finish(mut self) -> Bytes {
        if self.used > 0 {
            self.put(0, 8 - self.used);
        }
        self.bytes.into()
    }
}

#[cfg(test)]
#[path = "aac_tests.rs"]
mod tests;
