//! The 61 bytes that a message begins with: byte 3, four bytes of key version, big endian, salt and commitment.

use crate::error::Error;
use patchbay_crypto::chunked::PREFIX;

/// First byte; ciphertexts of one call begin with 1 and 2.
const MARK: u8 = 3;

/// Bytes of it.
pub(crate) const HEADER: usize = 1 + 4 + PREFIX;

/// A header, taken apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Header {
    /// Version of the key.
    pub(crate) version: u32,
    /// Salt and commitment.
    pub(crate) prefix: [u8; PREFIX],
}

impl Header {
    /// Reads one; anything else was not encrypted here.
    pub(crate) fn parse(bytes: &[u8]) -> Result<Self, Error> {
        let parsed = bytes.split_first_chunk::<5>().and_then(|(head, prefix)| {
            let (mark, version) = head.split_first()?;
            let version = u32::from_be_bytes(*version.first_chunk()?);
            (*mark == MARK).then_some(Self { version, prefix: *prefix.first_chunk()? })
        });
        parsed.filter(|_| bytes.len() == HEADER).ok_or(Error::DecryptionFailed)
    }

    /// Writes it.
    pub(crate) fn to_bytes(self) -> Vec<u8> {
        [&[MARK][..], &self.version.to_be_bytes(), &self.prefix].concat()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn comes_back_and_is_nothing_else() {
        let header = Header { version: 7, prefix: [9; PREFIX] };
        let bytes = header.to_bytes();
        assert_eq!((bytes.len(), Header::parse(&bytes).unwrap()), (61, header));
        let long = [&bytes[..], &[0]].concat();
        for odd in [&[][..], &bytes[..60], &long, &[&[1], &bytes[1..]].concat()] {
            assert!(matches!(Header::parse(odd), Err(Error::DecryptionFailed)));
        }
    }
}
