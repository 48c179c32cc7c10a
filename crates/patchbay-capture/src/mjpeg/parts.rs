//! Cuts `multipart/x-mixed-replace` into its pictures; sans-IO.
//!
//! Cameras are careless with it (RFC 2046, section 5.1): boundaries in quotes, with dashes too many or too few, parts without a length, or without a line
//! break before the next boundary. What is looked for is the boundary without its dashes.

use bytes::{Bytes, BytesMut};
use memchr::memmem;
use patchbay_media::hub::{Reason, SourceError};

/// Most bytes of the head of a part.
const HEAD_BYTES: usize = 8 * 1024;
/// Most bytes that are passed over in search of a boundary.
const NOISE_BYTES: usize = 64 * 1024;
/// Longest boundary (RFC 2046 has 70).
const BOUNDARY_BYTES: usize = 200;
/// How a JPEG begins, and how it ends.
const BEGIN: &[u8] = &[0xFF, 0xD8];
const END: &[u8] = &[0xFF, 0xD9];

/// Why the parts cannot be told apart.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum PartError {
    #[error(
        "a picture has more than {0} bytes; set the camera to smaller pictures, or to stronger compression"
    )]
    TooLong(usize),
    #[error("the parts of the stream cannot be told apart: no boundary comes")]
    NoBoundary,
    #[error("the head of a picture does not end")]
    EndlessHead,
}

impl From<PartError> for SourceError {
    fn from(error: PartError) -> Self {
        Self::temporary(error.to_string()).because(Reason::Protocol)
    }
}

/// The boundary that `Content-Type` tells, without dashes in front; empty where it tells none.
pub(super) fn boundary(content_type: &str) -> String {
    let parameters = content_type.split(';').skip(1);
    let told = parameters.filter_map(|parameter| parameter.split_once('=')).find_map(|(key, value)| {
        key.trim().eq_ignore_ascii_case("boundary").then(|| value.trim().trim_matches('"'))
    });
    core(told.unwrap_or_default()).chars().take(BOUNDARY_BYTES).collect()
}

/// Bytes that tell whether a stream begins with a boundary.
pub(super) const BEGINNING: usize = 4;

/// Whether a stream begins with the dashes of a boundary, perhaps after a line break.
pub(super) fn begins_with_boundary(beginning: &[u8]) -> bool {
    beginning.trim_ascii_start().starts_with(b"--")
}

fn core(boundary: &str) -> &str {
    boundary.trim().trim_start_matches('-')
}

/// Cuts a stream.
pub(super) struct Parts {
    buffer: BytesMut,
    /// Without dashes; empty until it is known.
    boundary: Vec<u8>,
    state: State,
    most: usize,
    /// Bytes of the buffer in which nothing was found.
    searched: usize,
    /// Bytes that were passed over since the last boundary.
    noise: usize,
}

#[derive(Clone, Copy)]
enum State {
    /// Before a boundary.
    Between,
    /// After one.
    Head,
    /// In a part; its length where that is told.
    Body(Option<usize>),
}

impl Parts {
    pub(super) fn new(boundary: &str, most: usize) -> Self {
        let boundary = boundary.as_bytes().to_vec();
        Self { buffer: BytesMut::new(), boundary, state: State::Between, most, searched: 0, noise: 0 }
    }

    pub(super) fn push(&mut self, bytes: &[u8]) {
        self.buffer.extend_from_slice(bytes);
    }

    /// The next picture, if it is complete. Parts that are no JPEG are passed over.
    pub(super) fn next(&mut self) -> Result<Option<Bytes>, PartError> {
        loop {
            match self.state {
                State::Between => {
                    if !self.find_boundary()? {
                        return Ok(None);
                    }
                    self.enter(State::Head);
                }
                State::Head => {
                    let Some(body) = self.head()? else { return Ok(None) };
                    self.enter(body);
                }
                State::Body(length) => {
                    let Some(part) = self.body(length)? else { return Ok(None) };
                    self.enter(State::Between);
                    let begin = memmem::find(&part, BEGIN);
                    // A line break too many may stand in front.
                    if let Some(begin) = begin.filter(|begin| *begin <= 4) {
                        return Ok(Some(part.slice(begin..)));
                    }
                }
            }
        }
    }

    fn enter(&mut self, state: State) {
        (self.state, self.searched) = (state, 0);
    }

