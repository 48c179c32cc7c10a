//! The header of an RTP packet (RFC 3550, section 5.1) and its extensions of one byte (RFC 8285, section 4.2).

use std::ops::Range;
use thiserror::Error;

/// Length without extensions.
pub const HEADER_LEN: usize = 12;

/// Mark of extensions of one byte.
const ONE_BYTE: u16 = 0xBEDE;
/// Most bytes of extensions that are written: enough for the five of one to nine bytes that WebRTC uses.
const MAX_EXTENSIONS: usize = 64;

/// What is wrong with a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum HeaderError {
    /// It ends before its header does.
    #[error("the packet of {0} bytes ends inside its header")]
    Short(usize),
    /// It is of another version, so no RTP.
    #[error("version {0} is not RTP")]
    Version(u8),
    /// It says that it has more padding than bytes, or none though it is flagged.
    #[error("{padding} bytes of padding in a payload of {payload}")]
    Padding {
        /// What it says.
        padding: u8,
        /// What it has.
        payload: usize,
    },
    /// An extension's id is not 1 to 14, its data not 1 to 16 bytes long, or there are too many.
    #[error(
        "extension {id} with {size} bytes cannot be written: ids are 1 to 14, data 1 to 16 bytes, 60 bytes in all"
    )]
    Extension {
        /// Its id.
        id: u8,
        /// Length of its data.
        size: usize,
    },
    /// The header does not fit where it should be written.
    #[error("a header of {needed} bytes does not fit into {room}")]
    NoRoom {
        /// Its length.
        needed: usize,
        /// What there is.
        room: usize,
    },
}

/// What stands in every packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    /// For video, the last packet of a picture.
    pub marker: bool,
    /// What is inside, as negotiated; 7 bits.
    pub payload_type: u8,
    /// Goes up by one for each packet.
    pub sequence: u16,
    /// When it was sampled, on the codec's clock.
    pub timestamp: u32,
    /// Who sends.
    pub ssrc: u32,
}

impl Header {
    /// Bytes of the header with these extensions.
    pub const fn len_with(extensions: &Extensions) -> usize {
        HEADER_LEN + extensions.padded_len()
    }

    /// The header without extensions.
    pub const fn to_bytes(&self) -> [u8; HEADER_LEN] {
        let [s0, s1] = self.sequence.to_be_bytes();
        let [t0, t1, t2, t3] = self.timestamp.to_be_bytes();
        let [i0, i1, i2, i3] = self.ssrc.to_be_bytes();
        let marker = if self.marker { 0x80 } else { 0 };
        [0x80, marker | (self.payload_type & 0x7F), s0, s1, t0, t1, t2, t3, i0, i1, i2, i3]
    }

    /// Writes header and extensions to the front of `out` and returns how many bytes that took.
    pub fn write(&self, extensions: &Extensions, out: &mut [u8]) -> Result<usize, HeaderError> {
        let needed = Self::len_with(extensions);
        let no_room = HeaderError::NoRoom { needed, room: out.len() };
        let (fixed, behind) = out.get_mut(..needed).and_then(<[u8]>::split_first_chunk_mut).ok_or(no_room)?;
        *fixed = self.to_bytes();
        if let (Some(block), [first, ..]) = (extensions.block(), fixed) {
            *first |= 0x10;
            behind.copy_from_slice(block);
        }
        Ok(needed)
    }
}

/// Extensions to write, with the mark and the length in front of them. Fills no heap.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Extensions {
    bytes: [u8; MAX_EXTENSIONS],
    len: usize,
}

impl Extensions {
    /// None yet.
    pub const fn new() -> Self {
        Self { bytes: [0; MAX_EXTENSIONS], len: 4 }
    }

    /// Adds one.
    pub fn push(&mut self, id: u8, data: &[u8]) -> Result<(), HeaderError> {
        let invalid = HeaderError::Extension { id, size: data.len() };
        let length = u8::try_from(data.len())
            .ok()
            .filter(|length| (1..=16).contains(length) && (1..=14).contains(&id));
        let length = length.ok_or(invalid)?;
        let end = self.len + 1 + data.len();
        let (head, body) =
            self.bytes.get_mut(self.len..end).and_then(<[u8]>::split_first_mut).ok_or(invalid)?;
        *head = id << 4 | (length - 1);
        body.copy_from_slice(data);
        self.len = end;
        let words = u16::try_from(self.padded_len() / 4 - 1).unwrap_or(0);
        let [mark, length] = [ONE_BYTE.to_be_bytes(), words.to_be_bytes()];
        if let Some(front) = self.bytes.first_chunk_mut() {
            *front = [mark[0], mark[1], length[0], length[1]];
        }
        Ok(())
    }

