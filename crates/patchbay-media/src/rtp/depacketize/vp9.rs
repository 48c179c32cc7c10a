//! VP9 (RFC 9628), in both modes. Frames of several spatial layers become one superframe.

use super::{
    DepacketizeError, append,
    video::{Assemble, Finish},
};
use crate::{Codec, codec::vp9::FrameHeader};

/// Frames that a superframe can hold (VP9 bitstream specification, annex B).
const MAX_FRAMES: usize = 8;

/// The picture that is being put together.
#[derive(Debug, Default)]
pub(super) struct Vp9 {
    /// Where its frames end.
    ends: Vec<usize>,
    /// A frame has begun and not ended.
    open: bool,
    /// Its first frame refers to others.
    inter: bool,
}

/// Bits of the payload descriptor (section 4.2).
const PICTURE_ID: u8 = 0x80;
const INTER: u8 = 0x40;
const LAYERS: u8 = 0x20;
const FLEXIBLE: u8 = 0x10;
const BEGIN: u8 = 0x08;
const END: u8 = 0x04;
const STRUCTURE: u8 = 0x02;

/// A payload taken apart.
struct Part<'a> {
    flags: u8,
    spatial: u8,
    data: &'a [u8],
}

impl Assemble for Vp9 {
    fn starts(&self, payload: &[u8]) -> bool {
        split(payload).is_some_and(|part| part.flags & BEGIN != 0 && part.spatial == 0)
    }

    fn add(&mut self, payload: &[u8], unit: &mut Vec<u8>) -> Result<(), DepacketizeError> {
        let part = split(payload).ok_or(malformed("a payload descriptor that is cut off"))?;
        match (part.flags & BEGIN != 0, self.open, part.data) {
            (_, _, []) => return Err(malformed("nothing behind the payload descriptor")),
            (true, true, _) => return Err(malformed("a frame starts inside another one")),
            (false, false, _) => return Err(malformed("a frame without its start")),
            _ => {}
        }
        if unit.is_empty() {
            self.inter = part.flags & INTER != 0;
        }
        self.open = part.flags & END == 0;
        append(unit, part.data)?;
        if self.open {
            return Ok(());
        }
        self.ends.push(unit.len());
        if self.ends.len() > MAX_FRAMES { Err(malformed("more than 8 frames in a picture")) } else { Ok(()) }
    }

    fn finish(&mut self, unit: &mut Vec<u8>) -> Result<Finish, DepacketizeError> {
        if self.open || unit.is_empty() {
            return Err(malformed("a frame without its end"));
        }
        let key = !self.inter && FrameHeader::parse(unit).is_ok_and(|header| header.key.is_some());
        if self.ends.len() > 1 {
            self.put_index(unit)?;
        }
        Ok(if key { Finish::Key } else { Finish::Delta })
    }

    fn reset(&mut self) {
        self.ends.clear();
        (self.open, self.inter) = (false, false);
    }
}

impl Vp9 {
    /// The index at the end of a superframe: sizes in four bytes, little-endian, between two equal marks (annex B).
    fn put_index(&self, unit: &mut Vec<u8>) -> Result<(), DepacketizeError> {
        let frames = u8::try_from(self.ends.len() - 1).unwrap_or(7);
        let mark = 0xC0 | 3 << 3 | frames;
        append(unit, &[mark])?;
        let mut start = 0;
        for &end in &self.ends {
            let size = u32::try_from(end - start).map_err(|_| DepacketizeError::TooLong)?;
            append(unit, &size.to_le_bytes())?;
            start = end;
        }
        append(unit, &[mark])
    }
}

fn malformed(what: &'static str) -> DepacketizeError {
    DepacketizeError::Malformed { codec: Codec::Vp9, what }
}

fn split(payload: &[u8]) -> Option<Part<'_>> {
    let (&flags, mut rest) = payload.split_first()?;
    if flags & PICTURE_ID != 0 {
        let (&picture, _) = rest.split_first()?;
        rest = rest.get(if picture & 0x80 == 0 { 1 } else { 2 }..)?;
    }
    let mut spatial = 0;
    if flags & LAYERS != 0 {
        let (&layers, behind) = rest.split_first()?;
        spatial = layers >> 1 & 7;
        rest = if flags & FLEXIBLE == 0 { behind.get(1..)? } else { behind };
    }
    if flags & (FLEXIBLE | INTER) == FLEXIBLE | INTER {
        rest = skip_references(rest)?;
    }
    if flags & STRUCTURE != 0 {
        rest = skip_structure(rest)?;
    }
    Some(Part { flags, spatial, data: rest })
}

/// Up to three references, each of which says whether another one follows.
fn skip_references(bytes: &[u8]) -> Option<&[u8]> {
    let mut rest = bytes;
    for _ in 0..3 {
        let (&reference, behind) = rest.split_first()?;
        rest = behind;
        if reference & 1 == 0 {
            return Some(rest);
        }
    }
    None
}

/// The scalability structure (section 4.2.1).
fn skip_structure(bytes: &[u8]) -> Option<&[u8]> {
    let (&flags, mut rest) = bytes.split_first()?;
    if flags & 0x10 != 0 {
        rest = rest.get((usize::from(flags >> 5) + 1) * 4..)?;
    }
    if flags & 0x08 == 0 {
        return Some(rest);
    }
    let (&pictures, mut rest) = rest.split_first()?;
    for _ in 0..pictures {
        let (&picture, behind) = rest.split_first()?;
        rest = behind.get(usize::from(picture >> 2 & 3)..)?;
    }
    Some(rest)
}
