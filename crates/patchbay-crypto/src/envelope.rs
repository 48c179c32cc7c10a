//! Hybrid envelopes: any amount of data for the holder of an RSA private key.
//!
//! A body is `u16 length || RSA-OAEP-SHA256(key) || nonce (12) || ciphertext || tag (16)`, the length big endian and that of the encrypted
//! key, which is a new one of AES-256-GCM. Whoever calls this puts a header before the body, and binds it by putting it before the
//! associated data as well.

use crate::{Error, Secret, aead, rsa};

/// Bytes of the message key.
const KEY_LENGTH: usize = 32;

/// Seals a message with a new key.
pub fn seal(key: &rsa::PublicKey, aad: &[u8], plaintext: &[u8]) -> Result<Vec<u8>, Error> {
    let message_key = Secret::random(KEY_LENGTH)?;
    let encrypted = key.encrypt_oaep(message_key.expose())?;
    let length = u16::try_from(encrypted.len()).map_err(|_| Error::Library)?;
    let sealing = aead::Key::new(aead::Algorithm::Aes256Gcm, message_key.expose())?;
    let mut body = Vec::with_capacity(2 + encrypted.len() + OVERHEAD + plaintext.len());
    body.extend_from_slice(&length.to_be_bytes());
    body.extend_from_slice(&encrypted);
    sealing.seal_into(aad, plaintext, &mut body)?;
    Ok(body)
}

/// Opens a body. Whatever is wrong with it gives the same error.
pub fn open(key: &rsa::PrivateKey, aad: &[u8], body: &[u8]) -> Result<Secret, Error> {
    let (length, rest) = body.split_first_chunk().ok_or(Error::Decryption)?;
    let length = usize::from(u16::from_be_bytes(*length));
    let (encrypted, sealed) = rest.split_at_checked(length).ok_or(Error::Decryption)?;
    let message_key = key.decrypt_oaep(encrypted)?;
    let opening =
        aead::Key::new(aead::Algorithm::Aes256Gcm, message_key.expose()).map_err(|_| Error::Decryption)?;
    opening.open(aad, sealed)
}

/// Nonce and tag.
const OVERHEAD: usize = 12 + 16;

#[cfg(test)]
#[path = "envelope_tests.rs"]
mod tests;
