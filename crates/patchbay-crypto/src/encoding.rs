//! Bytes as text, both ways: Base64, hexadecimal, percent-encoding and query strings. Writes what Python's `base64` and
//! `urllib.parse` write, and reads what they read, save that malformed text is an error that names the place, where
//! `urllib` would pass it on as it stands.

mod query;

pub use query::{decode_query, encode_query};

use crate::Error;
use base64::{
    DecodeError, Engine, alphabet,
    engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig},
};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_encode};

/// What is not escaped (RFC 3986, section 2.3, unreserved).
const RESERVED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// Reads bits behind the last byte as Python does: they are ignored.
const LENIENT: GeneralPurposeConfig = GeneralPurposeConfig::new().with_decode_allow_trailing_bits(true);

const STANDARD: GeneralPurpose = GeneralPurpose::new(
    &alphabet::STANDARD,
    LENIENT.with_decode_padding_mode(DecodePaddingMode::RequireCanonical),
);

const URL_SAFE: GeneralPurpose = GeneralPurpose::new(
    &alphabet::URL_SAFE,
    LENIENT.with_encode_padding(false).with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// How bytes are written as text.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Encoding {
    /// Base64 with `+`, `/` and padding (RFC 4648, section 4).
    Base64,
    /// Base64 with `-` and `_`, written without padding and read with or without (RFC 4648, section 5).
    Base64Url,
    /// Percent-encoding of a path segment or any other component: a space is `%20` (RFC 3986, section 2.1).
    Url,
    /// Percent-encoding of a query component: a space is `+` (application/x-www-form-urlencoded).
    Query,
    /// Lower-case hexadecimal, read in either case.
    Hex,
}

impl Encoding {
    /// Writes bytes as text.
    pub fn encode(self, bytes: &[u8]) -> String {
        match self {
            Self::Base64 => STANDARD.encode(bytes),
            Self::Base64Url => URL_SAFE.encode(bytes),
            Self::Url => percent_encode(bytes, RESERVED).to_string(),
            // A `%20` in the output can only be a space: a percent sign is written `%25`.
            Self::Query => percent_encode(bytes, RESERVED).to_string().replace("%20", "+"),
            Self::Hex => hex::encode(bytes),
        }
    }

    /// Reads text. An error names the place, counted in bytes from 0.
    pub fn decode(self, text: &str) -> Result<Vec<u8>, Error> {
        match self {
            Self::Base64 => STANDARD.decode(text).map_err(|error| base64_error(&error, text)),
            Self::Base64Url => URL_SAFE.decode(text).map_err(|error| base64_error(&error, text)),
            Self::Url => unescape(text.as_bytes(), 0, Plus::IsPlus),
            Self::Query => unescape(text.as_bytes(), 0, Plus::IsSpace),
            Self::Hex => hex::decode(text).map_err(|error| hex_error(error, text)),
        }
    }
}

/// What a plus sign stands for.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Plus {
    IsPlus,
    IsSpace,
}

/// Undoes percent-encoding; `offset` is where the text stands in the caller's input.
fn unescape(text: &[u8], offset: usize, plus: Plus) -> Result<Vec<u8>, Error> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some((first, after)) = rest.split_first() {
        rest = after;
        match first {
            b'%' => {
                let place = offset + text.len() - after.len() - 1;
                let (byte, after) = escaped(after).ok_or_else(|| {
                    Error::Input(format!("`%` at position {place} is not followed by two hexadecimal digits"))
                })?;
                bytes.push(byte);
                rest = after;
            }
            b'+' if plus == Plus::IsSpace => bytes.push(b' '),
            other => bytes.push(*other),
        }
    }
    Ok(bytes)
}

/// The byte of two hexadecimal digits, and what is after them.
fn escaped(text: &[u8]) -> Option<(u8, &[u8])> {
    let (digits, after) = text.split_first_chunk::<2>()?;
    let mut byte = [0];
    hex::decode_to_slice(digits, &mut byte).ok()?;
    let [byte] = byte;
    Some((byte, after))
}

fn base64_error(error: &DecodeError, text: &str) -> Error {
    Error::Input(match error {
        DecodeError::InvalidByte(place, b'=') => format!("the padding at position {place} is misplaced"),
        DecodeError::InvalidByte(place, _) => {
            format!("the byte at position {place} is none of this Base64 alphabet")
        }
        DecodeError::InvalidLastSymbol(place, _) => {
            format!("the last symbol, at position {place}, is misplaced")
        }
        DecodeError::InvalidLength(_) => {
            format!("the text ends at position {} in the middle of a group of four symbols", text.len())
        }
        DecodeError::InvalidPadding => {
            format!(
                "the padding at the end, at position {}, is missing or wrong",
                text.trim_end_matches('=').len()
            )
        }
    })
}

fn hex_error(error: hex::FromHexError, text: &str) -> Error {
    Error::Input(match error {
        hex::FromHexError::InvalidHexCharacter { index, .. } => {
            format!("the byte at position {index} is no hexadecimal digit")
        }
        _ => format!("the text ends at position {} after one digit of two", text.len()),
    })
}

#[cfg(test)]
#[path = "encoding_tests.rs"]
mod tests;
