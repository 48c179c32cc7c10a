//! What is looked at before SCTP sees a packet.
//!
//! The SCTP stack starts another association for every INIT, a repeated one too, remembers every reset that it was asked for, and panics at a cause
//! of an error that is longer than its chunk. Behind DTLS only the peer itself could abuse that, yet a peer is anybody.

use bytes::Bytes;

/// Offset of the first chunk (RFC 9260, section 3).
const HEADER: usize = 12;
/// INIT (RFC 9260, section 3.3.2).
const INIT: u8 = 1;
/// ABORT and ERROR (RFC 9260, sections 3.3.7 and 3.3.10).
const WITH_CAUSES: [u8; 2] = [6, 9];
/// RE-CONFIG (RFC 6525, section 3.1).
const RECONFIG: u8 = 130;
/// Bytes of RE-CONFIG chunks in the life of an association. Opening and closing a channel takes 40, so this is 25,000 channels.
const RECONFIG_BUDGET: usize = 1024 * 1024;

/// What to do with a packet.
pub(super) enum Verdict {
    /// Give it to SCTP.
    Pass,
    /// It begins an association.
    FirstInit,
    /// It was answered already, with this.
    RepeatedInit(Bytes),
    /// It makes no sense.
    Broken,
    /// The peer goes beyond what is sensible.
    Flood,
}

/// What is remembered of a peer's packets.
#[derive(Default)]
pub(super) struct Guard {
    /// Tag of the last INIT.
    init: Option<[u8; 4]>,
    /// What was answered to it.
    reply: Option<Bytes>,
    reconfigured: usize,
}

impl Guard {
    /// Judges a packet.
    pub(super) fn check(&mut self, packet: &[u8]) -> Verdict {
        if let Some(tag) = init_tag(packet) {
            return self.check_init(tag);
        }
        if chunks(packet).any(|chunk| WITH_CAUSES.contains(&chunk.kind) && !has_whole_causes(chunk.value)) {
            return Verdict::Broken;
        }
        let reconfig = chunks(packet).filter(|chunk| chunk.kind == RECONFIG);
        self.reconfigured += reconfig.map(|chunk| CHUNK_HEADER + chunk.value.len()).sum::<usize>();
        if self.reconfigured > RECONFIG_BUDGET { Verdict::Flood } else { Verdict::Pass }
    }

    /// Remembers what was answered to the INIT.
    pub(super) fn answered(&mut self, reply: Option<&Bytes>) {
        self.reply = reply.cloned();
    }

    fn check_init(&mut self, tag: [u8; 4]) -> Verdict {
        match &self.reply {
            Some(reply) if self.init == Some(tag) => Verdict::RepeatedInit(reply.clone()),
            _ => {
                self.init = Some(tag);
                Verdict::FirstInit
            }
        }
    }
}

/// The tag of an INIT, which stands alone in its packet (RFC 9260, section 8.5.1).
fn init_tag(packet: &[u8]) -> Option<[u8; 4]> {
    let chunk = packet.get(HEADER..)?;
    if *chunk.first()? != INIT {
        return None;
    }
    chunk.get(4..8)?.try_into().ok()
}

/// Bytes in front of a chunk's value, and in front of a cause's (RFC 9260, sections 3.2 and 3.3.10).
const CHUNK_HEADER: usize = 4;

struct Chunk<'a> {
    kind: u8,
    value: &'a [u8],
}

/// The chunks of a packet. One that says that it is longer than the packet ends with it.
fn chunks(packet: &[u8]) -> impl Iterator<Item = Chunk<'_>> {
    let mut rest = packet.get(HEADER..).unwrap_or_default();
    std::iter::from_fn(move || {
        let [kind, _flags, high, low, ..] = *rest else { return None };
        let length = usize::from(u16::from_be_bytes([high, low])).max(CHUNK_HEADER);
        let value = rest.get(CHUNK_HEADER..length.min(rest.len())).unwrap_or_default();
        rest = rest.get(length.next_multiple_of(4)..).unwrap_or_default();
        Some(Chunk { kind, value })
    })
}

/// Whether each cause ends within its chunk.
fn has_whole_causes(mut causes: &[u8]) -> bool {
    while let [_, _, high, low, ..] = *causes {
        let length = usize::from(u16::from_be_bytes([high, low]));
        let Some(rest) = causes.get(length..).filter(|_| length >= CHUNK_HEADER) else { return false };
        causes = rest;
    }
    true
}
