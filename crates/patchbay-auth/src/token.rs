//! One token: its header, its signature, its claims. Bytes in, [`Identity`] out; no clock, no files.

use crate::{
    ISSUER, Identity, IdentityKind, Scope, identity,
    jwks::{KeySet, Trust, VerifyingKey},
};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use jsonwebtoken::{Algorithm, Validation, errors::ErrorKind};
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// Bytes of a token at most.
const MAX_TOKEN: usize = 8 * 1024;

/// Scopes in a token at most.
pub(crate) const MAX_SCOPES: usize = 64;

/// Bytes of a subject, a name and an address of a picture at most.
pub(crate) const MAX_SUBJECT: usize = 128;
const MAX_NAME: usize = 128;
const MAX_AVATAR: usize = 1024;

/// Bytes of a token's id and of a session's at most.
pub(crate) const MAX_ID: usize = 128;

/// What the header says of tokens that let somebody in.
const TYPE: &str = "JWT";

/// How far clocks may disagree, in seconds.
pub(crate) const LEEWAY: u64 = 60;

/// Why a token is refused. [`TokenError::reason`] is stable and safe to show to the caller.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
pub enum TokenError {
    /// There is no token.
    #[error("a token is required")]
    Missing,
    /// It is no token of ours: wrong shape, size, encoding or types.
    #[error("the token is malformed")]
    Malformed,
    /// It names an algorithm other than `EdDSA`; `none` too.
    #[error("the token's algorithm is not EdDSA")]
    WrongAlgorithm,
    /// It names no key, or one that is not in the key set.
    #[error("the token's key is not known")]
    UnknownKey,
    /// The signature does not fit.
    #[error("the token's signature does not fit")]
    BadSignature,
    /// It was issued by somebody else.
    #[error("the token's issuer is not `{ISSUER}`")]
    WrongIssuer,
    /// It is meant for somebody else.
    #[error("the token's audience is not `{ISSUER}`")]
    WrongAudience,
    /// Its key may not sign for its subject.
    #[error("the token's key may not sign for its subject")]
    WrongSubject,
    /// Its time is over.
    #[error("the token has expired")]
    Expired,
    /// Its time has not come.
    #[error("the token is not valid yet")]
    NotYetValid,
    /// It lives longer than tokens may.
    #[error("the token lives longer than is allowed")]
    TooLongLived,
    /// It holds a scope that cannot be parsed, or too many.
    #[error("the token's scopes cannot be read")]
    BadScope,
    /// It is a token for something else, such as a key set.
    #[error("the token is of another type")]
    WrongType,
    /// It was revoked, or its session, or everything of its subject.
    #[error("the token was revoked; sign in again")]
    Revoked,
    /// Its key may sign for its subject, but not with such a scope.
    #[error("the token's key may not grant one of its scopes")]
    ScopeNotAllowed,
    /// It is a key set that was replaced by a newer one.
    #[error("the key set is older than the one in use")]
    OldKeySet,
}

impl TokenError {
    /// Stable machine word.
    pub fn reason(self) -> &'static str {
        match self {
            Self::Missing => "TOKEN_MISSING",
            Self::Malformed => "TOKEN_MALFORMED",
            Self::WrongAlgorithm => "TOKEN_WRONG_ALGORITHM",
            Self::UnknownKey => "TOKEN_UNKNOWN_KEY",
            Self::BadSignature => "TOKEN_BAD_SIGNATURE",
            Self::WrongIssuer => "TOKEN_WRONG_ISSUER",
            Self::WrongAudience => "TOKEN_WRONG_AUDIENCE",
            Self::WrongSubject => "TOKEN_WRONG_SUBJECT",
            Self::Expired => "TOKEN_EXPIRED",
            Self::NotYetValid => "TOKEN_NOT_YET_VALID",
            Self::TooLongLived => "TOKEN_TOO_LONG_LIVED",
            Self::BadScope => "TOKEN_BAD_SCOPE",
            Self::WrongType => "TOKEN_WRONG_TYPE",
            Self::Revoked => "TOKEN_REVOKED",
            Self::ScopeNotAllowed => "TOKEN_SCOPE_NOT_ALLOWED",
            Self::OldKeySet => "TOKEN_OLD_KEY_SET",
        }
    }
}

