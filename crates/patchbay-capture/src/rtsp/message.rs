//! The two kinds of things on an RTSP connection (RFC 2326, sections 4 and 10.12): messages, and packets that are put between them.
//!
//! Bytes in, items out. Everything has a bound, and bytes that are neither are stepped over, because cameras are known to lose count of their own packets.

use bytes::{Buf, Bytes, BytesMut};
use std::fmt::Write;

/// Most bytes of the head of a message; real ones have some hundreds.
pub(super) const MAX_HEAD: usize = 32 * 1024;
/// Most bytes of one line.
const MAX_LINE: usize = 8 * 1024;
/// The same after garbage, where many bytes look like the begin of a line and each is looked at; real ones have some dozen.
const MAX_LINE_AFTER_GARBAGE: usize = 256;
/// How an answer begins.
const ANSWER: &[u8] = b"RTSP/";
/// Most bytes in a row that are neither a message nor a packet.
const MAX_GARBAGE: usize = 256 * 1024;
/// Most headers of a message.
const MAX_HEADERS: usize = 128;

/// Begin of a packet.
const DOLLAR: u8 = b'$';
const FRAME_HEAD: usize = 4;

/// What is wrong with a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum MessageError {
    #[error("the head of a message is longer than {MAX_HEAD} bytes")]
    Head,
    #[error("a message is longer than {0} bytes")]
    Body(usize),
    #[error("the length of a message is not a number")]
    Length,
    #[error("what comes is not RTSP")]
    Garbage,
}

/// Start line and headers, in the order in which they came.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Head {
    pub(super) start: String,
    pub(super) headers: Vec<(String, String)>,
}

/// Something that came whole.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Item {
    /// A packet on a channel.
    Frame(u8, Bytes),
    /// A message and its body.
    Message(Head, Bytes),
}

impl Head {
    /// The status of a response; none of a request.
    pub(super) fn status(&self) -> Option<u16> {
        let rest = self.start.strip_prefix("RTSP/")?;
        rest.split_ascii_whitespace().nth(1)?.parse().ok()
    }

    /// Method and address of a request.
    pub(super) fn request(&self) -> Option<(&str, &str)> {
        let mut words = self.start.split_ascii_whitespace();
        Some((words.next()?, words.next()?))
    }

    /// The first header of that name.
    pub(super) fn get(&self, name: &str) -> Option<&str> {
        self.all(name).next()
    }

    /// All headers of that name.
    pub(super) fn all(&self, name: &str) -> impl Iterator<Item = &str> {
        let matching = move |(key, _): &&(String, String)| key.eq_ignore_ascii_case(name);
        self.headers.iter().filter(matching).map(|(_, value)| value.as_str())
    }

    /// Puts a header in the place of all of that name.
    pub(super) fn set(&mut self, name: &str, value: impl Into<String>) {
        self.remove(name);
        self.headers.push((name.to_owned(), value.into()));
    }

    pub(super) fn remove(&mut self, name: &str) {
        self.headers.retain(|(key, _)| !key.eq_ignore_ascii_case(name));
    }

    pub(super) fn to_bytes(&self, body: &[u8]) -> Vec<u8> {
        let mut text = format!("{}\r\n", self.start);
        for (name, value) in &self.headers {
            // A string cannot refuse what is written to it.
            write!(text, "{name}: {value}\r\n").unwrap_or_default();
        }
        text.push_str("\r\n");
        let mut bytes = text.into_bytes();
        bytes.extend_from_slice(body);
        bytes
    }
}

/// Takes items out of what came.
#[derive(Debug)]
pub(super) struct Reader {
    buffer: BytesMut,
    max_body: usize,
    /// Channels from this one on are not in use: after garbage, a packet on one of them is garbage too.
    channels: u8,
    /// Bytes of garbage in a row.
    skipped: usize,
    garbage: u64,
}

impl Reader {
    pub(super) fn new(max_body: usize) -> Self {
        Self { buffer: BytesMut::new(), max_body, channels: 0, skipped: 0, garbage: 0 }
    }

    /// Where to read to.
    pub(super) fn buffer(&mut self) -> &mut BytesMut {
        self.buffer.reserve(READ);
        &mut self.buffer
    }

    /// Channels below this are in use.
    pub(super) fn expect_channels(&mut self, below: u8) {
        self.channels = self.channels.max(below);
    }

    /// How often garbage began since the last call.
    pub(super) fn take_garbage(&mut self) -> u64 {
        std::mem::take(&mut self.garbage)
    }

    /// The next item; none until more has come.
    pub(super) fn next(&mut self) -> Result<Option<Item>, MessageError> {
        loop {
            let Some(&first) = self.buffer.first() else { return Ok(None) };
            let step = match first {
                b'\r' | b'\n' if self.skipped == 0 => Step::Blank,
                DOLLAR => self.frame(),
                _ => self.message()?,
            };
            match step {
                Step::Item(item) => {
                    self.skipped = 0;
                    return Ok(Some(item));
                }
                Step::More => return Ok(None),
                Step::Blank => self.buffer.advance(1),
                Step::Garbage => self.skip()?,
            }
        }
    }

