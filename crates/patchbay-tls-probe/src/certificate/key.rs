//! What kind of key a certificate has, and how strong it is.

use super::name::printable;
use x509_parser::{public_key::PublicKey, x509::SubjectPublicKeyInfo};

/// Families of keys that are measured in the same way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum KeyFamily {
    /// Bits of a modulus.
    Rsa,
    /// Likewise, of a prime.
    Dsa,
    /// Bits of a curve; Ed25519 and Ed448 too.
    Curve,
    /// Lattices; bits say nothing.
    PostQuantum,
    /// One that is not known here.
    Unknown,
}

/// A public key in words.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Key {
    pub(crate) family: KeyFamily,
    /// Such as `RSA`, `EC P-256` or `Ed25519`.
    pub(crate) name: String,
    /// Bits; 0 where nothing is known.
    pub(crate) bits: u32,
}

impl Key {
    pub(crate) fn read(info: &SubjectPublicKeyInfo<'_>) -> Self {
        let oid = info.algorithm.algorithm.to_id_string();
        match oid.as_str() {
            "1.2.840.113549.1.1.1" => Self::new(KeyFamily::Rsa, "RSA", rsa_bits(info)),
            "1.2.840.113549.1.1.10" => Self::new(KeyFamily::Rsa, "RSA-PSS", rsa_bits(info)),
            "1.2.840.10040.4.1" => Self::new(KeyFamily::Dsa, "DSA", dsa_bits(info)),
            "1.2.840.10045.2.1" => elliptic(info),
            "1.3.101.112" => Self::new(KeyFamily::Curve, "Ed25519", 256),
            "1.3.101.113" => Self::new(KeyFamily::Curve, "Ed448", 456),
            "2.16.840.1.101.3.4.3.17" => Self::new(KeyFamily::PostQuantum, "ML-DSA-44", key_bits(info)),
            "2.16.840.1.101.3.4.3.18" => Self::new(KeyFamily::PostQuantum, "ML-DSA-65", key_bits(info)),
            "2.16.840.1.101.3.4.3.19" => Self::new(KeyFamily::PostQuantum, "ML-DSA-87", key_bits(info)),
            other => Self::new(KeyFamily::Unknown, &printable(other), 0),
        }
    }

    fn new(family: KeyFamily, name: &str, bits: u32) -> Self {
        Self { family, name: name.to_owned(), bits }
    }

    /// Whether it is too weak to be trusted with anything: RSA and DSA under 2048 bits, curves under 256 (NIST SP 800-57 part 1, 112 bits of strength).
    pub(crate) fn is_weak(&self) -> bool {
        match self.family {
            KeyFamily::Rsa | KeyFamily::Dsa => self.bits < 2048,
            KeyFamily::Curve => self.bits < 255,
            KeyFamily::PostQuantum | KeyFamily::Unknown => false,
        }
    }
}

fn elliptic(info: &SubjectPublicKeyInfo<'_>) -> Key {
    let curve = info.algorithm.parameters.as_ref().and_then(|parameters| parameters.as_oid().ok());
    let Some(curve) = curve.map(|oid| oid.to_id_string()) else {
        return Key::new(KeyFamily::Curve, "EC with a curve of its own", point_bits(info));
    };
    let (name, bits) = match curve.as_str() {
        "1.2.840.10045.3.1.1" => ("EC P-192", 192),
        "1.3.132.0.33" => ("EC P-224", 224),
        "1.2.840.10045.3.1.7" => ("EC P-256", 256),
        "1.3.132.0.34" => ("EC P-384", 384),
        "1.3.132.0.35" => ("EC P-521", 521),
        "1.3.132.0.10" => ("EC secp256k1", 256),
        "1.3.36.3.3.2.8.1.1.7" => ("EC brainpoolP256r1", 256),
        "1.3.36.3.3.2.8.1.1.11" => ("EC brainpoolP384r1", 384),
        "1.3.36.3.3.2.8.1.1.13" => ("EC brainpoolP512r1", 512),
        other => return Key::new(KeyFamily::Curve, &format!("EC {}", printable(other)), point_bits(info)),
    };
    Key::new(KeyFamily::Curve, name, bits)
}

fn rsa_bits(info: &SubjectPublicKeyInfo<'_>) -> u32 {
    let Ok(PublicKey::RSA(key)) = info.parsed() else { return modulus_of_pss(info) };
    bits(key.modulus)
}

/// The library reads the key of the plain RSA identifier only; that of RSASSA-PSS has the same form (RFC 4055 section 1.2).
fn modulus_of_pss(info: &SubjectPublicKeyInfo<'_>) -> u32 {
    use crate::der::{Reader, tag};
    let modulus = Reader(&info.subject_public_key.data)
        .enter(tag::SEQUENCE)
        .and_then(|mut key| key.expect(tag::INTEGER));
    modulus.map_or(0, bits)
}

/// Bits of the prime, which is the first of the parameters (RFC 3279 section 2.3.2).
fn dsa_bits(info: &SubjectPublicKeyInfo<'_>) -> u32 {
    use crate::der::{Reader, tag};
    let Some(parameters) = info.algorithm.parameters.as_ref() else { return 0 };
    Reader(parameters.data).expect(tag::INTEGER).map_or(0, bits)
}

fn point_bits(info: &SubjectPublicKeyInfo<'_>) -> u32 {
    let Ok(PublicKey::EC(point)) = info.parsed() else { return 0 };
    u32::try_from(point.key_size()).unwrap_or(0)
}

fn key_bits(info: &SubjectPublicKeyInfo<'_>) -> u32 {
    u32::try_from(info.subject_public_key.data.len()).unwrap_or(0).saturating_mul(8)
}

/// Bits of an unsigned number, without leading zeros.
fn bits(number: &[u8]) -> u32 {
    let mut number = number;
    while let Some((0, rest)) = number.split_first() {
        number = rest;
    }
    let Some(first) = number.first() else { return 0 };
    u32::try_from(number.len()).unwrap_or(0).saturating_mul(8) - first.leading_zeros()
}
