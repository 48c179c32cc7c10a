//! Signatures and HMACs.

use super::{Operation, cannot, newest, told};
use crate::{
    error::Error,
    keyring::{LoadedKey, LoadedVersion, Material},
};
use patchbay_crypto::{
    Message,
    digest::Algorithm,
    ecdsa::{self, Curve},
    rsa::Salt,
};
use patchbay_proto::crypto::v1::{self as pb, DigestAlgorithm, SaltLength, SignatureScheme};
use std::sync::Arc;

/// Versions that are tried where none is named, newest first. A key may have thousands, and each costs as much as the first.
const TRIED: usize = 100;

/// Versions that are tried among quick operations; more are the pool's.
const FEW: usize = 4;

impl Operation for pb::SignRequest {
    type Response = pb::SignResponse;
    const WORD: &'static str = "sign";

    fn key(&self) -> &str {
        &self.key
    }

    fn size(&self) -> usize {
        self.message.len()
    }

    fn is_slow(&self, key: &LoadedKey) -> bool {
        match newest(key) {
            Some(Material::Rsa(_) | Material::MlDsa(_)) => true,
            Some(Material::Ecdsa(key)) => key.curve() != Curve::P256,
            _ => false,
        }
    }

    fn run(self, key: &LoadedKey) -> Result<pb::SignResponse, Error> {
        let version = key.encrypting(self.key_version)?;
        let how = Scheme::new(
            key,
            version,
            self.digest,
            self.scheme,
            self.salt_length,
            self.salt_bytes,
            told::SIGN,
        )?;
        let message = how.message(&self.message, self.prehashed)?;
        let signature = how.sign(&version.material, message)?;
        Ok(pb::SignResponse { signature: signature.into(), key_version: version.number })
    }
}

impl Operation for pb::VerifyRequest {
    type Response = pb::VerifyResponse;
    const WORD: &'static str = "verify";

    fn key(&self) -> &str {
        &self.key
    }

    fn size(&self) -> usize {
        self.message.len() + self.signature.len()
    }

    fn is_slow(&self, key: &LoadedKey) -> bool {
        tries(key, self.key_version) > FEW
    }

    fn run(self, key: &LoadedKey) -> Result<pb::VerifyResponse, Error> {
        let (mut hashed, is_one) = (None, tries(key, self.key_version) == 1);
        for version in candidates(key, self.key_version)? {
            let how = Scheme::new(
                key,
                version,
                self.digest,
                self.scheme,
                self.salt_length,
                self.salt_bytes,
                told::VERIFY,
            )?;
            let message = match (how.message(&self.message, self.prehashed)?, how.digest()) {
                // Hashed once, however many versions are tried.
                (Message::Whole(whole), Some(digest)) if !is_one => {
                    Message::Digest(hashed.get_or_insert_with(|| digest.digest(whole)))
                }
                (message, _) => message,
            };
            if how.verify(&version.material, message, &self.signature)? {
                return Ok(pb::VerifyResponse { is_valid: true, key_version: version.number });
            }
        }
        Ok(pb::VerifyResponse { is_valid: false, key_version: 0 })
    }
}

impl Operation for pb::HmacRequest {
    type Response = pb::HmacResponse;
    const WORD: &'static str = "hmac";

    fn key(&self) -> &str {
        &self.key
    }

    fn size(&self) -> usize {
        self.message.len()
    }

    fn run(self, key: &LoadedKey) -> Result<pb::HmacResponse, Error> {
        let version = key.encrypting(self.key_version)?;
        let Material::Hmac(mac) = &version.material else { return Err(cannot(key, told::HMAC)) };
        let digest = sha2(self.digest, Algorithm::Sha256)?;
        let hmac = mac.compute(digest, &self.message).map_err(Error::internal)?;
        Ok(pb::HmacResponse { hmac: hmac.into(), key_version: version.number })
    }
}

impl Operation for pb::VerifyHmacRequest {
    type Response = pb::VerifyHmacResponse;
    const WORD: &'static str = "verify";

    fn key(&self) -> &str {
        &self.key
    }

