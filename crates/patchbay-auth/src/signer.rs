//! Mints tokens with an Ed25519 key.

use crate::{
    ISSUER, Jwk, Jwks, SERVICE_SUBJECT_PREFIX, Scope,
    authenticator::system_millis,
    key_set_token::{self, KeySetClaims},
    token::{MAX_ID, MAX_SCOPES, MAX_SUBJECT, WireClaims},
};
use aws_lc_rs::{
    digest, hmac, rand,
    signature::{Ed25519KeyPair, KeyPair},
};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use serde::Serialize;
use std::{
    fs::{self, OpenOptions},
    io::{self, Write},
    path::{Path, PathBuf},
    time::Duration,
};
use zeroize::Zeroizing;

/// Longest lifetime that [`Signer::mint`] gives.
const MAX_TTL: Duration = Duration::from_mins(15);

/// Longest lifetime that [`Signer::mint_long_lived`] gives.
const MAX_LONG_TTL: Duration = Duration::from_hours(24);

/// For whom a key signs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum KeyOwner {
    /// The issuer of everybody's tokens.
    Issuer,
    /// A service, for its own identity `svc:<name>` alone.
    Service(String),
}

/// What a token shall say.
#[derive(Clone, Debug)]
pub struct Claims {
    /// Whose token it is.
    pub subject: String,
    /// Display name.
    pub name: Option<String>,
    /// Address of a picture.
    pub avatar: Option<String>,
    /// What it allows.
    pub scopes: Vec<Scope>,
    /// How long it is good, 15 minutes at most.
    pub ttl: Duration,
    /// Session that it belongs to, 128 bytes at most.
    pub session: Option<String>,
}

impl Claims {
    /// Claims that say only who and what, for the longest time.
    pub fn new(subject: impl Into<String>, scopes: Vec<Scope>) -> Self {
        Self { subject: subject.into(), name: None, avatar: None, scopes, ttl: MAX_TTL, session: None }
    }
}

/// A token and what is needed to revoke it.
#[derive(Clone)]
pub struct Minted {
    /// The token.
    pub token: String,
    /// Its id (`jti`).
    pub id: String,
    /// When it ends, in Unix seconds.
    pub expires_at: u64,
}

