//! Primitives, formats and encodings: bytes in, bytes out. No files, no clock, no network, no key management.
//!
//! Whatever has a secret goes through aws-lc-rs; `RustCrypto` where that has no API (Argon2, scrypt, bcrypt, `BLAKE2`, MD5, the ASN.1 of keys).
//! Of arithmetic on secrets only [`shamir`] has its own.
//! Everything is sized, bounded and zeroized here, so that crypto-service and the command line need not know how. Nonces and salts are
//! made inside and never taken from a caller.

pub mod aead;
pub mod agreement;
pub mod cbc;
pub mod chunked;
pub mod convergent;
pub mod digest;
pub mod ecdsa;
pub mod ed25519;
pub mod encoding;
pub mod envelope;
pub mod hpke;
pub mod kdf;
pub mod mac;
mod message;
pub mod ml_dsa;
pub mod ml_kem;
mod nonce;
pub mod password;
pub mod pem;
pub mod rsa;
pub mod shamir;
pub mod wrap;

pub use message::Message;

use std::fmt;

/// Why an operation failed. It never tells which part of a ciphertext or signature was wrong.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// The key has the wrong length or shape, or is too weak; the text says what is wrong and never shows the key.
    #[error("the key is not usable: {0}")]
    Key(String),
    /// The input breaks a rule that is named: too long, wrong form, refused algorithm.
    #[error("{0}")]
    Input(String),
    /// The ciphertext is not from this key and this associated data, or was changed. One error for all causes.
    #[error("could not decrypt")]
    Decryption,
    /// The system gave no randomness, or the library failed where it cannot.
    #[error("the cryptographic library failed")]
    Library,
}

/// Bytes that are overwritten when they are dropped, and print as nothing.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Secret(pub(crate) zeroize::Zeroizing<Vec<u8>>);

impl Secret {
    /// Takes bytes over.
    pub fn new(bytes: Vec<u8>) -> Self {
        Self(zeroize::Zeroizing::new(bytes))
    }

    /// Makes random bytes.
    pub fn random(length: usize) -> Result<Self, Error> {
        let mut bytes = zeroize::Zeroizing::new(vec![0; length]);
        aws_lc_rs::rand::fill(&mut bytes).map_err(|_| Error::Library)?;
        Ok(Self(bytes))
    }

    /// Gives the bytes away; they are not overwritten any more. For what leaves the process.
    pub fn into_bytes(mut self) -> Vec<u8> {
        std::mem::take(&mut *self.0)
    }

    /// The bytes; do not copy them to where they are not overwritten.
    pub fn expose(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(..)")
    }
}

impl From<Vec<u8>> for Secret {
    fn from(bytes: Vec<u8>) -> Self {
        Self::new(bytes)
    }
}

/// Overwrites bytes that are about to be forgotten.
pub fn wipe(bytes: &mut [u8]) {
    zeroize::Zeroize::zeroize(bytes);
}
