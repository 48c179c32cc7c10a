//! VP9 (bitstream specification, 6.2 and annex B): the uncompressed header, and superframes.

use super::{HeaderError, bits::BitReader};
use bytes::Bytes;

/// What the uncompressed header of a frame says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FrameHeader {
    /// 0 to 3.
    pub profile: u8,
    /// Present when decoding can start at this frame.
    pub key: Option<KeyHeader>,
    /// The frame is shown, or shows another that was decoded before.
    pub shown: bool,
}

/// What only a key frame says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KeyHeader {
    /// Pixels across.
    pub width: u16,
    /// Pixels down.
    pub height: u16,
    /// Bits a sample.
    pub bit_depth: u8,
}

const RGB: u32 = 7;

impl FrameHeader {
    /// Reads the header of the first frame of a unit.
    pub fn parse(frame: &[u8]) -> Result<Self, HeaderError> {
        let mut bits = BitReader::new(frame);
        if bits.bits(2)? != 2 {
            return Err(HeaderError::Invalid("the marker of a VP9 frame"));
        }
        let profile = bits.small(1)? | bits.small(1)? << 1;
        if profile == 3 && bits.flag()? {
            return Err(HeaderError::Unsupported("a VP9 profile above 3"));
        }
        if bits.flag()? {
            return Ok(Self { profile, key: None, shown: true });
        }
        let inter = bits.flag()?;
        let shown = bits.flag()?;
        bits.skip(1)?;
        let key = if inter { None } else { Some(KeyHeader::parse(&mut bits, profile)?) };
        Ok(Self { profile, key, shown })
    }
}

impl KeyHeader {
    fn parse(bits: &mut BitReader<'_>, profile: u8) -> Result<Self, HeaderError> {
        if bits.bits(24)? != 0x49_83_42 {
            return Err(HeaderError::Invalid("the sync code of a VP9 key frame"));
        }
        let bit_depth = match profile {
            0 | 1 => 8,
            _ if bits.flag()? => 12,
            _ => 10,
        };
        skip_color(bits, profile)?;
        let size = |value: u32| {
            u16::try_from(value + 1).map_err(|_| HeaderError::Unsupported("65536 pixels in a row"))
        };
        let (width, height) = (bits.bits(16)?, bits.bits(16)?);
        Ok(Self { width: size(width)?, height: size(height)?, bit_depth })
    }
}

fn skip_color(bits: &mut BitReader<'_>, profile: u8) -> Result<(), HeaderError> {
    let full = profile & 1 == 1;
    if bits.bits(3)? != RGB {
        return bits.skip(if full { 4 } else { 1 });
    }
    if !full {
        return Err(HeaderError::Invalid("RGB in a VP9 profile that has none"));
    }
    bits.skip(1)
}

/// The frames of a superframe (annex B); a frame that is none alone. They share the unit's bytes.
pub fn frames(unit: &Bytes) -> Result<Vec<Bytes>, HeaderError> {
    let Some(index) = SuperframeIndex::find(unit) else { return Ok(vec![unit.clone()]) };
    let mut rest = unit.slice(..unit.len() - index.length);
    let mut frames = Vec::with_capacity(index.sizes.len());
    for size in index.sizes {
        if size > rest.len() {
            return Err(HeaderError::Truncated);
        }
        // An empty frame repeats the one before; there is nothing to decode.
        if size > 0 {
            frames.push(rest.split_to(size));
        }
    }
    Ok(frames)
}

struct SuperframeIndex {
    sizes: Vec<usize>,
    length: usize,
}

impl SuperframeIndex {
    fn find(unit: &[u8]) -> Option<Self> {
        let marker = *unit.last()?;
        if marker >> 5 != 0b110 {
            return None;
        }
        let count = usize::from(marker & 7) + 1;
        let width = usize::from(marker >> 3 & 3) + 1;
        let length = 2 + count * width;
        let index = unit.get(unit.len().checked_sub(length)?..)?;
        let (first, sizes) = index.split_first()?;
        let sizes = sizes.get(..count * width)?.chunks_exact(width);
        let size = |bytes: &[u8]| bytes.iter().rev().fold(0, |size, byte| size << 8 | usize::from(*byte));
        (*first == marker).then(|| Self { sizes: sizes.map(size).collect(), length })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn headers_are_read() {
        // Marker 2, profile 0, key, shown; BT.601; 640 by 480.
        let key = [0x82, 0x49, 0x83, 0x42, 0x20, 0x27, 0xf0, 0x1d, 0xf0];
        let header = FrameHeader::parse(&key).unwrap();
        assert_eq!(header.key, Some(KeyHeader { width: 640, height: 480, bit_depth: 8 }));
        assert_eq!(FrameHeader::parse(&[0x86, 0]), Ok(FrameHeader { profile: 0, key: None, shown: true }));
        assert_eq!(FrameHeader::parse(&key[..6]), Err(HeaderError::Truncated));
        assert!(FrameHeader::parse(&[0x02]).is_err());
    }

    #[test]
    fn a_superframe_whose_index_lies_is_refused() {
        let unit = Bytes::from_static(&[1, 2, 3, 0xc1, 2, 9, 0xc1]);
        assert_eq!(frames(&unit), Err(HeaderError::Truncated));
    }

    proptest! {
        #[test]
        fn superframes_come_apart(sizes in prop::collection::vec(1_u16..300, 1..=8)) {
            let data: Vec<_> = sizes.iter().map(|size| vec![7; usize::from(*size)]).collect();
            let marker = 0b1100_1000 | u8::try_from(sizes.len() - 1).unwrap();
            let index: Vec<_> = sizes.iter().flat_map(|size| size.to_le_bytes()).collect();
            let unit = Bytes::from([data.concat(), vec![marker], index, vec![marker]].concat());
            let split: Vec<_> = frames(&unit).unwrap().iter().map(|frame| frame.to_vec()).collect();
            prop_assert_eq!(split, data);
        }

        #[test]
        fn any_bytes_are_read_or_refused(data in prop::collection::vec(any::<u8>(), 0..64)) {
            std::hint::black_box(FrameHeader::parse(&data).is_ok());
            drop(frames(&data.into()));
        }
    }
}
