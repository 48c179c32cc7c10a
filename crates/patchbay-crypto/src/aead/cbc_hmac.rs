//! A256CBC-HS512 (RFC 7518, section 5.2.5): AES-256-CBC, then HMAC-SHA512 over the associated data, the IV, the ciphertext and
//! the length of the associated data, cut to 32 bytes. The tag is checked before anything is decrypted.

use crate::{Error, Secret, cbc};
use aws_lc_rs::{constant_time::verify_slices_are_equal, hmac};

pub(super) const NONCE: usize = cbc::BLOCK;
pub(super) const TAG: usize = 32;

/// Bytes of each half of the key.
const HALF: usize = 32;

pub(super) struct Key {
    mac: hmac::Key,
    cbc: cbc::Key,
}

impl Key {
    /// The first half authenticates, the second encrypts.
    pub(super) fn new(material: &[u8]) -> Result<Self, Error> {
        let (mac, cbc) = material.split_at_checked(HALF).ok_or(Error::Library)?;
        Ok(Self { mac: hmac::Key::new(hmac::HMAC_SHA512, mac), cbc: cbc::Key::new(cbc)? })
    }

    /// Appends `iv || ciphertext || tag`. The IV must be random.
    pub(super) fn seal(
        &self,
        iv: [u8; NONCE],
        aad: &[u8],
        plaintext: &[u8],
        out: &mut Vec<u8>,
    ) -> Result<(), Error> {
        let start = out.len();
        self.cbc.encrypt_with(iv, plaintext, out)?;
        let tag = self.tag(aad, out.get(start..).ok_or(Error::Library)?)?;
        out.extend_from_slice(&tag);
        Ok(())
    }

    /// Opens `iv || ciphertext || tag`.
    pub(super) fn open(&self, aad: &[u8], sealed: &[u8]) -> Result<Secret, Error> {
        let (body, tag) = sealed.split_last_chunk::<TAG>().ok_or(Error::Decryption)?;
        verify_slices_are_equal(&self.tag(aad, body)?, tag).map_err(|_| Error::Decryption)?;
        self.cbc.decrypt(body)
    }

    /// Over `iv || ciphertext`.
    fn tag(&self, aad: &[u8], body: &[u8]) -> Result<[u8; TAG], Error> {
        let bits =
            u64::try_from(aad.len()).ok().and_then(|bytes| bytes.checked_mul(8)).ok_or(Error::Library)?;
        let mut mac = hmac::Context::with_key(&self.mac);
        mac.update(aad);
        mac.update(body);
        mac.update(&bits.to_be_bytes());
        mac.sign().as_ref().first_chunk::<TAG>().copied().ok_or(Error::Library)
    }
}
