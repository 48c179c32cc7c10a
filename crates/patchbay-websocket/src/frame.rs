//! Frame headers from a client: RFC 6455 section 5.2.

use crate::ProtocolError;
use crate::mask::MaskKey;

/// What a frame carries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OpCode {
    /// The next fragment of a message.
    Continuation = 0x0,
    /// UTF-8 text.
    Text = 0x1,
    /// Bytes.
    Binary = 0x2,
    /// The end of the connection.
    Close = 0x8,
    /// A question whether the peer is there.
    Ping = 0x9,
    /// The answer to a ping, or a sign of life.
    Pong = 0xA,
}

impl OpCode {
    /// Control frames may come between the fragments of a message and are never fragmented.
    pub const fn is_control(self) -> bool {
        matches!(self, Self::Close | Self::Ping | Self::Pong)
    }

    fn parse(bits: u8) -> Result<Self, ProtocolError> {
        match bits {
            0x0 => Ok(Self::Continuation),
            0x1 => Ok(Self::Text),
            0x2 => Ok(Self::Binary),
            0x8 => Ok(Self::Close),
            0x9 => Ok(Self::Ping),
            0xA => Ok(Self::Pong),
            reserved => Err(ProtocolError::ReservedOpCode(reserved)),
        }
    }
}

/// Two bytes, a 64-bit length and a masking key.
pub(crate) const MAX_HEADER: usize = 14;
/// Control frames carry at most this much.
pub(crate) const MAX_CONTROL: usize = 125;

/// Whether a frame is the last one of its message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fin {
    Last,
    More,
}

/// The header of one frame; all that can be judged without its context has been judged.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Header {
    pub(crate) opcode: OpCode,
    pub(crate) fin: Fin,
    pub(crate) mask: MaskKey,
    pub(crate) payload_len: u64,
}

impl Header {
    /// Parses the header that `bytes` begins with and tells its own length; `None` when bytes are
    /// missing. A mistake is told as soon as the byte that makes it is there.
    pub(crate) fn parse(bytes: &[u8]) -> Result<Option<(Self, usize)>, ProtocolError> {
        let Some((&first, bytes)) = bytes.split_first() else {
            return Ok(None);
        };
        let (opcode, fin) = parse_first(first)?;
        let Some((&second, bytes)) = bytes.split_first() else {
            return Ok(None);
        };
        let short = parse_second(second, opcode)?;
        let Some((payload_len, len_size)) = parse_length(short, bytes)? else {
            return Ok(None);
        };
        let Some(mask) = bytes[len_size..].first_chunk::<4>() else {
            return Ok(None);
        };
        let header = Self { opcode, fin, mask: MaskKey::new(*mask), payload_len };
        Ok(Some((header, 2 + len_size + 4)))
    }
}

impl Header {
    /// Judges the frame by what came before it: `begun` is the length so far of the message that is
    /// being put together.
    pub(crate) fn check(&self, begun: Option<usize>, max_message: u32) -> Result<(), ProtocolError> {
        match (self.opcode, begun) {
            (OpCode::Continuation, None) => return Err(ProtocolError::UnexpectedContinuation),
            (OpCode::Text | OpCode::Binary, Some(_)) => return Err(ProtocolError::UnfinishedMessage),
            _ => {}
        }
        let room = u64::from(max_message).saturating_sub(begun.unwrap_or(0) as u64);
        if !self.opcode.is_control() && self.payload_len > room {
            return Err(ProtocolError::TooLong);
        }
        Ok(())
    }
}

fn parse_first(byte: u8) -> Result<(OpCode, Fin), ProtocolError> {
    if byte & 0x70 != 0 {
        return Err(ProtocolError::ReservedBits);
    }
    let opcode = OpCode::parse(byte & 0x0F)?;
    let fin = if byte & 0x80 == 0 { Fin::More } else { Fin::Last };
    if opcode.is_control() && fin == Fin::More {
        return Err(ProtocolError::FragmentedControl);
    }
    Ok((opcode, fin))
}

fn parse_second(byte: u8, opcode: OpCode) -> Result<u8, ProtocolError> {
    if byte & 0x80 == 0 {
        return Err(ProtocolError::Unmasked);
    }
    let short = byte & 0x7F;
    if opcode.is_control() && usize::from(short) > MAX_CONTROL {
        return Err(ProtocolError::LongControl);
    }
    Ok(short)
}

/// The payload's length, and how many bytes it took beyond the header's second one. The shortest form
/// is required, as the RFC says.
fn parse_length(short: u8, bytes: &[u8]) -> Result<Option<(u64, usize)>, ProtocolError> {
    let (len, size, least) = match short {
        126 => match bytes.first_chunk() {
            Some(len) => (u64::from(u16::from_be_bytes(*len)), 2, 126),
            None => return Ok(None),
        },
        127 => match bytes.first_chunk() {
            Some(len) => (u64::from_be_bytes(*len), 8, 1 << 16),
            None => return Ok(None),
        },
        _ => (u64::from(short), 0, 0),
    };
    if len < least || len > i64::MAX as u64 {
        return Err(ProtocolError::BadLength);
    }
    Ok(Some((len, size)))
}
