//! What is looked at before SCTP sees a packet.
//!
//! The SCTP stack starts another association for every INIT, a repeated one too, and remembers every reset that it was asked for. Behind
//! DTLS only the peer itself could abuse that, yet a peer is anybody.

use bytes::Bytes;

/// Offset of the first chunk (RFC 9260, section 3).
const HEADER: usize = 12;
/// INIT (RFC 9260, section 3.3.2).
const INIT: u8 = 1;
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
        self.reconfigured += reconfig_bytes(packet);
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

fn reconfig_bytes(packet: &[u8]) -> usize {
    let mut bytes = 0;
    let mut rest = packet.get(HEADER..).unwrap_or_default();
    while let [kind, _flags, high, low, ..] = *rest {
        let length = usize::from(u16::from_be_bytes([high, low])).max(4);
        if kind == RECONFIG {
            bytes += length.min(rest.len());
        }
        rest = rest.get(length.next_multiple_of(4)..).unwrap_or_default();
    }
    bytes
}
