//! VP9 (RFC 9628), not in flexible mode, one layer: each picture refers to the one before it.

use super::{Builder, PacketizeError};
use crate::{
    Codec,
    codec::vp9::{FrameHeader, KeyHeader},
};

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
    let malformed = PacketizeError::Malformed { codec: Codec::Vp9, at: 0 };
    let key = FrameHeader::parse(frame).map_err(|_| malformed)?.key;
    let inter = if key.is_some() { 0 } else { INTER };
    let [high, low] = picture;
    let mut rest = frame;
    let mut begin = BEGIN;
    while !rest.is_empty() {
        out.put(&[PICTURE_ID | inter | begin, high, low]);
        if let (BEGIN, Some(key)) = (begin, key) {
            out.mark(STRUCTURE);
            put_structure(key, out);
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
fn put_structure(key: KeyHeader, out: &mut Builder) {
    out.put(&[0x18]);
    out.put(&key.width.to_be_bytes());
    out.put(&key.height.to_be_bytes());
    out.put(&[1, 0x04, 1]);
}