    /// Passes over everything up to the end of a boundary's line.
    fn find_boundary(&mut self) -> Result<bool, PartError> {
        if self.boundary.is_empty() && !self.learn_boundary()? {
            return Ok(false);
        }
        let Some(place) = memmem::find(&self.buffer, &self.boundary) else {
            let keep = self.boundary.len().min(self.buffer.len());
            self.pass_over(self.buffer.len() - keep)?;
            return Ok(false);
        };
        let after = place + self.boundary.len();
        let Some(end) = self.buffer.get(after..).and_then(|rest| memchr::memchr(b'\n', rest)) else {
            return if self.buffer.len() - after > HEAD_BYTES {
                Err(PartError::NoBoundary)
            } else {
                Ok(false)
            };
        };
        drop(self.buffer.split_to(after + end + 1));
        self.noise = 0;
        Ok(true)
    }

    fn pass_over(&mut self, bytes: usize) -> Result<(), PartError> {
        self.noise += bytes;
        drop(self.buffer.split_to(bytes));
        if self.noise > NOISE_BYTES.max(self.most) { Err(PartError::NoBoundary) } else { Ok(()) }
    }

    /// Takes the first line that begins with dashes for the boundary.
    fn learn_boundary(&mut self) -> Result<bool, PartError> {
        while let Some(end) = memchr::memchr(b'\n', &self.buffer) {
            let line = String::from_utf8_lossy(self.buffer.get(..end).unwrap_or_default()).into_owned();
            let line = line.trim();
            if line.starts_with("--") && (1..=BOUNDARY_BYTES).contains(&core(line).len()) {
                self.boundary = core(line).as_bytes().to_vec();
                return Ok(true);
            }
            self.pass_over(end + 1)?;
        }
        if self.buffer.len() > HEAD_BYTES { Err(PartError::NoBoundary) } else { Ok(false) }
    }

    /// Reads the head of a part; what comes after it.
    fn head(&mut self) -> Result<Option<State>, PartError> {
        let Some(end) = end_of_head(&self.buffer) else {
            return if self.buffer.len() > HEAD_BYTES { Err(PartError::EndlessHead) } else { Ok(None) };
        };
        let head = self.buffer.split_to(end);
        let head = String::from_utf8_lossy(&head);
        let told = head.lines().filter_map(|line| line.split_once(':')).find_map(|(key, value)| {
            key.trim().eq_ignore_ascii_case("content-length").then(|| value.trim().parse::<usize>().ok())
        });
        match told.flatten().filter(|length| *length > 0) {
            Some(length) if length > self.most => Err(PartError::TooLong(self.most)),
            length => Ok(Some(State::Body(length))),
        }
    }

    fn body(&mut self, length: Option<usize>) -> Result<Option<Bytes>, PartError> {
        if let Some(length) = length {
            return Ok((self.buffer.len() >= length).then(|| self.buffer.split_to(length).freeze()));
        }
        if let Some(end) = self.end_of_body() {
            return Ok(Some(self.buffer.split_to(end).freeze()));
        }
        if self.buffer.len() > self.most { Err(PartError::TooLong(self.most)) } else { Ok(None) }
    }

    /// Where a part ends whose length is not told: before the dashes of the next boundary, which follow a line break or the end of a JPEG.
    fn end_of_body(&mut self) -> Option<usize> {
        let from = self.searched;
        for place in memmem::find_iter(self.buffer.get(from..)?, &self.boundary) {
            let before = self.buffer.get(..from + place)?;
            let dashes = before.iter().rev().take_while(|byte| **byte == b'-').count();
            let before = before.get(..before.len() - dashes)?;
            if before.ends_with(b"\n") || before.ends_with(END) {
                return Some(before.len());
            }
        }
        // The boundary may have come in part.
        self.searched = self.buffer.len().saturating_sub(self.boundary.len());
        None
    }
}

/// Where the empty line after a head ends. Right after the boundary there may be nothing but the empty line.
fn end_of_head(buffer: &[u8]) -> Option<usize> {
    if buffer.starts_with(b"\r\n") {
        return Some(2);
    }
    if buffer.starts_with(b"\n") {
        return Some(1);
    }
    let ends = [&b"\r\n\r\n"[..], b"\n\n"];
    ends.into_iter().filter_map(|end| Some(memmem::find(buffer, end)? + end.len())).min()
}

#[cfg(test)]
#[path = "parts_tests.rs"]
mod tests;
