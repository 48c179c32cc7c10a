//! ADTS (ISO/IEC 14496-3, 1.A.3.2): a header in front of each block.

use super::{AudioSpecificConfig, channels_of, rate_at};
use crate::codec::{HeaderError, bits::BitReader};
use bytes::Bytes;

/// The blocks of an ADTS stream, each with its configuration; they share its bytes. After an error there is nothing more.
pub fn adts_frames(data: &Bytes) -> AdtsFrames {
    AdtsFrames { rest: data.clone() }
}

/// See [`adts_frames`].
#[derive(Clone, Debug)]
pub struct AdtsFrames {
    rest: Bytes,
}

impl AdtsFrames {
    fn take(&mut self) -> Result<(AudioSpecificConfig, Bytes), HeaderError> {
        let mut bits = BitReader::new(&self.rest);
        if bits.bits(12)? != 0xfff {
            return Err(HeaderError::Invalid("the sync word of ADTS"));
        }
        bits.skip(1)?;
        if bits.bits(2)? != 0 {
            return Err(HeaderError::Invalid("the layer of ADTS"));
        }
        let header = if bits.flag()? { 7 } else { 9 };
        let object_type = bits.small(2)? + 1;
        let rate = rate_at(bits.small(4)?)?;
        bits.skip(1)?;
        let config = bits.small(3)?;
        if config == 0 {
            return Err(HeaderError::Unsupported("ADTS with channels that its header does not tell"));
        }
        bits.skip(4)?;
        let length = usize::try_from(bits.bits(13)?).map_err(|_| HeaderError::Truncated)?;
        bits.skip(11)?;
        if bits.bits(2)? != 0 {
            return Err(HeaderError::Unsupported("ADTS with several blocks behind one header"));
        }
        if length <= header {
            return Err(HeaderError::Invalid("the length of an ADTS frame"));
        }
        if length > self.rest.len() {
            return Err(HeaderError::Truncated);
        }
        let block = self.rest.split_to(length).slice(header..);
        Ok((
            AudioSpecificConfig {
                object_type,
                ..AudioSpecificConfig::low_complexity(rate, channels_of(config)?)
            },
            block,
        ))
    }
}

impl Iterator for AdtsFrames {
    type Item = Result<(AudioSpecificConfig, Bytes), HeaderError>;

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