    const fn padded_len(&self) -> usize {
        if self.len <= 4 { 0 } else { self.len.next_multiple_of(4) }
    }

    fn block(&self) -> Option<&[u8]> {
        self.bytes.get(..self.padded_len()).filter(|block| !block.is_empty())
    }
}

impl Default for Extensions {
    fn default() -> Self {
        Self::new()
    }
}

/// A packet, taken apart without copying.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Packet<'a> {
    /// What stands in every packet.
    pub header: Header,
    /// What is inside; no padding.
    pub payload: &'a [u8],
    start: usize,
    extensions: &'a [u8],
}

impl<'a> Packet<'a> {
    /// Takes a packet apart; its contributing sources are skipped.
    pub fn parse(bytes: &'a [u8]) -> Result<Self, HeaderError> {
        let short = HeaderError::Short(bytes.len());
        let (fixed, mut rest) = bytes.split_first_chunk::<HEADER_LEN>().ok_or(short)?;
        let [flags, kind, s0, s1, t0, t1, t2, t3, i0, i1, i2, i3] = *fixed;
        if flags >> 6 != 2 {
            return Err(HeaderError::Version(flags >> 6));
        }
        rest = rest.get(usize::from(flags & 0x0F) * 4..).ok_or(short)?;
        let mut extensions: &[u8] = &[];
        if flags & 0x10 != 0 {
            (extensions, rest) = take_extensions(rest).ok_or(short)?;
        }
        let start = bytes.len() - rest.len();
        let payload = if flags & 0x20 == 0 { rest } else { without_padding(rest)? };
        let header = Header {
            marker: kind & 0x80 != 0,
            payload_type: kind & 0x7F,
            sequence: u16::from_be_bytes([s0, s1]),
            timestamp: u32::from_be_bytes([t0, t1, t2, t3]),
            ssrc: u32::from_be_bytes([i0, i1, i2, i3]),
        };
        Ok(Self { header, payload, start, extensions })
    }

    /// Where the payload stands in the packet, to slice shared bytes.
    pub fn payload_range(&self) -> Range<usize> {
        self.start..self.start + self.payload.len()
    }

    /// The extensions of one byte: id and data. Reading ends where one does not fit, or at the reserved id 15.
    pub fn extensions(&self) -> impl Iterator<Item = (u8, &'a [u8])> {
        let mut rest = self.extensions;
        std::iter::from_fn(move || {
            loop {
                let (&head, behind) = rest.split_first()?;
                if head == 0 {
                    rest = behind;
                    continue;
                }
                let (id, length) = (head >> 4, usize::from(head & 0x0F) + 1);
                let (data, behind) = behind.split_at_checked(length).filter(|_| id != 15)?;
                rest = behind;
                // Id 0 with a length is padding that RFC 8285 tells to skip.
                if id != 0 {
                    return Some((id, data));
                }
            }
        })
    }

    /// The data of the extension with that id.
    pub fn extension(&self, id: u8) -> Option<&'a [u8]> {
        self.extensions().find(|(found, _)| *found == id).map(|(_, data)| data)
    }
}

/// The block of extensions, empty where it is in another form than ours, and what is behind it.
fn take_extensions(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let (&[m0, m1, l0, l1], rest) = bytes.split_first_chunk()?;
    let (block, rest) = rest.split_at_checked(usize::from(u16::from_be_bytes([l0, l1])) * 4)?;
    let ours = u16::from_be_bytes([m0, m1]) == ONE_BYTE;
    Some((if ours { block } else { &[] }, rest))
}

fn without_padding(bytes: &[u8]) -> Result<&[u8], HeaderError> {
    let padding = bytes.last().copied().unwrap_or(0);
    let kept = bytes.len().checked_sub(usize::from(padding)).filter(|_| padding > 0);
    kept.and_then(|kept| bytes.get(..kept)).ok_or(HeaderError::Padding { padding, payload: bytes.len() })
}

#[cfg(test)]
#[path = "header_tests.rs"]
mod tests;
