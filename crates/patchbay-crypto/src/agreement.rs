//! Key agreement: X25519 (RFC 7748) and ECDH over P-256 (SP 800-56A), always through HKDF.
//!
//! The point that two parties share is no key: it is not uniform, and does not tell whose it is. So nobody gets it but [`crate::hpke`];
//! [`PrivateKey::agree`] derives from it with HKDF-SHA256 (RFC 5869), an empty salt, and as info `patchbay key agreement v1`, a zero byte, both
//! public keys, the lesser one first, and what the caller says that the secret is for. With both keys in it, a key that differs in form but
//! not in effect (X25519 has such) gives another secret.

use crate::{Error, Secret, kdf, pem};
use aws_lc_rs::{
    agreement::{self, ECDH_P256, ParsedPublicKey, UnparsedPublicKey},
    encoding::{AsBigEndian, AsDer, Curve25519SeedBin, Pkcs8V1Der},
    error::Unspecified,
};
use pkcs8::der::{Decode, Encode, asn1::OctetStringRef};
use std::{fmt, ops::RangeInclusive};

/// Bytes of a secret that may be asked for.
pub const LENGTHS: RangeInclusive<usize> = 16..=64;

/// Bytes of what a caller says that a secret is for, at most.
pub const MAX_INFO: usize = 1024;

/// What the info of the derivation begins with; a zero byte follows.
const LABEL: &[u8] = b"patchbay key agreement v1\0";

/// Bytes of a key of X25519, private and public.
const X25519_LENGTH: usize = 32;
/// Bytes of an uncompressed point of P-256, and what it begins with.
const P256_LENGTH: usize = 65;
const P256_UNCOMPRESSED: u8 = 4;

/// A group to agree in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Curve {
    /// X25519.
    X25519,
    /// NIST P-256, secp256r1.
    P256,
}

impl Curve {
    /// Bytes of a public key as [`PublicKey::raw`] gives it.
    pub fn public_length(self) -> usize {
        match self {
            Self::X25519 => X25519_LENGTH,
            Self::P256 => P256_LENGTH,
        }
    }

    fn algorithm(self) -> &'static agreement::Algorithm {
        match self {
            Self::X25519 => &agreement::X25519,
            Self::P256 => &ECDH_P256,
        }
    }

    fn of(kind: pem::Kind) -> Result<Self, Error> {
        match kind {
            pem::Kind::X25519 => Ok(Self::X25519),
            pem::Kind::Ecdsa(crate::ecdsa::Curve::P256) => Ok(Self::P256),
            other => Err(Error::Key(format!("it is {other}, and keys are agreed on with X25519 and P-256"))),
        }
    }
}

impl fmt::Display for Curve {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::X25519 => "X25519",
            Self::P256 => "P-256",
        })
    }
}

/// A private key.
pub struct PrivateKey {
    key: agreement::PrivateKey,
    public: PublicKey,
}

impl PrivateKey {
    /// Makes a key.
    pub fn generate(curve: Curve) -> Result<Self, Error> {
        let key = agreement::PrivateKey::generate(curve.algorithm()).map_err(|_| Error::Library)?;
        Self::new(curve, key)
    }

    /// Takes a PKCS#8 document: of X25519 (RFC 8410), version 1 or 2, or of a key on P-256 (RFC 5915). A public half in it must fit.
    pub fn from_pkcs8(der: &[u8]) -> Result<Self, Error> {
        let curve = Curve::of(pem::kind_of_pkcs8(der)?)?;
        match curve {
            Curve::X25519 => Self::from_x25519_pkcs8(der),
            Curve::P256 => {
                let key = agreement::PrivateKey::from_private_key_der(curve.algorithm(), der)
                    .map_err(|_| Error::Key("it is no point and number of P-256 that fit together".into()))?;
                Self::new(curve, key)
            }
        }
    }

    /// RFC 8410, section 7: inside is an `OCTET STRING` again.
    fn from_x25519_pkcs8(der: &[u8]) -> Result<Self, Error> {
        let inner = <&OctetStringRef>::from_der(pem::key_of_pkcs8(der)?)
            .map_err(|_| Error::Key("it is no X25519 key in the form of RFC 8410".into()))?;
        let key = Self::from_raw(Curve::X25519, inner.as_bytes())?;
        match pem::public_of_pkcs8(der)? {
            Some(public) if public != key.public.raw() => {
                Err(Error::Key("its public half is another key's".into()))
            }
            _ => Ok(key),
        }
    }

    /// Takes the 32 bytes of a private key: of X25519, or the number of P-256, big endian.
    pub fn from_raw(curve: Curve, bytes: &[u8]) -> Result<Self, Error> {
        let key = agreement::PrivateKey::from_private_key(curve.algorithm(), bytes)
            .map_err(|_| Error::Key(format!("it is no private key of {curve} of 32 bytes")))?;
        Self::new(curve, key)
    }

    fn new(curve: Curve, key: agreement::PrivateKey) -> Result<Self, Error> {
        let public = key.compute_public_key().map_err(|_| Error::Library)?;
        Ok(Self { public: PublicKey::from_raw(curve, public.as_ref())?, key })
    }

    /// Returns the key as PKCS#8 DER, version 1.
    pub fn to_pkcs8(&self) -> Result<Secret, Error> {
        match self.curve() {
            Curve::X25519 => {
                let seed: Curve25519SeedBin<'_> = self.key.as_be_bytes().map_err(|_| Error::Library)?;
                let inner = OctetStringRef::new(seed.as_ref()).and_then(|octets| octets.to_der());
                let inner = Secret::new(inner.map_err(|_| Error::Library)?);
                pem::write_pkcs8(pem::X25519, inner.expose())
            }
            Curve::P256 => {
                let der = AsDer::<Pkcs8V1Der<'_>>::as_der(&self.key).map_err(|_| Error::Library)?;
                Ok(Secret::new(der.as_ref().to_vec()))
            }
        }
    }

