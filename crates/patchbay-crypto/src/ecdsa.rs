//! ECDSA (FIPS 186-5) over P-256, P-384 and P-521.
//!
//! Any of SHA-256, SHA-384 and SHA-512 goes with any curve. aws-lc-rs offers one digest per curve and encoding everywhere, so a digest is
//! brought to that length first: ECDSA takes the leftmost bits of a longer one, and a shorter one is the same number with zeros before it
//! (FIPS 186-5, section 6.4.1), so that the signature is the standard's.

use crate::{Error, Message, Secret, digest::Algorithm, message::Sha2, pem};
use aws_lc_rs::{
    digest::Digest,
    encoding::{AsDer, PublicKeyX509Der},
    rand::SystemRandom,
    signature::{
        ECDSA_P256_SHA256_ASN1, ECDSA_P256_SHA256_ASN1_SIGNING, ECDSA_P256_SHA256_FIXED,
        ECDSA_P256_SHA256_FIXED_SIGNING, ECDSA_P384_SHA384_ASN1, ECDSA_P384_SHA384_ASN1_SIGNING,
        ECDSA_P384_SHA384_FIXED, ECDSA_P384_SHA384_FIXED_SIGNING, ECDSA_P521_SHA512_ASN1,
        ECDSA_P521_SHA512_ASN1_SIGNING, ECDSA_P521_SHA512_FIXED, ECDSA_P521_SHA512_FIXED_SIGNING,
        EcdsaKeyPair, EcdsaSigningAlgorithm, EcdsaVerificationAlgorithm, KeyPair, ParsedPublicKey,
    },
};
use std::fmt;

/// An elliptic curve.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Curve {
    /// NIST P-256, secp256r1.
    P256,
    /// NIST P-384, secp384r1.
    P384,
    /// NIST P-521, secp521r1.
    P521,
}

/// How a signature is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Encoding {
    /// ASN.1 DER.
    Asn1,
    /// `r || s`, each as long as the curve's order (IEEE P1363, as in JWS).
    P1363,
}

impl Curve {
    /// The digest that suits the curve.
    pub fn default_digest(self) -> Algorithm {
        match self {
            Self::P256 => Algorithm::Sha256,
            Self::P384 => Algorithm::Sha384,
            Self::P521 => Algorithm::Sha512,
        }
    }

    fn own_digest(self) -> Sha2 {
        match self {
            Self::P256 => Sha2::Sha256,
            Self::P384 => Sha2::Sha384,
            Self::P521 => Sha2::Sha512,
        }
    }

    pub(crate) fn signing(self, encoding: Encoding) -> &'static EcdsaSigningAlgorithm {
        match (self, encoding) {
            (Self::P256, Encoding::Asn1) => &ECDSA_P256_SHA256_ASN1_SIGNING,
            (Self::P384, Encoding::Asn1) => &ECDSA_P384_SHA384_ASN1_SIGNING,
            (Self::P521, Encoding::Asn1) => &ECDSA_P521_SHA512_ASN1_SIGNING,
            (Self::P256, Encoding::P1363) => &ECDSA_P256_SHA256_FIXED_SIGNING,
            (Self::P384, Encoding::P1363) => &ECDSA_P384_SHA384_FIXED_SIGNING,
            (Self::P521, Encoding::P1363) => &ECDSA_P521_SHA512_FIXED_SIGNING,
        }
    }

    fn verifying(self, encoding: Encoding) -> &'static EcdsaVerificationAlgorithm {
        match (self, encoding) {
            (Self::P256, Encoding::Asn1) => &ECDSA_P256_SHA256_ASN1,
            (Self::P384, Encoding::Asn1) => &ECDSA_P384_SHA384_ASN1,
            (Self::P521, Encoding::Asn1) => &ECDSA_P521_SHA512_ASN1,
            (Self::P256, Encoding::P1363) => &ECDSA_P256_SHA256_FIXED,
            (Self::P384, Encoding::P1363) => &ECDSA_P384_SHA384_FIXED,
            (Self::P521, Encoding::P1363) => &ECDSA_P521_SHA512_FIXED,
        }
    }

    /// Hashes a message with a digest, and brings the result to the length of the curve's own.
    fn digest(self, digest: Algorithm, message: Message<'_>) -> Result<Digest, Error> {
        let (sha2, own) = (Sha2::of(digest)?, self.own_digest());
        let digest = message.digest(sha2)?;
        if sha2 == own {
            return Ok(digest);
        }
        let fitted = fit(digest.as_ref(), own.length());
        Digest::import_less_safe(&fitted, own.algorithm()).map_err(|_| Error::Library)
    }
}

impl fmt::Display for Curve {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::P256 => "P-256",
            Self::P384 => "P-384",
            Self::P521 => "P-521",
        })
    }
}

/// Takes the leftmost bytes, or puts zeros before them. A digest of 64 bytes is shorter than the order of P-521, and those of the other
/// two curves are as long as a digest, so that whole bytes are enough.
fn fit(digest: &[u8], length: usize) -> Vec<u8> {
    let missing = length.saturating_sub(digest.len());
    let mut fitted = vec![0; missing];
    fitted.extend(digest.iter().take(length));
    fitted
}

/// A private key.
pub struct PrivateKey {
    curve: Curve,
    asn1: EcdsaKeyPair,
    p1363: EcdsaKeyPair,
    public: PublicKey,
}