    fn frame(&mut self) -> Step {
        let Some(&[_, channel, high, low]) = self.buffer.first_chunk::<FRAME_HEAD>() else {
            return Step::More;
        };
        let length = usize::from(u16::from_be_bytes([high, low]));
        if self.skipped > 0 && !self.is_plausible(channel, length) {
            return Step::Garbage;
        }
        if self.buffer.len() < FRAME_HEAD + length {
            return Step::More;
        }
        self.buffer.advance(FRAME_HEAD);
        Step::Item(Item::Frame(channel, self.buffer.split_to(length).freeze()))
    }

    /// After garbage, only what looks like a packet of version 2 on a known channel is one; its first bytes may not be there yet.
    fn is_plausible(&self, channel: u8, length: usize) -> bool {
        let version = self.buffer.get(FRAME_HEAD).map(|first| first >> 6);
        channel < self.channels && length >= FRAME_HEAD && version.is_none_or(|version| version == 2)
    }

    fn message(&mut self) -> Result<Step, MessageError> {
        let is_lost = self.skipped > 0;
        // `RTSP/1.0 200 …` and `OPTIONS rtsp://… RTSP/1.0` begin with capital letters; after garbage only the first is looked for.
        let looks_right = if is_lost {
            let known = ANSWER.len().min(self.buffer.len());
            self.buffer.get(..known) == ANSWER.get(..known)
        } else {
            self.buffer.first().is_some_and(u8::is_ascii_uppercase)
        };
        if !looks_right {
            return Ok(Step::Garbage);
        }
        let most = if is_lost { MAX_LINE_AFTER_GARBAGE } else { MAX_LINE };
        let searched = self.buffer.get(..most).unwrap_or(&self.buffer);
        let Some(line) = memchr::memchr(b'\n', searched) else {
            return match self.buffer.len() < most {
                true => Ok(Step::More),
                false if is_lost => Ok(Step::Garbage),
                false => Err(MessageError::Head),
            };
        };
        if !is_start(self.buffer.get(..line).unwrap_or_default()) {
            return Ok(Step::Garbage);
        }
        let Some(end) = end_of_head(&self.buffer) else {
            return if self.buffer.len() > MAX_HEAD { Err(MessageError::Head) } else { Ok(Step::More) };
        };
        if end > MAX_HEAD {
            return Err(MessageError::Head);
        }
        let head = parse(self.buffer.get(..end).unwrap_or_default()).ok_or(MessageError::Head)?;
        let length = match head.get("Content-Length") {
            Some(length) => length.trim().parse::<usize>().map_err(|_| MessageError::Length)?,
            None => 0,
        };
        if length > self.max_body {
            return Err(MessageError::Body(self.max_body));
        }
        if self.buffer.len() < end + length {
            return Ok(Step::More);
        }
        self.buffer.advance(end);
        Ok(Step::Item(Item::Message(head, self.buffer.split_to(length).freeze())))
    }

    /// Steps over a byte and what cannot begin anything.
    fn skip(&mut self) -> Result<(), MessageError> {
        self.garbage += u64::from(self.skipped == 0);
        let rest = self.buffer.get(1..).unwrap_or_default();
        let next = rest.iter().position(|byte| *byte == DOLLAR || *byte == b'R').unwrap_or(rest.len());
        self.skipped += next + 1;
        self.buffer.advance(next + 1);
        if self.skipped > MAX_GARBAGE { Err(MessageError::Garbage) } else { Ok(()) }
    }
}

/// Bytes that are read at once at most.
const READ: usize = 16 * 1024;

enum Step {
    Item(Item),
    More,
    Blank,
    Garbage,
}

/// Whether a line begins a message.
fn is_start(line: &[u8]) -> bool {
    let line = line.trim_ascii();
    if line.starts_with(ANSWER) {
        return true;
    }
    let method = line.split(|byte| *byte == b' ').next().unwrap_or_default();
    let is_method = (3..=20).contains(&method.len())
        && method.iter().all(|byte| byte.is_ascii_uppercase() || *byte == b'_');
    is_method && line.windows(6).any(|window| window == b" RTSP/")
}

/// The end of the empty line that ends a head.
fn end_of_head(bytes: &[u8]) -> Option<usize> {
    let bytes = bytes.get(..MAX_HEAD + 4).unwrap_or(bytes);
    let crlf = bytes.windows(4).position(|window| window == b"\r\n\r\n").map(|at| at + 4);
    let lf = bytes.windows(2).position(|window| window == b"\n\n").map(|at| at + 2);
    [crlf, lf].into_iter().flatten().min()
}

/// Start line and headers. What is no UTF-8 is replaced; lines without a colon are left out.
fn parse(bytes: &[u8]) -> Option<Head> {
    let text = String::from_utf8_lossy(bytes);
    let mut lines = text.lines().map(str::trim_end);
    let start = lines.next()?.to_owned();
    let mut headers = Vec::new();
    for line in lines {
        let Some((name, value)) = line.split_once(':') else { continue };
        if headers.len() >= MAX_HEADERS {
            return None;
        }
        let clean = |text: &str| text.trim().chars().filter(|c| !c.is_control()).collect::<String>();
        headers.push((clean(name), clean(value)));
    }
    Some(Head { start, headers })
}

#[cfg(test)]
#[path = "message_tests.rs"]
mod tests;
