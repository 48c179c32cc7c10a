//! Convergent encryption: the same plaintext with the same associated data has the same ciphertext under one key.
//!
//! It is AES-256-GCM-SIV (RFC 8452) with a nonce that is made of the message, so that ciphertexts can be looked up and told apart without a
//! key. That is its price as well: whoever sees two of them learns whether the messages are equal, and whoever may encrypt can try guesses.
//! For messages of which there are few, like names of a town, that is no protection.
//!
//! Two keys are derived from the 32 bytes of material, one for the cipher and one for the nonce. A sealed message is
//! `nonce (12) || ciphertext || tag (16)`, where the nonce is the first bytes of HMAC-SHA256 over the length of the associated data (eight
//! bytes, big endian), the associated data and the plaintext. A message whose nonce is another is refused, although the tag may be right:
//! nobody who encrypts as said here has made it.

use crate::{Error, Secret, kdf};
use aws_lc_rs::{
    aead::{AES_256_GCM_SIV, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey},
    constant_time::verify_slices_are_equal,
    hmac,
};
use std::fmt;

/// Bytes of key material.
pub const KEY_LENGTH: usize = 32;
/// Bytes by which a sealed message is longer than its plaintext.
pub const OVERHEAD: usize = NONCE_LEN + TAG;

const TAG: usize = 16;
const ENCRYPTION_LABEL: &[u8] = b"patchbay convergent encryption v1";
const NONCE_LABEL: &[u8] = b"patchbay convergent nonce v1";

/// A key, ready to use.
pub struct Key {
    cipher: LessSafeKey,
    nonces: hmac::Key,
}

impl Key {
    /// Takes 32 bytes of key material.
    pub fn new(material: &[u8]) -> Result<Self, Error> {
        if material.len() != KEY_LENGTH {
            return Err(Error::Key(format!("it must have {KEY_LENGTH} bytes, not {}", material.len())));
        }
        let derive = |label| kdf::derive(material, &[label], KEY_LENGTH);
        Ok(Self {
            cipher: cipher(derive(ENCRYPTION_LABEL)?.expose())?,
            nonces: hmac::Key::new(hmac::HMAC_SHA256, derive(NONCE_LABEL)?.expose()),
        })
    }

    /// Seals a message.
    pub fn seal(&self, aad: &[u8], plaintext: &[u8]) -> Result<Vec<u8>, Error> {
        let mut sealed = Vec::with_capacity(OVERHEAD + plaintext.len());
        self.seal_into(aad, plaintext, &mut sealed)?;
        Ok(sealed)
    }

    /// Appends a sealed message to what is there.
    pub fn seal_into(&self, aad: &[u8], plaintext: &[u8], out: &mut Vec<u8>) -> Result<(), Error> {
        let nonce = self.nonce(aad, plaintext)?;
        out.reserve(OVERHEAD + plaintext.len());
        out.extend_from_slice(&nonce);
        let start = out.len();
        out.extend_from_slice(plaintext);
        let body = out.get_mut(start..).ok_or(Error::Library)?;
        let nonce = Nonce::assume_unique_for_key(nonce);
        let tag = self
            .cipher
            .seal_in_place_separate_tag(nonce, Aad::from(aad), body)
            .map_err(|_| Error::Library)?;
        out.extend_from_slice(tag.as_ref());
        Ok(())
    }

    /// Opens a sealed message. Whatever is wrong with it gives the same error.
    pub fn open(&self, aad: &[u8], sealed: &[u8]) -> Result<Secret, Error> {
        let (nonce, body) = sealed.split_first_chunk::<NONCE_LEN>().ok_or(Error::Decryption)?;
        let plaintext = open_with(&self.cipher, *nonce, aad, body)?;
        let expected = self.nonce(aad, plaintext.expose())?;
        verify_slices_are_equal(&expected, nonce).map_err(|_| Error::Decryption)?;
        Ok(plaintext)
    }

    fn nonce(&self, aad: &[u8], plaintext: &[u8]) -> Result<[u8; NONCE_LEN], Error> {
        let length = u64::try_from(aad.len()).map_err(|_| Error::Library)?;
        let mut context = hmac::Context::with_key(&self.nonces);
        context.update(&length.to_be_bytes());
        context.update(aad);
        context.update(plaintext);
        context.sign().as_ref().first_chunk().copied().ok_or(Error::Library)
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Key").finish_non_exhaustive()
    }
}

/// The cipher alone, with a nonce that is given: for the vectors, and for nothing else.
#[doc(hidden)]
pub fn open_gcm_siv(material: &[u8], nonce: &[u8], aad: &[u8], body: &[u8]) -> Result<Secret, Error> {
    let nonce = nonce.try_into().map_err(|_| Error::Decryption)?;
    open_with(&cipher(material)?, nonce, aad, body)
}

fn cipher(material: &[u8]) -> Result<LessSafeKey, Error> {
    let key = UnboundKey::new(&AES_256_GCM_SIV, material)
        .map_err(|_| Error::Key(format!("it must have {KEY_LENGTH} bytes")))?;
    Ok(LessSafeKey::new(key))
}

/// Opens `ciphertext || tag`.
fn open_with(key: &LessSafeKey, nonce: [u8; NONCE_LEN], aad: &[u8], body: &[u8]) -> Result<Secret, Error> {
    let (ciphertext, tag) = body.split_last_chunk::<TAG>().ok_or(Error::Decryption)?;
    let mut plaintext = Secret::new(vec![0; ciphertext.len()]);
    let nonce = Nonce::assume_unique_for_key(nonce);
    key.open_separate_gather(nonce, Aad::from(aad), ciphertext, tag, &mut plaintext.0)
        .map_err(|_| Error::Decryption)?;
    Ok(plaintext)
}

#[cfg(test)]
#[path = "convergent_tests.rs"]
mod tests;
