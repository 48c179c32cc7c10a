//! Secrets that two parties share, and encryption for whoever has a private key.
//!
//! Agreement and decryption take any version that still decrypts: what was made with an older one must be found again. Encryption for
//! a key takes one that still encrypts, as any other.

use super::{Operation, cannot, seal::given_out};
use crate::{
    error::Error,
    keyring::{LoadedKey, LoadedVersion, Material},
};
use bytes::Bytes;
use patchbay_crypto::{
    Error as CryptoError,
    agreement::{self, Curve},
    hpke, ml_kem, pem,
};
use patchbay_proto::crypto::v1 as pb;
use std::sync::Arc;

/// Bytes of a public key, as PEM, at most: ML-KEM's has some 1,700.
const PUBLIC_KEY_MAX: usize = 16 * 1024;

/// Bytes of a secret where none are asked for.
const LENGTH_DEFAULT: usize = 32;

const AGREE: &str = "agree on secrets; X25519 and ECDH_P256 keys can";
const SEAL: &str = "seal messages (HPKE); X25519 and ECDH_P256 keys can";
const OPEN: &str = "open messages (HPKE); X25519 and ECDH_P256 keys can";
const ENCAPSULATE: &str = "encapsulate; ML_KEM_768 keys can";
const DECAPSULATE: &str = "decapsulate; ML_KEM_768 keys can";

impl Operation for pb::AgreeRequest {
    type Response = pb::AgreeResponse;
    const WORD: &'static str = "agree";

    fn key(&self) -> &str {
        &self.key
    }

    fn size(&self) -> usize {
        self.peer_public_key.len() + self.info.len()
    }

    fn check(&self) -> Result<(), Error> {
        check_public_key("peer_public_key", &self.peer_public_key)?;
        if self.info.len() > agreement::MAX_INFO {
            return Err(Error::bad("info", format!("must have {} bytes at most", agreement::MAX_INFO)));
        }
        length(self.length).map(drop)
    }

    fn run(self, key: &LoadedKey) -> Result<pb::AgreeResponse, Error> {
        let version = receiving(key, self.key_version)?;
        let Material::Agreement(own) = &version.material else { return Err(cannot(key, AGREE)) };
        let peer = agreement::PublicKey::parse(own.curve(), &self.peer_public_key)
            .map_err(|error| wrong_key("peer_public_key", error))?;
        let secret = own
            .agree(&peer, &self.info, length(self.length)?)
            .map_err(|error| wrong_key("peer_public_key", error))?;
        Ok(pb::AgreeResponse { secret: given_out(secret), key_version: version.number })
    }
}

impl Operation for pb::OpenHpkeRequest {
    type Response = pb::OpenHpkeResponse;
    const WORD: &'static str = "decrypt";

    fn key(&self) -> &str {
        &self.key
    }

    fn size(&self) -> usize {
        // As of the message that was sealed; an encapsulated key of another length is wrong, and not large.
        self.ciphertext.len().saturating_sub(hpke::TAG) + self.info.len() + self.associated_data.len()
    }

    fn check(&self) -> Result<(), Error> {
        check_info(&self.info)
    }

    fn run(self, key: &LoadedKey) -> Result<pb::OpenHpkeResponse, Error> {
        let version = receiving(key, self.key_version)?;
        let Material::Agreement(own) = &version.material else { return Err(cannot(key, OPEN)) };
        let opened =
            hpke::open(own, &self.encapsulated_key, &self.info, &self.associated_data, &self.ciphertext);
        let plaintext = opened.map_err(|_| Error::DecryptionFailed)?;
        Ok(pb::OpenHpkeResponse { plaintext: given_out(plaintext) })
    }
}

impl Operation for pb::DecapsulateRequest {
    type Response = pb::DecapsulateResponse;
    const WORD: &'static str = "decrypt";

    fn key(&self) -> &str {
        &self.key
    }

    fn size(&self) -> usize {
        self.ciphertext.len()
    }

    fn run(self, key: &LoadedKey) -> Result<pb::DecapsulateResponse, Error> {
        let version = receiving(key, self.key_version)?;
        let Material::MlKem(own) = &version.material else { return Err(cannot(key, DECAPSULATE)) };
        if self.ciphertext.len() != ml_kem::CIPHERTEXT_LENGTH {
            let problem = format!("must have {} bytes", ml_kem::CIPHERTEXT_LENGTH);
            return Err(Error::bad("ciphertext", problem));
        }
        let secret = own.decapsulate(&self.ciphertext).map_err(Error::internal)?;
        Ok(pb::DecapsulateResponse { shared_secret: given_out(secret) })
    }
}

/// A message for the owner of a key of this service.
pub(crate) struct SealFor {
    /// Its name.
    pub(crate) key: String,
    /// What is to be sealed.
    pub(crate) request: pb::SealHpkeRequest,
}

impl Operation for SealFor {
    type Response = pb::SealHpkeResponse;
    const WORD: &'static str = "encrypt";

    fn key(&self) -> &str {
        &self.key
    }

    fn size(&self) -> usize {
        sealed_size(&self.request)
    }

    fn check(&self) -> Result<(), Error> {
        check_info(&self.request.info)
    }

    fn run(self, key: &LoadedKey) -> Result<pb::SealHpkeResponse, Error> {
        let version = key.encrypting(self.request.key_version)?;
        let Material::Agreement(own) = &version.material else { return Err(cannot(key, SEAL)) };
        seal(own.public(), &self.request, version.number)
    }
}

