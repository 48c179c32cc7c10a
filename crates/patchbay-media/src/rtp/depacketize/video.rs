//! Pictures: which packets belong together, what a lost packet costs, and when a picture may be passed on.

use super::{Arrival, DepacketizeError, Incoming, Unit, av1::Av1, nal::Nals, vp8::Vp8, vp9::Vp9};
use crate::Codec;
use bytes::Bytes;

/// Memory that is kept from one picture to the next; larger pictures give theirs back.
const KEPT: usize = 1024 * 1024;

/// Reads the payloads of one picture after the other.
pub(super) trait Assemble: std::fmt::Debug + Send {
    /// Whether a picture starts with this payload for sure, though what is in front of it was lost.
    fn starts(&self, payload: &[u8]) -> bool;

    /// Adds a payload to the picture.
    fn add(&mut self, payload: &[u8], unit: &mut Vec<u8>) -> Result<(), DepacketizeError>;

    /// Ends the picture, and forgets it.
    fn finish(&mut self, unit: &mut Vec<u8>) -> Result<Finish, DepacketizeError>;

    /// Whether a picture may start with this payload, the very first one, of which nobody knows what was in front of it.
    fn may_start(&self, payload: &[u8]) -> bool {
        self.starts(payload)
    }

    /// Bytes held besides the picture's.
    fn held(&self) -> usize {
        0
    }

    /// Forgets the picture.
    fn reset(&mut self);
}

/// What a picture turned out to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Finish {
    Key,
    Delta,
    /// No picture yet: parameter sets that some cameras send under a marker or a time of their own. They belong to what comes next.
    NotYet,
}

#[derive(Debug)]
pub(super) struct Video {
    assembler: Box<dyn Assemble>,
    unit: Vec<u8>,
    /// Time of the picture that is being put together.
    open: Option<u32>,
    /// Nothing is missing in the picture so far; while none is open, between it and the last one.
    intact: bool,
    needs_key: bool,
    lost: bool,
}

impl Video {
    pub(super) fn new(codec: Codec) -> Self {
        let assembler: Box<dyn Assemble> = match codec {
            Codec::Av1 => Box::new(Av1::default()),
            Codec::Vp8 => Box::new(Vp8),
            Codec::Vp9 => Box::new(Vp9::default()),
            _ => Box::new(Nals::new(codec)),
        };
        Self { assembler, unit: Vec::new(), open: None, intact: true, needs_key: true, lost: false }
    }

    pub(super) fn needs_key(&self) -> bool {
        self.needs_key
    }

    pub(super) fn held(&self) -> usize {
        self.unit.len() + self.assembler.held()
    }

    pub(super) fn push(
        &mut self,
        arrival: Arrival,
        packet: Incoming<'_>,
        out: &mut Vec<Unit>,
    ) -> Result<(), DepacketizeError> {
        // Whatever is missing, pictures refer to it.
        self.lost |= arrival == Arrival::Gap;
        self.needs_key |= arrival == Arrival::Gap;
        let contiguous = arrival == Arrival::Next;
        if packet.payload.is_empty() {
            self.step_over(arrival);
            return Ok(());
        }
        self.intact &= contiguous;
        let mut closed = Ok(());
        if self.open.is_some_and(|timestamp| timestamp != packet.timestamp) {
            closed = self.close(out);
            self.intact &= contiguous;
        }
        if self.open.is_none() && !self.intact && self.starts(arrival, packet.payload) {
            self.clear();
        }
        self.open = Some(packet.timestamp);
        let added = self.add(packet.payload);
        if packet.marker {
            closed = closed.and(self.close(out));
        }
        added.and(closed)
    }

    /// Takes note of a packet that holds nothing but padding, with which browsers measure the line. After a gap nobody knows to which picture the
    /// missing packets belonged.
    fn step_over(&mut self, arrival: Arrival) {
        if arrival != Arrival::Next {
            self.clear();
            (self.intact, self.open) = (false, None);
        }
    }

    fn starts(&self, arrival: Arrival, payload: &[u8]) -> bool {
        match arrival {
            Arrival::First => self.assembler.may_start(payload),
            _ => self.assembler.starts(payload),
        }
    }

    fn add(&mut self, payload: &[u8]) -> Result<(), DepacketizeError> {
        if !self.intact {
            return Ok(());
        }
        let added = self.assembler.add(payload, &mut self.unit);
        if added.is_err() {
            self.spoil();
        }
        added
    }

    /// Gives up the picture that is open.
    fn spoil(&mut self) {
        self.clear();
        self.intact = false;
        self.lost = true;
    }

    /// Ends the open picture, and passes it on when it is whole and what it refers to was.
    fn close(&mut self, out: &mut Vec<Unit>) -> Result<(), DepacketizeError> {
        let Some(timestamp) = self.open.take() else { return Ok(()) };
        if !self.intact {
            self.needs_key = true;
            self.clear();
            return Ok(());
        }
        let finished = self.assembler.finish(&mut self.unit);
        let key = match finished {
            Ok(Finish::NotYet) => return Ok(()),
            Ok(finish) => finish == Finish::Key,
            Err(error) => {
                (self.needs_key, self.lost) = (true, true);
                self.clear();
                return Err(error);
            }
        };
        self.needs_key &= !key;
        if !self.needs_key {
            let after_loss = std::mem::take(&mut self.lost);
            out.push(Unit { timestamp, data: Bytes::copy_from_slice(&self.unit), key, after_loss });
        }
        self.clear();
        Ok(())
    }

    fn clear(&mut self) {
        self.assembler.reset();
        self.unit.clear();
        self.unit.shrink_to(KEPT);
        self.intact = true;
    }
}
