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

#[cfg(test)]
mod tests {
    use super::*;
    use hex::decode;

    /// NIST SP 800-38A, section F.2.5, with a block of padding behind.
    #[test]
    fn as_specified() {
        let key = decode("603deb1015ca71be2b73aef0857d77811f352c073b6108d72d9810a30914dff4").unwrap();
        let plaintext = decode(
            "6bc1bee22e409f96e93d7e117393172aae2d8a571e03ac9c9eb76fac45af8e51\
             30c81c46a35ce411e5fbc1191a0a52eff69f2445df4f9b17ad2b417be66c3710",
        )
        .unwrap();
        let iv: [u8; 16] = decode("000102030405060708090a0b0c0d0e0f").unwrap().try_into().unwrap();
        let key = Key::new(&key).unwrap();
        let mut message = Vec::new();
        key.encrypt_with(iv, &plaintext, &mut message).unwrap();
        let expected = "f58c4c04d6e5f1ba779eabfb5f7bfbd69cfc4e967edb808d679f777bc6702c7d\
                        39f23369a9d9bacfa530e26304231461b2eb05e2c39be9fcda6c19078c6a9d1b";
        assert_eq!(message[16..80], decode(expected).unwrap());
        assert_eq!(message.len(), 16 + 64 + 16);
        assert_eq!(key.decrypt(&message).unwrap().expose(), plaintext);
    }

    #[test]
    fn every_length_comes_back_under_a_new_iv_each_time() {
        let key = Key::new(&[7; 32]).unwrap();
        let mut seen = std::collections::HashSet::new();
        for length in 0..70 {
            let plaintext = vec![0x5a; length];
            let mut message = vec![1, 2, 3];
            key.encrypt_into(&plaintext, &mut message).unwrap();
            assert_eq!(message[..3], [1, 2, 3]);
            assert_eq!(message.len(), 3 + 16 + (length / 16 + 1) * 16);
            assert!(seen.insert(message[3..19].to_vec()));
            assert_eq!(key.decrypt(&message[3..]).unwrap().expose(), plaintext);
        }
    }

    #[test]
    fn padding_is_right_or_the_error_is_the_same() {
        let is_right = |block: &[u8; 16]| {
            let count = usize::from(block[15]);
            (1..=16).contains(&count) && block[16 - count..].iter().all(|byte| usize::from(*byte) == count)
        };
        for last in 0..=255_u8 {
            for changed in 0..16 {
                for value in [last, last.wrapping_add(1), 0] {
                    let mut block = [last; 16];
                    block[changed] = value;
                    let expected = is_right(&block).then(|| 16 - usize::from(block[15]));
                    assert_eq!(unpadded_length(&block), expected, "{block:?}");
                }
            }
        }
    }

    #[test]
    fn what_is_no_message_gives_the_same_error() {
        let key = Key::new(&[7; 32]).unwrap();
        for length in [0, 1, 15, 16, 17, 31, 33, 47, 49] {
            assert_eq!(key.decrypt(&vec![0; length]), Err(Error::Decryption), "{length}");
        }
        let mut message = Vec::new();
        key.encrypt_into(b"attack at dawn", &mut message).unwrap();
        // The last byte of the IV ends up in the padding of a single block: 2 becomes 3.
        message[15] ^= 1;
        assert_eq!(key.decrypt(&message), Err(Error::Decryption));
        assert!(matches!(Key::new(&[0; 16]), Err(Error::Key(_))));
    }
}
