//! VP9 (RFC 9628), not in flexible mode, one layer: each picture refers to the one before it.

use super::{Builder, PacketizeError};
use crate::Codec;

/// Bits of the payload descriptor (section 4.2).
const PICTURE_ID: u8 = 0x80;
const INTER: u8 = 0x40;
const BEGIN: u8 = 0x08;
const END: u8 = 0x04;
const STRUCTURE: u8 = 0x02;

/// Cuts a frame or superframe. The first packet of a key frame says the size and that there is one layer.
pub(super) fn cut(frame: &[u8], picture: [u8; 2], out: &mut Builder) -> Result<(), PacketizeError> {
    if frame.is_empty() {
        return Ok(());
    }
    let header = Header::read(frame).ok_or(PacketizeError::Malformed { codec: Codec::Vp9, at: 0 })?;
    let [high, low] = picture;
    let mut rest = frame;
    let mut begin = BEGIN;
    while !rest.is_empty() {
        let first = begin != 0;
        let flags = PICTURE_ID | header.flags() | begin;
        out.put(&[flags, high, low]);
        if let (true, Header::Key { width, height }) = (first, &header) {
            out.mark(STRUCTURE);
            put_structure(*width, *height, out);
        }
        let (chunk, behind) = rest.split_at(out.room().min(rest.len()));
        out.put(chunk);
        rest = behind;
        if rest.is_empty() {
            out.mark(END);
        }
        out.end();
        begin = 0;
    }
    Ok(())
}

/// One spatial layer of this size (Y), and a group of one picture (G) that refers to the one before it.
fn put_structure(width: u16, height: u16, out: &mut Builder) {
    out.put(&[0x18]);
    out.put(&width.to_be_bytes());
    out.put(&height.to_be_bytes());
    out.put(&[1, 0x04, 1]);
}

/// What the descriptor says of a frame.
#[derive(Debug, PartialEq, Eq)]
enum Header {
    Key { width: u16, height: u16 },
    Intra,
    Inter,
}

impl Header {
    fn flags(&self) -> u8 {
        match self {
            Self::Key { .. } | Self::Intra => 0,
            Self::Inter => INTER,
        }
    }

    /// Reads the beginning of the uncompressed header (VP9 bitstream specification, section 6.2). Of a superframe it is that of the first frame.
    fn read(frame: &[u8]) -> Option<Self> {
        let mut bits = Bits { bytes: frame, at: 0 };
        if bits.take(2)? != 2 {
            return None;
        }
        let profile = bits.take(1)? | bits.take(1)? << 1;
        if profile == 3 {
            bits.take(1)?;
        }
        let (shows_old_one, not_key) = (bits.take(1)?, bits.take(1)?);
        if shows_old_one == 1 {
            return Some(Self::Inter);
        }
        let shown = bits.take(1)?;
        let _resilient = bits.take(1)?;
        if not_key == 0 {
            return Self::read_key(profile, &mut bits);
        }
        let intra = if shown == 1 { 0 } else { bits.take(1)? };
        Some(if intra == 1 { Self::Intra } else { Self::Inter })
    }

    fn read_key(profile: u32, bits: &mut Bits) -> Option<Self> {
        if bits.take(24)? != 0x49_83_42 {
            return None;
        }
        if profile >= 2 {
            bits.take(1)?;
        }
        let rgb = bits.take(3)? == 7;
        match (rgb, profile) {
            (false, 1 | 3) => bits.take(4)?,
            (true, 1 | 3) => bits.take(1)?,
            (false, _) => bits.take(1)?,
            (true, _) => return None,
        };
        // A side of 65,536 does not fit into the descriptor, and no encoder makes it.
        let (width, height) = (bits.take(16)? + 1, bits.take(16)? + 1);
        Some(Self::Key { width: u16::try_from(width).ok()?, height: u16::try_from(height).ok()? })
    }
}

/// Bits from the front, the highest of each byte first.
struct Bits<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl Bits<'_> {
    fn take(&mut self, count: usize) -> Option<u32> {
        let mut value = 0;
        for _ in 0..count {
            let byte = *self.bytes.get(self.at / 8)?;
            value = value << 1 | u32::from(byte >> (7 - self.at % 8) & 1);
            self.at += 1;
        }
        Some(value)
    }
}
