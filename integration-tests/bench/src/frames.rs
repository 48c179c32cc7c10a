//! The least WebSocket that a client needs here: it trusts the servers, so it only counts.

/// A frame from the server.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Frame<'b> {
    pub(crate) opcode: u8,
    pub(crate) payload: &'b [u8],
}

pub(crate) const TEXT: u8 = 1;
pub(crate) const CLOSE: u8 = 8;
pub(crate) const PING: u8 = 9;
pub(crate) const PONG: u8 = 10;

/// Takes the first frame out of `bytes`; `None` while it is not whole.
pub(crate) fn take<'b>(bytes: &mut &'b [u8]) -> Option<Frame<'b>> {
    let [first, second, rest @ ..] = *bytes else {
        return None;
    };
    let (len, rest) = match second & 0x7F {
        126 => rest.split_first_chunk().map(|(len, rest)| (u64::from(u16::from_be_bytes(*len)), rest))?,
        127 => rest.split_first_chunk().map(|(len, rest)| (u64::from_be_bytes(*len), rest))?,
        len => (u64::from(len), rest),
    };
    let (payload, rest) = rest.split_at_checked(usize::try_from(len).ok()?)?;
    *bytes = rest;
    Some(Frame { opcode: first & 0x0F, payload })
}

/// Appends a client's frame; one key does for all.
pub(crate) fn put(out: &mut Vec<u8>, opcode: u8, payload: &[u8]) {
    out.push(0x80 | opcode);
    let [.., h5, h4, h3, h2, h1, h0] = payload.len().to_be_bytes();
    match payload.len() {
        0..=125 => out.push(0x80 | h0),
        126..=0xFFFF => out.extend([0xFE, h1, h0]),
        _ => out.extend([0xFF, 0, 0, h5, h4, h3, h2, h1, h0]),
    }
    let key = [0x37, 0xFA, 0x21, 0x3D];
    out.extend(key);
    out.extend(payload.iter().zip(key.iter().cycle()).map(|(byte, key)| byte ^ key));
}

/// The handshake's request.
pub(crate) fn handshake(path: &str) -> Vec<u8> {
    format!(
        "GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
         Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
    )
    .into_bytes()
}
