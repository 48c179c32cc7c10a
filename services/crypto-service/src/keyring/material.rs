//! Material of a version: made, imported, kept as bytes, and ready to compute with.
//!
//! As bytes it is the key itself for symmetric types, and PKCS#8 DER for private ones.

use super::KeyType;
use crate::error::Error;
use patchbay_crypto::{
    Error as CryptoError, Secret, aead, agreement, cbc, chunked, convergent, ecdsa, ed25519, mac, ml_dsa,
    ml_kem, pem, rsa,
};
use std::fmt;

/// Bytes of an HMAC key where none are asked for.
pub(crate) const HMAC_DEFAULT: u32 = 32;

/// Bytes that an HMAC key may have.
const HMAC_SIZES: std::ops::RangeInclusive<usize> = 32..=512;

/// Bytes of an AES-256-CBC key.
const CBC_SIZE: usize = 32;

/// What a version computes with. It prints as nothing.
#[expect(missing_docs, reason = "each is named after what it computes")]
#[expect(clippy::large_enum_variant, reason = "a version's material is behind an `Arc` whatever it is")]
pub enum Material {
    Aead(aead::Key),
    CbcLegacy(cbc::Key),
    Chunked(chunked::Key),
    Convergent(convergent::Key),
    Hmac(mac::Key),
    Ed25519(ed25519::PrivateKey),
    Ecdsa(ecdsa::PrivateKey),
    Rsa(rsa::PrivateKey),
    Agreement(agreement::PrivateKey),
    MlKem(ml_kem::PrivateKey),
    MlDsa(ml_dsa::PrivateKey),
}

/// Material as bytes and ready to use.
pub(super) struct Made {
    pub(super) bytes: Secret,
    // Boxed, because some are kilobytes and this is held while a commit is on its way.
    pub(super) ready: Box<Material>,
}

impl Made {
    /// Makes a random one. RSA takes up to seconds.
    pub(super) fn random(key_type: KeyType, hmac_size: u32) -> Result<Self, Error> {
        match Material::random_private(key_type) {
            Some(made) => {
                let ready = Box::new(made.map_err(Error::internal)?);
                Ok(Self { bytes: ready.pkcs8()?, ready })
            }
            None => {
                Self::symmetric(key_type, Secret::random(size(key_type, hmac_size)).map_err(Error::internal)?)
            }
        }
    }

    /// Reads what a caller brought: bytes of a symmetric key, or a private key as DER or PEM.
    pub(super) fn import(key_type: KeyType, material: &Secret, password: &str) -> Result<Self, Error> {
        if !key_type.is_asymmetric() {
            if !password.is_empty() {
                return Err(Error::bad("password", "is only for an encrypted PKCS#8"));
            }
            return Self::symmetric(key_type, material.clone());
        }
        let password = (!password.is_empty()).then_some(password);
        let key = pem::private_key_from(material.expose(), password).map_err(unreadable)?;
        check_kind(key_type, &key.kind)?;
        let ready = Box::new(Material::load(key_type, &key.pkcs8).map_err(unreadable)?);
        Ok(Self { bytes: ready.pkcs8()?, ready })
    }

    /// Reads what was stored or backed up.
    pub(super) fn stored(key_type: KeyType, bytes: Secret) -> Result<Self, Error> {
        let ready = Box::new(Material::load(key_type, &bytes).map_err(Error::internal)?);
        Ok(Self { bytes, ready })
    }

    fn symmetric(key_type: KeyType, bytes: Secret) -> Result<Self, Error> {
        let length = bytes.expose().len();
        if key_type == KeyType::Hmac && !HMAC_SIZES.contains(&length) {
            return Err(Error::bad("material", "of an HMAC key must have 32 to 512 bytes"));
        }
        if key_type != KeyType::Hmac && length != size(key_type, 0) {
            let problem = format!("of type {} must have {} bytes", key_type.word(), size(key_type, 0));
            return Err(Error::bad("material", problem));
        }
        Self::stored(key_type, bytes)
    }
}

impl Material {
    /// Parses bytes. What is inside must be of the type: a backup may have been edited.
    fn load(key_type: KeyType, bytes: &Secret) -> Result<Self, CryptoError> {
        let material = Self::parse(key_type, bytes)?;
        if material.is_of(key_type) {
            return Ok(material);
        }
        Err(CryptoError::Key(format!("it is no material of type {}", key_type.word())))
    }

