//! VP8 (RFC 6386): the frame header.

use super::HeaderError;

/// What the header of a frame says (RFC 6386, 9.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FrameHeader {
    /// Decoding can start here.
    Key {
        /// Pixels across.
        width: u16,
        /// Pixels down.
        height: u16,
    },
    /// Needs frames before it.
    Inter,
}

impl FrameHeader {
    /// Reads the header of a frame.
    pub fn parse(frame: &[u8]) -> Result<Self, HeaderError> {
        let (tag, rest) = frame.split_first_chunk::<3>().ok_or(HeaderError::Truncated)?;
        let [first, ..] = tag;
        if first & 1 == 1 {
            return Ok(Self::Inter);
        }
        let (head, _) = rest.split_first_chunk::<7>().ok_or(HeaderError::Truncated)?;
        let [0x9d, 0x01, 0x2a, width_low, width_high, height_low, height_high] = *head else {
            return Err(HeaderError::Invalid("the start code of a VP8 key frame"));
        };
        // The two highest bits tell how a player may scale it.
        let width = u16::from_le_bytes([width_low, width_high]) & 0x3fff;
        let height = u16::from_le_bytes([height_low, height_high]) & 0x3fff;
        if width == 0 || height == 0 {
            return Err(HeaderError::Invalid("a VP8 picture without pixels"));
        }
        Ok(Self::Key { width, height })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn headers_are_read() {
        let key = [0x10, 2, 0, 0x9d, 1, 0x2a, 0x80, 0x42, 0xe0, 0x01];
        assert_eq!(FrameHeader::parse(&key), Ok(FrameHeader::Key { width: 640, height: 480 }));
        assert_eq!(FrameHeader::parse(&[0x11, 2, 0]), Ok(FrameHeader::Inter));
        assert_eq!(FrameHeader::parse(&key[..9]), Err(HeaderError::Truncated));
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_or_refused(data in prop::collection::vec(any::<u8>(), 0..16)) {
            std::hint::black_box(FrameHeader::parse(&data).is_ok());
        }
    }
}
