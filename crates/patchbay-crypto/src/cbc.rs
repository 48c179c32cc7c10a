//! AES-256-CBC with the padding of PKCS#7, written `iv || ciphertext`: for data that programs of old have encrypted so.
//!
//! **It does not authenticate.** Whoever can change a ciphertext and learns whether it could be decrypted can read it (the
//! padding oracle), however evenly the padding is checked. [`crate::aead`] is for everything new.

use crate::{Error, Secret, nonce};
use aws_lc_rs::{
    cipher::{AES_256, DecryptingKey, DecryptionContext, EncryptingKey, EncryptionContext, UnboundCipherKey},
    iv::FixedLength,
};

/// Bytes of a key.
pub const KEY_LENGTH: usize = 32;

/// Bytes of a block, and of the initialization vector.
pub(crate) const BLOCK: usize = 16;

/// A key that encrypts and decrypts.
pub struct Key {
    encrypting: EncryptingKey,
    decrypting: DecryptingKey,
}

impl Key {
    /// Takes key material of exactly 32 bytes.
    pub fn new(material: &[u8]) -> Result<Self, Error> {
        if material.len() != KEY_LENGTH {
            return Err(Error::Key(format!("it must have {KEY_LENGTH} bytes")));
        }
        let key = || UnboundCipherKey::new(&AES_256, material).map_err(|_| Error::Library);
        Ok(Self {
            encrypting: EncryptingKey::cbc(key()?).map_err(|_| Error::Library)?,
            decrypting: DecryptingKey::cbc(key()?).map_err(|_| Error::Library)?,
        })
    }

    /// Appends `iv || ciphertext` to `out`, with a random IV; on an error `out` is as before.
    pub fn encrypt_into(&self, plaintext: &[u8], out: &mut Vec<u8>) -> Result<(), Error> {
        self.encrypt_with(nonce::random()?, plaintext, out)
    }

    /// Decrypts `iv || ciphertext`.
    pub fn decrypt(&self, message: &[u8]) -> Result<Secret, Error> {
        let (iv, body) = message.split_first_chunk::<BLOCK>().ok_or(Error::Decryption)?;
        if body.is_empty() || !body.len().is_multiple_of(BLOCK) {
            return Err(Error::Decryption);
        }
        let mut plaintext = Secret::new(body.to_vec());
        let context = DecryptionContext::Iv128(FixedLength::from(*iv));
        self.decrypting.decrypt(&mut plaintext.0, context).map_err(|_| Error::Decryption)?;
        let length = unpadded_length(&plaintext.0).ok_or(Error::Decryption)?;
        plaintext.0.truncate(length);
        Ok(plaintext)
    }

    /// The IV must be random, and unknown to whoever chose the plaintext.
    pub(crate) fn encrypt_with(
        &self,
        iv: [u8; BLOCK],
        plaintext: &[u8],
        out: &mut Vec<u8>,
    ) -> Result<(), Error> {
        let start = out.len();
        let padding = BLOCK - plaintext.len() % BLOCK;
        out.reserve(BLOCK + plaintext.len() + padding);
        out.extend_from_slice(&iv);
        out.extend_from_slice(plaintext);
        let padding = u8::try_from(padding).map_err(|_| Error::Library)?;
        out.extend(std::iter::repeat_n(padding, padding.into()));
        let body = out.get_mut(start + BLOCK..).ok_or(Error::Library)?;
        let context = EncryptionContext::Iv128(FixedLength::from(iv));
        if self.encrypting.less_safe_encrypt(body, context).is_err() {
            crate::wipe(body);
            out.truncate(start);
            return Err(Error::Library);
        }
        Ok(())
    }
}

/// Length without padding (RFC 5652, section 6.3). Looks at every byte of the last block whatever the padding is, so that the
/// time does not tell where it is wrong.
fn unpadded_length(plaintext: &[u8]) -> Option<usize> {
    let block = plaintext.last_chunk::<BLOCK>()?;
    let [.., padding] = *block;
    let mut wrong = u8::from(padding == 0) | u8::from(usize::from(padding) > BLOCK);
    for (index, byte) in block.iter().rev().enumerate() {
        let is_padding = u8::from(index < usize::from(padding));
        wrong |= is_padding.wrapping_neg() & (byte ^ padding);
    }
    let wrong = std::hint::black_box(wrong);
    (wrong == 0).then(|| plaintext.len() - usize::from(padding))
}