    /// Whether curve or length are those of the type, where bytes alone may be of several.
    fn is_of(&self, key_type: KeyType) -> bool {
        match self {
            Self::Ecdsa(key) => {
                key_type
                    == match key.curve() {
                        ecdsa::Curve::P256 => KeyType::EcdsaP256,
                        ecdsa::Curve::P384 => KeyType::EcdsaP384,
                        ecdsa::Curve::P521 => KeyType::EcdsaP521,
                    }
            }
            Self::Agreement(key) => {
                key_type
                    == match key.curve() {
                        agreement::Curve::X25519 => KeyType::X25519,
                        agreement::Curve::P256 => KeyType::EcdhP256,
                    }
            }
            Self::Rsa(key) => matches!(
                (key_type, key.public().bits()),
                (KeyType::Rsa2048, 2048) | (KeyType::Rsa3072, 3072) | (KeyType::Rsa4096, 4096)
            ),
            // Each has a length or an identifier of its own, which its parser looks at.
            _ => true,
        }
    }

    fn parse(key_type: KeyType, bytes: &Secret) -> Result<Self, CryptoError> {
        let raw = bytes.expose();
        if let Some(algorithm) = key_type.chunked() {
            return chunked::Key::new(algorithm, raw).map(Self::Chunked);
        }
        match (key_type, key_type.aead()) {
            (_, Some(algorithm)) => aead::Key::new(algorithm, raw).map(Self::Aead),
            (KeyType::Aes256CbcLegacy, _) => cbc::Key::new(raw).map(Self::CbcLegacy),
            (KeyType::Ed25519, _) => ed25519::PrivateKey::from_pkcs8(raw).map(Self::Ed25519),
            (KeyType::EcdsaP256 | KeyType::EcdsaP384 | KeyType::EcdsaP521, _) => {
                ecdsa::PrivateKey::from_pkcs8(raw).map(Self::Ecdsa)
            }
            (KeyType::Rsa2048 | KeyType::Rsa3072 | KeyType::Rsa4096, _) => {
                rsa::PrivateKey::from_pkcs8(raw).map(Self::Rsa)
            }
            (KeyType::Hmac, _) => mac::Key::new(raw).map(Self::Hmac),
            (KeyType::Aes256GcmSivConvergent, _) => convergent::Key::new(raw).map(Self::Convergent),
            (KeyType::X25519 | KeyType::EcdhP256, _) => {
                agreement::PrivateKey::from_pkcs8(raw).map(Self::Agreement)
            }
            (KeyType::MlKem768, _) => ml_kem::PrivateKey::from_pkcs8(raw).map(Self::MlKem),
            (KeyType::MlDsa65, _) => ml_dsa::PrivateKey::from_pkcs8(raw).map(Self::MlDsa),
            _ => Err(CryptoError::Key(format!("there is no material of type {}", key_type.word()))),
        }
    }

    fn random_private(key_type: KeyType) -> Option<Result<Self, CryptoError>> {
        let ecdsa = |curve| Some(ecdsa::PrivateKey::generate(curve).map(Self::Ecdsa));
        let rsa = |size| Some(rsa::PrivateKey::generate(size).map(Self::Rsa));
        let agreement = |curve| Some(agreement::PrivateKey::generate(curve).map(Self::Agreement));
        match key_type {
            KeyType::Ed25519 => Some(ed25519::PrivateKey::generate().map(Self::Ed25519)),
            KeyType::EcdsaP256 => ecdsa(ecdsa::Curve::P256),
            KeyType::EcdsaP384 => ecdsa(ecdsa::Curve::P384),
            KeyType::EcdsaP521 => ecdsa(ecdsa::Curve::P521),
            KeyType::Rsa2048 => rsa(rsa::Size::Rsa2048),
            KeyType::Rsa3072 => rsa(rsa::Size::Rsa3072),
            KeyType::Rsa4096 => rsa(rsa::Size::Rsa4096),
            KeyType::X25519 => agreement(agreement::Curve::X25519),
            KeyType::EcdhP256 => agreement(agreement::Curve::P256),
            KeyType::MlKem768 => Some(ml_kem::PrivateKey::generate().map(Self::MlKem)),
            KeyType::MlDsa65 => Some(ml_dsa::PrivateKey::generate().map(Self::MlDsa)),
            _ => None,
        }
    }

    /// Private key as PKCS#8 DER.
    fn pkcs8(&self) -> Result<Secret, Error> {
        match self {
            Self::Ed25519(key) => key.to_pkcs8().map_err(Error::internal),
            Self::Ecdsa(key) => key.to_pkcs8().map_err(Error::internal),
            Self::Rsa(key) => Ok(key.to_pkcs8()),
            Self::Agreement(key) => key.to_pkcs8().map_err(Error::internal),
            Self::MlKem(key) => key.to_pkcs8().map_err(Error::internal),
            Self::MlDsa(key) => key.to_pkcs8().map_err(Error::internal),
            Self::Aead(_) | Self::CbcLegacy(_) | Self::Chunked(_) | Self::Convergent(_) | Self::Hmac(_) => {
                Err(Error::internal("a symmetric key has no PKCS#8"))
            }
        }
    }

