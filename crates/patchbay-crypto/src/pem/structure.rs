//! The ASN.1 around keys: which kind of file and which kind of key it is.

use super::{Kind, PrivateKeyInfo};
use crate::{
    Error, Secret,
    ecdsa::{self, Curve},
};
use pkcs8::{
    AlgorithmIdentifierRef, ObjectIdentifier, PrivateKeyInfoRef,
    der::{
        self, Decode, Encode, SliceReader, Tag, TagMode, TagNumber, Tagged,
        asn1::{AnyRef, BitStringRef, ContextSpecific, Null, OctetStringRef, UintRef},
    },
    spki::SubjectPublicKeyInfoRef,
};

const RSA: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.1.1");
const EC: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.2.1");
const ED25519: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.101.112");
pub(crate) const X25519: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.101.110");
pub(crate) const ML_KEM_768: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.16.840.1.101.3.4.4.2");
pub(crate) const ML_DSA_65: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.16.840.1.101.3.4.3.18");
const P256: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.3.1.7");
const P384: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.132.0.34");
const P521: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.132.0.35");

/// What a DER file is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Shape {
    /// `PrivateKeyInfo`.
    Pkcs8,
    /// `EncryptedPrivateKeyInfo`.
    Encrypted,
    /// `RSAPrivateKey`.
    Pkcs1,
    /// `ECPrivateKey`.
    Sec1,
}

impl Shape {
    /// Its label in PEM.
    pub(super) fn label(self) -> &'static str {
        match self {
            Self::Pkcs8 => "PRIVATE KEY",
            Self::Encrypted => "ENCRYPTED PRIVATE KEY",
            Self::Pkcs1 => "RSA PRIVATE KEY",
            Self::Sec1 => "EC PRIVATE KEY",
        }
    }
}

/// Tells the four apart by the tags they begin with.
pub(super) fn shape(der: &[u8]) -> Result<Shape, Error> {
    let tags = first_tags(der).map_err(|_| unreadable())?;
    match tags {
        [Tag::Integer, Tag::Sequence] => Ok(Shape::Pkcs8),
        [Tag::Sequence, Tag::OctetString] => Ok(Shape::Encrypted),
        [Tag::Integer, Tag::Integer] => Ok(Shape::Pkcs1),
        [Tag::Integer, Tag::OctetString] => Ok(Shape::Sec1),
        [Tag::Sequence, Tag::BitString] => {
            Err(Error::Input("this is a public key, and a private one is needed".into()))
        }
        _ => Err(unreadable()),
    }
}

fn first_tags(der: &[u8]) -> der::Result<[Tag; 2]> {
    let whole = AnyRef::from_der(der)?;
    whole.tag().assert_eq(Tag::Sequence)?;
    let mut inside = SliceReader::new(whole.value())?;
    let first = AnyRef::decode(&mut inside)?.tag();
    Ok([first, Tag::peek(&inside)?])
}

/// Brings a private key in the clear to PKCS#8.
pub(super) fn to_pkcs8(der: &Secret) -> Result<PrivateKeyInfo, Error> {
    let pkcs8 = match shape(der.expose())? {
        Shape::Pkcs8 => der.clone(),
        Shape::Pkcs1 => wrap_pkcs1(der.expose())?,
        Shape::Sec1 => ecdsa::PrivateKey::from_sec1(der.expose())?.to_pkcs8()?,
        Shape::Encrypted => return Err(unreadable()),
    };
    Ok(PrivateKeyInfo { kind: kind_of_pkcs8(pkcs8.expose())?, pkcs8 })
}

fn wrap_pkcs1(der: &[u8]) -> Result<Secret, Error> {
    modulus_bits(der, 1).map_err(|_| unreadable())?;
    let algorithm = AlgorithmIdentifierRef { oid: RSA, parameters: Some(Null.into()) };
    let wrap = || PrivateKeyInfoRef::new(algorithm, OctetStringRef::new(der)?).to_der();
    Ok(Secret::new(wrap().map_err(|_| unreadable())?))
}

/// Kind of the key in a `PrivateKeyInfo`.
pub(crate) fn kind_of_pkcs8(der: &[u8]) -> Result<Kind, Error> {
    let info = PrivateKeyInfoRef::from_der(der).map_err(|_| unreadable())?;
    kind(info.algorithm, || modulus_bits(info.private_key.as_bytes(), 1))
}

/// Kind of the key in a `SubjectPublicKeyInfo`.
pub(crate) fn kind_of_spki(der: &[u8]) -> Result<Kind, Error> {
    let info = spki(der)?;
    kind(info.algorithm, || modulus_bits(info.subject_public_key.raw_bytes(), 0))
}

/// The bits of the key itself in a `SubjectPublicKeyInfo`.
pub(crate) fn key_bits_of_spki(der: &[u8]) -> Result<&[u8], Error> {
    spki(der)?.subject_public_key.as_bytes().ok_or_else(unreadable)
}

