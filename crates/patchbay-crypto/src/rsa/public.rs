//! The public half of an RSA key.

use super::{OaepDigest, Salt, check_bits, schemes};
use crate::{Error, Message, digest::Algorithm, message::Sha2, pem};
use aws_lc_rs::{
    digest::Digest,
    encoding::{AsDer, PublicKeyX509Der},
    rsa::{OaepPublicEncryptingKey, PublicEncryptingKey},
    signature::{ParsedPublicKey, UnparsedPublicKey},
};
use std::fmt;

/// A public key, ready for encryption and for verification.
pub struct PublicKey {
    spki: Vec<u8>,
    bits: usize,
    encrypting: OaepPublicEncryptingKey,
    sha256: Verifying,
    sha384: Verifying,
    sha512: Verifying,
}

/// The key as parsed for each scheme of one digest, since aws-lc-rs binds a parsed key to its scheme.
struct Verifying {
    pss_digest: ParsedPublicKey,
    pss_max: ParsedPublicKey,
    pkcs1v15: ParsedPublicKey,
}

impl PublicKey {
    /// Takes a `SubjectPublicKeyInfo` (RFC 5280) in DER.
    pub fn from_spki(der: &[u8]) -> Result<Self, Error> {
        match pem::kind_of_spki(der)? {
            pem::Kind::Rsa { bits } => check_bits(bits)?,
            other => return Err(Error::Key(format!("it is {other}, not RSA"))),
        }
        let key = PublicEncryptingKey::from_der(der)
            .map_err(|_| Error::Key("the numbers of this RSA key are not usable".into()))?;
        Self::new(key)
    }

    pub(super) fn new(key: PublicEncryptingKey) -> Result<Self, Error> {
        let bits = key.key_size_bits();
        let spki = AsDer::<PublicKeyX509Der<'_>>::as_der(&key).map_err(|_| Error::Library)?.as_ref().to_vec();
        Ok(Self {
            sha256: Verifying::parse(Sha2::Sha256, &spki)?,
            sha384: Verifying::parse(Sha2::Sha384, &spki)?,
            sha512: Verifying::parse(Sha2::Sha512, &spki)?,
            encrypting: OaepPublicEncryptingKey::new(key).map_err(|_| Error::Library)?,
            bits,
            spki,
        })
    }

    /// Returns the key as `SubjectPublicKeyInfo` in DER.
    pub fn to_spki_der(&self) -> Vec<u8> {
        self.spki.clone()
    }

    /// Length of the modulus in bits.
    pub fn bits(&self) -> usize {
        self.bits
    }

    /// The most bytes that [`Self::encrypt_oaep`] takes.
    pub fn max_plaintext(&self) -> usize {
        self.encrypting.max_plaintext_size(OaepDigest::Sha256.algorithm())
    }

    /// Encrypts with RSA-OAEP, SHA-256, MGF1 with SHA-256 and an empty label.
    pub fn encrypt_oaep(&self, plaintext: &[u8]) -> Result<Vec<u8>, Error> {
        self.encrypt_oaep_with(OaepDigest::Sha256, plaintext)
    }

    /// Encrypts with RSA-OAEP and a digest, for somebody who knows no other one.
    pub fn encrypt_oaep_with(&self, digest: OaepDigest, plaintext: &[u8]) -> Result<Vec<u8>, Error> {
        let most = self.encrypting.max_plaintext_size(digest.algorithm());
        if plaintext.len() > most {
            return Err(Error::Input(format!(
                "an RSA key of {} bits encrypts {most} bytes at most, and these are {}; use an envelope",
                self.bits,
                plaintext.len()
            )));
        }
        let mut ciphertext = vec![0; self.encrypting.ciphertext_size()];
        self.encrypting
            .encrypt(digest.algorithm(), plaintext, &mut ciphertext, None)
            .map_err(|_| Error::Library)?;
        Ok(ciphertext)
    }

    /// Tells whether an RSA-PSS signature fits; without a salt length, the longest one and the digest's are tried.
    pub fn verify_pss(
        &self,
        digest: Algorithm,
        salt: Option<Salt>,
        message: Message<'_>,
        signature: &[u8],
    ) -> Result<bool, Error> {
        let sha2 = Sha2::of(digest)?;
        let digest = message.digest(sha2)?;
        let keys = self.verifying(sha2);
        let fits = |key: &ParsedPublicKey| key.verify_digest_sig(&digest, signature).is_ok();
        match salt {
            None => Ok(fits(&keys.pss_max) || fits(&keys.pss_digest)),
            Some(Salt::Max) => Ok(fits(&keys.pss_max)),
            Some(Salt::Digest) => Ok(fits(&keys.pss_digest)),
            Some(Salt::Bytes(bytes)) => self.verify_salted(sha2, bytes, &digest, signature),
        }
    }

    fn verify_salted(
        &self,
        sha2: Sha2,
        bytes: u16,
        digest: &Digest,
        signature: &[u8],
    ) -> Result<bool, Error> {
        let scheme = schemes::verifying_salted(sha2, bytes, self.bits)?;
        Ok(UnparsedPublicKey::new(scheme, &self.spki).verify_digest(digest, signature).is_ok())
    }

    /// Tells whether a PKCS#1 v1.5 signature fits.
    pub fn verify_pkcs1v15(
        &self,
        digest: Algorithm,
        message: Message<'_>,
        signature: &[u8],
    ) -> Result<bool, Error> {
        let sha2 = Sha2::of(digest)?;
        let digest = message.digest(sha2)?;
        Ok(self.verifying(sha2).pkcs1v15.verify_digest_sig(&digest, signature).is_ok())
    }

    fn verifying(&self, sha2: Sha2) -> &Verifying {
        match sha2 {
            Sha2::Sha256 => &self.sha256,
            Sha2::Sha384 => &self.sha384,
            Sha2::Sha512 => &self.sha512,
        }
    }
}

impl fmt::Debug for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PublicKey").field("bits", &self.bits).finish_non_exhaustive()
    }
}

impl Verifying {
    fn parse(sha2: Sha2, spki: &[u8]) -> Result<Self, Error> {
        let parse = |scheme| ParsedPublicKey::new(scheme, spki).map_err(|_| Error::Library);
        Ok(Self {
            pss_digest: parse(schemes::verifying_pss_digest(sha2))?,
            pss_max: parse(schemes::verifying_pss_max(sha2))?,
            pkcs1v15: parse(schemes::verifying_pkcs1v15(sha2))?,
        })
    }
}
