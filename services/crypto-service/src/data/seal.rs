//! Encryption, decryption, and what is made of them.

use super::{
    Operation, cannot,
    format::{CIPHERTEXT, ENVELOPE, HEADER, Sealed, begin},
    newest, told,
};
use crate::{
    error::Error,
    keyring::{LoadedKey, LoadedVersion, Material},
};
use bytes::Bytes;
use patchbay_crypto::{Secret, envelope};
use patchbay_proto::crypto::v1 as pb;
use std::sync::Arc;

/// Room for nonce, tag and padding of any type.
const OVERHEAD: usize = 64;

/// Room for what an envelope adds: the key of the message under RSA, its nonce, its tag.
const ENVELOPE_OVERHEAD: usize = 1024;

impl Operation for pb::EncryptRequest {
    type Response = pb::EncryptResponse;
    const WORD: &'static str = "encrypt";

    fn key(&self) -> &str {
        &self.key
    }

    fn size(&self) -> usize {
        self.plaintext.len() + self.associated_data.len()
    }

    fn encrypts_with<'k>(&self, key: &'k LoadedKey) -> Result<Option<&'k Arc<LoadedVersion>>, Error> {
        key.encrypting(self.key_version).map(Some)
    }

    fn run(self, key: &LoadedKey) -> Result<pb::EncryptResponse, Error> {
        let version = key.encrypting(self.key_version)?;
        let ciphertext = encrypt(key, version, &self.associated_data, &self.plaintext)?;
        Ok(pb::EncryptResponse { ciphertext, key_version: version.number })
    }
}

impl Operation for pb::DecryptRequest {
    type Response = pb::DecryptResponse;
    const WORD: &'static str = "decrypt";

    fn key(&self) -> &str {
        &self.key
    }

    fn size(&self) -> usize {
        message_size(&self.ciphertext) + self.associated_data.len()
    }

    fn is_slow(&self, key: &LoadedKey) -> bool {
        matches!(newest(key), Some(Material::Rsa(_)))
    }

    fn run(self, key: &LoadedKey) -> Result<pb::DecryptResponse, Error> {
        let (plaintext, key_version) = decrypt(key, &self.ciphertext, &self.associated_data)?;
        Ok(pb::DecryptResponse { plaintext: given_out(plaintext), key_version })
    }
}

impl Operation for pb::RewrapRequest {
    type Response = pb::RewrapResponse;
    const WORD: &'static str = "rewrap";

    fn key(&self) -> &str {
        &self.key
    }

    fn size(&self) -> usize {
        message_size(&self.ciphertext) + self.associated_data.len()
    }

    fn encrypts_with<'k>(&self, key: &'k LoadedKey) -> Result<Option<&'k Arc<LoadedVersion>>, Error> {
        key.encrypting(self.key_version).map(Some)
    }

    fn is_slow(&self, key: &LoadedKey) -> bool {
        matches!(newest(key), Some(Material::Rsa(_)))
    }

    fn run(self, key: &LoadedKey) -> Result<pb::RewrapResponse, Error> {
        let version = key.encrypting(self.key_version)?;
        let (plaintext, _) = decrypt(key, &self.ciphertext, &self.associated_data)?;
        let ciphertext = encrypt(key, version, &self.associated_data, plaintext.expose())?;
        Ok(pb::RewrapResponse { ciphertext, key_version: version.number })
    }
}

impl Operation for pb::GenerateDataKeyRequest {
    type Response = pb::GenerateDataKeyResponse;
    const WORD: &'static str = "datakey";

    fn key(&self) -> &str {
        &self.key
    }

    fn size(&self) -> usize {
        self.associated_data.len()
    }

    fn check(&self) -> Result<(), Error> {
        match self.bits {
            0 | 128 | 256 | 512 => Ok(()),
            _ => Err(Error::bad("bits", "must be 128, 256 or 512")),
        }
    }

    fn encrypts_with<'k>(&self, key: &'k LoadedKey) -> Result<Option<&'k Arc<LoadedVersion>>, Error> {
        key.encrypting(0).map(Some)
    }

    fn run(self, key: &LoadedKey) -> Result<pb::GenerateDataKeyResponse, Error> {
        let version = key.encrypting(0)?;
        let length = match self.bits {
            128 => 16,
            512 => 64,
            _ => 32,
        };
        let data_key = Secret::random(length).map_err(Error::internal)?;
        let ciphertext = encrypt(key, version, &self.associated_data, data_key.expose())?;
        let plaintext = if self.wrapped_only { Bytes::new() } else { given_out(data_key) };
        Ok(pb::GenerateDataKeyResponse { plaintext, ciphertext, key_version: version.number })
    }
}

impl Operation for pb::SealEnvelopeRequest {
    type Response = pb::SealEnvelopeResponse;
    const WORD: &'static str = "encrypt";

    fn key(&self) -> &str {
        &self.key
    }

    fn size(&self) -> usize {
        self.plaintext.len() + self.associated_data.len()
    }

    fn run(self, key: &LoadedKey) -> Result<pb::SealEnvelopeResponse, Error> {
        let version = key.encrypting(self.key_version)?;
        let Material::Rsa(rsa) = &version.material else { return Err(cannot(key, told::SEAL_ENVELOPES)) };
        let mut sealed = begin(ENVELOPE, version.number, self.plaintext.len() + ENVELOPE_OVERHEAD);
        let bound = bound_to(&sealed, &self.associated_data);
        let body = envelope::seal(rsa.public(), &bound, &self.plaintext).map_err(Error::internal)?;
        sealed.extend_from_slice(&body);
        Ok(pb::SealEnvelopeResponse { envelope: sealed.into(), key_version: version.number })
    }
}

