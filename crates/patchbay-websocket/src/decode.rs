//! Bytes from a client to events.

use thiserror::Error;

use crate::frame::{Fin, Header};
use crate::{CloseCode, OpCode};

use crate::partial::{Left, Partial, take};

/// What was read and is not decoded yet: the decoder takes from its front.
pub type Input<'b> = &'b mut [u8];

/// What a client sent. Fragments are put together; what is in them is borrowed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event<'a> {
    /// A whole text message.
    Text(&'a str),
    /// A whole binary message.
    Binary(&'a [u8]),
    /// A ping: answer with a pong that carries the same bytes.
    Ping(&'a [u8]),
    /// A pong.
    Pong(&'a [u8]),
    /// The client's close frame; the decoder takes no more after it.
    Close {
        /// The code, where the client gave one.
        code: Option<CloseCode>,
        /// The reason; empty where the client gave none.
        reason: &'a str,
    },
}

/// How a client broke the protocol. The connection must be closed with [`Self::close_code`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum ProtocolError {
    /// A reserved bit is set though no extension was negotiated.
    #[error("a reserved bit is set")]
    ReservedBits,
    /// The opcode is not assigned.
    #[error("opcode {0:#x} is reserved")]
    ReservedOpCode(u8),
    /// A client must mask every frame.
    #[error("a frame is not masked")]
    Unmasked,
    /// A control frame is in fragments.
    #[error("a control frame is fragmented")]
    FragmentedControl,
    /// A control frame carries more than 125 bytes.
    #[error("a control frame is longer than 125 bytes")]
    LongControl,
    /// The length is not in its shortest form, or over 63 bits.
    #[error("a frame's length is badly encoded")]
    BadLength,
    /// A continuation came without a message to continue.
    #[error("a continuation frame continues nothing")]
    UnexpectedContinuation,
    /// A new message began before the last one ended.
    #[error("a message begins inside a fragmented one")]
    UnfinishedMessage,
    /// The payload of a close frame is one byte, or its code must not be sent.
    #[error("a close frame's code is invalid")]
    BadCloseCode,
    /// Text, or the reason of a close, is not UTF-8.
    #[error("text is not UTF-8")]
    InvalidUtf8,
    /// The message is over the decoder's limit.
    #[error("a message is too long")]
    TooLong,
}

impl ProtocolError {
    /// The code to close the connection with.
    pub const fn close_code(self) -> CloseCode {
        match self {
            Self::InvalidUtf8 => CloseCode::INVALID_PAYLOAD,
            Self::TooLong => CloseCode::MESSAGE_TOO_BIG,
            _ => CloseCode::PROTOCOL_ERROR,
        }
    }
}

/// Decodes what one client sends.
///
/// It copies nothing from a frame that is whole and unfragmented, and keeps memory of its own only
/// while a frame or a message is incomplete; so many connections can read into one shared buffer.
///
/// ```
/// # use patchbay_websocket::{Decoder, Event};
/// let mut decoder = Decoder::new(64 * 1024);
/// let mut received = [0x81, 0x82, 1, 2, 3, 4, b'h' ^ 1, b'i' ^ 2];
/// let mut input = received.as_mut_slice();
/// while let Some(event) = decoder.decode(&mut input)? {
///     assert_eq!(event, Event::Text("hi"));
/// }
/// # Ok::<(), patchbay_websocket::ProtocolError>(())
/// ```
#[derive(Debug)]
pub struct Decoder {
    max_message: u32,
    state: State,
    partial: Option<Box<Partial>>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Open,
    /// A close frame or a mistake came: nothing after it counts.
    Ended,
}

impl Decoder {
    /// A decoder that takes messages of up to `max_message` bytes, all fragments together.
    pub const fn new(max_message: u32) -> Self {
        Self { max_message, state: State::Open, partial: None }
    }

    /// Takes bytes from the front of `input` up to the end of the next event and returns it.
    ///
    /// Payloads are unmasked in place. `None` means that `input` is used up: call in a loop until
    /// `None`, then again with what the socket gives next. After a close frame and after an error
    /// all further input is thrown away.
    pub fn decode<'s, 'b: 's>(
        &'s mut self,
        input: &mut Input<'b>,
    ) -> Result<Option<Event<'s>>, ProtocolError> {
        self.release();
        if self.state == State::Ended {
            *input = &mut [];
        }
        if input.is_empty() {
            return Ok(None);
        }
        let event = next_event(&mut self.partial, self.max_message, input);
        if matches!(event, Err(_) | Ok(Some(Event::Close { .. }))) {
            self.state = State::Ended;
        }
        event
    }

    /// Whether a frame or a message has begun and not ended; an idle connection says no and costs
    /// no memory beyond `size_of::<Decoder>()`.
    pub const fn is_mid_message(&self) -> bool {
        self.partial.is_some()
    }

    /// Frees what the last event borrowed.
    fn release(&mut self) {
        if self.partial.as_mut().is_some_and(|partial| partial.release() == Left::Nothing) {
            self.partial = None;
        }
    }
}

fn next_event<'s, 'b: 's>(
    partial: &'s mut Option<Box<Partial>>,
    max_message: u32,
    input: &mut Input<'b>,
) -> Result<Option<Event<'s>>, ProtocolError> {
    if partial.is_none()
        && let Some((opcode, payload)) = whole_frame(max_message, input)?
    {
        return event(opcode, payload).map(Some);
    }
    let partial = partial.get_or_insert_default();
    match partial.read(max_message, input)? {
        Some(opcode) => event(opcode, partial.payload(opcode)).map(Some),
        None => Ok(None),
    }
}

/// The first frame, unmasked and taken out of `input`, if it is a whole message and all there.
fn whole_frame<'b>(
    max_message: u32,
    input: &mut Input<'b>,
) -> Result<Option<(OpCode, &'b [u8])>, ProtocolError> {
    let Some((mut header, header_len)) = Header::parse(input)? else {
        return Ok(None);
    };
    header.check(None, max_message)?;
    let whole = usize::try_from(header.payload_len).ok().and_then(|len| len.checked_add(header_len));
    let Some(len) = whole.filter(|len| header.fin == Fin::Last && *len <= input.len()) else {
        return Ok(None);
    };
    let payload = &mut take(input, len)[header_len..];
    header.mask.apply(payload);
    Ok(Some((header.opcode, payload)))
}

fn event(opcode: OpCode, payload: &[u8]) -> Result<Event<'_>, ProtocolError> {
    match opcode {
        OpCode::Text => Ok(Event::Text(text(payload)?)),
        OpCode::Binary => Ok(Event::Binary(payload)),
        OpCode::Ping => Ok(Event::Ping(payload)),
        OpCode::Pong => Ok(Event::Pong(payload)),
        OpCode::Close => close(payload),
        OpCode::Continuation => Err(ProtocolError::UnexpectedContinuation),
    }
}

fn close(payload: &[u8]) -> Result<Event<'_>, ProtocolError> {
    if payload.is_empty() {
        return Ok(Event::Close { code: None, reason: "" });
    }
    let (code, reason) = payload.split_first_chunk::<2>().ok_or(ProtocolError::BadCloseCode)?;
    let code = CloseCode::new(u16::from_be_bytes(*code)).ok_or(ProtocolError::BadCloseCode)?;
    Ok(Event::Close { code: Some(code), reason: text(reason)? })
}

fn text(bytes: &[u8]) -> Result<&str, ProtocolError> {
    simdutf8::basic::from_utf8(bytes).map_err(|_| ProtocolError::InvalidUtf8)
}
