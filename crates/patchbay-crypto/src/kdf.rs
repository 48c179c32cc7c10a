//! HKDF-SHA256 (RFC 5869), as [`crate::agreement`], [`crate::hpke`] and [`crate::convergent`] need it. Lengths of outputs are limited to
//! 255 hashes.

use crate::{Error, Secret};
use aws_lc_rs::{
    hkdf::{HKDF_SHA256, KeyType, Prk, Salt},
    hmac,
};

/// Bytes of a hash, and of what [`extract`] gives.
pub const HASH_LENGTH: usize = 32;

/// Bytes that can be derived at most.
pub const MAX_OUTPUT: usize = 255 * HASH_LENGTH;

/// As many bytes as are wanted.
struct Length(usize);

impl KeyType for Length {
    fn len(&self) -> usize {
        self.0
    }
}

/// Derives bytes from a secret without a salt.
pub fn derive(secret: &[u8], info: &[&[u8]], length: usize) -> Result<Secret, Error> {
    fill(&Salt::none(HKDF_SHA256).extract(secret), info, length)
}

/// HKDF-Extract, whose result is HMAC with the salt as the key. An empty salt is as good as one of zeros (RFC 2104 pads keys with them).
pub fn extract(salt: &[u8], secret: &[&[u8]]) -> Secret {
    let mut context = hmac::Context::with_key(&hmac::Key::new(hmac::HMAC_SHA256, salt));
    for part in secret {
        context.update(part);
    }
    Secret::new(context.sign().as_ref().to_vec())
}

/// HKDF-Expand of what [`extract`] gave.
pub fn expand(prk: &Secret, info: &[&[u8]], length: usize) -> Result<Secret, Error> {
    fill(&Prk::new_less_safe(HKDF_SHA256, prk.expose()), info, length)
}

fn fill(prk: &Prk, info: &[&[u8]], length: usize) -> Result<Secret, Error> {
    let material = prk.expand(info, Length(length)).map_err(|_| too_long())?;
    let mut output = Secret::new(vec![0; length]);
    material.fill(&mut output.0).map_err(|_| Error::Library)?;
    Ok(output)
}

fn too_long() -> Error {
    Error::Input(format!("at most {MAX_OUTPUT} bytes are derived at once"))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// RFC 5869, test cases 1 and 3.
    #[test]
    fn as_specified() {
        let salt: Vec<u8> = (0..=0x0c).collect();
        let prk = extract(&salt, &[&[0x0b; 20], &[0x0b; 2]]);
        assert_eq!(
            hex::encode(prk.expose()),
            "077709362c2e32df0ddc3f0dc47bba6390b6c73bb50f9c3122ec844ad7c2b3e5"
        );
        let info: Vec<u8> = (0xf0..=0xf9).collect();
        let okm = "3cb25f25faacd57a90434f64d0362f2a2d2d0a90cf1a5a4c5db02d56ecc4c5bf34007208d5b887185865";
        assert_eq!(hex::encode(expand(&prk, &[&info], 42).unwrap().expose()), okm);
        let okm = "8da4e775a563c18f715f802a063c5a31b8a11f5c5ee1879ec3454e5f3c738d2d9d201395faa4b61a96c8";
        assert_eq!(hex::encode(derive(&[0x0b; 22], &[], 42).unwrap().expose()), okm);
        assert_eq!(
            expand(&extract(&[], &[&[0x0b; 22]]), &[&[]], 42).unwrap().into_bytes(),
            hex::decode(okm).unwrap()
        );
    }

    #[test]
    fn more_than_255_hashes_are_refused() {
        assert!(derive(&[1; 32], &[], MAX_OUTPUT).is_ok());
        assert!(matches!(derive(&[1; 32], &[], MAX_OUTPUT + 1), Err(Error::Input(_))));
    }
}
