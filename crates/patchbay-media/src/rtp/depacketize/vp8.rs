//! VP8 (RFC 7741).

use super::{
    DepacketizeError, append,
    video::{Assemble, Finish},
};
use crate::Codec;

#[derive(Debug)]
pub(super) struct Vp8;

impl Assemble for Vp8 {
    fn starts(&self, payload: &[u8]) -> bool {
        split(payload).is_some_and(|(start, _)| start)
    }

    fn add(&mut self, payload: &[u8], unit: &mut Vec<u8>) -> Result<(), DepacketizeError> {
        let (start, data) = split(payload).ok_or(malformed("a payload descriptor that is cut off"))?;
        match (start, unit.is_empty(), data) {
            (_, _, []) => Err(malformed("nothing behind the payload descriptor")),
            (true, false, _) => Err(malformed("a frame starts inside another one")),
            (false, true, _) => Err(malformed("a frame without its start")),
            _ => append(unit, data),
        }
    }

    fn finish(&mut self, unit: &mut Vec<u8>) -> Result<Finish, DepacketizeError> {
        // The lowest bit of a frame is 0 for a key frame (RFC 6386, section 9.1).
        let first = unit.first().ok_or(malformed("a frame without bytes"))?;
        Ok(if first & 1 == 0 { Finish::Key } else { Finish::Delta })
    }

    fn reset(&mut self) {}
}

fn malformed(what: &'static str) -> DepacketizeError {
    DepacketizeError::Malformed { codec: Codec::Vp8, what }
}

/// Whether a frame starts here, and what is behind the payload descriptor (section 4.2).
fn split(payload: &[u8]) -> Option<(bool, &[u8])> {
    let (&first, mut rest) = payload.split_first()?;
    let start = matches!(first & 0x17, 0x10);
    if first & 0x80 == 0 {
        return Some((start, rest));
    }
    let (&control, behind) = rest.split_first()?;
    rest = behind;
    if control & 0x80 != 0 {
        let (&picture, _) = rest.split_first()?;
        rest = rest.get(if picture & 0x80 == 0 { 1 } else { 2 }..)?;
    }
    let layer_bytes = usize::from(control & 0x40 != 0) + usize::from(control & 0x30 != 0);
    Some((start, rest.get(layer_bytes..)?))
}
