//! ML-DSA-65 (FIPS 204): signatures that quantum computers do not help to forge.
//!
//! Whole messages are signed, with an empty context, and randomly: two signatures of one message differ. Private keys are PKCS#8 as of
//! RFC 9881; they are made and written as a seed, and the expanded form is read too.

use crate::{Error, Secret, pem};
use aws_lc_rs::{
    encoding::{AsDer, PublicKeyX509Der},
    signature::{KeyPair, ML_DSA_65, ML_DSA_65_SIGNING, ParsedPublicKey, PqdsaKeyPair},
};
use std::fmt;

/// Bytes of a seed.
pub const SEED_LENGTH: usize = 32;
/// Bytes of a public key.
pub const PUBLIC_LENGTH: usize = 1952;
/// Bytes of a signature.
pub const SIGNATURE_LENGTH: usize = 3309;

/// A private key.
pub struct PrivateKey {
    pair: PqdsaKeyPair,
    pkcs8: Secret,
    public: PublicKey,
}

impl PrivateKey {
    /// Makes a key.
    pub fn generate() -> Result<Self, Error> {
        Self::of_seed(PqdsaKeyPair::generate(&ML_DSA_65_SIGNING).map_err(|_| Error::Library)?)
    }

    /// Takes a PKCS#8 document (RFC 9881) with the seed, the expanded key, or both, which must fit together.
    pub fn from_pkcs8(der: &[u8]) -> Result<Self, Error> {
        match pem::kind_of_pkcs8(der)? {
            pem::Kind::MlDsa65 => {}
            other => return Err(Error::Key(format!("it is {other}, not ML-DSA-65"))),
        }
        let pair = PqdsaKeyPair::from_pkcs8(&ML_DSA_65_SIGNING, der)
            .map_err(|_| Error::Key("it is no ML-DSA-65 key whose parts fit together".into()))?;
        match pair.to_pkcs8v1() {
            Ok(_) => Self::of_seed(pair),
            // There is no way back from the expanded form to the seed, so that the key stays as it came.
            Err(_) => Self::new(pair, Secret::new(der.to_vec())),
        }
    }

    /// Takes the 32 bytes of a seed.
    pub fn from_seed(seed: &[u8]) -> Result<Self, Error> {
        let pair = PqdsaKeyPair::from_seed(&ML_DSA_65_SIGNING, seed)
            .map_err(|_| Error::Key(format!("a seed has {SEED_LENGTH} bytes, not {}", seed.len())))?;
        Self::of_seed(pair)
    }

    fn of_seed(pair: PqdsaKeyPair) -> Result<Self, Error> {
        let document = pair.to_pkcs8v1().map_err(|_| Error::Library)?;
        Self::new(pair, Secret::new(document.as_ref().to_vec()))
    }

    fn new(pair: PqdsaKeyPair, pkcs8: Secret) -> Result<Self, Error> {
        let spki = AsDer::<PublicKeyX509Der<'_>>::as_der(pair.public_key()).map_err(|_| Error::Library)?;
        Ok(Self { public: PublicKey::from_spki(spki.as_ref())?, pair, pkcs8 })
    }

    /// Returns the key as PKCS#8 DER: its seed, or the document that it came as where that had no seed.
    pub fn to_pkcs8(&self) -> Result<Secret, Error> {
        Ok(self.pkcs8.clone())
    }

    /// Public half.
    pub fn public(&self) -> &PublicKey {
        &self.public
    }

    /// Signs.
    pub fn sign(&self, message: &[u8]) -> Result<Vec<u8>, Error> {
        let mut signature = vec![0; SIGNATURE_LENGTH];
        let length = self.pair.sign(message, &mut signature).map_err(|_| Error::Library)?;
        signature.truncate(length);
        Ok(signature)
    }
}

impl fmt::Debug for PrivateKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PrivateKey").finish_non_exhaustive()
    }
}

/// A public key.
pub struct PublicKey {
    spki: Vec<u8>,
    raw: Vec<u8>,
    key: ParsedPublicKey,
}

impl PublicKey {
    /// Takes a `SubjectPublicKeyInfo` (RFC 9881) in DER.
    pub fn from_spki(der: &[u8]) -> Result<Self, Error> {
        match pem::kind_of_spki(der)? {
            pem::Kind::MlDsa65 => Self::from_raw(pem::key_bits_of_spki(der)?),
            other => Err(Error::Key(format!("it is {other}, not ML-DSA-65"))),
        }
    }

    /// Takes the 1952 bytes of a key.
    pub fn from_raw(bytes: &[u8]) -> Result<Self, Error> {
        if bytes.len() != PUBLIC_LENGTH {
            let problem = format!("a public key of ML-DSA-65 has {PUBLIC_LENGTH} bytes, not {}", bytes.len());
            return Err(Error::Key(problem));
        }
        let key = ParsedPublicKey::new(&ML_DSA_65, bytes)
            .map_err(|_| Error::Key("it is no public key of ML-DSA-65".into()))?;
        Ok(Self { spki: pem::write_spki(pem::ML_DSA_65, bytes)?, raw: bytes.to_vec(), key })
    }

    /// The 1952 bytes.
    pub fn raw(&self) -> &[u8] {
        &self.raw
    }

    /// Returns the key as `SubjectPublicKeyInfo` in DER.
    pub fn to_spki_der(&self) -> Vec<u8> {
        self.spki.clone()
    }

    /// Tells whether a signature fits.
    pub fn verify(&self, message: &[u8], signature: &[u8]) -> bool {
        self.key.verify_sig(message, signature).is_ok()
    }
}

impl fmt::Debug for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PublicKey").finish_non_exhaustive()
    }
}

#[cfg(test)]
#[path = "ml_dsa_tests.rs"]
mod tests;