/// Claims as they stand in a token (RFC 7519; `scope` RFC 8693; `name` and `picture` as in `OpenID` Connect).
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct WireClaims {
    pub(crate) iss: String,
    pub(crate) aud: String,
    pub(crate) sub: String,
    pub(crate) iat: u64,
    /// `iat` in milliseconds. Ours: a whole second is too coarse to tell a token issued before everything of its
    /// subject was revoked from the one that the subject got by signing in again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) iat_ms: Option<u64>,
    pub(crate) exp: u64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) nbf: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) jti: Option<String>,
    /// Session, as in `OpenID` Connect.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) sid: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) name: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) picture: Option<String>,
    #[serde(default)]
    pub(crate) scope: String,
}

/// What is read of a header before anything is believed. Read apart from the library's own type, which knows no
/// algorithm `none` and would call such a token malformed.
#[derive(Deserialize)]
struct Header {
    alg: String,
    typ: Option<String>,
    kid: Option<String>,
    crit: Option<serde_json::Value>,
}

/// Verifies a token at a time.
pub(crate) fn verify(
    token: &str,
    keys: &KeySet,
    now: u64,
    max_ttl: Duration,
) -> Result<Identity, TokenError> {
    if token.is_empty() {
        return Err(TokenError::Missing);
    }
    if token.len() > MAX_TOKEN {
        return Err(TokenError::Malformed);
    }
    // RFC 7515 section 4.1.9: absent where the application knows; never that of a token for something else.
    let kid = key_id(token, |typ| typ.is_none_or(|typ| typ.eq_ignore_ascii_case(TYPE)))?;
    let key = keys.get(&kid).ok_or(TokenError::UnknownKey)?;
    let claims = verified_claims(token, key)?;
    check_times(&claims, now, max_ttl)?;
    let identity = into_identity(claims)?;
    check_trust(&identity, &key.trust)?;
    Ok(identity)
}

/// Returns the key id that a token names, once its header is one that we accept.
pub(crate) fn key_id(token: &str, is_type: impl Fn(Option<&str>) -> bool) -> Result<String, TokenError> {
    let (header, _) = token.split_once('.').ok_or(TokenError::Malformed)?;
    let header = URL_SAFE_NO_PAD.decode(header).map_err(|_| TokenError::Malformed)?;
    let header: Header = serde_json::from_slice(&header).map_err(|_| TokenError::Malformed)?;
    if header.alg != "EdDSA" {
        return Err(TokenError::WrongAlgorithm);
    }
    // RFC 7515 section 4.1.11: an extension that is not understood must be refused; we understand none.
    if header.crit.is_some() {
        return Err(TokenError::Malformed);
    }
    if !is_type(header.typ.as_deref()) {
        return Err(TokenError::WrongType);
    }
    header.kid.ok_or(TokenError::UnknownKey)
}

fn verified_claims(token: &str, key: &VerifyingKey) -> Result<WireClaims, TokenError> {
    let claims = signed_claims(token, key, ISSUER, &["iss", "aud", "sub", "exp"])?;
    serde_json::from_value(claims).map_err(|_| TokenError::Malformed)
}

/// Returns what a token says, once its signature, issuer and audience are right; times are the caller's business.
pub(crate) fn signed_claims(
    token: &str,
    key: &VerifyingKey,
    audience: &str,
    required: &[&str],
) -> Result<serde_json::Value, TokenError> {
    let mut validation = Validation::new(Algorithm::EdDSA);
    validation.set_required_spec_claims(required);
    validation.set_issuer(&[ISSUER]);
    validation.set_audience(&[audience]);
    // Checked against the caller's clock instead of the library's.
    validation.validate_exp = false;
    let decoded = jsonwebtoken::decode(token, &key.key, &validation);
    decoded.map(|token| token.claims).map_err(|error| token_error(error.kind()))
}

