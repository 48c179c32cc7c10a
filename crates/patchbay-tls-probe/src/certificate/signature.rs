//! Which algorithm made a signature, how strong it is, and whether the signature is right.
//!
//! Weak algorithms are checked too: whether a certificate of 2009 was signed by the one beside it matters for saying what is wrong with a chain. Trust is decided elsewhere, without them.

use aws_lc_rs::signature::{self as aws, UnparsedPublicKey, VerificationAlgorithm};
use x509_parser::{
    signature_algorithm::RsaSsaPssParams,
    x509::{AlgorithmIdentifier, SubjectPublicKeyInfo},
};

use super::{
    key::{Key, KeyFamily},
    name::printable,
};

const RSASSA_PSS: &str = "1.2.840.113549.1.1.10";

/// Whether a signature is right.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Checked {
    /// It is.
    Right,
    /// It is not.
    Wrong,
    /// Its algorithm, or a key of that size, is not one that can be checked here.
    Unknown,
}

/// Checks a signature.
pub(crate) fn check(
    signer: &SubjectPublicKeyInfo<'_>,
    key: &Key,
    algorithm: &AlgorithmIdentifier<'_>,
    message: &[u8],
    signature: &[u8],
) -> Checked {
    let Some(kind) = Kind::read(algorithm) else { return Checked::Unknown };
    if !kind.fits(key) {
        return Checked::Wrong;
    }
    let Some(verification) = kind.verification(key).filter(|_| has_usual_salt(algorithm)) else {
        return Checked::Unknown;
    };
    let signer = UnparsedPublicKey::new(verification, &signer.subject_public_key.data);
    if signer.verify(message, signature).is_ok() { Checked::Right } else { Checked::Wrong }
}

/// Such as `SHA256-RSA` or `ECDSA-SHA384`; the identifier where it is not known.
pub(crate) fn name(algorithm: &AlgorithmIdentifier<'_>) -> String {
    match Kind::read(algorithm) {
        Some(Kind::Rsa(hash)) => format!("{}-RSA", hash.name()),
        Some(Kind::RsaPss(hash)) => format!("{}-RSA-PSS", hash.name()),
        Some(Kind::Ecdsa(hash)) => format!("ECDSA-{}", hash.name()),
        Some(Kind::Dsa(hash)) => format!("DSA-{}", hash.name()),
        Some(Kind::Ed25519) => "Ed25519".to_owned(),
        Some(Kind::Ed448) => "Ed448".to_owned(),
        Some(Kind::MlDsa(name)) => name.to_owned(),
        None => printable(&algorithm.algorithm.to_id_string()),
    }
}