/// Why a key cannot be used or a token cannot be minted.
#[derive(Debug, thiserror::Error)]
pub enum SignerError {
    /// The key file cannot be read.
    #[error("cannot read the key {path}")]
    Read {
        /// Which file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The key file cannot be written.
    #[error("cannot write the key {path}")]
    Write {
        /// Which file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The text is no PKCS#8 PEM of an Ed25519 key.
    #[error("not an Ed25519 private key in PKCS#8 PEM")]
    NotAKey,
    /// The system gave no randomness.
    #[error("cannot generate a key")]
    Generate,
    /// The claims break a rule, which is named.
    #[error("cannot mint: {0}")]
    Claims(&'static str),
    /// The library could not sign.
    #[error("cannot sign")]
    Sign(#[source] serde_json::Error),
}

/// An Ed25519 key that mints tokens.
pub struct Signer {
    owner: KeyOwner,
    kid: String,
    public: String,
    pkcs8: Zeroizing<Vec<u8>>,
    pair: Ed25519KeyPair,
}

impl Signer {
    /// Reads a PKCS#8 PEM file.
    pub fn load(path: &Path, owner: KeyOwner) -> Result<Self, SignerError> {
        let text = fs::read_to_string(path).map(Zeroizing::new);
        let text = text.map_err(|source| SignerError::Read { path: path.to_owned(), source })?;
        Self::from_pem(&text, owner)
    }

    /// Reads a PKCS#8 PEM text.
    pub fn from_pem(text: &str, owner: KeyOwner) -> Result<Self, SignerError> {
        let block = pem::parse(text).map_err(|_| SignerError::NotAKey)?;
        if block.tag() != "PRIVATE KEY" {
            return Err(SignerError::NotAKey);
        }
        Self::from_pkcs8(&Zeroizing::new(block.into_contents()), owner)
    }

    /// Reads a PKCS#8 document, version 1 or 2.
    pub fn from_pkcs8(document: &[u8], owner: KeyOwner) -> Result<Self, SignerError> {
        let pair = Ed25519KeyPair::from_pkcs8(document).map_err(|_| SignerError::NotAKey)?;
        Ok(Self::from_pair(pair, document.to_vec(), owner))
    }

    /// Makes a new key.
    pub fn generate(owner: KeyOwner) -> Result<Self, SignerError> {
        let pair = Ed25519KeyPair::generate().map_err(|_| SignerError::Generate)?;
        // Version 1, because that is what other tools read and write.
        let pkcs8 = pair.to_pkcs8v1().map_err(|_| SignerError::Generate)?;
        let document = pkcs8.as_ref().to_vec();
        Ok(Self::from_pair(pair, document, owner))
    }

    /// Reads the key, or makes it and writes it where there is none.
    pub fn load_or_generate(path: &Path, owner: KeyOwner) -> Result<Self, SignerError> {
        if path.exists() {
            return Self::load(path, owner);
        }
        let signer = Self::generate(owner.clone())?;
        match signer.write(path) {
            // Another process was quicker: its key is the one.
            Err(SignerError::Write { source, .. }) if source.kind() == io::ErrorKind::AlreadyExists => {
                Self::load(path, owner)
            }
            written => written.map(|()| signer),
        }
    }

    fn from_pair(pair: Ed25519KeyPair, pkcs8: Vec<u8>, owner: KeyOwner) -> Self {
        let public = URL_SAFE_NO_PAD.encode(pair.public_key());
        Self { kid: thumbprint(&public), public, pair, pkcs8: Zeroizing::new(pkcs8), owner }
    }

    /// Writes the private key as a new file that only its owner can read, and which is there whole or not at all: half a key would keep
    /// every later start from making one.
    pub fn write(&self, path: &Path) -> Result<(), SignerError> {
        let write_failed = |source| SignerError::Write { path: path.to_owned(), source };
        let text = Zeroizing::new(pem::encode(&pem::Pem::new("PRIVATE KEY", self.pkcs8.to_vec())));
        write_new(path, text.as_bytes()).map_err(write_failed)
    }

    /// The private key as PKCS#8, for whoever keeps it encrypted.
    pub fn pkcs8(&self) -> &[u8] {
        &self.pkcs8
    }

    /// Key id: the key's thumbprint (RFC 7638).
    pub fn kid(&self) -> &str {
        &self.kid
    }

    /// A secret that whoever has this key can work out, different for each label: HMAC-SHA256 (RFC 2104) of the label.
    pub fn derive_secret(&self, label: &str) -> [u8; 32] {
        let key = hmac::Key::new(hmac::HMAC_SHA256, &self.pkcs8);
        let mut secret = [0; 32];
        secret.copy_from_slice(hmac::sign(&key, label.as_bytes()).as_ref());
        secret
    }

    /// The public half, as a key set of one.
    pub fn jwks(&self) -> Jwks {
        let subject = match &self.owner {
            KeyOwner::Issuer => None,
            KeyOwner::Service(name) => Some(format!("{SERVICE_SUBJECT_PREFIX}{name}")),
        };
        let key = Jwk {
            kty: "OKP".to_owned(),
            crv: Some("Ed25519".to_owned()),
            x: Some(self.public.clone()),
            kid: Some(self.kid.clone()),
            alg: Some("EdDSA".to_owned()),
            usage: Some("sig".to_owned()),
            subject,
            scopes: None,
        };
        Jwks { keys: vec![key] }
    }

    /// Mints a token that lives 15 minutes at most.
    pub fn mint(&self, claims: Claims) -> Result<String, SignerError> {
        Ok(self.mint_at(claims, system_millis())?.token)
    }

    /// Mints a token that lives 15 minutes at most, from a time in Unix milliseconds.
    pub fn mint_at(&self, claims: Claims, now_ms: u64) -> Result<Minted, SignerError> {
        self.mint_within(claims, MAX_TTL, now_ms)
    }

    /// Mints a token for an operator's own hands, which lives 24 hours at most: there is no refresh there.
    pub fn mint_long_lived(&self, claims: Claims) -> Result<String, SignerError> {
        Ok(self.mint_within(claims, MAX_LONG_TTL, system_millis())?.token)
    }

    pub(crate) fn mint_within(
        &self,
        claims: Claims,
        longest: Duration,
        now_ms: u64,
    ) -> Result<Minted, SignerError> {
        if claims.ttl > longest {
            return Err(SignerError::Claims("the token would live longer than is allowed"));
        }
        if claims.subject.is_empty() || claims.subject.len() > MAX_SUBJECT {
            return Err(SignerError::Claims("the subject must have 1 to 128 bytes"));
        }
        if claims.scopes.len() > MAX_SCOPES {
            return Err(SignerError::Claims("a token has 64 scopes at most"));
        }
        if claims.session.as_ref().is_some_and(|session| session.len() > MAX_ID) {
            return Err(SignerError::Claims("the session's id must have 128 bytes at most"));
        }
        let scopes: Vec<String> = claims.scopes.iter().map(ToString::to_string).collect();
        let (id, now) = (new_id()?, now_ms / 1000);
        let expires_at = now.saturating_add(claims.ttl.as_secs());
        let token = self.sign(&WireClaims {
            iss: ISSUER.to_owned(),
            aud: ISSUER.to_owned(),
            sub: claims.subject,
            iat: now,
            iat_ms: Some(now_ms),
            exp: expires_at,
            nbf: None,
            jti: Some(id.clone()),
            sid: claims.session,
            name: claims.name,
            picture: claims.avatar,
            scope: scopes.join(" "),
        })?;
        Ok(Minted { token, id, expires_at })
    }

    /// Signs the keys that may sign tokens from now on, for [`crate::announce_key_set`]. `sequence` must rise with every
    /// change and never go back, not even when the store that counts it is lost: a verifier refuses a lower one as long
    /// as it runs. Taking the greater of the store's last one plus one, and of the time in milliseconds, does.
    pub fn sign_key_set(&self, jwks: &Jwks, sequence: u64) -> Result<String, SignerError> {
        if self.owner != KeyOwner::Issuer {
            return Err(SignerError::Claims("only the issuer's key signs key sets"));
        }
        if !key_set_token::may_be_published(jwks) {
            return Err(SignerError::Claims("a key set holds 64 keys at most, none of them a service's"));
        }
        self.sign_as(key_set_token::TYPE, &KeySetClaims::new(jwks.clone(), sequence, system_millis() / 1000))
    }

    /// Signs claims as they are, checking none of the rules that [`Signer::mint`] keeps: for tests, which need
    /// tokens that break them.
    pub fn sign(&self, claims: &impl Serialize) -> Result<String, SignerError> {
        self.sign_as("JWT", claims)
    }

    /// JWS compact serialization (RFC 7515 section 7.1). Signed here, so that no library keeps a copy of the key.
    pub(crate) fn sign_as(&self, typ: &str, claims: &impl Serialize) -> Result<String, SignerError> {
        let header = serde_json::json!({"alg": "EdDSA", "kid": self.kid, "typ": typ});
        let claims = serde_json::to_vec(claims).map_err(SignerError::Sign)?;
        let mut token = URL_SAFE_NO_PAD.encode(header.to_string());
        token.push('.');
        URL_SAFE_NO_PAD.encode_string(claims, &mut token);
        let signature = self.pair.sign(token.as_bytes());
        token.push('.');
        URL_SAFE_NO_PAD.encode_string(signature, &mut token);
        Ok(token)
    }
}

/// A token's id: 128 random bits.
fn new_id() -> Result<String, SignerError> {
    let mut bytes = [0; 16];
    rand::fill(&mut bytes).map_err(|_| SignerError::Generate)?;
    Ok(URL_SAFE_NO_PAD.encode(bytes))
}

/// RFC 7638 over the required members of an OKP key (RFC 8037 appendix A.3), in their fixed order.
fn thumbprint(public: &str) -> String {
    let members = format!(r#"{{"crv":"Ed25519","kty":"OKP","x":"{public}"}}"#);
    URL_SAFE_NO_PAD.encode(digest::digest(&digest::SHA256, members.as_bytes()))
}

/// Writes beside the path and links the file in place, which fails where there is one already.
fn write_new(path: &Path, text: &[u8]) -> io::Result<()> {
    let temporary = path.with_extension(format!("{}.new", std::process::id()));
    let mut file = private_file(&temporary)?;
    let written = file.write_all(text).and_then(|()| file.sync_all());
    let linked = written.and_then(|()| fs::hard_link(&temporary, path));
    fs::remove_file(&temporary)?;
    linked
}

/// What a process that was killed has left under this name is no key that anybody uses.
fn private_file(path: &Path) -> io::Result<fs::File> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path)
}

#[cfg(test)]
#[path = "signer_tests.rs"]
mod tests;
