//! Whole query strings: `name=value` with `&` between them (application/x-www-form-urlencoded).

use super::{Encoding, Plus, unescape};
use crate::Error;

/// Writes a query string, without its `?`.
pub fn encode_query<'a>(pairs: impl IntoIterator<Item = (&'a str, &'a str)>) -> String {
    let escape = |text: &str| Encoding::Query.encode(text.as_bytes());
    let pairs: Vec<String> =
        pairs.into_iter().map(|(name, value)| format!("{}={}", escape(name), escape(value))).collect();
    pairs.join("&")
}

/// Reads a query string, with or without its `?`. A name without `=` has an empty value; nothing between two `&` is no pair.
pub fn decode_query(query: &str) -> Result<Vec<(String, String)>, Error> {
    let text = query.strip_prefix('?').unwrap_or(query);
    let mut start = query.len() - text.len();
    let mut pairs = Vec::new();
    for piece in text.split('&') {
        if !piece.is_empty() {
            pairs.push(pair(piece, start)?);
        }
        start += piece.len() + 1;
    }
    Ok(pairs)
}

fn pair(piece: &str, start: usize) -> Result<(String, String), Error> {
    let (name, value) = piece.split_once('=').unwrap_or((piece, ""));
    Ok((component(name, start)?, component(value, start + name.len() + 1)?))
}

fn component(text: &str, start: usize) -> Result<String, Error> {
    let bytes = unescape(text.as_bytes(), start, Plus::IsSpace)?;
    String::from_utf8(bytes)
        .map_err(|_| Error::Input(format!("what begins at position {start} is not UTF-8")))
}
