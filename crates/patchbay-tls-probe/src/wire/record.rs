//! Records and the messages in them, cut anywhere (RFC 8446, section 5.1; RFC 6101, section 5.2).

use super::{alert::Alert, codec::Reader};

/// Bytes of one record that are read: the most that any version allows.
const RECORD_BYTES: usize = 16_384 + 2_048;
/// Bytes of one message: 16 certificates of 16 KiB, or fewer that are longer.
const MESSAGE_BYTES: usize = 256 * 1024;
/// Bytes that a server may send in all before it is told off.
const TOTAL_BYTES: usize = 512 * 1024;
/// Bytes that are kept to tell what came when it is not TLS.
const SHOWN_BYTES: usize = 120;

const RECORD_HEADER: usize = 5;
const MESSAGE_HEADER: usize = 4;

const ALERT: u8 = 21;
const HANDSHAKE: u8 = 22;

/// Why what came cannot be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum WireError {
    /// It is not TLS at all.
    #[error("{0}")]
    NotTls(String),
    /// It is longer than any server has reason for.
    #[error("the server sent a message that is too long to be read")]
    TooLong,
    /// It does not follow the protocol.
    #[error("the server sent a {0} that cannot be read")]
    Malformed(&'static str),
}

/// A message in the clear.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Message {
    Handshake {
        kind: u8,
        body: Vec<u8>,
    },
    Alert(Alert),
    /// A record of another kind: from here on all is encrypted.
    Other,
}

/// Bytes that are taken from the front. They move only when most have been taken, so that many small messages cost no more than one long one.
#[derive(Debug, Default)]
struct Buffer {
    bytes: Vec<u8>,
    taken: usize,
}

impl Buffer {
    fn rest(&self) -> &[u8] {
        self.bytes.get(self.taken..).unwrap_or_default()
    }

    fn push(&mut self, bytes: &[u8]) {
        if self.taken > self.bytes.len() / 2 {
            self.bytes.drain(..self.taken);
            self.taken = 0;
        }
        self.bytes.extend_from_slice(bytes);
    }

    fn consume(&mut self, count: usize) {
        self.taken = self.taken.saturating_add(count).min(self.bytes.len());
    }
}

/// Puts messages together.
#[derive(Debug, Default)]
pub(super) struct Records {
    received: Buffer,
    handshake: Buffer,
    total: usize,
}

impl Records {
    pub(super) fn push(&mut self, bytes: &[u8]) -> Result<(), WireError> {
        self.total = self.total.saturating_add(bytes.len());
        if self.total > TOTAL_BYTES {
            return Err(WireError::TooLong);
        }
        self.received.push(bytes);
        Ok(())
    }

    /// Whether anything came at all.
    pub(super) fn has_any(&self) -> bool {
        self.total > 0
    }

    /// The next message, none while it is not whole.
    pub(super) fn next(&mut self) -> Result<Option<Message>, WireError> {
        loop {
            if let Some(message) = self.handshake_message()? {
                return Ok(Some(message));
            }
            let Some((kind, fragment)) = self.record()? else { return Ok(None) };
            match kind {
                HANDSHAKE => self.handshake.push(&fragment),
                ALERT => return alert(&fragment).map(Some),
                _ => return Ok(Some(Message::Other)),
            }
        }
    }

    fn record(&mut self) -> Result<Option<(u8, Vec<u8>)>, WireError> {
        let received = self.received.rest();
        let looks_like_tls = match received {
            [] => return Ok(None),
            [kind, rest @ ..] => matches!(kind, 20..=23) && matches!(rest, [] | [3, ..]),
        };
        if !looks_like_tls {
            return Err(WireError::NotTls(describe(received)));
        }
        let mut reader = Reader::new(received);
        let header = (reader.u8(), reader.u16(), reader.u16());
        let (Some(kind), Some(_), Some(length)) = header else { return Ok(None) };
        let length = usize::from(length);
        if length > RECORD_BYTES {
            return Err(WireError::TooLong);
        }
        let Some(fragment) = reader.take(length) else { return Ok(None) };
        let record = (kind, fragment.to_vec());
        self.received.consume(RECORD_HEADER + length);
        Ok(Some(record))
    }

    fn handshake_message(&mut self) -> Result<Option<Message>, WireError> {
        let mut reader = Reader::new(self.handshake.rest());
        let (Some(kind), Some(length)) = (reader.u8(), reader.u24()) else { return Ok(None) };
        if length > MESSAGE_BYTES {
            return Err(WireError::TooLong);
        }
        let Some(body) = reader.take(length) else { return Ok(None) };
        let message = Message::Handshake { kind, body: body.to_vec() };
        self.handshake.consume(MESSAGE_HEADER + length);
        Ok(Some(message))
    }
}

fn alert(fragment: &[u8]) -> Result<Message, WireError> {
    match fragment {
        &[level, description] => Ok(Message::Alert(Alert { level, description })),
        // Encrypted, or broken: either way the server has ended the conversation.
        _ => Err(WireError::Malformed("alert")),
    }
}

/// What came instead of TLS, in words.
fn describe(bytes: &[u8]) -> String {
    let shown = bytes.get(..SHOWN_BYTES).unwrap_or(bytes);
    let text: String =
        String::from_utf8_lossy(shown).lines().next().unwrap_or_default().escape_debug().collect();
    let is_text =
        !text.is_empty() && shown.iter().take(16).all(|byte| matches!(byte, 9 | 10 | 13 | 32..=126));
    match () {
        () if bytes.starts_with(b"HTTP/") => format!("it answered by HTTP without TLS: `{text}`"),
        () if bytes.starts_with(b"SSH-") => format!("it is an SSH server: `{text}`"),
        () if bytes.starts_with(b"220") => {
            format!("it greets like FTP or SMTP, which change to TLS by a command: `{text}`")
        }
        () if bytes.starts_with(b"* OK") => {
            format!("it greets like IMAP, which changes to TLS by a command: `{text}`")
        }
        () if bytes.starts_with(b"+OK") => {
            format!("it greets like POP3, which changes to TLS by a command: `{text}`")
        }
        () if is_text => format!("it said `{text}`"),
        () => format!("its first bytes are {}", hex::encode(shown.get(..16).unwrap_or(shown))),
    }
}
