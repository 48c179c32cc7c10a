//! The keys that sign tokens for now, as a JWT that one of the issuer's own keys has signed.
//!
//! Whoever publishes keys needs an anchor, so that writing to the backplane is not enough to make a key believed. An
//! old key set that is played back is refused as long as a process runs that has seen a newer one.

use crate::{
    ISSUER, Jwks, TokenError,
    jwks::{KeySet, Trust, key_set},
    token::{LEEWAY, key_id, signed_claims},
};
use serde::{Deserialize, Serialize};

/// What the header says of such a token.
pub(crate) const TYPE: &str = "jwks+jwt";

/// For whom it is: nobody takes it for a token that lets somebody in.
const AUDIENCE: &str = "patchbay-key-set";

/// Bytes of a key set token at most.
const MAX_TOKEN: usize = 64 * 1024;

/// Keys at most.
const MAX_KEYS: usize = 64;

/// What came of a key set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeySetChange {
    /// Its keys are those that are believed now, beside the anchors.
    Replaced {
        /// How many.
        keys: usize,
    },
    /// It is the one that is in use.
    Unchanged,
}

/// What a key set token says.
#[derive(Serialize, Deserialize)]
pub(crate) struct KeySetClaims {
    iss: String,
    aud: String,
    iat: u64,
    seq: u64,
    jwks: Jwks,
}

impl KeySetClaims {
    pub(crate) fn new(jwks: Jwks, seq: u64, iat: u64) -> Self {
        Self { iss: ISSUER.to_owned(), aud: AUDIENCE.to_owned(), iat, seq, jwks }
    }
}

/// A key set that an anchor has signed.
#[derive(Clone)]
pub(crate) struct Published {
    /// Key id of the anchor: without it, these keys are nobody's.
    pub(crate) anchor: String,
    pub(crate) sequence: u64,
    pub(crate) keys: KeySet,
}

/// A key set holds keys that sign for everybody but services.
pub(crate) fn may_be_published(jwks: &Jwks) -> bool {
    jwks.keys.len() <= MAX_KEYS && jwks.keys.iter().all(|key| key.subject.is_none() && key.scopes.is_none())
}

/// Verifies a key set token with an anchor.
pub(crate) fn verify(token: &str, anchors: &KeySet, now: u64) -> Result<Published, TokenError> {
    if token.len() > MAX_TOKEN {
        return Err(TokenError::Malformed);
    }
    let anchor = key_id(token, |typ| typ == Some(TYPE))?;
    let key = anchors.get(&anchor).filter(|key| key.trust == Trust::Anchor).ok_or(TokenError::UnknownKey)?;
    let claims = signed_claims(token, key, AUDIENCE, &["iss", "aud"])?;
    let claims: KeySetClaims = serde_json::from_value(claims).map_err(|_| TokenError::Malformed)?;
    if claims.iat > now.saturating_add(LEEWAY) {
        return Err(TokenError::NotYetValid);
    }
    if !may_be_published(&claims.jwks) {
        return Err(TokenError::Malformed);
    }
    let mut keys = key_set(&claims.jwks).map_err(|_| TokenError::Malformed)?;
    for key in keys.values_mut() {
        key.trust = Trust::Published;
    }
    Ok(Published { anchor, sequence: claims.seq, keys })
}

/// The sequence that a key set token claims, whoever signed it; `None` where it is no such token.
pub(crate) fn claimed_sequence(token: &str) -> Option<u64> {
    use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
    let claims = URL_SAFE_NO_PAD.decode(token.split('.').nth(1)?).ok()?;
    serde_json::from_slice::<KeySetClaims>(&claims).ok().map(|claims| claims.seq)
}