/// Whether its hash is one for which two certificates with the same signature can be made (MD2, MD5, SHA-1).
pub(crate) fn is_weak(algorithm: &AlgorithmIdentifier<'_>) -> bool {
    match Kind::read(algorithm) {
        Some(Kind::Rsa(hash) | Kind::RsaPss(hash) | Kind::Ecdsa(hash) | Kind::Dsa(hash)) => {
            matches!(hash, Hash::Md2 | Hash::Md5 | Hash::Sha1)
        }
        _ => false,
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Rsa(Hash),
    RsaPss(Hash),
    Ecdsa(Hash),
    Dsa(Hash),
    Ed25519,
    Ed448,
    MlDsa(&'static str),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Hash {
    Md2,
    Md5,
    Sha1,
    Sha224,
    Sha256,
    Sha384,
    Sha512,
}

impl Kind {
    fn read(algorithm: &AlgorithmIdentifier<'_>) -> Option<Self> {
        Some(match algorithm.algorithm.to_id_string().as_str() {
            "1.2.840.113549.1.1.2" => Self::Rsa(Hash::Md2),
            "1.2.840.113549.1.1.4" => Self::Rsa(Hash::Md5),
            "1.2.840.113549.1.1.5" | "1.3.14.3.2.29" => Self::Rsa(Hash::Sha1),
            "1.2.840.113549.1.1.14" => Self::Rsa(Hash::Sha224),
            "1.2.840.113549.1.1.11" => Self::Rsa(Hash::Sha256),
            "1.2.840.113549.1.1.12" => Self::Rsa(Hash::Sha384),
            "1.2.840.113549.1.1.13" => Self::Rsa(Hash::Sha512),
            RSASSA_PSS => Self::RsaPss(pss_hash(algorithm)?),
            "1.2.840.10045.4.1" => Self::Ecdsa(Hash::Sha1),
            "1.2.840.10045.4.3.1" => Self::Ecdsa(Hash::Sha224),
            "1.2.840.10045.4.3.2" => Self::Ecdsa(Hash::Sha256),
            "1.2.840.10045.4.3.3" => Self::Ecdsa(Hash::Sha384),
            "1.2.840.10045.4.3.4" => Self::Ecdsa(Hash::Sha512),
            "1.2.840.10040.4.3" => Self::Dsa(Hash::Sha1),
            "2.16.840.1.101.3.4.3.1" => Self::Dsa(Hash::Sha224),
            "2.16.840.1.101.3.4.3.2" => Self::Dsa(Hash::Sha256),
            "1.3.101.112" => Self::Ed25519,
            "1.3.101.113" => Self::Ed448,
            "2.16.840.1.101.3.4.3.17" => Self::MlDsa("ML-DSA-44"),
            "2.16.840.1.101.3.4.3.18" => Self::MlDsa("ML-DSA-65"),
            "2.16.840.1.101.3.4.3.19" => Self::MlDsa("ML-DSA-87"),
            _ => return None,
        })
    }

    /// Whether a key of this family can have made such a signature.
    fn fits(self, key: &Key) -> bool {
        // These curves have signatures of their own.
        match (self, key.name.as_str()) {
            (Self::Ed25519, name) if key.family == KeyFamily::Curve => return name == "Ed25519",
            (Self::Ed448, name) if key.family == KeyFamily::Curve => return name == "Ed448",
            (Self::Ecdsa(_), "Ed25519" | "Ed448") => return false,
            _ => {}
        }
        let made_by = match self {
            Self::Rsa(_) | Self::RsaPss(_) => KeyFamily::Rsa,
            Self::Dsa(_) => KeyFamily::Dsa,
            Self::Ecdsa(_) | Self::Ed25519 | Self::Ed448 => KeyFamily::Curve,
            Self::MlDsa(_) => KeyFamily::PostQuantum,
        };
        key.family == made_by || key.family == KeyFamily::Unknown
    }

    fn verification(self, key: &Key) -> Option<&'static dyn VerificationAlgorithm> {
        match self {
            Self::Rsa(hash) if (2048..=8192).contains(&key.bits) => hash.rsa(),
            Self::Rsa(hash) if (1024..2048).contains(&key.bits) => hash.short_rsa(),
            Self::RsaPss(hash) if (2048..=8192).contains(&key.bits) => hash.rsa_pss(),
            Self::Ecdsa(hash) => hash.ecdsa(&key.name),
            Self::Ed25519 => Some(&aws::ED25519),
            Self::Rsa(_) | Self::RsaPss(_) | Self::Dsa(_) | Self::Ed448 | Self::MlDsa(_) => None,
        }
    }
}

impl Hash {
    fn name(self) -> &'static str {
        match self {
            Self::Md2 => "MD2",
            Self::Md5 => "MD5",
            Self::Sha1 => "SHA1",
            Self::Sha224 => "SHA224",
            Self::Sha256 => "SHA256",
            Self::Sha384 => "SHA384",
            Self::Sha512 => "SHA512",
        }
    }

    /// Bytes.
    fn length(self) -> u32 {
        match self {
            Self::Md2 | Self::Md5 => 16,
            Self::Sha1 => 20,
            Self::Sha224 => 28,
            Self::Sha256 => 32,
            Self::Sha384 => 48,
            Self::Sha512 => 64,
        }
    }

    fn rsa(self) -> Option<&'static dyn VerificationAlgorithm> {
        Some(match self {
            Self::Sha1 => &aws::RSA_PKCS1_2048_8192_SHA1_FOR_LEGACY_USE_ONLY,
            Self::Sha256 => &aws::RSA_PKCS1_2048_8192_SHA256,
            Self::Sha384 => &aws::RSA_PKCS1_2048_8192_SHA384,
            Self::Sha512 => &aws::RSA_PKCS1_2048_8192_SHA512,
            Self::Md2 | Self::Md5 | Self::Sha224 => return None,
        })
    }

    fn short_rsa(self) -> Option<&'static dyn VerificationAlgorithm> {
        Some(match self {
            Self::Sha1 => &aws::RSA_PKCS1_1024_8192_SHA1_FOR_LEGACY_USE_ONLY,
            Self::Sha256 => &aws::RSA_PKCS1_1024_8192_SHA256_FOR_LEGACY_USE_ONLY,
            Self::Sha512 => &aws::RSA_PKCS1_1024_8192_SHA512_FOR_LEGACY_USE_ONLY,
            Self::Md2 | Self::Md5 | Self::Sha224 | Self::Sha384 => return None,
        })
    }

    fn rsa_pss(self) -> Option<&'static dyn VerificationAlgorithm> {
        Some(match self {
            Self::Sha256 => &aws::RSA_PSS_2048_8192_SHA256,
            Self::Sha384 => &aws::RSA_PSS_2048_8192_SHA384,
            Self::Sha512 => &aws::RSA_PSS_2048_8192_SHA512,
            Self::Md2 | Self::Md5 | Self::Sha1 | Self::Sha224 => return None,
        })
    }

    fn ecdsa(self, curve: &str) -> Option<&'static dyn VerificationAlgorithm> {
        Some(match (curve, self) {
            ("EC P-256", Self::Sha1) => &aws::ECDSA_P256_SHA1_ASN1,
            ("EC P-256", Self::Sha256) => &aws::ECDSA_P256_SHA256_ASN1,
            ("EC P-256", Self::Sha384) => &aws::ECDSA_P256_SHA384_ASN1,
            ("EC P-256", Self::Sha512) => &aws::ECDSA_P256_SHA512_ASN1,
            ("EC P-384", Self::Sha256) => &aws::ECDSA_P384_SHA256_ASN1,
            ("EC P-384", Self::Sha384) => &aws::ECDSA_P384_SHA384_ASN1,
            ("EC P-384", Self::Sha512) => &aws::ECDSA_P384_SHA512_ASN1,
            ("EC P-521", Self::Sha1) => &aws::ECDSA_P521_SHA1_ASN1,
            ("EC P-521", Self::Sha224) => &aws::ECDSA_P521_SHA224_ASN1,
            ("EC P-521", Self::Sha256) => &aws::ECDSA_P521_SHA256_ASN1,
            ("EC P-521", Self::Sha384) => &aws::ECDSA_P521_SHA384_ASN1,
            ("EC P-521", Self::Sha512) => &aws::ECDSA_P521_SHA512_ASN1,
            ("EC secp256k1", Self::Sha256) => &aws::ECDSA_P256K1_SHA256_ASN1,
            _ => return None,
        })
    }
}