    /// Public half as SPKI DER.
    pub(super) fn public(&self) -> Option<Vec<u8>> {
        match self {
            Self::Ed25519(key) => Some(key.public().to_spki_der()),
            Self::Ecdsa(key) => Some(key.public().to_spki_der()),
            Self::Rsa(key) => Some(key.public().to_spki_der()),
            Self::Agreement(key) => Some(key.public().to_spki_der()),
            Self::MlKem(key) => Some(key.public().to_spki_der()),
            Self::MlDsa(key) => Some(key.public().to_spki_der()),
            Self::Aead(_) | Self::CbcLegacy(_) | Self::Chunked(_) | Self::Convergent(_) | Self::Hmac(_) => {
                None
            }
        }
    }
}

impl fmt::Debug for Material {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Material(..)")
    }
}

/// Bytes of a symmetric key; of an HMAC key as asked.
fn size(key_type: KeyType, hmac_size: u32) -> usize {
    match (key_type.aead(), key_type.chunked()) {
        (Some(algorithm), _) => algorithm.key_length(),
        (_, Some(algorithm)) => algorithm.key_length(),
        _ if key_type == KeyType::Hmac => usize::try_from(hmac_size).unwrap_or(usize::MAX),
        _ if key_type == KeyType::Aes256GcmSivConvergent => convergent::KEY_LENGTH,
        _ => CBC_SIZE,
    }
}

/// Checks how long an HMAC key shall be; 0 is the default.
pub(crate) fn hmac_size(key_type: KeyType, asked: u32) -> Result<u32, Error> {
    if key_type != KeyType::Hmac {
        return if asked == 0 { Ok(0) } else { Err(Error::bad("hmac_key_size", "is only for HMAC keys")) };
    }
    match asked {
        0 => Ok(HMAC_DEFAULT),
        32..=512 => Ok(asked),
        _ => Err(Error::bad("hmac_key_size", "must be 32 to 512, or 0 for 32")),
    }
}

/// Whether keys of the type have an HMAC size like this in their headers.
pub(super) fn is_hmac_size(key_type: KeyType, size: u32) -> bool {
    let is_allowed = usize::try_from(size).is_ok_and(|size| HMAC_SIZES.contains(&size));
    if key_type == KeyType::Hmac { is_allowed } else { size == 0 }
}

/// A key under 2048 bits is weak whatever type was asked for; any other kind must be the one asked for.
fn check_kind(key_type: KeyType, kind: &pem::Kind) -> Result<(), Error> {
    let found = match kind {
        pem::Kind::Ed25519 => Some(KeyType::Ed25519),
        // A file does not say whether a key on the curve is for signatures or for agreement; whoever imports it does.
        pem::Kind::Ecdsa(ecdsa::Curve::P256) if key_type == KeyType::EcdhP256 => Some(KeyType::EcdhP256),
        pem::Kind::Ecdsa(ecdsa::Curve::P256) => Some(KeyType::EcdsaP256),
        pem::Kind::Ecdsa(ecdsa::Curve::P384) => Some(KeyType::EcdsaP384),
        pem::Kind::Ecdsa(ecdsa::Curve::P521) => Some(KeyType::EcdsaP521),
        pem::Kind::X25519 => Some(KeyType::X25519),
        pem::Kind::MlKem768 => Some(KeyType::MlKem768),
        pem::Kind::MlDsa65 => Some(KeyType::MlDsa65),
        pem::Kind::Rsa { bits: 2048 } => Some(KeyType::Rsa2048),
        pem::Kind::Rsa { bits: 3072 } => Some(KeyType::Rsa3072),
        pem::Kind::Rsa { bits: 4096 } => Some(KeyType::Rsa4096),
        pem::Kind::Rsa { bits } if *bits < *rsa::BITS.start() => {
            return Err(Error::WeakKey(format!("RSA with {bits} bits; 2048 are needed")));
        }
        pem::Kind::Rsa { .. } => None,
    };
    if found == Some(key_type) {
        return Ok(());
    }
    Err(Error::KeyType {
        key_type: key_type.word(),
        operation: "be made from this material, which is of another type",
    })
}

fn unreadable(error: CryptoError) -> Error {
    match error {
        CryptoError::Decryption => Error::bad("password", "does not open this PKCS#8"),
        CryptoError::Key(problem) | CryptoError::Input(problem) => Error::bad("material", problem),
        CryptoError::Library => Error::internal(error),
    }
}
