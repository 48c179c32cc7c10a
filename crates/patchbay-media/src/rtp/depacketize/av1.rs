//! AV1 (RTP Payload Format For AV1, version 1.0 of the Alliance for Open Media): OBUs, which get their size fields back.

use super::{
    DepacketizeError, append,
    video::{Assemble, Finish},
};
use crate::{
    Codec,
    codec::av1::{ObuRef, ObuType, frame_is_key, take_leb128},
};

/// The temporal unit that is being put together.
#[derive(Debug, Default)]
pub(super) struct Av1 {
    /// The OBU that goes on in the next packet.
    partial: Vec<u8>,
    continued: bool,
    sequence_header: bool,
    /// Whether its first frame is a key frame, once there was one.
    key: Option<bool>,
}

/// Bits of the aggregation header (section 4.4).
const CONTINUES: u8 = 0x80;
const CONTINUED: u8 = 0x40;
const SEQUENCE_START: u8 = 0x08;

impl Assemble for Av1 {
    fn starts(&self, payload: &[u8]) -> bool {
        payload.first().is_some_and(|header| header & (CONTINUES | SEQUENCE_START) == SEQUENCE_START)
    }

    fn add(&mut self, payload: &[u8], unit: &mut Vec<u8>) -> Result<(), DepacketizeError> {
        let (&header, mut rest) = payload.split_first().ok_or(malformed("an empty payload"))?;
        if self.continued != (header & CONTINUES != 0) {
            return Err(malformed("an OBU without its beginning or its end"));
        }
        let mut left = Left::new(header);
        while !rest.is_empty() {
            let (element, behind) = left.split(rest).ok_or(malformed("an element that is cut off"))?;
            rest = behind;
            self.add_element(element, unit)?;
            self.continued = rest.is_empty() && header & CONTINUED != 0;
            if !self.continued {
                self.end_obu(unit)?;
            }
        }
        if left.all_read() { Ok(()) } else { Err(malformed("fewer elements than the header says")) }
    }

    fn finish(&mut self, _: &mut Vec<u8>) -> Result<Finish, DepacketizeError> {
        if self.continued {
            return Err(malformed("an OBU without its end"));
        }
        Ok(match self.key {
            None => Finish::NotYet,
            Some(true) if self.sequence_header => Finish::Key,
            Some(_) => Finish::Delta,
        })
    }

    fn held(&self) -> usize {
        self.partial.len()
    }

    fn reset(&mut self) {
        *self = Self::default();
    }
}

impl Av1 {
    fn add_element(&mut self, element: &[u8], unit: &[u8]) -> Result<(), DepacketizeError> {
        if element.is_empty() {
            return Err(malformed("an empty element"));
        }
        // What is in parts counts with what is whole.
        if unit.len() + self.partial.len() + element.len() > super::MAX_UNIT {
            return Err(DepacketizeError::TooLong);
        }
        append(&mut self.partial, element)
    }

    fn end_obu(&mut self, unit: &mut Vec<u8>) -> Result<(), DepacketizeError> {
        let partial = std::mem::take(&mut self.partial);
        let wrong = malformed("an OBU whose header or size is wrong");
        let (obu, []) = ObuRef::split(&partial).map_err(|_| wrong)? else { return Err(wrong) };
        if !obu.kind().is_left_out() {
            self.sequence_header |= obu.kind() == ObuType::SequenceHeader;
            self.key = self.key.or(frame_is_key(&obu));
            if unit.len() + obu.body.len() + 10 > super::MAX_UNIT {
                return Err(DepacketizeError::TooLong);
            }
            obu.write(unit);
        }
        self.partial = partial;
        self.partial.clear();
        Ok(())
    }
}

/// Elements of a packet that are still to be read.
enum Left {
    /// Each has its length in front, until the payload ends.
    Lengths,
    /// So many; the last one has no length.
    Count(u8),
}

impl Left {
    fn new(header: u8) -> Self {
        match header >> 4 & 3 {
            0 => Self::Lengths,
            count => Self::Count(count),
        }
    }

    fn split<'a>(&mut self, bytes: &'a [u8]) -> Option<(&'a [u8], &'a [u8])> {
        if let Self::Count(count) = self {
            *count = count.checked_sub(1)?;
            if *count == 0 {
                return Some((bytes, &[]));
            }
        }
        let (length, rest) = take_leb128(bytes).ok()?;
        rest.split_at_checked(length)
    }

    fn all_read(&self) -> bool {
        matches!(self, Self::Lengths | Self::Count(0))
    }
}

fn malformed(what: &'static str) -> DepacketizeError {
    DepacketizeError::Malformed { codec: Codec::Av1, what }
}
