//! Names of streams.

use crate::{TrackId, negotiate::Target};
use std::{fmt, str::FromStr, sync::Arc};

/// Longest name, in bytes.
pub const MAX_NAME: usize = 128;

/// What a stream is called: `camera/front-door`, `live/mystream`. Cloning shares the text.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct StreamName(Arc<str>);

/// Why a text is not the name of a stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NameError {
    /// Nothing, or too much.
    #[error("the name of a stream has 1 to {MAX_NAME} characters")]
    Length,
    /// A character that names do not have.
    #[error(
        "the name of a stream has only the letters a-z and A-Z, digits, `-`, `_`, `.` and `/`, not {0:?}"
    )]
    Character(char),
    /// `//`, `/` at an end, `.` or `..`.
    #[error("the parts of a stream's name between `/` are not empty, `.` or `..`")]
    Segment,
}

impl StreamName {
    /// Reads a name: 1 to 128 of `a-z`, `A-Z`, `0-9`, `-`, `_`, `.`, `/`; the parts between `/` are not empty, `.` or `..`.
    pub fn parse(text: &str) -> Result<Self, NameError> {
        if text.is_empty() || text.len() > MAX_NAME {
            return Err(NameError::Length);
        }
        let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.' | '/');
        if let Some(other) = text.chars().find(|c| !allowed(*c)) {
            return Err(NameError::Character(other));
        }
        if text.split('/').any(|segment| matches!(segment, "" | "." | "..")) {
            return Err(NameError::Segment);
        }
        Ok(Self(text.into()))
    }

    /// Name of what a transcoder makes, which nobody else can have: `camera/door:0:opus`.
    pub(crate) fn made(&self, track: TrackId, target: Target) -> Self {
        let limit = target.limit.map(|limit| format!(":{}:{}", limit.height, limit.bit_rate));
        Self(format!("{self}:{}:{}{}", track.0, target.codec.name(), limit.unwrap_or_default()).into())
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for StreamName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl AsRef<str> for StreamName {
    fn as_ref(&self) -> &str {
        &self.0
    }
}

impl FromStr for StreamName {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Self, NameError> {
        Self::parse(text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_cameras_and_streams_are_taken() {
        for name in ["camera/front-door", "live/x", "a", "A_b.c/1..2", &"n".repeat(MAX_NAME)] {
            assert_eq!(StreamName::parse(name).unwrap().as_str(), name);
        }
    }

    #[test]
    fn others_are_refused_with_the_reason() {
        for (name, error) in [
            ("", NameError::Length),
            (&"n".repeat(MAX_NAME + 1), NameError::Length),
            ("a b", NameError::Character(' ')),
            ("caf\u{e9}", NameError::Character('\u{e9}')),
            ("a:b", NameError::Character(':')),
            ("/a", NameError::Segment),
            ("a/", NameError::Segment),
            ("a//b", NameError::Segment),
            ("a/../b", NameError::Segment),
            (".", NameError::Segment),
        ] {
            assert_eq!(StreamName::parse(name), Err(error), "{name:?}");
        }
    }
}
