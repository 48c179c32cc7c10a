//! Material that a caller brings: in the clear, under a password, or wrapped for this service.

use crate::{error::Error, keyring::Keyring};
use patchbay_crypto::{Secret, rsa::OaepDigest};
use patchbay_proto::crypto::v1::{DigestAlgorithm, ImportKeyRequest};

/// What came in a request.
pub(super) enum Brought {
    /// Material as it is, and the password of an encrypted PKCS#8.
    Plain { material: Secret, password: Secret },
    /// Material under the wrapping key.
    Wrapped { wrapped: Secret, digest: OaepDigest },
}

impl Brought {
    /// Takes one of the two.
    pub(super) fn of(request: ImportKeyRequest) -> Result<Self, Error> {
        let ImportKeyRequest { material, password, wrapped_material, wrapping_digest, .. } = request;
        let (material, password) = (Secret::new(material.into()), Secret::new(password.into_bytes()));
        let wrapped = Secret::new(wrapped_material.into());
        if wrapped.expose().is_empty() {
            if wrapping_digest != 0 {
                return Err(Error::bad("wrapping_digest", "is only for wrapped material"));
            }
            return Ok(Self::Plain { material, password });
        }
        if !material.expose().is_empty() {
            return Err(Error::bad("wrapped_material", "takes the place of `material`: give one of them"));
        }
        if !password.expose().is_empty() {
            return Err(Error::bad("password", "is only for an encrypted PKCS#8, which is not wrapped too"));
        }
        Ok(Self::Wrapped { wrapped, digest: digest(wrapping_digest)? })
    }

    /// Material in the clear, and its password.
    pub(super) async fn material(self, keyring: &Keyring) -> Result<(Secret, Secret), Error> {
        match self {
            Self::Plain { material, password } => Ok((material, password)),
            Self::Wrapped { wrapped, digest } => {
                Ok((keyring.unwrap_import(wrapped, digest).await?, Secret::default()))
            }
        }
    }
}

fn digest(asked: i32) -> Result<OaepDigest, Error> {
    match DigestAlgorithm::try_from(asked) {
        Ok(DigestAlgorithm::Unspecified | DigestAlgorithm::Sha2256) => Ok(OaepDigest::Sha256),
        Ok(DigestAlgorithm::Sha1) => Ok(OaepDigest::Sha1),
        Ok(DigestAlgorithm::Sha2384) => Ok(OaepDigest::Sha384),
        Ok(DigestAlgorithm::Sha2512) => Ok(OaepDigest::Sha512),
        _ => Err(Error::bad("wrapping_digest", "must be SHA-256, SHA-1, SHA-384 or SHA-512")),
    }
}