impl PrivateKey {
    /// Makes a key.
    pub fn generate(curve: Curve) -> Result<Self, Error> {
        let key = EcdsaKeyPair::generate(curve.signing(Encoding::Asn1)).map_err(|_| Error::Library)?;
        Self::new(curve, key)
    }

    /// Takes a PKCS#8 document of a key on one of the three curves.
    pub fn from_pkcs8(der: &[u8]) -> Result<Self, Error> {
        let curve = match pem::kind_of_pkcs8(der)? {
            pem::Kind::Ecdsa(curve) => curve,
            other => return Err(Error::Key(format!("it is {other}, not ECDSA"))),
        };
        let key = EcdsaKeyPair::from_pkcs8(curve.signing(Encoding::Asn1), der)
            .map_err(|_| Error::Key(format!("it is no point and number of {curve} that fit together")))?;
        Self::new(curve, key)
    }

    /// Takes an `ECPrivateKey` (SEC 1, RFC 5915) that names its curve.
    pub fn from_sec1(der: &[u8]) -> Result<Self, Error> {
        let curve = pem::curve_of_sec1(der)?;
        let key = EcdsaKeyPair::from_private_key_der(curve.signing(Encoding::Asn1), der)
            .map_err(|_| Error::Key(format!("it is no point and number of {curve} that fit together")))?;
        Self::new(curve, key)
    }

    fn new(curve: Curve, asn1: EcdsaKeyPair) -> Result<Self, Error> {
        let pkcs8 = asn1.to_pkcs8v1().map_err(|_| Error::Library)?;
        let p1363 = EcdsaKeyPair::from_pkcs8(curve.signing(Encoding::P1363), pkcs8.as_ref())
            .map_err(|_| Error::Library)?;
        let spki = AsDer::<PublicKeyX509Der<'_>>::as_der(asn1.public_key()).map_err(|_| Error::Library)?;
        Ok(Self { public: PublicKey::new(curve, spki.as_ref())?, curve, asn1, p1363 })
    }

    /// Returns the key as PKCS#8 DER.
    pub fn to_pkcs8(&self) -> Result<Secret, Error> {
        let document = self.asn1.to_pkcs8v1().map_err(|_| Error::Library)?;
        Ok(Secret::new(document.as_ref().to_vec()))
    }

    /// Curve of the key.
    pub fn curve(&self) -> Curve {
        self.curve
    }

    /// Public half.
    pub fn public(&self) -> &PublicKey {
        &self.public
    }

    /// Signs; every signature has a number of its own, so that two of the same message differ.
    pub fn sign(
        &self,
        digest: Algorithm,
        encoding: Encoding,
        message: Message<'_>,
    ) -> Result<Vec<u8>, Error> {
        let key = match encoding {
            Encoding::Asn1 => &self.asn1,
            Encoding::P1363 => &self.p1363,
        };
        // Hashing inside saves the copy of the digest where the curve's own is asked for.
        let signature = match message {
            Message::Whole(whole) if Sha2::of(digest)? == self.curve.own_digest() => {
                key.sign(&SystemRandom::new(), whole)
            }
            _ => key.sign_digest(&self.curve.digest(digest, message)?),
        };
        Ok(signature.map_err(|_| Error::Library)?.as_ref().to_vec())
    }
}

impl fmt::Debug for PrivateKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PrivateKey").field("curve", &self.curve).finish_non_exhaustive()
    }
}

/// A public key.
pub struct PublicKey {
    curve: Curve,
    spki: Vec<u8>,
    asn1: ParsedPublicKey,
    p1363: ParsedPublicKey,
}

impl PublicKey {
    /// Takes a `SubjectPublicKeyInfo` (RFC 5480) in DER with a named curve.
    pub fn from_spki(der: &[u8]) -> Result<Self, Error> {
        match pem::kind_of_spki(der)? {
            pem::Kind::Ecdsa(curve) => Self::new(curve, der),
            other => Err(Error::Key(format!("it is {other}, not ECDSA"))),
        }
    }

    fn new(curve: Curve, spki: &[u8]) -> Result<Self, Error> {
        let parse = |encoding| {
            ParsedPublicKey::new(curve.verifying(encoding), spki)
                .map_err(|_| Error::Key(format!("it is no point of {curve}")))
        };
        Ok(Self { curve, spki: spki.to_vec(), asn1: parse(Encoding::Asn1)?, p1363: parse(Encoding::P1363)? })
    }

    /// Curve of the key.
    pub fn curve(&self) -> Curve {
        self.curve
    }

    /// Returns the key as `SubjectPublicKeyInfo` in DER.
    pub fn to_spki_der(&self) -> Vec<u8> {
        self.spki.clone()
    }

    /// Tells whether a signature fits.
    pub fn verify(
        &self,
        digest: Algorithm,
        encoding: Encoding,
        message: Message<'_>,
        signature: &[u8],
    ) -> Result<bool, Error> {
        let digest = self.curve.digest(digest, message)?;
        let key = match encoding {
            Encoding::Asn1 => &self.asn1,
            Encoding::P1363 => &self.p1363,
        };
        Ok(key.verify_digest_sig(&digest, signature).is_ok())
    }
}

impl fmt::Debug for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PublicKey").field("curve", &self.curve).finish_non_exhaustive()
    }
}

#[cfg(test)]
#[path = "ecdsa_tests.rs"]
mod tests;
