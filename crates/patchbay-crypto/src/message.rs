//! What is signed: a message, or its digest. Used by [`crate::rsa`] and [`crate::ecdsa`]; Ed25519 signs whole messages only.

use crate::{Error, digest::Algorithm};
use aws_lc_rs::digest::{self, Digest};

/// What is signed or verified.
#[derive(Clone, Copy, Debug)]
pub enum Message<'a> {
    /// A message, which is hashed here.
    Whole(&'a [u8]),
    /// The digest of a message that the caller has hashed.
    Digest(&'a [u8]),
}

/// The digests that signatures are made with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Sha2 {
    Sha256,
    Sha384,
    Sha512,
}

impl Sha2 {
    /// Refuses the algorithms that hash files only.
    pub(crate) fn of(algorithm: Algorithm) -> Result<Self, Error> {
        match algorithm {
            Algorithm::Sha256 => Ok(Self::Sha256),
            Algorithm::Sha384 => Ok(Self::Sha384),
            Algorithm::Sha512 => Ok(Self::Sha512),
            _ => Err(Error::Input("signatures take SHA-256, SHA-384 or SHA-512 and no other digest".into())),
        }
    }

    /// Bytes of a digest.
    pub(crate) fn length(self) -> usize {
        self.algorithm().output_len()
    }

    /// The same in aws-lc-rs.
    pub(crate) fn algorithm(self) -> &'static digest::Algorithm {
        match self {
            Self::Sha256 => &digest::SHA256,
            Self::Sha384 => &digest::SHA384,
            Self::Sha512 => &digest::SHA512,
        }
    }
}

impl Message<'_> {
    /// Hashes a message, or takes a digest of the right length.
    pub(crate) fn digest(self, sha2: Sha2) -> Result<Digest, Error> {
        let digest = match self {
            Message::Whole(message) => return Ok(digest::digest(sha2.algorithm(), message)),
            Message::Digest(digest) => digest,
        };
        Digest::import_less_safe(digest, sha2.algorithm()).map_err(|_| {
            Error::Input(format!("the digest must have {} bytes, not {}", sha2.length(), digest.len()))
        })
    }
}