    /// Group of the key.
    pub fn curve(&self) -> Curve {
        self.public.curve
    }

    /// Public half.
    pub fn public(&self) -> &PublicKey {
        &self.public
    }

    /// Makes the secret that the owner of the other key makes with this one's public half, the same info and the same length.
    pub fn agree(&self, peer: &PublicKey, info: &[u8], length: usize) -> Result<Secret, Error> {
        if !LENGTHS.contains(&length) {
            let (least, most) = LENGTHS.into_inner();
            return Err(Error::Input(format!("a secret has {least} to {most} bytes, not {length}")));
        }
        if info.len() > MAX_INFO {
            return Err(Error::Input(format!("what a secret is for has {MAX_INFO} bytes at most")));
        }
        let shared = self.shared_point(peer)?;
        let (own, other) = (self.public.raw(), peer.raw());
        kdf::derive(shared.expose(), &[LABEL, own.min(other), own.max(other), info], length)
    }

    /// The point itself: its x coordinate on P-256. X25519 with a point of small order gives zeros, which everybody knows, and is refused.
    ///
    /// It is no key. It is there for protocols that derive from it themselves, and for their vectors.
    pub fn shared_point(&self, peer: &PublicKey) -> Result<Secret, Error> {
        if self.curve() != peer.curve {
            let problem = format!("the other key is of {}, and this one of {}", peer.curve, self.curve());
            return Err(Error::Key(problem));
        }
        // A parsed key is cheap to copy: what is inside is counted.
        agreement::agree(&self.key, peer.key.clone(), Unspecified, |point| Ok(Secret::new(point.to_vec())))
            .map_err(|_| Error::Key("with this public key everybody knows the secret".into()))
    }
}

impl fmt::Debug for PrivateKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PrivateKey").field("curve", &self.curve()).finish_non_exhaustive()
    }
}

/// A public key.
#[derive(Clone)]
pub struct PublicKey {
    curve: Curve,
    raw: Vec<u8>,
    key: ParsedPublicKey,
}

impl PublicKey {
    /// Takes a key as `SubjectPublicKeyInfo` in PEM or DER, or as [`Self::from_raw`].
    pub fn parse(curve: Curve, bytes: &[u8]) -> Result<Self, Error> {
        if bytes.len() == curve.public_length() {
            return Self::from_raw(curve, bytes);
        }
        let (_, der) = pem::public_key_from(bytes)?;
        let key = Self::from_spki(&der)?;
        if key.curve == curve {
            return Ok(key);
        }
        Err(Error::Key(format!("it is a key of {}, not of {curve}", key.curve)))
    }

    /// Takes a `SubjectPublicKeyInfo` in DER: RFC 8410, or RFC 5480 with a named curve and an uncompressed point.
    pub fn from_spki(der: &[u8]) -> Result<Self, Error> {
        let curve = Curve::of(pem::kind_of_spki(der)?)?;
        Self::from_raw(curve, pem::key_bits_of_spki(der)?)
    }

    /// Takes the 32 bytes of X25519, or the 65 of an uncompressed point of P-256, which must be on the curve.
    pub fn from_raw(curve: Curve, bytes: &[u8]) -> Result<Self, Error> {
        let is_form = match curve {
            Curve::X25519 => true,
            Curve::P256 => bytes.first() == Some(&P256_UNCOMPRESSED),
        };
        if bytes.len() != curve.public_length() || !is_form {
            return Err(no_point(curve));
        }
        let key = UnparsedPublicKey::new(curve.algorithm(), bytes).try_into().map_err(|_| no_point(curve))?;
        Ok(Self { curve, raw: bytes.to_vec(), key })
    }

    /// Group of the key.
    pub fn curve(&self) -> Curve {
        self.curve
    }

    /// The bytes that [`Self::from_raw`] takes.
    pub fn raw(&self) -> &[u8] {
        &self.raw
    }

    /// Returns the key as `SubjectPublicKeyInfo` in DER.
    pub fn to_spki_der(&self) -> Vec<u8> {
        let prefix: &[u8] = match self.curve {
            Curve::X25519 => &X25519_SPKI,
            Curve::P256 => &P256_SPKI,
        };
        [prefix, &self.raw].concat()
    }
}

impl fmt::Debug for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("PublicKey").field(&self.curve).field(&hex::encode(&self.raw)).finish()
    }
}

impl PartialEq for PublicKey {
    fn eq(&self, other: &Self) -> bool {
        (self.curve, &self.raw) == (other.curve, &other.raw)
    }
}

impl Eq for PublicKey {}

/// What stands before every key of X25519 (RFC 8410, section 4).
const X25519_SPKI: [u8; 12] = [0x30, 0x2a, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x6e, 0x03, 0x21, 0x00];
/// What stands before every uncompressed point of P-256 (RFC 5480, section 2).
const P256_SPKI: [u8; 26] = [
    0x30, 0x59, 0x30, 0x13, 0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01, 0x06, 0x08, 0x2a, 0x86,
    0x48, 0xce, 0x3d, 0x03, 0x01, 0x07, 0x03, 0x42, 0x00,
];

fn no_point(curve: Curve) -> Error {
    Error::Key(match curve {
        Curve::X25519 => "a public key of X25519 has 32 bytes".into(),
        Curve::P256 => "it is no uncompressed point of P-256: 65 bytes, the first of which is 4".into(),
    })
}

#[cfg(test)]
#[path = "agreement_tests.rs"]
mod tests;