/// The octets in which a `PrivateKeyInfo` has the key itself.
pub(crate) fn key_of_pkcs8(der: &[u8]) -> Result<&[u8], Error> {
    let info = PrivateKeyInfoRef::from_der(der).map_err(|_| unreadable())?;
    Ok(info.private_key.as_bytes())
}

/// The bytes of a public key of a type without parameters, as a `PrivateKeyInfo` of version 2 (RFC 5958) has them.
pub(crate) fn public_of_pkcs8(der: &[u8]) -> Result<Option<&[u8]>, Error> {
    let info = PrivateKeyInfoRef::from_der(der).map_err(|_| unreadable())?;
    info.public_key.map(|bits| bits.as_bytes().ok_or_else(unreadable)).transpose()
}

/// Writes a `PrivateKeyInfo` of version 1 for one of the types that have no parameters.
pub(crate) fn write_pkcs8(oid: ObjectIdentifier, key: &[u8]) -> Result<Secret, Error> {
    let algorithm = AlgorithmIdentifierRef { oid, parameters: None };
    let write = || PrivateKeyInfoRef::new(algorithm, OctetStringRef::new(key)?).to_der();
    write().map(Secret::new).map_err(|_| Error::Library)
}

/// Writes a `SubjectPublicKeyInfo` for one of the types that have no parameters.
pub(crate) fn write_spki(oid: ObjectIdentifier, key: &[u8]) -> Result<Vec<u8>, Error> {
    let algorithm = AlgorithmIdentifierRef { oid, parameters: None };
    let write = || {
        let subject_public_key = BitStringRef::from_bytes(key)?;
        SubjectPublicKeyInfoRef { algorithm, subject_public_key }.to_der()
    };
    write().map_err(|_| Error::Library)
}

fn spki(der: &[u8]) -> Result<SubjectPublicKeyInfoRef<'_>, Error> {
    SubjectPublicKeyInfoRef::from_der(der)
        .map_err(|_| Error::Key("it is no SubjectPublicKeyInfo in DER or PEM".into()))
}

fn kind(
    algorithm: AlgorithmIdentifierRef<'_>,
    bits: impl FnOnce() -> der::Result<usize>,
) -> Result<Kind, Error> {
    match algorithm.oid {
        RSA => Ok(Kind::Rsa { bits: bits().map_err(|_| unreadable())? }),
        ED25519 => Ok(Kind::Ed25519),
        // RFC 8410, RFC 9881 and RFC 9935: parameters must be absent.
        X25519 | ML_KEM_768 | ML_DSA_65 if algorithm.parameters.is_some() => Err(unreadable()),
        X25519 => Ok(Kind::X25519),
        ML_KEM_768 => Ok(Kind::MlKem768),
        ML_DSA_65 => Ok(Kind::MlDsa65),
        EC => {
            let curve = algorithm.parameters.and_then(|parameters| parameters.decode_as().ok());
            curve.and_then(curve_of).map(Kind::Ecdsa).ok_or_else(unknown_curve)
        }
        other => Err(Error::Key(format!(
            "keys of algorithm {other} are not offered: RSA, ECDSA on P-256, P-384 and P-521, Ed25519, X25519, ML-KEM-768 and \
             ML-DSA-65 are"
        ))),
    }
}

/// Curve that an `ECPrivateKey` (RFC 5915) names.
pub(crate) fn curve_of_sec1(der: &[u8]) -> Result<Curve, Error> {
    let named = || -> der::Result<Option<ContextSpecific<ObjectIdentifier>>> {
        let mut inside = SliceReader::new(AnyRef::from_der(der)?.value())?;
        u8::decode(&mut inside)?;
        <&OctetStringRef>::decode(&mut inside)?;
        ContextSpecific::decode_explicit(&mut inside, TagNumber(0))
    };
    let named = named().map_err(|_| unknown_curve())?;
    named
        .filter(|named| named.tag_mode == TagMode::Explicit)
        .and_then(|named| curve_of(named.value))
        .ok_or_else(unknown_curve)
}

fn curve_of(oid: ObjectIdentifier) -> Option<Curve> {
    match oid {
        P256 => Some(Curve::P256),
        P384 => Some(Curve::P384),
        P521 => Some(Curve::P521),
        _ => None,
    }
}

/// Length of the modulus in an `RSAPublicKey`, or after so many numbers in an `RSAPrivateKey`.
fn modulus_bits(der: &[u8], before: usize) -> der::Result<usize> {
    let mut inside = SliceReader::new(AnyRef::from_der(der)?.value())?;
    for _ in 0..before {
        UintRef::decode(&mut inside)?;
    }
    let modulus = UintRef::decode(&mut inside)?;
    let bytes = modulus.as_bytes();
    let zeros = bytes.first().map_or(0, |byte| byte.leading_zeros() as usize);
    Ok((bytes.len() * 8).saturating_sub(zeros))
}

fn unreadable() -> Error {
    Error::Key("it is no private key in PKCS#8, PKCS#1 or SEC 1, as PEM or DER".into())
}

fn unknown_curve() -> Error {
    Error::Key("its curve is not named, or none of P-256, P-384 and P-521".into())
}
