//! What a key is for, and how: the word for it, what its material looks like and what it can do.

use patchbay_crypto::{aead, chunked};
use patchbay_proto::crypto::v1 as proto;
use serde::{Deserialize, Serialize};

/// What a key is for, and how. The words are those of Vault's Transit engine where it has the type.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[expect(missing_docs, reason = "described at the enum of the interface")]
pub enum KeyType {
    #[serde(rename = "xaes256-gcm")]
    Xaes256Gcm,
    #[serde(rename = "aes128-gcm96")]
    Aes128Gcm96,
    #[serde(rename = "aes192-gcm96")]
    Aes192Gcm96,
    #[serde(rename = "aes256-gcm96")]
    Aes256Gcm96,
    #[serde(rename = "chacha20-poly1305")]
    ChaCha20Poly1305,
    #[serde(rename = "aes256-cbc-hmac-sha512")]
    Aes256CbcHmacSha512,
    #[serde(rename = "aes256-cbc-legacy")]
    Aes256CbcLegacy,
    #[serde(rename = "hmac")]
    Hmac,
    #[serde(rename = "ed25519")]
    Ed25519,
    #[serde(rename = "ecdsa-p256")]
    EcdsaP256,
    #[serde(rename = "ecdsa-p384")]
    EcdsaP384,
    #[serde(rename = "ecdsa-p521")]
    EcdsaP521,
    #[serde(rename = "rsa-2048")]
    Rsa2048,
    #[serde(rename = "rsa-3072")]
    Rsa3072,
    #[serde(rename = "rsa-4096")]
    Rsa4096,
    #[serde(rename = "x25519")]
    X25519,
    #[serde(rename = "ecdh-p256")]
    EcdhP256,
    #[serde(rename = "ml-kem-768")]
    MlKem768,
    #[serde(rename = "ml-dsa-65")]
    MlDsa65,
    #[serde(rename = "aes256-gcm-siv-convergent")]
    Aes256GcmSivConvergent,
    #[serde(rename = "aes128-gcm-chunked")]
    Aes128GcmChunked,
    #[serde(rename = "aes256-gcm-chunked")]
    Aes256GcmChunked,
}

impl KeyType {
    /// All of them.
    pub const ALL: [Self; 22] = [
        Self::Xaes256Gcm,
        Self::Aes128Gcm96,
        Self::Aes192Gcm96,
        Self::Aes256Gcm96,
        Self::ChaCha20Poly1305,
        Self::Aes256CbcHmacSha512,
        Self::Aes256CbcLegacy,
        Self::Hmac,
        Self::Ed25519,
        Self::EcdsaP256,
        Self::EcdsaP384,
        Self::EcdsaP521,
        Self::Rsa2048,
        Self::Rsa3072,
        Self::Rsa4096,
        Self::X25519,
        Self::EcdhP256,
        Self::MlKem768,
        Self::MlDsa65,
        Self::Aes256GcmSivConvergent,
        Self::Aes128GcmChunked,
        Self::Aes256GcmChunked,
    ];

    /// Its word, as in rows, in errors and in Vault's protocol.
    pub fn word(self) -> &'static str {
        match self {
            Self::Xaes256Gcm => "xaes256-gcm",
            Self::Aes128Gcm96 => "aes128-gcm96",
            Self::Aes192Gcm96 => "aes192-gcm96",
            Self::Aes256Gcm96 => "aes256-gcm96",
            Self::ChaCha20Poly1305 => "chacha20-poly1305",
            Self::Aes256CbcHmacSha512 => "aes256-cbc-hmac-sha512",
            Self::Aes256CbcLegacy => "aes256-cbc-legacy",
            Self::Hmac => "hmac",
            Self::Ed25519 => "ed25519",
            Self::EcdsaP256 => "ecdsa-p256",
            Self::EcdsaP384 => "ecdsa-p384",
            Self::EcdsaP521 => "ecdsa-p521",
            Self::Rsa2048 => "rsa-2048",
            Self::Rsa3072 => "rsa-3072",
            Self::Rsa4096 => "rsa-4096",
            Self::X25519 => "x25519",
            Self::EcdhP256 => "ecdh-p256",
            Self::MlKem768 => "ml-kem-768",
            Self::MlDsa65 => "ml-dsa-65",
            Self::Aes256GcmSivConvergent => "aes256-gcm-siv-convergent",
            Self::Aes128GcmChunked => "aes128-gcm-chunked",
            Self::Aes256GcmChunked => "aes256-gcm-chunked",
        }
    }

    /// Whether encryptions are counted: nonces of 96 random bits must not be more than 2^32.
    pub fn is_counted(self) -> bool {
        matches!(self, Self::Aes128Gcm96 | Self::Aes192Gcm96 | Self::Aes256Gcm96 | Self::ChaCha20Poly1305)
    }

    /// Whether it has a public half.
    pub fn is_asymmetric(self) -> bool {
        self.is_rsa()
            || matches!(
                self,
                Self::Ed25519
                    | Self::EcdsaP256
                    | Self::EcdsaP384
                    | Self::EcdsaP521
                    | Self::X25519
                    | Self::EcdhP256
                    | Self::MlKem768
                    | Self::MlDsa65
            )
    }

    /// Whether making, checking and using it takes long.
    pub fn is_rsa(self) -> bool {
        matches!(self, Self::Rsa2048 | Self::Rsa3072 | Self::Rsa4096)
    }

    /// How it encrypts, where that is authenticated.
    pub fn aead(self) -> Option<aead::Algorithm> {
        match self {
            Self::Xaes256Gcm => Some(aead::Algorithm::Xaes256Gcm),
            Self::Aes128Gcm96 => Some(aead::Algorithm::Aes128Gcm),
            Self::Aes192Gcm96 => Some(aead::Algorithm::Aes192Gcm),
            Self::Aes256Gcm96 => Some(aead::Algorithm::Aes256Gcm),
            Self::ChaCha20Poly1305 => Some(aead::Algorithm::ChaCha20Poly1305),
            Self::Aes256CbcHmacSha512 => Some(aead::Algorithm::Aes256CbcHmacSha512),
            _ => None,
        }
    }

    /// How it encrypts streams, where it does.
    pub fn chunked(self) -> Option<chunked::Algorithm> {
        match self {
            Self::Aes128GcmChunked => Some(chunked::Algorithm::Cobblestone128),
            Self::Aes256GcmChunked => Some(chunked::Algorithm::Cobblestone256),
            _ => None,
        }
    }
}

