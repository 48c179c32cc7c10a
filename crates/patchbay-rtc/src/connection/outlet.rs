//! How packets of media leave: numbered for feedback, and sealed.

use crate::{congestion::Ledger, path::Batch, srtp::Srtp};
use rtc_shared::error::Error;
use std::time::Instant;

/// What all tracks to one peer share.
pub(crate) struct Outlet {
    pub(crate) srtp: Srtp,
    pub(crate) ledger: Ledger,
    /// When the packets that are written now leave.
    pub(crate) now: Instant,
}

impl Outlet {
    pub(crate) fn new(srtp: Srtp, now: Instant) -> Self {
        Self { srtp, ledger: Ledger::new(now), now }
    }
}

/// Numbers of the header extensions that were agreed; 1 to 14, which have room in one-byte headers (RFC 8285, section 4.2).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Extensions {
    /// Playout delay: zero, so that pictures are shown at once.
    pub(crate) playout_delay: Option<u8>,
    /// Number of the packet among all that are sent to the peer.
    pub(crate) transport_cc: Option<u8>,
}

#[derive(Clone, Copy)]
pub(super) struct Header {
    pub(super) payload_type: u8,
    pub(super) marker: bool,
    /// With the count of wraps above its 16 bits.
    pub(super) sequence: u64,
    pub(super) timestamp: u32,
    pub(super) ssrc: u32,
    pub(super) extensions: Extensions,
}

/// First byte of RTP: version 2, with an extension, with padding.
const VERSION: u8 = 0x80;
const EXTENSION: u8 = 0x10;
const PADDING: u8 = 0x20;

/// Bytes of a packet of padding, the last of which counts them (RFC 3550, section 5.1).
const PADDING_BYTES: [u8; 4] = [0, 0, 0, 4];

impl Header {
    pub(super) fn write(
        self,
        payload: &[&[u8]],
        outlet: &mut Outlet,
        batch: &mut Batch,
    ) -> Result<(), Error> {
        self.write_with(VERSION, payload, outlet, batch)
    }

    pub(super) fn write_padding(self, outlet: &mut Outlet, batch: &mut Batch) -> Result<(), Error> {
        self.write_with(VERSION | PADDING, &[&PADDING_BYTES], outlet, batch)
    }

    fn write_with(
        self,
        first: u8,
        payload: &[&[u8]],
        outlet: &mut Outlet,
        batch: &mut Batch,
    ) -> Result<(), Error> {
        let buffer = &mut batch.buffer;
        let start = buffer.len();
        let extension = if self.extensions == Extensions::default() { 0 } else { EXTENSION };
        let [.., high, low] = self.sequence.to_be_bytes();
        buffer.extend_from_slice(&[
            first | extension,
            self.payload_type | (u8::from(self.marker) << 7),
            high,
            low,
        ]);
        buffer.extend_from_slice(&self.timestamp.to_be_bytes());
        buffer.extend_from_slice(&self.ssrc.to_be_bytes());
        let size = payload.iter().map(|part| part.len()).sum::<usize>();
        self.extensions.write(size, outlet, buffer);
        let header = buffer.len() - start;
        for part in payload {
            buffer.extend_from_slice(part);
        }
        outlet.srtp.seal(buffer, start, header, self.ssrc, self.sequence)?;
        batch.finish_packet();
        Ok(())
    }
}

/// Bytes of a packet besides its payload: headers of IP, UDP and RTP, extensions, tag of SRTP. As much as it takes to count what the way carries.
const AROUND: usize = 28 + 12 + 12 + 16;

impl Extensions {
    /// RFC 8285, section 4.2: elements of a byte of number and length with their data, filled up to a word.
    fn write(self, size: usize, outlet: &mut Outlet, buffer: &mut Vec<u8>) {
        // Least and greatest delay are both zero.
        let delay = |id: u8| [(id << 4) | 2, 0, 0, 0];
        let mut number = |id: u8| {
            let [high, low] = outlet.ledger.stamp(size + AROUND, outlet.now);
            [(id << 4) | 1, high, low, 0]
        };
        match (self.playout_delay, self.transport_cc) {
            (None, None) => {}
            (Some(playout), None) => {
                buffer.extend_from_slice(&[0xbe, 0xde, 0, 1]);
                buffer.extend_from_slice(&delay(playout));
            }
            (None, Some(transport)) => {
                buffer.extend_from_slice(&[0xbe, 0xde, 0, 1]);
                buffer.extend_from_slice(&number(transport));
            }
            (Some(playout), Some(transport)) => {
                buffer.extend_from_slice(&[0xbe, 0xde, 0, 2]);
                buffer.extend_from_slice(&delay(playout));
                buffer.extend_from_slice(&number(transport));
            }
        }
    }
}
