//! RSA: OAEP (RFC 8017, section 7.1) with SHA-256, for keys that others have wrapped with another digest too, and signatures as PSS (section 8.1) or PKCS#1 v1.5 (section 8.2).
//!
//! Keys have 2048 to 4096 bits. There is no PKCS#1 v1.5 encryption and no unpadded operation. A key is parsed once and then used by any
//! number of threads. Whoever calls this from an async task does so on a pool: a private operation takes up to a few milliseconds.

mod public;
mod schemes;

pub use public::PublicKey;

use crate::{Error, Message, Secret, digest::Algorithm, message::Sha2, pem};
use aws_lc_rs::{
    encoding::{AsDer, Pkcs8V1Der},
    rsa::{
        KeySize, OAEP_SHA1_MGF1SHA1, OAEP_SHA256_MGF1SHA256, OAEP_SHA384_MGF1SHA384, OAEP_SHA512_MGF1SHA512,
        OaepAlgorithm, OaepPrivateDecryptingKey, PrivateDecryptingKey,
    },
    signature::{RsaEncoding, RsaKeyPair},
};
use std::{fmt, ops::RangeInclusive};

/// Lengths of a modulus that are taken, in bits.
pub const BITS: RangeInclusive<usize> = 2048..=4096;

/// Lengths of keys that are made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Size {
    /// 2048 bits.
    Rsa2048,
    /// 3072 bits.
    Rsa3072,
    /// 4096 bits.
    Rsa4096,
}

impl Size {
    /// Bits of the modulus.
    pub fn bits(self) -> usize {
        match self {
            Self::Rsa2048 => 2048,
            Self::Rsa3072 => 3072,
            Self::Rsa4096 => 4096,
        }
    }

    fn key_size(self) -> KeySize {
        match self {
            Self::Rsa2048 => KeySize::Rsa2048,
            Self::Rsa3072 => KeySize::Rsa3072,
            Self::Rsa4096 => KeySize::Rsa4096,
        }
    }
}

/// Length of the salt of RSA-PSS.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Salt {
    /// As long as the digest.
    Digest,
    /// The longest that fits.
    Max,
    /// So many bytes.
    Bytes(u16),
}

/// Digest of RSA-OAEP, of the label as of the mask.
///
/// All are safe in OAEP, SHA-1 as well: the padding needs no digest without collisions.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OaepDigest {
    /// SHA-1, which many libraries have as their default.
    Sha1,
    /// SHA-256, which everything here is encrypted with.
    #[default]
    Sha256,
    /// SHA-384.
    Sha384,
    /// SHA-512.
    Sha512,
}

impl OaepDigest {
    fn algorithm(self) -> &'static OaepAlgorithm {
        match self {
            Self::Sha1 => &OAEP_SHA1_MGF1SHA1,
            Self::Sha256 => &OAEP_SHA256_MGF1SHA256,
            Self::Sha384 => &OAEP_SHA384_MGF1SHA384,
            Self::Sha512 => &OAEP_SHA512_MGF1SHA512,
        }
    }
}

/// A private key, ready for decryption and for signing.
pub struct PrivateKey {
    pkcs8: Pkcs8V1Der<'static>,
    decrypting: OaepPrivateDecryptingKey,
    signing: RsaKeyPair,
    public: PublicKey,
}

impl PrivateKey {
    /// Makes a key; this takes from a tenth of a second to several seconds.
    pub fn generate(size: Size) -> Result<Self, Error> {
        Self::new(PrivateDecryptingKey::generate(size.key_size()).map_err(|_| Error::Library)?)
    }

    /// Takes a PKCS#8 document, whose components must fit together.
    pub fn from_pkcs8(der: &[u8]) -> Result<Self, Error> {
        match pem::kind_of_pkcs8(der)? {
            pem::Kind::Rsa { bits } => check_bits(bits)?,
            other => return Err(Error::Key(format!("it is {other}, not RSA"))),
        }
        let key = PrivateDecryptingKey::from_pkcs8(der)
            .map_err(|_| Error::Key("the numbers of this RSA key do not fit together".into()))?;
        Self::new(key)
    }

    fn new(key: PrivateDecryptingKey) -> Result<Self, Error> {
        let pkcs8 = AsDer::<Pkcs8V1Der<'_>>::as_der(&key).map_err(|_| Error::Library)?;
        Ok(Self {
            signing: RsaKeyPair::from_pkcs8(pkcs8.as_ref()).map_err(|_| Error::Library)?,
            public: PublicKey::new(key.public_key())?,
            decrypting: OaepPrivateDecryptingKey::new(key).map_err(|_| Error::Library)?,
            pkcs8,
        })
    }

    /// Returns the key as PKCS#8 DER.
    pub fn to_pkcs8(&self) -> Secret {
        Secret::new(self.pkcs8.as_ref().to_vec())
    }

    /// Public half.
    pub fn public(&self) -> &PublicKey {
        &self.public
    }

    /// Length of the modulus in bits.
    pub fn bits(&self) -> usize {
        self.public.bits()
    }

    /// Decrypts RSA-OAEP with SHA-256, MGF1 with SHA-256 and an empty label. Whatever is wrong gives the same error.
    pub fn decrypt_oaep(&self, ciphertext: &[u8]) -> Result<Secret, Error> {
        self.decrypt_oaep_with(OaepDigest::Sha256, ciphertext)
    }

    /// Decrypts RSA-OAEP with a digest, for what others have encrypted. Whatever is wrong gives the same error.
    pub fn decrypt_oaep_with(&self, digest: OaepDigest, ciphertext: &[u8]) -> Result<Secret, Error> {
        let mut buffer = zeroize::Zeroizing::new(vec![0; self.decrypting.min_output_size()]);
        let plaintext = self
            .decrypting
            .decrypt(digest.algorithm(), ciphertext, &mut buffer, None)
            .map_err(|_| Error::Decryption)?;
        Ok(Secret::new(plaintext.to_vec()))
    }

    /// Signs as RSA-PSS; MGF1 has the same digest.
    pub fn sign_pss(&self, digest: Algorithm, salt: Salt, message: Message<'_>) -> Result<Vec<u8>, Error> {
        let sha2 = Sha2::of(digest)?;
        self.sign(schemes::signing_pss(sha2, salt, self.bits())?, sha2, message)
    }

    /// Signs as PKCS#1 v1.5.
    pub fn sign_pkcs1v15(&self, digest: Algorithm, message: Message<'_>) -> Result<Vec<u8>, Error> {
        let sha2 = Sha2::of(digest)?;
        self.sign(schemes::signing_pkcs1v15(sha2), sha2, message)
    }

    fn sign(
        &self,
        scheme: &'static dyn RsaEncoding,
        sha2: Sha2,
        message: Message<'_>,
    ) -> Result<Vec<u8>, Error> {
        let digest = message.digest(sha2)?;
        let mut signature = vec![0; self.signing.public_modulus_len()];
        self.signing.sign_digest(scheme, &digest, &mut signature).map_err(|_| Error::Library)?;
        Ok(signature)
    }
}

impl fmt::Debug for PrivateKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PrivateKey").field("bits", &self.bits()).finish_non_exhaustive()
    }
}

fn check_bits(bits: usize) -> Result<(), Error> {
    if BITS.contains(&bits) {
        return Ok(());
    }
    let (least, most) = BITS.into_inner();
    Err(Error::Key(format!("an RSA key must have {least} to {most} bits, and this one has {bits}")))
}

#[cfg(test)]
mod tests;
