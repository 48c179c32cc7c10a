//! Authenticated encryption. A sealed message is `nonce || ciphertext || tag`.

use crate::{Error, Secret};
use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};

/// How messages are encrypted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Algorithm {
    /// XAES-256-GCM (C2SP): nonce of 24 bytes.
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
    /// Bytes of a key.
    pub fn key_length(self) -> usize {
        match self {
            Self::Aes128Gcm => 16,
            Self::Aes192Gcm => 24,
            Self::Xaes256Gcm | Self::Aes256Gcm | Self::ChaCha20Poly1305 => 32,
            Self::Aes256CbcHmacSha512 => 64,
        }
    }
}

/// A key that encrypts and decrypts.
pub struct Key {
    inner: LessSafeKey,
}

impl Key {
    /// Takes key material of exactly [`Algorithm::key_length`] bytes.
    pub fn new(algorithm: Algorithm, material: &[u8]) -> Result<Self, Error> {
        if material.len() != algorithm.key_length() {
            return Err(Error::Key(format!("it must have {} bytes", algorithm.key_length())));
        }
        let key = UnboundKey::new(&AES_256_GCM, material).map_err(|_| Error::Library)?;
        Ok(Self { inner: LessSafeKey::new(key) })
    }

    /// Appends `nonce || ciphertext || tag` to `out`, with a random nonce.
    pub fn seal_into(&self, aad: &[u8], plaintext: &[u8], out: &mut Vec<u8>) -> Result<(), Error> {
        let mut nonce = [0; NONCE_LEN];
        aws_lc_rs::rand::fill(&mut nonce).map_err(|_| Error::Library)?;
        out.extend_from_slice(&nonce);
        let start = out.len();
        out.extend_from_slice(plaintext);
        let nonce = Nonce::assume_unique_for_key(nonce);
        let body = out.get_mut(start..).ok_or(Error::Library)?;
        let tag = self
            .inner
            .seal_in_place_separate_tag(nonce, Aad::from(aad), body)
            .map_err(|_| Error::Library)?;
        out.extend_from_slice(tag.as_ref());
        Ok(())
    }

    /// Opens `nonce || ciphertext || tag`.
    pub fn open(&self, aad: &[u8], sealed: &[u8]) -> Result<Secret, Error> {
        let (nonce, body) = sealed.split_at_checked(NONCE_LEN).ok_or(Error::Decryption)?;
        let nonce = Nonce::try_assume_unique_for_key(nonce).map_err(|_| Error::Decryption)?;
        let mut body = body.to_vec();
        let length = self
            .inner
            .open_in_place(nonce, Aad::from(aad), &mut body)
            .map_err(|_| Error::Decryption)?
            .len();
        body.truncate(length);
        Ok(Secret::new(body))
    }
}
