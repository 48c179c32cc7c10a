//! A description as lines (RFC 8866, section 5), with the limits that hold for all of them.

use super::OfferError;

/// Characters of a line. The longest that are seen are `fmtp` lines with parameter sets, of some hundreds.
const LINE_LIMIT: usize = 4096;

/// One line, `x=value`.
#[derive(Clone, Copy, Debug)]
pub(super) struct Line<'a> {
    /// Number, from 1.
    pub(super) number: usize,
    /// Letter before the `=`.
    pub(super) kind: char,
    /// What follows.
    pub(super) value: &'a str,
}

impl<'a> Line<'a> {
    /// Name and value of an attribute; the value is empty for a flag. None for other lines.
    pub(super) fn attribute(&self) -> Option<(&'a str, &'a str)> {
        (self.kind == 'a').then(|| self.value.split_once(':').unwrap_or((self.value, "")))
    }

    /// The error that this line is.
    pub(super) fn malformed(&self, problem: impl Into<String>) -> OfferError {
        OfferError::Malformed { line: self.number, problem: problem.into() }
    }
}

/// Splits a text into lines. CRLF or LF, with or without one at the end; empty lines are passed over.
pub(super) fn read(text: &str, limit: usize) -> Result<Vec<Line<'_>>, OfferError> {
    if text.len() > limit {
        return Err(OfferError::TooLarge { size: text.len(), limit });
    }
    text.lines()
        .enumerate()
        .filter(|(_, line)| !line.is_empty())
        .map(|(index, line)| read_line(index + 1, line))
        .collect()
}

fn read_line(number: usize, text: &str) -> Result<Line<'_>, OfferError> {
    let malformed = |problem: &str| OfferError::Malformed { line: number, problem: problem.to_owned() };
    if text.len() > LINE_LIMIT {
        return Err(malformed(&format!("it has {} bytes, and {LINE_LIMIT} is the most", text.len())));
    }
    // Parts of an offer come back in the answer: a lone CR must not become a line of ours.
    if text.chars().any(|character| character.is_control() && character != '\t') {
        return Err(malformed("it has a control character"));
    }
    let Some((kind, value)) = text.split_once('=') else {
        return Err(malformed("it is not of the form x=value"));
    };
    let mut letters = kind.chars();
    match (letters.next(), letters.next()) {
        (Some(kind), None) if kind.is_ascii_lowercase() => Ok(Line { number, kind, value: value.trim_end() }),
        _ => Err(malformed("it does not begin with one letter and =")),
    }
}
