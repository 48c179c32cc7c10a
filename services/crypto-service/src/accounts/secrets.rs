//! Secrets that are made here: 256 random bits, of which only the SHA-256 is kept. A slow hash would add nothing, because there is
//! nothing to guess.

use crate::error::Error;
use aws_lc_rs::{constant_time::verify_slices_are_equal, digest, hmac};
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

/// Makes and knows the secrets of refresh tokens: 128 random bits, and as many of an HMAC-SHA256 over the session's id and those.
pub(crate) struct RefreshSecrets(hmac::Key);

impl RefreshSecrets {
    pub(crate) fn new(key: &[u8; 32]) -> Self {
        Self(hmac::Key::new(hmac::HMAC_SHA256, key))
    }

    /// Makes one for a session: 43 characters, as all secrets have.
    pub(crate) fn generate(&self, session: &str) -> Result<Zeroizing<String>, Error> {
        let random = Secret::random(SECRET / 2).map_err(Error::internal)?;
        let mut bytes = Zeroizing::new(random.expose().to_vec());
        let tag = self.tag(session, random.expose());
        bytes.extend_from_slice(tag.as_ref().get(..SECRET / 2).unwrap_or_default());
        Ok(Zeroizing::new(URL_SAFE_NO_PAD.encode(&*bytes)))
    }

    /// Whether it was made here for this session, however long ago.
    pub(crate) fn is_ours(&self, session: &str, secret: &str) -> bool {
        let Ok(bytes) = URL_SAFE_NO_PAD.decode(secret) else { return false };
        let Some((random, tag)) = bytes.split_at_checked(SECRET / 2) else { return false };
        let ours = self.tag(session, random);
        ours.as_ref().get(..SECRET / 2).is_some_and(|ours| verify_slices_are_equal(ours, tag).is_ok())
    }

    /// The id has a length of its own, so no two pairs give the same bytes.
    fn tag(&self, session: &str, random: &[u8]) -> hmac::Tag {
        let mut context = hmac::Context::with_key(&self.0);
        context.update(session.as_bytes());
        context.update(random);
        context.sign()
    }
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
    fn a_refresh_secret_is_known_by_its_mac_and_no_other_is() {
        let (ours, others) = (RefreshSecrets::new(&[1; 32]), RefreshSecrets::new(&[2; 32]));
        let (session, another) = (id().unwrap(), id().unwrap());
        let secret = ours.generate(&session).unwrap();
        assert_eq!(secret.len(), 43);
        assert!(ours.is_ours(&session, &secret));
        assert!(!ours.is_ours(&another, &secret) && !others.is_ours(&session, &secret));
        for made_up in [generate().unwrap().as_str(), "", "AAAA", "not Base64"] {
            assert!(!ours.is_ours(&session, made_up), "{made_up}");
        }
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
