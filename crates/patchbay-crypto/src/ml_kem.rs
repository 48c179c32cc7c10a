//! ML-KEM-768 (FIPS 203): a secret and its ciphertext for the owner of a key, which quantum computers do not help to open.
//!
//! A private key is kept in its expanded form of 2400 bytes, because aws-lc-rs has no way from a seed to it. As a file it is PKCS#8 in the
//! form `expandedKey` of RFC 9935; the form `both` is read too, of which the seed is left out, and the form `seed` is refused. The expanded
//! form has the public key and its hash inside, so that damage is found.

use crate::{Error, Secret, pem};
use aws_lc_rs::{
    constant_time::verify_slices_are_equal,
    digest::{SHA3_256, digest},
    kem::{Ciphertext, DecapsulationKey, EncapsulationKey, ML_KEM_768},
};
use pkcs8::der::{
    self, Decode, Encode, SliceReader, Tag, Tagged,
    asn1::{AnyRef, OctetStringRef},
};
use std::fmt;

/// Bytes of a private key in its expanded form.
pub const PRIVATE_LENGTH: usize = 2400;
/// Bytes of a public key.
pub const PUBLIC_LENGTH: usize = 1184;
/// Bytes of a ciphertext.
pub const CIPHERTEXT_LENGTH: usize = 1088;
/// Bytes of a secret.
pub const SECRET_LENGTH: usize = 32;

/// Where the public key begins in a private one, where its hash does, and where that ends (FIPS 203, algorithm 16).
const PUBLIC_AT: usize = 1152;
const HASH_AT: usize = PUBLIC_AT + PUBLIC_LENGTH;
const HASH_END: usize = HASH_AT + 32;

/// A private key, as FIPS 203 calls it a decapsulation key.
pub struct PrivateKey {
    key: DecapsulationKey,
    public: PublicKey,
}

impl PrivateKey {
    /// Makes a key.
    pub fn generate() -> Result<Self, Error> {
        let key = DecapsulationKey::generate(&ML_KEM_768).map_err(|_| Error::Library)?;
        let public =
            key.encapsulation_key().and_then(|public| public.key_bytes()).map_err(|_| Error::Library)?;
        Ok(Self { public: PublicKey::from_raw(public.as_ref())?, key })
    }

    /// Takes a PKCS#8 document (RFC 9935) with the expanded key in it.
    pub fn from_pkcs8(der: &[u8]) -> Result<Self, Error> {
        match pem::kind_of_pkcs8(der)? {
            pem::Kind::MlKem768 => Self::from_expanded(expanded(pem::key_of_pkcs8(der)?)?),
            other => Err(Error::Key(format!("it is {other}, not ML-KEM-768"))),
        }
    }

    /// Takes the 2400 bytes of the expanded form. The hash in it must be that of the public key in it.
    pub fn from_expanded(bytes: &[u8]) -> Result<Self, Error> {
        if bytes.len() != PRIVATE_LENGTH {
            let problem = format!("an ML-KEM-768 key has {PRIVATE_LENGTH} bytes, not {}", bytes.len());
            return Err(Error::Key(problem));
        }
        let damaged = || Error::Key("the parts of this ML-KEM-768 key do not fit together".into());
        let public = bytes.get(PUBLIC_AT..HASH_AT).ok_or_else(damaged)?;
        let hash = bytes.get(HASH_AT..HASH_END).ok_or_else(damaged)?;
        verify_slices_are_equal(digest(&SHA3_256, public).as_ref(), hash).map_err(|_| damaged())?;
        let private = Self {
            public: PublicKey::from_raw(public)?,
            key: DecapsulationKey::new(&ML_KEM_768, bytes).map_err(|_| damaged())?,
        };
        private.check_pair()?;
        Ok(private)
    }

    /// What the public half encapsulates must be what the private half finds, or messages would be lost.
    fn check_pair(&self) -> Result<(), Error> {
        let (ciphertext, secret) = self.public.encapsulate()?;
        let found = self.decapsulate(&ciphertext)?;
        verify_slices_are_equal(found.expose(), secret.expose()).map_err(|_| {
            Error::Key("the public half of this ML-KEM-768 key is not that of its private half".into())
        })
    }

    /// Returns the key as PKCS#8 DER, in the form `expandedKey` of RFC 9935.
    pub fn to_pkcs8(&self) -> Result<Secret, Error> {
        let expanded = self.to_expanded()?;
        let inner = OctetStringRef::new(expanded.expose()).and_then(|octets| octets.to_der());
        let inner = Secret::new(inner.map_err(|_| Error::Library)?);
        pem::write_pkcs8(pem::ML_KEM_768, inner.expose())
    }

    /// Returns the 2400 bytes of the expanded form.
    pub fn to_expanded(&self) -> Result<Secret, Error> {
        let bytes = self.key.key_bytes().map_err(|_| Error::Library)?;
        Ok(Secret::new(bytes.as_ref().to_vec()))
    }

    /// Public half.
    pub fn public(&self) -> &PublicKey {
        &self.public
    }