/// The library checks RSASSA-PSS with a salt as long as the hash, which is what TLS uses (RFC 8446 section 4.2.3); other algorithms have none.
fn has_usual_salt(algorithm: &AlgorithmIdentifier<'_>) -> bool {
    let Some(hash) = pss_hash(algorithm) else { return true };
    let parameters =
        algorithm.parameters.as_ref().and_then(|parameters| RsaSsaPssParams::try_from(parameters).ok());
    parameters.is_none_or(|parameters| parameters.salt_length() == hash.length())
}

fn pss_hash(algorithm: &AlgorithmIdentifier<'_>) -> Option<Hash> {
    if algorithm.algorithm.to_id_string() != RSASSA_PSS {
        return None;
    }
    let parameters = RsaSsaPssParams::try_from(algorithm.parameters.as_ref()?).ok()?;
    Some(match parameters.hash_algorithm_oid().to_id_string().as_str() {
        "1.3.14.3.2.26" => Hash::Sha1,
        "2.16.840.1.101.3.4.2.4" => Hash::Sha224,
        "2.16.840.1.101.3.4.2.1" => Hash::Sha256,
        "2.16.840.1.101.3.4.2.2" => Hash::Sha384,
        "2.16.840.1.101.3.4.2.3" => Hash::Sha512,
        _ => return None,
    })
}
