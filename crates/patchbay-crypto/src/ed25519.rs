//! Ed25519 (RFC 8032) over whole messages.

use crate::{Error, Secret, pem};
use aws_lc_rs::{
    encoding::{AsBigEndian, Curve25519SeedBin},
    signature::{ED25519, Ed25519KeyPair, KeyPair, ParsedPublicKey},
};
use std::fmt;

/// Bytes of a seed, which is the private key.
pub const SEED_LENGTH: usize = 32;
/// Bytes of a public key.
pub const PUBLIC_LENGTH: usize = 32;
/// Bytes of a signature.
pub const SIGNATURE_LENGTH: usize = 64;

/// A private key.
pub struct PrivateKey {
    pair: Ed25519KeyPair,
    public: PublicKey,
}

impl PrivateKey {
    /// Makes a key.
    pub fn generate() -> Result<Self, Error> {
        Self::new(Ed25519KeyPair::generate().map_err(|_| Error::Library)?)
    }

    /// Takes a PKCS#8 document (RFC 8410), version 1 or 2; a public half in it must fit.
    pub fn from_pkcs8(der: &[u8]) -> Result<Self, Error> {
        match pem::kind_of_pkcs8(der)? {
            pem::Kind::Ed25519 => {}
            other => return Err(Error::Key(format!("it is {other}, not Ed25519"))),
        }
        let pair = Ed25519KeyPair::from_pkcs8(der)
            .map_err(|_| Error::Key("it is no Ed25519 seed, or its public half is another's".into()))?;
        Self::new(pair)
    }

    /// Takes the 32 bytes of a seed.
    pub fn from_seed(seed: &[u8]) -> Result<Self, Error> {
        if seed.len() != SEED_LENGTH {
            return Err(Error::Key(format!("a seed has {SEED_LENGTH} bytes, not {}", seed.len())));
        }
        Self::new(Ed25519KeyPair::from_seed_unchecked(seed).map_err(|_| Error::Library)?)
    }

    fn new(pair: Ed25519KeyPair) -> Result<Self, Error> {
        let public = PublicKey::from_bytes(pair.public_key().as_ref())?;
        Ok(Self { pair, public })
    }

    /// Returns the key as PKCS#8 DER, version 1, which every reader knows.
    pub fn to_pkcs8(&self) -> Result<Secret, Error> {
        let document = self.pair.to_pkcs8v1().map_err(|_| Error::Library)?;
        Ok(Secret::new(document.as_ref().to_vec()))
    }

    /// Returns the 32 bytes of the seed.
    pub fn seed(&self) -> Result<Secret, Error> {
        let seed = self.pair.seed().map_err(|_| Error::Library)?;
        let bytes: Curve25519SeedBin<'_> = seed.as_be_bytes().map_err(|_| Error::Library)?;
        Ok(Secret::new(bytes.as_ref().to_vec()))
    }

    /// Public half.
    pub fn public(&self) -> &PublicKey {
        &self.public
    }

    /// Signs.
    pub fn sign(&self, message: &[u8]) -> Result<Vec<u8>, Error> {
        Ok(self.pair.try_sign(message).map_err(|_| Error::Library)?.as_ref().to_vec())
    }
}

impl fmt::Debug for PrivateKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PrivateKey").finish_non_exhaustive()
    }
}

/// A public key.
pub struct PublicKey {
    bytes: [u8; PUBLIC_LENGTH],
    spki: Vec<u8>,
    key: ParsedPublicKey,
}

impl PublicKey {
    /// Takes a `SubjectPublicKeyInfo` (RFC 8410) in DER.
    pub fn from_spki(der: &[u8]) -> Result<Self, Error> {
        match pem::kind_of_spki(der)? {
            pem::Kind::Ed25519 => Self::from_bytes(pem::key_bits_of_spki(der)?),
            other => Err(Error::Key(format!("it is {other}, not Ed25519"))),
        }
    }

    /// Takes the 32 bytes of a public key. Points of small order and numbers that are not reduced are refused: with them, one signature
    /// could fit many messages.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, Error> {
        let Ok(bytes) = <[u8; PUBLIC_LENGTH]>::try_from(bytes) else {
            return Err(Error::Key(format!("a public key has {PUBLIC_LENGTH} bytes, not {}", bytes.len())));
        };
        if is_weak(&bytes) {
            return Err(Error::Key("this point is of small order, or its number is not reduced".into()));
        }
        let key = ParsedPublicKey::new(&ED25519, bytes)
            .map_err(|_| Error::Key("it is no point of the curve".into()))?;
        Ok(Self { spki: to_spki(&bytes), bytes, key })
    }

    /// The 32 bytes.
    pub fn as_bytes(&self) -> &[u8; PUBLIC_LENGTH] {
        &self.bytes
    }

    /// Returns the key as `SubjectPublicKeyInfo` in DER.
    pub fn to_spki_der(&self) -> Vec<u8> {
        self.spki.clone()
    }

    /// Tells whether a signature fits; its number must be reduced (RFC 8032, section 5.1.7).
    pub fn verify(&self, message: &[u8], signature: &[u8]) -> bool {
        self.key.verify_sig(message, signature).is_ok()
    }
}

impl fmt::Debug for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("PublicKey").field(&hex::encode(self.bytes)).finish()
    }
}

/// RFC 8410, section 4: the same twelve bytes stand before every key.
fn to_spki(bytes: &[u8; PUBLIC_LENGTH]) -> Vec<u8> {
    const PREFIX: [u8; 12] = [0x30, 0x2a, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x03, 0x21, 0x00];
    [PREFIX.as_slice(), bytes].concat()
}

/// 2^255 - 19, little endian.
const PRIME: [u8; 32] = {
    let mut prime = [0xff; 32];
    prime[0] = 0xed;
    prime[31] = 0x7f;
    prime
};

/// The `y` of the points of order 8, little endian; those of order 1, 2 and 4 are 1, -1 and 0.
const ORDER_8: [[u8; 32]; 2] = [
    [
        0x26, 0xe8, 0x95, 0x8f, 0xc2, 0xb2, 0x27, 0xb0, 0x45, 0xc3, 0xf4, 0x89, 0xf2, 0xef, 0x98, 0xf0, 0xd5,
        0xdf, 0xac, 0x05, 0xd3, 0xc6, 0x33, 0x39, 0xb1, 0x38, 0x02, 0x88, 0x6d, 0x53, 0xfc, 0x05,
    ],
    [
        0xc7, 0x17, 0x6a, 0x70, 0x3d, 0x4d, 0xd8, 0x4f, 0xba, 0x3c, 0x0b, 0x76, 0x0d, 0x10, 0x67, 0x0f, 0x2a,
        0x20, 0x53, 0xfa, 0x2c, 0x39, 0xcc, 0xc6, 0x4e, 0xc7, 0xfd, 0x77, 0x92, 0xac, 0x03, 0x7a,
    ],
];

/// Whether a point is of small order, or `y` is not below the prime. A public key is no secret: this need not take constant time.
fn is_weak(bytes: &[u8; PUBLIC_LENGTH]) -> bool {
    let mut y = *bytes;
    y[31] &= 0x7f;
    if y.iter().rev().ge(PRIME.iter().rev()) {
        return true;
    }
    let mut one = [0; 32];
    one[0] = 1;
    let mut minus_one = PRIME;
    minus_one[0] -= 1;
    y == [0; 32] || y == one || y == minus_one || ORDER_8.contains(&y)
}

#[cfg(test)]
#[path = "ed25519_tests.rs"]
mod tests;
