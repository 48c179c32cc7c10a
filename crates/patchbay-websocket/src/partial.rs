//! What a decoder keeps while a frame or a message is incomplete.

use crate::decode::Input;
use crate::frame::{Fin, Header, MAX_CONTROL, MAX_HEADER};
use crate::{OpCode, ProtocolError};

/// The state between two calls; a connection has one only while something is incomplete.
#[derive(Debug, Default)]
pub(crate) struct Partial {
    /// The bytes of a header that is not whole yet.
    header: Short<MAX_HEADER>,
    /// The frame whose payload is being read, with its mask turned and its length counted down.
    frame: Option<Header>,
    /// The payload of a control frame: it may come between two fragments of a message.
    control: Short<MAX_CONTROL>,
    /// The message whose first frame has begun.
    message: Option<Message>,
    /// The opcode that the last event was made of.
    yielded: Option<OpCode>,
}

/// Whether a [`Partial`] is still needed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Left {
    Something,
    Nothing,
}

impl Partial {
    /// Reads frames until an event is whole, and tells its opcode (never a continuation); or until
    /// the input is used up.
    pub(crate) fn read(
        &mut self,
        max_message: u32,
        input: &mut Input<'_>,
    ) -> Result<Option<OpCode>, ProtocolError> {
        loop {
            let Some(frame) = self.begin_frame(max_message, input)? else {
                return Ok(None);
            };
            let Some(ended) = self.read_payload(frame, input)? else {
                return Ok(None);
            };
            if ended.opcode.is_control() {
                self.yielded = Some(ended.opcode);
            } else if ended.fin == Fin::Last {
                self.yielded = self.message.as_ref().map(|message| message.opcode);
            }
            if self.yielded.is_some() {
                return Ok(self.yielded);
            }
        }
    }

    /// The payload of the event that [`Self::read`] told.
    pub(crate) fn payload(&self, opcode: OpCode) -> &[u8] {
        match &self.message {
            Some(message) if !opcode.is_control() => &message.bytes,
            _ => self.control.as_slice(),
        }
    }

    /// Frees what the last event was made of.
    pub(crate) fn release(&mut self) -> Left {
        match self.yielded.take() {
            None => return Left::Something,
            Some(opcode) if opcode.is_control() => self.control.clear(),
            Some(_) => self.message = None,
        }
        if self.message.is_some() { Left::Something } else { Left::Nothing }
    }

    /// The frame that is being read, or the next one as soon as its header is whole.
    fn begin_frame(
        &mut self,
        max_message: u32,
        input: &mut Input<'_>,
    ) -> Result<Option<Header>, ProtocolError> {
        if let Some(frame) = self.frame.take() {
            return Ok(Some(frame));
        }
        let known = self.header.as_slice().len();
        let offered = self.header.extend(input);
        let Some((frame, header_len)) = Header::parse(self.header.as_slice())? else {
            take(input, offered);
            return Ok(None);
        };
        take(input, header_len - known);
        self.header.clear();
        frame.check(self.message.as_ref().map(|message| message.bytes.len()), max_message)?;
        if matches!(frame.opcode, OpCode::Text | OpCode::Binary) {
            self.message = Some(Message { opcode: frame.opcode, bytes: Vec::new(), valid_up_to: 0 });
        }
        Ok(Some(frame))
    }

    /// Reads what there is of the payload, and returns the frame once it is whole.
    fn read_payload(
        &mut self,
        mut frame: Header,
        input: &mut Input<'_>,
    ) -> Result<Option<Header>, ProtocolError> {
        let len = usize::try_from(frame.payload_len).unwrap_or(usize::MAX).min(input.len());
        let bytes = take(input, len);
        frame.mask.apply(bytes);
        frame.payload_len -= len as u64;
        match &mut self.message {
            Some(message) if !frame.opcode.is_control() => message.extend(bytes)?,
            _ => {
                self.control.extend(bytes);
            }
        }
        if frame.payload_len > 0 {
            self.frame = Some(frame);
            return Ok(None);
        }
        Ok(Some(frame))
    }
}

/// Takes the first `len` bytes out of `input`.
pub(crate) fn take<'b>(input: &mut Input<'b>, len: usize) -> &'b mut [u8] {
    let (taken, rest) = std::mem::take(input).split_at_mut(len);
    *input = rest;
    taken
}

/// A text or binary message that is being put together. It grows with what arrives, not with what
/// a header promises.
#[derive(Debug)]
struct Message {
    opcode: OpCode,
    bytes: Vec<u8>,
    /// For text: the bytes before it are UTF-8, those behind it may begin a character.
    valid_up_to: usize,
}

impl Message {
    /// Appends unmasked bytes; text that nothing to come can make UTF-8 fails at once.
    fn extend(&mut self, bytes: &[u8]) -> Result<(), ProtocolError> {
        self.bytes.extend_from_slice(bytes);
        if self.opcode != OpCode::Text {
            return Ok(());
        }
        match simdutf8::compat::from_utf8(&self.bytes[self.valid_up_to..]) {
            Ok(_) => self.valid_up_to = self.bytes.len(),
            Err(error) if error.error_len().is_some() => return Err(ProtocolError::InvalidUtf8),
            Err(error) => self.valid_up_to += error.valid_up_to(),
        }
        Ok(())
    }
}

/// Up to `N` bytes in place.
#[derive(Debug)]
struct Short<const N: usize> {
    bytes: [u8; N],
    len: usize,
}

impl<const N: usize> Default for Short<N> {
    fn default() -> Self {
        Self { bytes: [0; N], len: 0 }
    }
}

impl<const N: usize> Short<N> {
    /// Takes as many bytes as there is room for, and tells how many.
    fn extend(&mut self, bytes: &[u8]) -> usize {
        let free = &mut self.bytes[self.len..];
        let taken = free.len().min(bytes.len());
        free[..taken].copy_from_slice(&bytes[..taken]);
        self.len += taken;
        taken
    }

    fn as_slice(&self) -> &[u8] {
        &self.bytes[..self.len]
    }

    const fn clear(&mut self) {
        self.len = 0;
    }
}