impl From<proto::KeyType> for KeyType {
    fn from(key_type: proto::KeyType) -> Self {
        match key_type {
            proto::KeyType::Unspecified | proto::KeyType::Xaes256Gcm => Self::Xaes256Gcm,
            proto::KeyType::Aes128Gcm96 => Self::Aes128Gcm96,
            proto::KeyType::Aes192Gcm96 => Self::Aes192Gcm96,
            proto::KeyType::Aes256Gcm96 => Self::Aes256Gcm96,
            proto::KeyType::Chacha20Poly1305 => Self::ChaCha20Poly1305,
            proto::KeyType::Aes256CbcHmacSha512 => Self::Aes256CbcHmacSha512,
            proto::KeyType::Aes256CbcLegacy => Self::Aes256CbcLegacy,
            proto::KeyType::Hmac => Self::Hmac,
            proto::KeyType::Ed25519 => Self::Ed25519,
            proto::KeyType::EcdsaP256 => Self::EcdsaP256,
            proto::KeyType::EcdsaP384 => Self::EcdsaP384,
            proto::KeyType::EcdsaP521 => Self::EcdsaP521,
            proto::KeyType::Rsa2048 => Self::Rsa2048,
            proto::KeyType::Rsa3072 => Self::Rsa3072,
            proto::KeyType::Rsa4096 => Self::Rsa4096,
            proto::KeyType::X25519 => Self::X25519,
            proto::KeyType::EcdhP256 => Self::EcdhP256,
            proto::KeyType::MlKem768 => Self::MlKem768,
            proto::KeyType::MlDsa65 => Self::MlDsa65,
            proto::KeyType::Aes256GcmSivConvergent => Self::Aes256GcmSivConvergent,
            proto::KeyType::Aes128GcmChunked => Self::Aes128GcmChunked,
            proto::KeyType::Aes256GcmChunked => Self::Aes256GcmChunked,
        }
    }
}

impl From<KeyType> for proto::KeyType {
    fn from(key_type: KeyType) -> Self {
        match key_type {
            KeyType::Xaes256Gcm => Self::Xaes256Gcm,
            KeyType::Aes128Gcm96 => Self::Aes128Gcm96,
            KeyType::Aes192Gcm96 => Self::Aes192Gcm96,
            KeyType::Aes256Gcm96 => Self::Aes256Gcm96,
            KeyType::ChaCha20Poly1305 => Self::Chacha20Poly1305,
            KeyType::Aes256CbcHmacSha512 => Self::Aes256CbcHmacSha512,
            KeyType::Aes256CbcLegacy => Self::Aes256CbcLegacy,
            KeyType::Hmac => Self::Hmac,
            KeyType::Ed25519 => Self::Ed25519,
            KeyType::EcdsaP256 => Self::EcdsaP256,
            KeyType::EcdsaP384 => Self::EcdsaP384,
            KeyType::EcdsaP521 => Self::EcdsaP521,
            KeyType::Rsa2048 => Self::Rsa2048,
            KeyType::Rsa3072 => Self::Rsa3072,
            KeyType::Rsa4096 => Self::Rsa4096,
            KeyType::X25519 => Self::X25519,
            KeyType::EcdhP256 => Self::EcdhP256,
            KeyType::MlKem768 => Self::MlKem768,
            KeyType::MlDsa65 => Self::MlDsa65,
            KeyType::Aes256GcmSivConvergent => Self::Aes256GcmSivConvergent,
            KeyType::Aes128GcmChunked => Self::Aes128GcmChunked,
            KeyType::Aes256GcmChunked => Self::Aes256GcmChunked,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_and_the_interface_agree() {
        for key_type in KeyType::ALL {
            assert_eq!(serde_json::to_value(key_type).unwrap(), key_type.word());
            assert_eq!(KeyType::from(proto::KeyType::from(key_type)), key_type);
        }
        assert_eq!(KeyType::from(proto::KeyType::Unspecified), KeyType::Xaes256Gcm);
    }

    #[test]
    fn only_nonces_of_96_bits_are_counted() {
        let counted: Vec<&str> =
            KeyType::ALL.iter().filter(|it| it.is_counted()).map(|it| it.word()).collect();
        assert_eq!(counted, ["aes128-gcm96", "aes192-gcm96", "aes256-gcm96", "chacha20-poly1305"]);
    }
}
