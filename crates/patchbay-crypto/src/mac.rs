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

#[cfg(test)]
mod tests {
    use super::*;

    /// RFC 4231, test cases 6 and 7, whose keys are long enough to be taken here.
    #[test]
    fn as_specified() {
        let key = Key::new(&[0xaa; 131]).unwrap();
        let cases: [(&[u8], _, _); 6] = [
            (
                b"Test Using Larger Than Block-Size Key - Hash Key First",
                Algorithm::Sha256,
                "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54",
            ),
            (
                b"Test Using Larger Than Block-Size Key - Hash Key First",
                Algorithm::Sha384,
                "4ece084485813e9088d2c63a041bc5b44f9ef1012a2b588f3cd11f05033ac4c60c2ef6ab4030fe8296248df163f44952",
            ),
            (
                b"Test Using Larger Than Block-Size Key - Hash Key First",
                Algorithm::Sha512,
                "80b24263c7c1a3ebb71493c1dd7be8b49b46d1f41b4aeec1121b013783f8f3526b56d037e05f2598bd0fd2215d6a1e52\
                 95e64f73f63f0aec8b915a985d786598",
            ),
            (
                b"This is a test using a larger than block-size key and a larger than block-size data. The key needs to be \
                  hashed before being used by the HMAC algorithm.",
                Algorithm::Sha256,
                "9b09ffa71b942fcb27635fbcd5b0e944bfdc63644f0713938a7f51535c3a35e2",
            ),
            (
                b"This is a test using a larger than block-size key and a larger than block-size data. The key needs to be \
                  hashed before being used by the HMAC algorithm.",
                Algorithm::Sha384,
                "6617178e941f020d351e2f254e8fd32c602420feb0b8fb9adccebb82461e99c5a678cc31e799176d3860e6110c46523e",
            ),
            (
                b"This is a test using a larger than block-size key and a larger than block-size data. The key needs to be \
                  hashed before being used by the HMAC algorithm.",
                Algorithm::Sha512,
                "e37b6a775dc87dbaa4dfa9f96e5e3ffddebd71f8867289865df5a32d20cdc944b6022cac3c4982b10d5eeb55c3e4de15\
                 134676fb6de0446065c97440fa8c6a58",
            ),
        ];
        for (message, digest, mac) in cases {
            assert_eq!(hex::encode(key.compute(digest, message).unwrap()), mac);
            assert!(key.verify(digest, message, &hex::decode(mac).unwrap()).unwrap());
        }
    }

    #[test]
    fn a_changed_or_cut_one_is_wrong() {
        let key = Key::new(&[3; 32]).unwrap();
        let mac = key.compute(Algorithm::Sha256, b"message").unwrap();
        for bit in 0..mac.len() * 8 {
            let mut changed = mac.clone();
            changed[bit / 8] ^= 1 << (bit % 8);
            assert!(!key.verify(Algorithm::Sha256, b"message", &changed).unwrap(), "bit {bit}");
        }
        for length in 0..mac.len() {
            assert!(!key.verify(Algorithm::Sha256, b"message", &mac[..length]).unwrap(), "{length} bytes");
        }
        assert!(!key.verify(Algorithm::Sha512, b"message", &mac).unwrap());
        assert!(key.verify(Algorithm::Sha256, b"message", &mac).unwrap());
    }

    #[test]
    fn short_and_long_keys_and_other_hash_functions_are_refused() {
        for length in [0, 31, 513] {
            assert!(matches!(Key::new(&vec![0; length]), Err(Error::Key(_))), "{length}");
        }
        let key = Key::new(&[3; 512]).unwrap();
        for digest in Algorithm::ALL {
            let is_offered = [Algorithm::Sha256, Algorithm::Sha384, Algorithm::Sha512].contains(&digest);
            assert_eq!(key.compute(digest, b"").is_ok(), is_offered, "{digest}");
            assert_eq!(key.verify(digest, b"", b"").is_ok(), is_offered, "{digest}");
        }
    }
}
