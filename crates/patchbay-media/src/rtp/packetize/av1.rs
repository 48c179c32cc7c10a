//! AV1 (RTP Payload Format For AV1, version 1.0 of the Alliance for Open Media).

use super::{Builder, PacketizeError};
use crate::{
    Codec,
    codec::av1::{ObuRef, ObuType, frame_is_key, put_leb128},
};

/// Z: the first element continues one of the packet before.
const CONTINUES: u8 = 0x80;
/// Y: the last element goes on in the next packet.
const CONTINUED: u8 = 0x40;
/// N: a coded video sequence starts here.
const SEQUENCE_START: u8 = 0x08;

/// Cuts a temporal unit. Every element has its length in front (W is 0), OBUs have no size fields of their own (section 5).
pub(super) fn cut(unit: &[u8], out: &mut Builder) -> Result<(), PacketizeError> {
    let (mut rest, mut described, mut key) = (unit, false, None);
    while !rest.is_empty() {
        let malformed = PacketizeError::Malformed { codec: Codec::Av1, at: unit.len() - rest.len() };
        let (obu, behind) = ObuRef::split(rest).map_err(|_| malformed)?;
        if !obu.has_size() {
            return Err(malformed);
        }
        rest = behind;
        if obu.kind().is_left_out() {
            continue;
        }
        if out.buffer.is_empty() {
            out.put(&[0]);
        }
        described |= obu.kind() == ObuType::SequenceHeader;
        key = key.or(frame_is_key(&obu));
        let (header, length) = obu.header();
        put(header.get(..length).unwrap_or(&header), obu.body, out);
    }
    if !out.is_empty() {
        out.end();
    }
    if let (true, Some(true), Some(first)) = (described, key, out.buffer.first_mut()) {
        *first |= SEQUENCE_START;
    }
    Ok(())
}

/// Room that is worth an element: its length, the header of an OBU and some of its body.
const WORTHWHILE: usize = 8;

fn put(mut header: &[u8], mut body: &[u8], out: &mut Builder) {
    if out.room() < WORTHWHILE {
        out.end();
        out.put(&[0]);
    }
    loop {
        let left = header.len() + body.len();
        let now = left.min(fitting(out.room()));
        let (chunk, behind) = body.split_at((now - header.len()).min(body.len()));
        put_leb128(now, &mut out.buffer);
        out.put(header);
        out.put(chunk);
        (header, body) = (&[], behind);
        if body.is_empty() {
            return;
        }
        out.mark(CONTINUED);
        out.end();
        out.put(&[CONTINUES]);
    }
}

/// How much fits into `room` with its length in front, which takes one byte up to 127 and two up to 16,383. 16,383 is over any limit in use;
/// where it is not, packets are a little shorter than they might be.
fn fitting(room: usize) -> usize {
    match room {
        0..=128 => room.saturating_sub(1),
        _ => (room - 2).min(16_383),
    }
}
