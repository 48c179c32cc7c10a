//! Open bitstream units (5.3): a header, often a size, and a body.

use crate::codec::HeaderError;
use bytes::{BufMut, Bytes, BytesMut};

/// Most OBUs in one temporal unit; one with 64 tiles apart in each of four layers has 260.
pub const MAX_OBUS: usize = 4096;

/// Kinds of OBUs (6.2.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ObuType {
    /// What holds for all pictures until the next one.
    SequenceHeader,
    /// Start of a temporal unit; transports mark it otherwise.
    TemporalDelimiter,
    /// Header of a frame whose tiles come in OBUs of their own.
    FrameHeader,
    /// Tiles.
    TileGroup,
    /// Supplemental information.
    Metadata,
    /// Header and tiles.
    Frame,
    /// The same header once more.
    RedundantFrameHeader,
    /// For large scale tile decoding.
    TileList,
    /// Bytes that only fill the line.
    Padding,
    /// Reserved.
    Reserved(u8),
}

impl ObuType {
    const fn from_code(code: u8) -> Self {
        match code {
            1 => Self::SequenceHeader,
            2 => Self::TemporalDelimiter,
            3 => Self::FrameHeader,
            4 => Self::TileGroup,
            5 => Self::Metadata,
            6 => Self::Frame,
            7 => Self::RedundantFrameHeader,
            8 => Self::TileList,
            15 => Self::Padding,
            other => Self::Reserved(other),
        }
    }

    const fn code(self) -> u8 {
        match self {
            Self::SequenceHeader => 1,
            Self::TemporalDelimiter => 2,
            Self::FrameHeader => 3,
            Self::TileGroup => 4,
            Self::Metadata => 5,
            Self::Frame => 6,
            Self::RedundantFrameHeader => 7,
            Self::TileList => 8,
            Self::Padding => 15,
            Self::Reserved(code) => code,
        }
    }

    /// Neither the hub nor RTP carries it.
    pub(crate) const fn is_left_out(self) -> bool {
        matches!(self, Self::TemporalDelimiter | Self::TileList | Self::Padding)
    }
}

/// The bits of a header.
const FORBIDDEN: u8 = 0x80;
const EXTENSION: u8 = 0x04;
const HAS_SIZE: u8 = 0x02;

/// One unit, in bytes that it borrows.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ObuRef<'a> {
    first: u8,
    extension: Option<u8>,
    /// What is behind the header.
    pub(crate) body: &'a [u8],
}

impl<'a> ObuRef<'a> {
    /// The first unit of these bytes, and what is behind it. One without a size field reaches to the end.
    pub(crate) fn split(bytes: &'a [u8]) -> Result<(Self, &'a [u8]), HeaderError> {
        let (&first, rest) = bytes.split_first().ok_or(HeaderError::Truncated)?;
        if first & FORBIDDEN != 0 {
            return Err(HeaderError::Invalid("the forbidden bit of an OBU"));
        }
        let (extension, rest) = if first & EXTENSION == 0 {
            (None, rest)
        } else {
            let (&extension, rest) = rest.split_first().ok_or(HeaderError::Truncated)?;
            (Some(extension), rest)
        };
        let (length, rest) = if first & HAS_SIZE == 0 { (rest.len(), rest) } else { take_leb128(rest)? };
        let (body, rest) = rest.split_at_checked(length).ok_or(HeaderError::Truncated)?;
        Ok((Self { first, extension, body }, rest))
    }

    pub(crate) fn kind(&self) -> ObuType {
        ObuType::from_code(self.first >> 3 & 0x0f)
    }

    pub(crate) fn has_size(&self) -> bool {
        self.first & HAS_SIZE != 0
    }

    /// Header bytes without a size field, and how many of them there are.
    pub(crate) fn header(&self) -> ([u8; 2], usize) {
        let first = self.first & !HAS_SIZE;
        self.extension.map_or(([first, 0], 1), |extension| ([first, extension], 2))
    }

    /// Appends it with a size field.
    pub(crate) fn write(&self, data: &mut impl BufMut) {
        data.put_u8(self.first | HAS_SIZE);
        self.extension.into_iter().for_each(|extension| data.put_u8(extension));
        put_leb128(self.body.len(), data);
        data.put_slice(self.body);
    }
}

/// One unit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Obu {
    /// Its kind.
    pub kind: ObuType,
    /// Temporal and spatial layer, as the byte that says them.
    pub extension: Option<u8>,
    /// It came with a size field.
    pub has_size: bool,
    /// What is behind the header.
    pub body: Bytes,
}

impl Obu {
    /// Appends it with a size field.
    pub(super) fn write(&self, data: &mut BytesMut) {
        let extended = if self.extension.is_some() { EXTENSION } else { 0 };
        let first = self.kind.code() << 3 | extended;
        ObuRef { first, extension: self.extension, body: &self.body }.write(data);
    }
}

/// The OBUs of a temporal unit; they share its bytes. One without a size field reaches to the end. After an error there is nothing more.
pub fn obus(data: &Bytes) -> Obus {
    Obus { rest: data.clone(), left: MAX_OBUS }
}

/// See [`obus`].
#[derive(Clone, Debug)]
pub struct Obus {
    rest: Bytes,
    left: usize,
}

impl Obus {
    fn take(&mut self) -> Result<Obu, HeaderError> {
        if self.left == 0 {
            return Err(HeaderError::TooLarge { what: "the number of OBUs", limit: MAX_OBUS });
        }
        self.left -= 1;
        let (obu, rest) = ObuRef::split(&self.rest)?;
        let rest = self.rest.slice_ref(rest);
        let (kind, extension, has_size) = (obu.kind(), obu.extension, obu.has_size());
        let body = self.rest.slice_ref(obu.body);
        self.rest = rest;
        Ok(Obu { kind, extension, has_size, body })
    }
}

impl Iterator for Obus {
    type Item = Result<Obu, HeaderError>;

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

/// A length (4.10.5: at most eight bytes, and 32 bits), and what is behind it.
pub(crate) fn take_leb128(bytes: &[u8]) -> Result<(usize, &[u8]), HeaderError> {
    let (mut value, mut rest) = (0_u64, bytes);
    for shift in (0..56).step_by(7) {
        let (&byte, behind) = rest.split_first().ok_or(HeaderError::Truncated)?;
        rest = behind;
        value |= u64::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            let value = u32::try_from(value).ok().and_then(|value| usize::try_from(value).ok());
            return Ok((value.ok_or(HeaderError::Invalid("the size of an OBU"))?, rest));
        }
    }
    Err(HeaderError::Invalid("the size of an OBU"))
}

/// Writes a length in as few bytes as it needs.
pub(crate) fn put_leb128(value: usize, data: &mut impl BufMut) {
    let mut rest = value;
    while rest > 0x7f {
        let [low, ..] = rest.to_le_bytes();
        data.put_u8(low | 0x80);
        rest >>= 7;
    }
    let [low, ..] = rest.to_le_bytes();
    data.put_u8(low);
}
