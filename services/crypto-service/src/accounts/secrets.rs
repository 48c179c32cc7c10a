//! Secrets that are made here: 256 random bits, of which only the SHA-256 is kept. A slow hash would add nothing, because there is
//! nothing to guess.

use crate::error::Error;
use aws_lc_rs::{constant_time::verify_slices_are_equal, digest};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use patchbay_crypto::Secret;
use zeroize::Zeroizing;

/// What fingerprints begin with, so that they are told from hashes of chosen passwords.
const PREFIX: &str = "sha256:";

/// Bytes of a secret, and of an id.
const SECRET: usize = 32;
const ID: usize = 16;

/// Makes a secret, in URL-safe Base64: 43 characters.
pub(crate) fn generate() -> Result<Zeroizing<String>, Error> {
    let bytes = Secret::random(SECRET).map_err(Error::internal)?;
    Ok(Zeroizing::new(URL_SAFE_NO_PAD.encode(bytes.expose())))
}

/// Makes an id, in hexadecimal: 32 digits.
pub(crate) fn id() -> Result<String, Error> {
    let bytes = Secret::random(ID).map_err(Error::internal)?;
    Ok(hex::encode(bytes.expose()))
}

/// Whether a text can be such an id.
pub(crate) fn is_id(text: &str) -> bool {
    text.len() == 2 * ID && text.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'))
}

/// What is kept of a secret.
pub(crate) fn fingerprint(secret: &str) -> String {
    format!("{PREFIX}{}", hex::encode(digest::digest(&digest::SHA256, secret.as_bytes())))
}

/// Whether this is what is kept of a secret that was made here.
pub(crate) fn is_fingerprint(text: &str) -> bool {
    text.starts_with(PREFIX)
}

/// Whether the secret is the one that was kept; takes as long when it is not.
pub(crate) fn matches(secret: &str, kept: &str) -> bool {
    verify_slices_are_equal(fingerprint(secret).as_bytes(), kept.as_bytes()).is_ok()
}

/// Takes `<prefix>_<id>_<secret>` apart.
pub(crate) fn split<'a>(prefix: &str, text: &'a str) -> Option<(&'a str, &'a str)> {
    let (id, secret) = text.strip_prefix(prefix)?.strip_prefix('_')?.split_once('_')?;
    (is_id(id) && secret.len() == 43).then_some((id, secret))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_known_again_and_no_other() {
        let (one, other) = (generate().unwrap(), generate().unwrap());
        let kept = fingerprint(&one);
        assert!(matches(&one, &kept) && !matches(&other, &kept) && is_fingerprint(&kept));
        assert!(!kept.contains(one.as_str()));
    }

    #[test]
    fn a_key_comes_apart() {
        let (id, secret) = (id().unwrap(), generate().unwrap());
        let text = format!("pbk_{id}_{}", *secret);
        assert_eq!(split("pbk", &text), Some((id.as_str(), secret.as_str())));
        for bad in ["", "pbk", "pbk__", &text[1..], &format!("{text}x"), &text.replace("pbk", "pbr")] {
            assert_eq!(split("pbk", bad), None, "{bad}");
        }
    }
}
