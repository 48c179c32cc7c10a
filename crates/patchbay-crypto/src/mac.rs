//! HMAC (RFC 2104) with SHA-256, SHA-384 or SHA-512.

use crate::{Error, digest::Algorithm};
use aws_lc_rs::{constant_time::verify_slices_are_equal, hmac};

/// Bytes of a key at least.
pub const KEY_MIN: usize = 32;

/// Bytes of a key at most.
pub const KEY_MAX: usize = 512;

/// A key, ready for each of the three hash functions.
pub struct Key {
    sha256: hmac::Key,
    sha384: hmac::Key,
    sha512: hmac::Key,
}

impl Key {
    /// Takes key material of 32 to 512 bytes.
    pub fn new(material: &[u8]) -> Result<Self, Error> {
        if !(KEY_MIN..=KEY_MAX).contains(&material.len()) {
            return Err(Error::Key(format!("it must have from {KEY_MIN} to {KEY_MAX} bytes")));
        }
        Ok(Self {
            sha256: hmac::Key::new(hmac::HMAC_SHA256, material),
            sha384: hmac::Key::new(hmac::HMAC_SHA384, material),
            sha512: hmac::Key::new(hmac::HMAC_SHA512, material),
        })
    }

    /// Computes the HMAC of a message.
    pub fn compute(&self, digest: Algorithm, message: &[u8]) -> Result<Vec<u8>, Error> {
        Ok(hmac::sign(self.with(digest)?, message).as_ref().to_vec())
    }

    /// Compares an HMAC in constant time. It must be whole: a cut one is wrong.
    pub fn verify(&self, digest: Algorithm, message: &[u8], mac: &[u8]) -> Result<bool, Error> {
        let expected = hmac::sign(self.with(digest)?, message);
        Ok(verify_slices_are_equal(expected.as_ref(), mac).is_ok())
    }

    fn with(&self, digest: Algorithm) -> Result<&hmac::Key, Error> {
        match digest {
            Algorithm::Sha256 => Ok(&self.sha256),
            Algorithm::Sha384 => Ok(&self.sha384),
            Algorithm::Sha512 => Ok(&self.sha512),
            other => Err(Error::Input(format!(
                "{other} cannot be used for an HMAC, but sha2-256, sha2-384 and sha2-512 can"
            ))),
        }
    }
}
