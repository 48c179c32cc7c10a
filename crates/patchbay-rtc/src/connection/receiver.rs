//! What a peer sends us.

use crate::rtcp::{Reception, SenderInfo, Writer};
use bytes::Bytes;
use std::time::Instant;

/// All tracks of a peer.
#[derive(Default)]
pub(crate) struct Incoming {}

#[expect(clippy::unused_self, reason = "to come")]
impl Incoming {
    pub(crate) fn is_empty(&self) -> bool {
        true
    }
    pub(crate) fn packet(&mut self, _packet: &Bytes, _now: Instant) {}
    pub(crate) fn sender_report(&mut self, _info: &SenderInfo, _now: Instant) {}
    pub(crate) fn goodbye(&mut self, _ssrc: u32) {}
    pub(crate) fn reports(&mut self, _now: Instant) -> (u32, Vec<Reception>) {
        (0, Vec::new())
    }
    pub(crate) fn feedback(&mut self, _now: Instant, _writer: &mut Writer<'_>) {}
    pub(crate) fn deadline(&self) -> Option<Instant> {
        None
    }
}