/// Encrypts for the owner of a public key that is given; `limit` is the most bytes of a message.
pub(crate) fn seal_for(
    public_key: &[u8],
    request: &pb::SealHpkeRequest,
    limit: u64,
) -> Result<pb::SealHpkeResponse, Error> {
    check_public_key("public_key", public_key)?;
    check_no_version(request.key_version)?;
    check_info(&request.info)?;
    if sealed_size(request) as u64 > limit {
        return Err(Error::TooLarge { what: "the message", limit });
    }
    // Raw bytes tell their group by their number.
    let public = match public_key.len() {
        length if length == Curve::X25519.public_length() => {
            agreement::PublicKey::from_raw(Curve::X25519, public_key)
        }
        length if length == Curve::P256.public_length() => {
            agreement::PublicKey::from_raw(Curve::P256, public_key)
        }
        _ => pem::public_key_from(public_key).and_then(|(_, der)| agreement::PublicKey::from_spki(&der)),
    };
    let public = public.map_err(|error| wrong_key("public_key", error))?;
    seal(&public, request, 0)
}

fn seal(
    public: &agreement::PublicKey,
    request: &pb::SealHpkeRequest,
    key_version: u32,
) -> Result<pb::SealHpkeResponse, Error> {
    let sealed = hpke::seal(public, &request.info, &request.associated_data, &request.plaintext);
    // A public key may be a point with which everybody knows the secret.
    let sealed = sealed.map_err(|error| wrong_key("public_key", error))?;
    Ok(pb::SealHpkeResponse {
        encapsulated_key: sealed.enc.into(),
        ciphertext: sealed.ciphertext.into(),
        key_version,
    })
}

/// A secret for the owner of a key of this service.
pub(crate) struct EncapsulateFor {
    /// Its name.
    pub(crate) key: String,
    /// Version of the key; 0 is the newest.
    pub(crate) key_version: u32,
}

impl Operation for EncapsulateFor {
    type Response = pb::EncapsulateResponse;
    const WORD: &'static str = "encrypt";

    fn key(&self) -> &str {
        &self.key
    }

    fn size(&self) -> usize {
        0
    }

    fn run(self, key: &LoadedKey) -> Result<pb::EncapsulateResponse, Error> {
        let version = key.encrypting(self.key_version)?;
        let Material::MlKem(own) = &version.material else { return Err(cannot(key, ENCAPSULATE)) };
        encapsulate(own.public(), version.number)
    }
}

/// Makes a secret for the owner of a public key that is given.
pub(crate) fn encapsulate_for(public_key: &[u8], key_version: u32) -> Result<pb::EncapsulateResponse, Error> {
    check_public_key("public_key", public_key)?;
    check_no_version(key_version)?;
    let public = ml_kem::PublicKey::parse(public_key).map_err(|error| wrong_key("public_key", error))?;
    encapsulate(&public, 0)
}

fn encapsulate(public: &ml_kem::PublicKey, key_version: u32) -> Result<pb::EncapsulateResponse, Error> {
    let (ciphertext, secret) = public.encapsulate().map_err(Error::internal)?;
    Ok(pb::EncapsulateResponse {
        ciphertext: ciphertext.into(),
        shared_secret: given_out(secret),
        key_version,
    })
}

/// The version that was named, or the newest.
fn receiving(key: &LoadedKey, version: u32) -> Result<&Arc<LoadedVersion>, Error> {
    key.decrypting(if version == 0 { key.header.latest } else { version })
}

fn sealed_size(request: &pb::SealHpkeRequest) -> usize {
    request.plaintext.len() + request.info.len() + request.associated_data.len()
}

fn length(asked: u32) -> Result<usize, Error> {
    let (least, most) = agreement::LENGTHS.into_inner();
    match usize::try_from(asked) {
        Ok(0) => Ok(LENGTH_DEFAULT),
        Ok(length) if agreement::LENGTHS.contains(&length) => Ok(length),
        _ => Err(Error::bad("length", format!("must be {least} to {most}, or 0 for {LENGTH_DEFAULT}"))),
    }
}

fn check_info(info: &Bytes) -> Result<(), Error> {
    if info.len() <= hpke::MAX_INFO {
        return Ok(());
    }
    Err(Error::bad("info", format!("must have {} bytes at most", hpke::MAX_INFO)))
}

fn check_public_key(field: &'static str, key: &[u8]) -> Result<(), Error> {
    match key.len() {
        0 => Err(Error::bad(field, "must be given")),
        1..=PUBLIC_KEY_MAX => Ok(()),
        _ => Err(Error::bad(field, format!("must have {PUBLIC_KEY_MAX} bytes at most"))),
    }
}

fn check_no_version(version: u32) -> Result<(), Error> {
    if version == 0 {
        return Ok(());
    }
    Err(Error::bad("key_version", "must be 0 for a public key that is given"))
}

/// What is wrong with a public key that was given.
fn wrong_key(field: &'static str, error: CryptoError) -> Error {
    match error {
        CryptoError::Key(problem) | CryptoError::Input(problem) => Error::bad(field, problem),
        other => Error::internal(other),
    }
}

#[cfg(test)]
#[path = "agreement_tests.rs"]
mod tests;