/// Whether a key may sign for that subject, with those scopes.
fn check_trust(identity: &Identity, trust: &Trust) -> Result<(), TokenError> {
    match trust {
        Trust::Published if identity.kind == IdentityKind::Service => Err(TokenError::WrongSubject),
        Trust::Anchor | Trust::Published => Ok(()),
        Trust::Service { subject, .. } if *subject != *identity.subject => Err(TokenError::WrongSubject),
        Trust::Service { scopes, .. } => {
            let is_allowed = |scope: &Scope| scopes.iter().any(|allowed| allowed.covers(scope));
            identity.scopes.iter().all(is_allowed).then_some(()).ok_or(TokenError::ScopeNotAllowed)
        }
    }
}

fn token_error(kind: &ErrorKind) -> TokenError {
    match kind {
        ErrorKind::InvalidSignature => TokenError::BadSignature,
        ErrorKind::InvalidIssuer => TokenError::WrongIssuer,
        ErrorKind::InvalidAudience => TokenError::WrongAudience,
        ErrorKind::InvalidAlgorithm | ErrorKind::UnsupportedAlgorithm => TokenError::WrongAlgorithm,
        ErrorKind::MissingRequiredClaim(claim) if claim == "aud" => TokenError::WrongAudience,
        ErrorKind::MissingRequiredClaim(claim) if claim == "iss" => TokenError::WrongIssuer,
        _ => TokenError::Malformed,
    }
}

fn check_times(claims: &WireClaims, now: u64, max_ttl: Duration) -> Result<(), TokenError> {
    if claims.exp.saturating_add(LEEWAY) <= now {
        return Err(TokenError::Expired);
    }
    let starts = claims.nbf.unwrap_or(claims.iat).max(claims.iat);
    if starts > now.saturating_add(LEEWAY) {
        return Err(TokenError::NotYetValid);
    }
    if claims.exp.saturating_sub(claims.iat) > max_ttl.as_secs() {
        return Err(TokenError::TooLongLived);
    }
    Ok(())
}

fn into_identity(claims: WireClaims) -> Result<Identity, TokenError> {
    let fits = |text: &Option<String>, limit| text.as_ref().is_none_or(|t| t.len() <= limit);
    let subject_fits = !claims.sub.is_empty() && claims.sub.len() <= MAX_SUBJECT;
    if !subject_fits || !fits(&claims.name, MAX_NAME) || !fits(&claims.picture, MAX_AVATAR) {
        return Err(TokenError::Malformed);
    }
    if !fits(&claims.jti, MAX_ID) || !fits(&claims.sid, MAX_ID) {
        return Err(TokenError::Malformed);
    }
    let issued_at_ms = claims.iat_ms.unwrap_or(claims.iat.saturating_mul(1000));
    if issued_at_ms / 1000 != claims.iat {
        return Err(TokenError::Malformed);
    }
    Ok(Identity {
        kind: identity::kind_of(&claims.sub),
        subject: claims.sub.into(),
        name: claims.name.map(Into::into),
        avatar: claims.picture.map(Into::into),
        scopes: parse_scopes(&claims.scope)?.into(),
        expires_at: Some(claims.exp),
        token_id: claims.jti.map(Into::into),
        session: claims.sid.map(Into::into),
        issued_at_ms,
    })
}

fn parse_scopes(text: &str) -> Result<Vec<Scope>, TokenError> {
    let words: Vec<&str> = text.split_ascii_whitespace().take(MAX_SCOPES + 1).collect();
    if words.len() > MAX_SCOPES {
        return Err(TokenError::BadScope);
    }
    words.into_iter().map(|word| word.parse().map_err(|_| TokenError::BadScope)).collect()
}
