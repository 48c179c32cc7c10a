//! Frames that a server sends: whole messages, not masked.
//!
//! A frame for many clients is encoded once and shared as [`Bytes`]; a batch is built in one buffer
//! with [`put_frame`].

use bytes::{BufMut, Bytes};

use crate::frame::MAX_CONTROL;
use crate::{CloseCode, OpCode};

/// The longest header that a server writes.
pub const MAX_HEADER: usize = 10;

/// The header of a server's frame, for callers that write the payload from elsewhere.
#[derive(Clone, Copy, Debug)]
pub struct FrameHeader {
    bytes: [u8; MAX_HEADER],
    len: u8,
}

impl FrameHeader {
    /// The header of an unfragmented frame with `payload_len` bytes behind it.
    pub const fn new(opcode: OpCode, payload_len: usize) -> Self {
        let mut bytes = [0; MAX_HEADER];
        bytes[0] = 0x80 | opcode as u8;
        let [h0, h1, h2, h3, h4, h5, h6, h7] = (payload_len as u64).to_be_bytes();
        let len = match payload_len {
            0..=125 => {
                bytes[1] = h7;
                2
            }
            126..=0xFFFF => {
                bytes[1] = 126;
                bytes[2] = h6;
                bytes[3] = h7;
                4
            }
            _ => {
                bytes = [bytes[0], 127, h0, h1, h2, h3, h4, h5, h6, h7];
                10
            }
        };
        Self { bytes, len }
    }

    /// The bytes to send.
    pub fn as_slice(&self) -> &[u8] {
        &self.bytes[..usize::from(self.len)]
    }
}

/// Appends a whole frame to `out`.
pub fn put_frame(out: &mut impl BufMut, opcode: OpCode, payload: &[u8]) {
    out.put_slice(FrameHeader::new(opcode, payload.len()).as_slice());
    out.put_slice(payload);
}

/// A whole frame, to be shared among those who get it.
pub fn frame(opcode: OpCode, payload: &[u8]) -> Bytes {
    let mut out =
        Vec::with_capacity(FrameHeader::new(opcode, payload.len()).as_slice().len() + payload.len());
    put_frame(&mut out, opcode, payload);
    Bytes::from(out)
}

/// A whole text message. The caller vouches that `payload` is UTF-8.
pub fn text_frame(payload: &[u8]) -> Bytes {
    frame(OpCode::Text, payload)
}

/// The answer to a ping with `payload`.
pub fn pong_frame(payload: &[u8]) -> Bytes {
    frame(OpCode::Pong, &payload[..payload.len().min(MAX_CONTROL)])
}

/// A close frame; a reason that does not fit is cut at a character's edge.
pub fn close_frame(code: CloseCode, reason: &str) -> Bytes {
    let reason = &reason[..reason.floor_char_boundary(MAX_CONTROL - 2)];
    let mut out = Vec::with_capacity(4 + reason.len());
    out.put_slice(FrameHeader::new(OpCode::Close, 2 + reason.len()).as_slice());
    out.put_u16(code.get());
    out.put_slice(reason.as_bytes());
    Bytes::from(out)
}

/// The answer to a close frame without a code.
pub fn empty_close_frame() -> Bytes {
    Bytes::from_static(&[0x88, 0])
}

#[cfg(test)]
mod tests {
    use super::{close_frame, pong_frame, text_frame};
    use crate::CloseCode;

    #[test]
    fn each_length_has_its_shortest_header() {
        let cases: [(usize, &[u8]); 6] = [
            (0, &[0x81, 0]),
            (125, &[0x81, 125]),
            (126, &[0x81, 126, 0, 126]),
            (0xFFFF, &[0x81, 126, 0xFF, 0xFF]),
            (0x1_0000, &[0x81, 127, 0, 0, 0, 0, 0, 1, 0, 0]),
            (0x1_0203, &[0x81, 127, 0, 0, 0, 0, 0, 1, 2, 3]),
        ];
        for (len, header) in cases {
            let frame = text_frame(&vec![b'x'; len]);
            assert!(frame.starts_with(header), "length {len}: {:?}", &frame[..header.len()]);
            assert_eq!(frame.len(), header.len() + len);
        }
    }

    #[test]
    fn control_frames_stay_within_125_bytes() {
        let reason = "é".repeat(80);
        let close = close_frame(CloseCode::NORMAL, &reason);
        assert_eq!(&close[..4], &[0x88, 124, 0x03, 0xE8]);
        assert!(reason.as_bytes().starts_with(&close[4..]));
        assert_eq!(pong_frame(&[7; 300]).len(), 127);
    }
}