    /// Finds the secret of a ciphertext of 1088 bytes. One that was changed gives another secret, and no error: only what is done with the
    /// secret tells (implicit rejection, FIPS 203, section 6.3).
    pub fn decapsulate(&self, ciphertext: &[u8]) -> Result<Secret, Error> {
        if ciphertext.len() != CIPHERTEXT_LENGTH {
            let problem =
                format!("a ciphertext of ML-KEM-768 has {CIPHERTEXT_LENGTH} bytes, not {}", ciphertext.len());
            return Err(Error::Input(problem));
        }
        let secret = self.key.decapsulate(Ciphertext::from(ciphertext)).map_err(|_| Error::Library)?;
        Ok(Secret::new(secret.as_ref().to_vec()))
    }
}

impl fmt::Debug for PrivateKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PrivateKey").finish_non_exhaustive()
    }
}

/// RFC 9935, section 6: `seed [0]`, `expandedKey OCTET STRING` or `both SEQUENCE { seed, expandedKey }`.
fn expanded(key: &[u8]) -> Result<&[u8], Error> {
    let unreadable = |_| Error::Key("it is no ML-KEM-768 key in the form of RFC 9935".into());
    let key = AnyRef::from_der(key).map_err(unreadable)?;
    match key.tag() {
        Tag::OctetString => Ok(key.value()),
        Tag::Sequence => both(key.value()).map_err(unreadable),
        _ => Err(Error::Key(
            "it has a seed only: write the key with its expanded form (RFC 9935, `both`)".into(),
        )),
    }
}

fn both(inside: &[u8]) -> der::Result<&[u8]> {
    let mut inside = SliceReader::new(inside)?;
    <&OctetStringRef>::decode(&mut inside)?;
    let expanded = <&OctetStringRef>::decode(&mut inside)?;
    der::Reader::finish(inside)?;
    Ok(expanded.as_bytes())
}

/// A public key, as FIPS 203 calls it an encapsulation key.
pub struct PublicKey {
    raw: Vec<u8>,
    spki: Vec<u8>,
    key: EncapsulationKey,
}

impl PublicKey {
    /// Takes a key as `SubjectPublicKeyInfo` in PEM or DER, or its 1184 bytes.
    pub fn parse(bytes: &[u8]) -> Result<Self, Error> {
        if bytes.len() == PUBLIC_LENGTH {
            return Self::from_raw(bytes);
        }
        Self::from_spki(&pem::public_key_from(bytes)?.1)
    }

    /// Takes a `SubjectPublicKeyInfo` (RFC 9935) in DER.
    pub fn from_spki(der: &[u8]) -> Result<Self, Error> {
        match pem::kind_of_spki(der)? {
            pem::Kind::MlKem768 => Self::from_raw(pem::key_bits_of_spki(der)?),
            other => Err(Error::Key(format!("it is {other}, not ML-KEM-768"))),
        }
    }

    /// Takes the 1184 bytes of a key. Its numbers must be below the modulus (FIPS 203, section 7.2).
    pub fn from_raw(bytes: &[u8]) -> Result<Self, Error> {
        if bytes.len() != PUBLIC_LENGTH {
            let problem =
                format!("a public key of ML-KEM-768 has {PUBLIC_LENGTH} bytes, not {}", bytes.len());
            return Err(Error::Key(problem));
        }
        if !is_reduced(bytes) {
            return Err(Error::Key("this public key has a number that is not below the modulus".into()));
        }
        let key = EncapsulationKey::new(&ML_KEM_768, bytes)
            .map_err(|_| Error::Key("it is no public key of ML-KEM-768".into()))?;
        Ok(Self { raw: bytes.to_vec(), spki: pem::write_spki(pem::ML_KEM_768, bytes)?, key })
    }

    /// The 1184 bytes.
    pub fn raw(&self) -> &[u8] {
        &self.raw
    }

    /// Returns the key as `SubjectPublicKeyInfo` in DER.
    pub fn to_spki_der(&self) -> Vec<u8> {
        self.spki.clone()
    }

    /// Makes a secret of 32 bytes, and the ciphertext in which only the owner of the private key finds it.
    pub fn encapsulate(&self) -> Result<(Vec<u8>, Secret), Error> {
        let (ciphertext, secret) = self.key.encapsulate().map_err(|_| Error::Library)?;
        Ok((ciphertext.as_ref().to_vec(), Secret::new(secret.as_ref().to_vec())))
    }
}

impl fmt::Debug for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PublicKey").finish_non_exhaustive()
    }
}

/// Three bytes are two numbers of twelve bits, little endian; the last 32 bytes are a seed.
fn is_reduced(public: &[u8]) -> bool {
    const MODULUS: u16 = 3329;
    let below = |bytes: &[u8]| match bytes {
        [low, middle, high] => {
            let first = u16::from(*low) | (u16::from(middle & 0x0f) << 8);
            let second = u16::from(middle >> 4) | (u16::from(*high) << 4);
            first < MODULUS && second < MODULUS
        }
        _ => false,
    };
    let numbers = public.split_last_chunk::<32>().map_or(public, |(numbers, _)| numbers);
    numbers.chunks(3).all(below)
}

#[cfg(test)]
#[path = "ml_kem_tests.rs"]
mod tests;
