//! Names of accounts and groups, and how they are spelled.

use crate::error::Error;
use serde::{Deserialize, Serialize};
use std::fmt;

/// Characters of a name at most.
const MAX_LENGTH: usize = 64;

/// Subjects that mean somebody else: those without a token, and whoever signs with the data folder's key.
const RESERVED: [&str; 2] = ["guest", "operator"];

/// A name that is spelled as names are: 1 to 64 of `a-z`, `0-9`, `.`, `-`, `_`. It can therefore be a part of a row's key, and never
/// looks like the subject of a service, which has a colon.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Name(String);

impl Name {
    /// Reads the name of an account.
    pub fn account(field: &'static str, text: &str) -> Result<Self, Error> {
        if RESERVED.contains(&text) {
            return Err(Error::bad(field, format!("must not be `{text}`, which is not an account's")));
        }
        Self::group(field, text)
    }

    /// Reads the name of a group.
    pub fn group(field: &'static str, text: &str) -> Result<Self, Error> {
        let plain = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || matches!(b, b'.' | b'-' | b'_');
        if text.is_empty() || text.len() > MAX_LENGTH || !text.bytes().all(plain) {
            return Err(Error::bad(field, "must have 1 to 64 of the characters a-z, 0-9, `.`, `-` and `_`"));
        }
        Ok(Self(text.to_owned()))
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl From<Name> for String {
    fn from(name: Name) -> Self {
        name.0
    }
}

impl TryFrom<String> for Name {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        Self::group("name", &text).map_err(|error| error.to_string())
    }
}

/// Checks text that is shown to people: its length as it stands in a token, and that it has no control characters.
pub(crate) fn shown(field: &'static str, text: &str, max: usize) -> Result<(), Error> {
    let quoted = serde_json::to_string(text).map_err(Error::internal)?;
    if quoted.len() > max + 2 || text.chars().any(char::is_control) {
        return Err(Error::bad(field, format!("must have {max} bytes at most and no control characters")));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_plain() {
        let long = "a".repeat(64);
        for good in ["a", "ada.lovelace", "x-1_2", "0", &long] {
            assert_eq!(Name::account("name", good).unwrap().as_str(), good);
        }
        let too_long = "a".repeat(65);
        for bad in ["", "Ada", "a b", "svc:chat", "a/b", "é", "a\n", &too_long, "guest", "operator"] {
            assert_eq!(Name::account("name", bad).unwrap_err().reason(), "BAD_REQUEST", "{bad:?}");
        }
    }

    #[test]
    fn what_is_shown_has_a_length_and_no_control_characters() {
        assert!(shown("display_name", "Ada \u{1f680}", 128).is_ok());
        assert!(shown("display_name", &"\"".repeat(65), 128).is_err(), "each is escaped in a token");
        assert!(shown("display_name", "a\u{7}", 128).is_err());
    }
}
