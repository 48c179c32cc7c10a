//! Public keys as a JSON Web Key Set (RFC 7517, RFC 8037): Ed25519 only.

use crate::Scope;
use jsonwebtoken::DecodingKey;
use serde::{Deserialize, Serialize};
use std::{
    collections::HashMap,
    fs, io,
    path::{Path, PathBuf},
};

/// Bytes of a key file at most.
const MAX_FILE: u64 = 256 * 1024;

/// One public key.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Jwk {
    /// `OKP`.
    pub kty: String,
    /// `Ed25519`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub crv: Option<String>,
    /// The key, base64url.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub x: Option<String>,
    /// Key id that tokens name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kid: Option<String>,
    /// `EdDSA`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub alg: Option<String>,
    /// `sig`.
    #[serde(default, rename = "use", skip_serializing_if = "Option::is_none")]
    pub usage: Option<String>,
    /// The only subject this key may sign for: a service's key is good for that service's own identity alone, so
    /// that one service's secret does not make it everybody. Ours; other readers ignore it.
    #[serde(default, rename = "patchbay_sub", skip_serializing_if = "Option::is_none")]
    pub subject: Option<String>,
    /// All that a token signed with a key that has a `patchbay_sub` may allow; none where this is absent.
    #[serde(default, rename = "patchbay_scopes", skip_serializing_if = "Option::is_none")]
    pub scopes: Option<Vec<Scope>>,
}

/// A set of public keys.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Jwks {
    /// The keys.
    pub keys: Vec<Jwk>,
}

/// Why a key set cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum JwksError {
    /// The file cannot be read.
    #[error("cannot read the key set {path}")]
    Read {
        /// Which file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The file cannot be written.
    #[error("cannot write the key set {path}")]
    Write {
        /// Which file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The file is larger than a key set can be.
    #[error("the key set {0} is larger than {MAX_FILE} bytes")]
    TooLarge(PathBuf),
    /// The file is no key set.
    #[error("the key set {path} cannot be parsed")]
    Parse {
        /// Which file.
        path: PathBuf,
        /// Why.
        source: serde_json::Error,
    },
    /// A key's `x` is no Ed25519 key.
    #[error("key `{0}` is no Ed25519 public key")]
    Key(String),
}

impl Jwks {
    /// Reads a file.
    pub fn read(path: &Path) -> Result<Self, JwksError> {
        let read_failed = |source| JwksError::Read { path: path.to_owned(), source };
        if fs::metadata(path).map_err(read_failed)?.len() > MAX_FILE {
            return Err(JwksError::TooLarge(path.to_owned()));
        }
        let text = fs::read(path).map_err(read_failed)?;
        serde_json::from_slice(&text).map_err(|source| JwksError::Parse { path: path.to_owned(), source })
    }

    /// Adds keys, replacing those of the same id.
    pub fn merge(&mut self, other: Self) {
        self.keys.retain(|key| !other.keys.iter().any(|new| new.kid == key.kid));
        self.keys.extend(other.keys);
    }

    /// Says what tokens signed with the services' keys in it may allow; keys without a subject stay as they are.
    #[must_use]
    pub fn allowing(mut self, scopes: &[Scope]) -> Self {
        for key in self.keys.iter_mut().filter(|key| key.subject.is_some()) {
            key.scopes = Some(scopes.to_vec());
        }
        self
    }

    /// Writes a file in one step, so that a reader never sees half of it.
    pub fn write(&self, path: &Path) -> Result<(), JwksError> {
        let write_failed = |source: io::Error| JwksError::Write { path: path.to_owned(), source };
        let text = serde_json::to_vec_pretty(self).map_err(|error| write_failed(error.into()))?;
        let temporary = path.with_extension("tmp");
        fs::write(&temporary, text).map_err(write_failed)?;
        fs::rename(&temporary, path).map_err(write_failed)
    }
}

/// For what a key's signature is believed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Trust {
    /// Anything: everybody's tokens, and key sets.
    Anchor,
    /// Everybody's tokens but those of services: it came in a key set that an anchor had signed.
    Published,
    /// Tokens of one service, with these scopes at most.
    Service { subject: String, scopes: Vec<Scope> },
}

/// A key ready to verify with.
#[derive(Clone)]
pub(crate) struct VerifyingKey {
    pub(crate) key: DecodingKey,
    pub(crate) trust: Trust,
}

/// Keys by id.
pub(crate) type KeySet = HashMap<String, VerifyingKey>;

/// Takes what tokens may be verified with: Ed25519 keys that have an id and are meant for signatures. Others are
/// left out, as RFC 7517 section 5 asks.
pub(crate) fn key_set(jwks: &Jwks) -> Result<KeySet, JwksError> {
    let mut set = KeySet::new();
    for jwk in &jwks.keys {
        let usable = jwk.kty == "OKP"
            && jwk.crv.as_deref() == Some("Ed25519")
            && jwk.alg.as_deref().is_none_or(|alg| alg == "EdDSA")
            && jwk.usage.as_deref().is_none_or(|usage| usage == "sig");
        let (true, Some(kid), Some(x)) = (usable, &jwk.kid, &jwk.x) else { continue };
        let key = DecodingKey::from_ed_components(x).map_err(|_| JwksError::Key(kid.clone()))?;
        if key.try_get_as_bytes().map_or(0, <[u8]>::len) != 32 {
            return Err(JwksError::Key(kid.clone()));
        }
        let trust = match &jwk.subject {
            None => Trust::Anchor,
            Some(subject) => {
                Trust::Service { subject: subject.clone(), scopes: jwk.scopes.clone().unwrap_or_default() }
            }
        };
        set.insert(kid.clone(), VerifyingKey { key, trust });
    }
    Ok(set)
}
