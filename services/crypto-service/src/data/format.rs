//! How ciphertexts name the version of their key: as bytes, and as text.

use base64::{Engine, engine::general_purpose::STANDARD};
use bytes::Bytes;

/// First byte of a ciphertext.
pub(super) const CIPHERTEXT: u8 = 1;

/// First byte of an envelope.
pub(super) const ENVELOPE: u8 = 2;

/// Bytes before what the key's type makes.
pub(super) const HEADER: usize = 5;

/// What ciphertexts written as text start with.
const TEXT_PREFIXES: [&[u8]; 2] = [b"vault:v", b"patchbay:v"];

/// A ciphertext, taken apart.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Sealed {
    /// Version of the key.
    pub(crate) version: u32,
    /// What the key's type has made: nonce, ciphertext and tag, or the like.
    pub(crate) body: Bytes,
}

impl Sealed {
    /// Reads either form.
    pub(crate) fn parse(ciphertext: &Bytes) -> Option<Self> {
        if ciphertext.first() == Some(&CIPHERTEXT) {
            return Self::parse_binary(ciphertext, CIPHERTEXT);
        }
        Self::parse_text(ciphertext)
    }

    pub(super) fn parse_binary(bytes: &Bytes, kind: u8) -> Option<Self> {
        let (first, rest) = bytes.split_first()?;
        let version = rest.first_chunk::<4>()?;
        (*first == kind).then(|| Self { version: u32::from_be_bytes(*version), body: bytes.slice(HEADER..) })
    }

    fn parse_text(text: &[u8]) -> Option<Self> {
        let rest = TEXT_PREFIXES.iter().find_map(|prefix| text.strip_prefix(*prefix))?;
        let colon = rest.iter().position(|byte| *byte == b':')?;
        let (digits, body) = rest.split_at_checked(colon)?;
        let version = std::str::from_utf8(digits).ok()?;
        let is_plain = !version.is_empty() && version.bytes().all(|digit| digit.is_ascii_digit());
        let version = version.parse().ok().filter(|_| is_plain)?;
        let body = STANDARD.decode(body.get(1..)?).ok()?;
        Some(Self { version, body: body.into() })
    }
}

/// Writes a ciphertext as `<prefix><version>:<base64>`; `None` for what is no ciphertext.
pub(crate) fn text_form(prefix: &str, ciphertext: &Bytes) -> Option<String> {
    let sealed = Sealed::parse(ciphertext)?;
    Some(format!("{prefix}{}:{}", sealed.version, STANDARD.encode(&sealed.body)))
}

/// Begins a ciphertext of a version, with room for what follows.
pub(super) fn begin(kind: u8, version: u32, room: usize) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(HEADER + room);
    bytes.push(kind);
    bytes.extend_from_slice(&version.to_be_bytes());
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn reads_both_forms() {
        let mut bytes = begin(CIPHERTEXT, 7, 3);
        bytes.extend_from_slice(b"abc");
        let expected = Sealed { version: 7, body: Bytes::from_static(b"abc") };
        assert_eq!(Sealed::parse(&bytes.clone().into()), Some(expected.clone()));
        assert_eq!(Sealed::parse(&Bytes::from_static(b"vault:v7:YWJj")), Some(expected.clone()));
        assert_eq!(Sealed::parse(&Bytes::from_static(b"patchbay:v7:YWJj")), Some(expected));
        assert_eq!(text_form("vault:v", &bytes.into()).as_deref(), Some("vault:v7:YWJj"));
    }

    #[test]
    fn refuses_what_is_neither() {
        for odd in [
            "",
            "\u{1}",
            "\u{1}abc",
            "vault:v",
            "vault:v1",
            "vault:v:YWJj",
            "vault:v+1:YWJj",
            "vault:v1:YW",
            "vault:v99999999999:YWJj",
            "x",
        ] {
            assert_eq!(Sealed::parse(&Bytes::from_static(odd.as_bytes())), None, "{odd:?}");
        }
    }

    proptest! {
        #[test]
        fn never_panics(bytes in proptest::collection::vec(any::<u8>(), 0..64), text in "(vault|patchbay):v[0-9]{0,11}:.{0,20}") {
            drop(Sealed::parse(&bytes.into()));
            drop(Sealed::parse(&Bytes::from(text)));
        }
    }
}