impl Operation for pb::OpenEnvelopeRequest {
    type Response = pb::OpenEnvelopeResponse;
    const WORD: &'static str = "decrypt";

    fn key(&self) -> &str {
        &self.key
    }

    fn size(&self) -> usize {
        self.envelope.len().saturating_sub(HEADER + ENVELOPE_OVERHEAD) + self.associated_data.len()
    }

    fn is_slow(&self, key: &LoadedKey) -> bool {
        matches!(newest(key), Some(Material::Rsa(_)))
    }

    fn run(self, key: &LoadedKey) -> Result<pb::OpenEnvelopeResponse, Error> {
        let sealed = Sealed::parse_binary(&self.envelope, ENVELOPE).ok_or(Error::DecryptionFailed)?;
        let version = opening(key, sealed.version)?;
        let Material::Rsa(rsa) = &version.material else { return Err(cannot(key, told::OPEN_ENVELOPES)) };
        let header = self.envelope.get(..HEADER).unwrap_or_default();
        let bound = bound_to(header, &self.associated_data);
        let plaintext = envelope::open(rsa, &bound, &sealed.body).map_err(|_| Error::DecryptionFailed)?;
        Ok(pb::OpenEnvelopeResponse { plaintext: given_out(plaintext), key_version: version.number })
    }
}

/// Bytes of the message in a ciphertext, or a few less: what may be encrypted may be decrypted, however it is written.
fn message_size(ciphertext: &Bytes) -> usize {
    let binary = match ciphertext.first() {
        Some(&CIPHERTEXT) => ciphertext.len(),
        // `patchbay:v`, a number, a colon, and Base64.
        _ => (ciphertext.len() / 4 * 3).saturating_sub(24),
    };
    binary.saturating_sub(HEADER + OVERHEAD)
}

/// An envelope is bound to its own header, so that its version cannot be changed.
fn bound_to(header: &[u8], associated_data: &[u8]) -> Vec<u8> {
    [header, associated_data].concat()
}

fn encrypt(
    key: &LoadedKey,
    version: &LoadedVersion,
    associated_data: &[u8],
    plaintext: &[u8],
) -> Result<Bytes, Error> {
    let mut sealed = begin(CIPHERTEXT, version.number, plaintext.len() + OVERHEAD);
    match &version.material {
        Material::Aead(aead) => {
            aead.seal_into(associated_data, plaintext, &mut sealed).map_err(Error::internal)?;
        }
        Material::Convergent(convergent) => {
            convergent.seal_into(associated_data, plaintext, &mut sealed).map_err(Error::internal)?;
        }
        Material::CbcLegacy(cbc) => {
            refuse_associated(associated_data)?;
            cbc.encrypt_into(plaintext, &mut sealed).map_err(Error::internal)?;
        }
        Material::Rsa(rsa) => {
            refuse_associated(associated_data)?;
            let limit = rsa.public().max_plaintext();
            if plaintext.len() > limit {
                return Err(Error::TooLarge {
                    what: "the plaintext (an envelope has no such limit)",
                    limit: limit as u64,
                });
            }
            sealed.extend_from_slice(&rsa.public().encrypt_oaep(plaintext).map_err(Error::internal)?);
        }
        _ => return Err(cannot(key, told::ENCRYPT)),
    }
    Ok(sealed.into())
}

fn decrypt(key: &LoadedKey, ciphertext: &Bytes, associated_data: &[u8]) -> Result<(Secret, u32), Error> {
    // Before anything is said of the ciphertext: what the key cannot do is no matter of the message.
    if !newest(key).is_none_or(decrypts) {
        return Err(cannot(key, told::DECRYPT));
    }
    let sealed = Sealed::parse(ciphertext).ok_or(Error::DecryptionFailed)?;
    let version = opening(key, sealed.version)?;
    let opened = match &version.material {
        Material::Aead(aead) => aead.open(associated_data, &sealed.body),
        Material::Convergent(convergent) => convergent.open(associated_data, &sealed.body),
        Material::CbcLegacy(cbc) => {
            refuse_associated(associated_data)?;
            cbc.decrypt(&sealed.body)
        }
        Material::Rsa(rsa) => {
            refuse_associated(associated_data)?;
            rsa.decrypt_oaep(&sealed.body)
        }
        _ => return Err(cannot(key, told::DECRYPT)),
    };
    let plaintext = opened.map_err(|_| Error::DecryptionFailed)?;
    Ok((plaintext, version.number))
}

fn decrypts(material: &Material) -> bool {
    matches!(
        material,
        Material::Aead(_) | Material::Convergent(_) | Material::CbcLegacy(_) | Material::Rsa(_)
    )
}

/// A version that is not there, or is too old, is one more way for a ciphertext to be wrong.
fn opening(key: &LoadedKey, version: u32) -> Result<&Arc<LoadedVersion>, Error> {
    key.decrypting(version).map_err(|error| match error {
        Error::KeyVersion(_) => Error::DecryptionFailed,
        other => other,
    })
}

fn refuse_associated(associated_data: &[u8]) -> Result<(), Error> {
    if associated_data.is_empty() {
        return Ok(());
    }
    Err(Error::bad("associated_data", "must be empty: this type of key cannot bind a ciphertext to anything"))
}

/// What leaves the service cannot be overwritten here any more.
pub(super) fn given_out(secret: Secret) -> Bytes {
    Bytes::from(secret.into_bytes())
}

#[cfg(test)]
#[path = "seal_tests.rs"]
mod tests;
