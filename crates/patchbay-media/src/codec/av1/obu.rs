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
        let extended = if self.extension.is_some() { 0x04 } else { 0 };
        data.put_u8(self.kind.code() << 3 | extended | 0x02);
        data.extend(self.extension);
        put_leb128(data, self.body.len());
        data.put_slice(&self.body);
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
        let header = self.byte()?;
        if header & 0x80 != 0 {
            return Err(HeaderError::Invalid("the forbidden bit of an OBU"));
        }
        let extension = if header & 0x04 == 0 { None } else { Some(self.byte()?) };
        let has_size = header & 0x02 != 0;
        let size = if has_size { self.leb128()? } else { self.rest.len() };
        if size > self.rest.len() {
            return Err(HeaderError::Truncated);
        }
        let kind = ObuType::from_code(header >> 3 & 0x0f);
        Ok(Obu { kind, extension, has_size, body: self.rest.split_to(size) })
    }

    fn byte(&mut self) -> Result<u8, HeaderError> {
        let byte = *self.rest.first().ok_or(HeaderError::Truncated)?;
        drop(self.rest.split_to(1));
        Ok(byte)
    }

    /// 4.10.5: at most eight bytes, and 32 bits.
    fn leb128(&mut self) -> Result<usize, HeaderError> {
        let mut value = 0_u64;
        for shift in (0..56).step_by(7) {
            let byte = self.byte()?;
            value |= u64::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                let value = u32::try_from(value).ok().and_then(|value| usize::try_from(value).ok());
                return value.ok_or(HeaderError::Invalid("the size of an OBU"));
            }
        }
        Err(HeaderError::Invalid("the size of an OBU"))
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

fn put_leb128(data: &mut BytesMut, value: usize) {
    let mut rest = value;
    while rest > 0x7f {
        let [low, ..] = rest.to_le_bytes();
        data.put_u8(low | 0x80);
        rest >>= 7;
    }
    let [low, ..] = rest.to_le_bytes();
    data.put_u8(low);
}
