//! Authenticated encryption. A sealed message is `nonce || ciphertext || tag`, with a random nonce that is made here.

mod cbc_hmac;
mod gcm;
mod xaes;

#[cfg(test)]
#[path = "aead_tests.rs"]
mod tests;

use crate::{Error, Secret, nonce, wipe};
use aws_lc_rs::aead::{AES_128_GCM, AES_192_GCM, AES_256_GCM, CHACHA20_POLY1305, LessSafeKey};

/// How messages are encrypted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Algorithm {
    /// XAES-256-GCM (C2SP): nonce of 24 bytes, so that random ones never come twice.
    Xaes256Gcm,
    /// AES-128-GCM (NIST SP 800-38D): nonce of 12 bytes, tag of 16.
    Aes128Gcm,
    /// AES-192-GCM.
    Aes192Gcm,
    /// AES-256-GCM.
    Aes256Gcm,
    /// ChaCha20-Poly1305 (RFC 8439).
    ChaCha20Poly1305,
    /// A256CBC-HS512 (RFC 7518, section 5.2.5): IV of 16 bytes, tag of 32, key of 64.
    Aes256CbcHmacSha512,
}

impl Algorithm {
    /// All of them.
    pub const ALL: [Self; 6] = [
        Self::Xaes256Gcm,
        Self::Aes128Gcm,
        Self::Aes192Gcm,
        Self::Aes256Gcm,
        Self::ChaCha20Poly1305,
        Self::Aes256CbcHmacSha512,
    ];

    /// Bytes of a key.
    pub fn key_length(self) -> usize {
        match self {
            Self::Aes128Gcm => 16,
            Self::Aes192Gcm => 24,
            Self::Xaes256Gcm | Self::Aes256Gcm | Self::ChaCha20Poly1305 => 32,
            Self::Aes256CbcHmacSha512 => 64,
        }
    }

    /// Bytes of a nonce.
    pub fn nonce_length(self) -> usize {
        match self {
            Self::Xaes256Gcm => xaes::NONCE,
            Self::Aes128Gcm | Self::Aes192Gcm | Self::Aes256Gcm | Self::ChaCha20Poly1305 => gcm::NONCE,
            Self::Aes256CbcHmacSha512 => cbc_hmac::NONCE,
        }
    }

    /// Bytes that a sealed message has more than its plaintext, at most: the padding of CBC is 1 to 16 of them, all else is fixed.
    pub fn overhead(self) -> usize {
        let tail = match self {
            Self::Aes256CbcHmacSha512 => cbc_hmac::TAG + crate::cbc::BLOCK,
            _ => gcm::TAG,
        };
        self.nonce_length() + tail
    }
}

/// A key that encrypts and decrypts. Its material is overwritten when it is dropped.
pub struct Key {
    algorithm: Algorithm,
    cipher: Cipher,
}

enum Cipher {
    /// AES-GCM and ChaCha20-Poly1305, which differ in nothing but the function.
    Direct(LessSafeKey),
    Extended(Box<xaes::Key>),
    CbcHmac(Box<cbc_hmac::Key>),
}

impl Key {
    /// Takes key material of exactly [`Algorithm::key_length`] bytes.
    pub fn new(algorithm: Algorithm, material: &[u8]) -> Result<Self, Error> {
        if material.len() != algorithm.key_length() {
            return Err(Error::Key(format!("it must have {} bytes", algorithm.key_length())));
        }
        let cipher = match algorithm {
            Algorithm::Xaes256Gcm => Cipher::Extended(Box::new(xaes::Key::new(material)?)),
            Algorithm::Aes128Gcm => Cipher::Direct(gcm::key(&AES_128_GCM, material)?),
            Algorithm::Aes192Gcm => Cipher::Direct(gcm::key(&AES_192_GCM, material)?),
            Algorithm::Aes256Gcm => Cipher::Direct(gcm::key(&AES_256_GCM, material)?),
            Algorithm::ChaCha20Poly1305 => Cipher::Direct(gcm::key(&CHACHA20_POLY1305, material)?),
            Algorithm::Aes256CbcHmacSha512 => Cipher::CbcHmac(Box::new(cbc_hmac::Key::new(material)?)),
        };
        Ok(Self { algorithm, cipher })
    }

    /// How it encrypts.
    pub fn algorithm(&self) -> Algorithm {
        self.algorithm
    }

    /// Bytes that a sealed message has more than its plaintext, at most.
    pub fn overhead(&self) -> usize {
        self.algorithm.overhead()
    }

    /// Appends `nonce || ciphertext || tag` to `out`, with a random nonce; on an error `out` is as before.
    pub fn seal_into(&self, aad: &[u8], plaintext: &[u8], out: &mut Vec<u8>) -> Result<(), Error> {
        let start = out.len();
        out.reserve(plaintext.len() + self.overhead());
        let sealed = match &self.cipher {
            Cipher::Direct(key) => gcm::seal(key, nonce::random()?, aad, plaintext, out),
            Cipher::Extended(key) => key.seal(nonce::random()?, aad, plaintext, out),
            Cipher::CbcHmac(key) => key.seal(nonce::random()?, aad, plaintext, out),
        };
        sealed.inspect_err(|_| forget(start, out))
    }

    /// Opens `nonce || ciphertext || tag`.
    pub fn open(&self, aad: &[u8], sealed: &[u8]) -> Result<Secret, Error> {
        match &self.cipher {
            Cipher::Direct(key) => gcm::open(key, aad, sealed),
            Cipher::Extended(key) => key.open(aad, sealed),
            Cipher::CbcHmac(key) => key.open(aad, sealed),
        }
    }
}

/// Takes back what was appended since `start`; it may be plaintext.
fn forget(start: usize, out: &mut Vec<u8>) {
    if let Some(appended) = out.get_mut(start..) {
        wipe(appended);
    }
    out.truncate(start);
}