    fn size(&self) -> usize {
        self.message.len() + self.hmac.len()
    }

    fn is_slow(&self, key: &LoadedKey) -> bool {
        tries(key, self.key_version) > FEW
    }

    fn run(self, key: &LoadedKey) -> Result<pb::VerifyHmacResponse, Error> {
        let digest = sha2(self.digest, Algorithm::Sha256)?;
        for version in candidates(key, self.key_version)? {
            let Material::Hmac(mac) = &version.material else { return Err(cannot(key, told::VERIFY_HMAC)) };
            if mac.verify(digest, &self.message, &self.hmac).map_err(Error::internal)? {
                return Ok(pb::VerifyHmacResponse { is_valid: true, key_version: version.number });
            }
        }
        Ok(pb::VerifyHmacResponse { is_valid: false, key_version: 0 })
    }
}

/// The version asked for, or the newest that may verify.
fn candidates(key: &LoadedKey, version: u32) -> Result<impl Iterator<Item = &Arc<LoadedVersion>>, Error> {
    key.check_enabled()?;
    let named = (version != 0).then(|| key.decrypting(version)).transpose()?;
    let unnamed = if named.is_none() { TRIED } else { 0 };
    Ok(named.into_iter().chain(key.verifying().take(unnamed)))
}

/// How many there are.
fn tries(key: &LoadedKey, version: u32) -> usize {
    if version == 0 { key.versions.len().min(TRIED) } else { 1 }
}

/// How a key signs, once the wish fits its type.
#[derive(Clone, Copy, Debug)]
enum Scheme {
    Ed25519,
    MlDsa,
    Ecdsa(Algorithm, ecdsa::Encoding),
    Pss(Algorithm, Option<Salt>),
    Pkcs1v15(Algorithm),
}

impl Scheme {
    fn new(
        key: &LoadedKey,
        version: &LoadedVersion,
        digest: i32,
        scheme: i32,
        salt_length: i32,
        salt_bytes: u32,
        operation: &'static str,
    ) -> Result<Self, Error> {
        let scheme =
            SignatureScheme::try_from(scheme).map_err(|_| Error::bad("scheme", "is not one of the list"))?;
        match (&version.material, scheme) {
            (Material::Ed25519(_), SignatureScheme::Unspecified) => Ok(Self::Ed25519),
            (Material::MlDsa(_), SignatureScheme::Unspecified) => Ok(Self::MlDsa),
            (Material::Ecdsa(ecdsa), SignatureScheme::Unspecified | SignatureScheme::EcdsaAsn1) => {
                Ok(Self::Ecdsa(sha2(digest, ecdsa.curve().default_digest())?, ecdsa::Encoding::Asn1))
            }
            (Material::Ecdsa(ecdsa), SignatureScheme::EcdsaP1363) => {
                Ok(Self::Ecdsa(sha2(digest, ecdsa.curve().default_digest())?, ecdsa::Encoding::P1363))
            }
            (Material::Rsa(_), SignatureScheme::Unspecified | SignatureScheme::Pss) => {
                Ok(Self::Pss(sha2(digest, Algorithm::Sha256)?, salt(salt_length, salt_bytes)?))
            }
            (Material::Rsa(_), SignatureScheme::Pkcs1v15) => {
                Ok(Self::Pkcs1v15(sha2(digest, Algorithm::Sha256)?))
            }
            (Material::Ed25519(_) | Material::MlDsa(_) | Material::Ecdsa(_) | Material::Rsa(_), _) => {
                Err(Error::bad("scheme", "is not one of this type of key"))
            }
            _ => Err(cannot(key, operation)),
        }
    }

    /// What a message is hashed with before it is signed; Ed25519 and ML-DSA hash it with what is the key's.
    fn digest(self) -> Option<Algorithm> {
        match self {
            Self::Ed25519 | Self::MlDsa => None,
            Self::Ecdsa(digest, _) | Self::Pss(digest, _) | Self::Pkcs1v15(digest) => Some(digest),
        }
    }

