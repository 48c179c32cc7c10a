//! A client's frames, and what a decoder makes of them.

use patchbay_websocket::{Decoder, Event, ProtocolError};

/// The decoder's limit in these tests.
pub(crate) const MAX_MESSAGE: u32 = 70_000;

const KEY: [u8; 4] = [0x37, 0xfa, 0x21, 0x3d];

/// An [`Event`] that owns what it holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Owned {
    Text(String),
    Binary(Vec<u8>),
    Ping(Vec<u8>),
    Pong(Vec<u8>),
    Close(Option<u16>, String),
}

impl From<Event<'_>> for Owned {
    fn from(event: Event<'_>) -> Self {
        match event {
            Event::Text(text) => Self::Text(text.to_owned()),
            Event::Binary(bytes) => Self::Binary(bytes.to_owned()),
            Event::Ping(bytes) => Self::Ping(bytes.to_owned()),
            Event::Pong(bytes) => Self::Pong(bytes.to_owned()),
            Event::Close { code, reason } => {
                Self::Close(code.map(patchbay_websocket::CloseCode::get), reason.to_owned())
            }
        }
    }
}

/// All events, and the mistake that ended them.
pub(crate) type Outcome = (Vec<Owned>, Option<ProtocolError>);

/// What a decoder makes of bytes that arrive in these parts.
pub(crate) fn decode<'p>(parts: impl IntoIterator<Item = &'p [u8]>) -> Outcome {
    let mut decoder = Decoder::new(MAX_MESSAGE);
    let mut events = Vec::new();
    for part in parts {
        let mut part = part.to_vec();
        let mut input = part.as_mut_slice();
        loop {
            match decoder.decode(&mut input) {
                Ok(Some(event)) => events.push(event.into()),
                Ok(None) => break,
                Err(error) => return (events, Some(error)),
            }
        }
        assert!(input.is_empty(), "the decoder left {} bytes", input.len());
    }
    (events, None)
}

/// A masked frame with its first byte given whole: fin, reserved bits and opcode.
pub(crate) fn frame(first: u8, payload: &[u8]) -> Vec<u8> {
    let [.., h5, h4, h3, h2, h1, h0] = payload.len().to_be_bytes();
    let mut frame = vec![first];
    match payload.len() {
        0..=125 => frame.push(0x80 | h0),
        126..=0xFFFF => frame.extend([0xFE, h1, h0]),
        _ => frame.extend([0xFF, 0, 0, h5, h4, h3, h2, h1, h0]),
    }
    frame.extend(KEY);
    frame.extend(payload.iter().zip(KEY.iter().cycle()).map(|(byte, key)| byte ^ key));
    frame
}