    fn message(self, bytes: &[u8], prehashed: bool) -> Result<Message<'_>, Error> {
        if !prehashed {
            return Ok(Message::Whole(bytes));
        }
        let digest = self.digest().ok_or_else(|| {
            Error::bad("prehashed", "must be false: Ed25519 and ML-DSA sign whole messages")
        })?;
        if bytes.len() != digest.output_length() {
            return Err(Error::bad(
                "message",
                format!("must be a digest of {} bytes", digest.output_length()),
            ));
        }
        Ok(Message::Digest(bytes))
    }

    fn sign(self, material: &Material, message: Message<'_>) -> Result<Vec<u8>, Error> {
        let signed = match (self, material) {
            (Self::Ed25519, Material::Ed25519(key)) => key.sign(whole(message)),
            (Self::MlDsa, Material::MlDsa(key)) => key.sign(whole(message)),
            (Self::Ecdsa(digest, encoding), Material::Ecdsa(key)) => key.sign(digest, encoding, message),
            (Self::Pss(digest, salt), Material::Rsa(key)) => {
                key.sign_pss(digest, salt.unwrap_or(Salt::Max), message)
            }
            (Self::Pkcs1v15(digest), Material::Rsa(key)) => key.sign_pkcs1v15(digest, message),
            _ => return Err(Error::internal("a scheme that is not the key's")),
        };
        signed.map_err(wrong_wish)
    }

    fn verify(self, material: &Material, message: Message<'_>, signature: &[u8]) -> Result<bool, Error> {
        let verified = match (self, material) {
            (Self::Ed25519, Material::Ed25519(key)) => Ok(key.public().verify(whole(message), signature)),
            (Self::MlDsa, Material::MlDsa(key)) => Ok(key.public().verify(whole(message), signature)),
            (Self::Ecdsa(digest, encoding), Material::Ecdsa(key)) => {
                key.public().verify(digest, encoding, message, signature)
            }
            (Self::Pss(digest, salt), Material::Rsa(key)) => {
                key.public().verify_pss(digest, salt, message, signature)
            }
            (Self::Pkcs1v15(digest), Material::Rsa(key)) => {
                key.public().verify_pkcs1v15(digest, message, signature)
            }
            _ => return Err(Error::internal("a scheme that is not the key's")),
        };
        verified.map_err(wrong_wish)
    }
}

/// What is wrong with a wish that fits the type of the key, but not its size.
fn wrong_wish(error: patchbay_crypto::Error) -> Error {
    match error {
        patchbay_crypto::Error::Input(problem) => Error::bad("salt_bytes", problem),
        other => Error::internal(other),
    }
}

/// `None` is the longest salt for signing, and any of the two usual ones for verification.
fn salt(length: i32, bytes: u32) -> Result<Option<Salt>, Error> {
    match SaltLength::try_from(length) {
        Ok(SaltLength::Unspecified) => Ok(None),
        Ok(SaltLength::Digest) => Ok(Some(Salt::Digest)),
        Ok(SaltLength::Max) => Ok(Some(Salt::Max)),
        Ok(SaltLength::Explicit) => {
            let bytes = u16::try_from(bytes).map_err(|_| Error::bad("salt_bytes", "is too large"))?;
            Ok(Some(Salt::Bytes(bytes)))
        }
        Err(_) => Err(Error::bad("salt_length", "is not one of the list")),
    }
}

fn sha2(digest: i32, default: Algorithm) -> Result<Algorithm, Error> {
    match DigestAlgorithm::try_from(digest) {
        Ok(DigestAlgorithm::Unspecified) => Ok(default),
        Ok(DigestAlgorithm::Sha2256) => Ok(Algorithm::Sha256),
        Ok(DigestAlgorithm::Sha2384) => Ok(Algorithm::Sha384),
        Ok(DigestAlgorithm::Sha2512) => Ok(Algorithm::Sha512),
        _ => Err(Error::bad("digest", "must be SHA-256, SHA-384 or SHA-512")),
    }
}

fn whole(message: Message<'_>) -> &[u8] {
    match message {
        Message::Whole(bytes) | Message::Digest(bytes) => bytes,
    }
}

#[cfg(test)]
#[path = "sign_tests.rs"]
mod tests;
