//! PBES2 (RFC 8018, section 6.2): a private key under a password.
//!
//! Files come from strangers and say themselves how much work they want, so that is bounded before any of it is done.

use crate::{Error, Secret};
use aws_lc_rs::{
    cipher::{
        AES_128, AES_192, AES_256, Algorithm, DecryptionContext, EncryptionContext, PaddedBlockDecryptingKey,
        PaddedBlockEncryptingKey, UnboundCipherKey,
    },
    iv::FixedLength,
    pbkdf2,
};
use pkcs8::{
    AlgorithmIdentifierRef, ObjectIdentifier,
    der::{
        self, Decode, Encode, SliceReader, Tag,
        asn1::{AnyRef, Null, OctetStringRef},
    },
};
use std::num::NonZeroU32;
use zeroize::Zeroizing;

const PBES2: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.5.13");
const PBKDF2: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.5.12");
const SCRYPT: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.6.1.4.1.11591.4.11");
const HMAC_SHA1: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.2.7");
const HMAC_SHA256: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.2.9");
const HMAC_SHA384: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.2.10");
const HMAC_SHA512: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.2.11");
const AES_128_CBC: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.16.840.1.101.3.4.1.2");
const AES_192_CBC: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.16.840.1.101.3.4.1.22");
const AES_256_CBC: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.16.840.1.101.3.4.1.42");

/// Iterations that are written (OWASP's figure for PBKDF2-HMAC-SHA256).
pub(super) const WRITTEN_ITERATIONS: u32 = 600_000;
/// Iterations that are done for a file at most: about two seconds.
pub(super) const MAX_ITERATIONS: u32 = 10_000_000;
/// Memory that scrypt may take for a file: 128 MiB.
pub(super) const MAX_SCRYPT_BYTES: u64 = 128 << 20;
/// Work that scrypt may do for a file, N * r * p: four times what that memory takes in one pass.
pub(super) const MAX_SCRYPT_WORK: u64 = 4 << 20;
/// Bytes of a salt at most.
const MAX_SALT: usize = 1024;
const BLOCK: usize = 16;

/// Encrypts with PBKDF2-HMAC-SHA256 and AES-256-CBC.
pub(super) fn encrypt(pkcs8: &[u8], password: &str) -> Result<Secret, Error> {
    let salt = Secret::random(16)?;
    let kdf = Kdf::Pbkdf2 {
        prf: pbkdf2::PBKDF2_HMAC_SHA256,
        salt: salt.expose(),
        iterations: NonZeroU32::new(WRITTEN_ITERATIONS).ok_or(Error::Library)?,
    };
    let key = kdf.derive(password.as_bytes(), 32)?;
    let iv = Secret::random(BLOCK)?;
    let iv = <[u8; BLOCK]>::try_from(iv.expose()).map_err(|_| Error::Library)?;
    let ciphertext = encrypt_cbc(key.expose(), iv, pkcs8)?;
    document(WRITTEN_ITERATIONS, salt.expose(), &iv, &ciphertext).map(Secret::new).map_err(|_| Error::Library)
}

/// Decrypts an `EncryptedPrivateKeyInfo`.
pub(super) fn decrypt(document: &[u8], password: &[u8]) -> Result<Secret, Error> {
    let (scheme, ciphertext) = parse(document)?;
    let key = scheme.kdf.derive(password, scheme.cipher.key_length())?;
    scheme.cipher.decrypt(key.expose(), scheme.iv, ciphertext)
}

fn encrypt_cbc(key: &[u8], iv: [u8; BLOCK], plaintext: &[u8]) -> Result<Vec<u8>, Error> {
    let mut bytes = Zeroizing::new(Vec::with_capacity(plaintext.len() + BLOCK));
    bytes.extend_from_slice(plaintext);
    let context = EncryptionContext::Iv128(FixedLength::from(iv));
    UnboundCipherKey::new(&AES_256, key)
        .and_then(PaddedBlockEncryptingKey::cbc_pkcs7)
        .and_then(|key| key.less_safe_encrypt(&mut *bytes, context))
        .map_err(|_| Error::Library)?;
    Ok(bytes.to_vec())
}

/// How a document is encrypted.
struct Scheme<'a> {
    kdf: Kdf<'a>,
    cipher: Cipher,
    iv: [u8; BLOCK],
}

/// How the key comes from the password.
enum Kdf<'a> {
    Pbkdf2 { prf: pbkdf2::Algorithm, salt: &'a [u8], iterations: NonZeroU32 },
    Scrypt { parameters: scrypt::Params, salt: &'a [u8] },
}

impl Kdf<'_> {
    fn derive(&self, password: &[u8], length: usize) -> Result<Secret, Error> {
        let mut key = Zeroizing::new(vec![0; length]);
        match self {
            Self::Pbkdf2 { prf, salt, iterations } => {
                pbkdf2::derive(*prf, *iterations, salt, password, &mut key);
            }
            Self::Scrypt { parameters, salt } => {
                scrypt::scrypt(password, salt, parameters, &mut key).map_err(|_| Error::Library)?;
            }
        }
        Ok(Secret(key))
    }
}

/// AES in CBC mode with PKCS#7.
#[derive(Clone, Copy)]
enum Cipher {
    Aes128,
    Aes192,
    Aes256,
}

impl Cipher {
    fn key_length(self) -> usize {
        match self {
            Self::Aes128 => 16,
            Self::Aes192 => 24,
            Self::Aes256 => 32,
        }
    }

    fn algorithm(self) -> &'static Algorithm {
        match self {
            Self::Aes128 => &AES_128,
            Self::Aes192 => &AES_192,
            Self::Aes256 => &AES_256,
        }
    }

    fn decrypt(self, key: &[u8], iv: [u8; BLOCK], ciphertext: &[u8]) -> Result<Secret, Error> {
        if ciphertext.is_empty() || !ciphertext.len().is_multiple_of(BLOCK) {
            return Err(Error::Decryption);
        }
        let key = UnboundCipherKey::new(self.algorithm(), key)
            .and_then(PaddedBlockDecryptingKey::cbc_pkcs7)
            .map_err(|_| Error::Library)?;
        let mut bytes = Zeroizing::new(ciphertext.to_vec());
        let context = DecryptionContext::Iv128(FixedLength::from(iv));
        let plaintext = key.decrypt(&mut bytes, context).map_err(|_| Error::Decryption)?;
        Ok(Secret::new(plaintext.to_vec()))
    }
}

/// Takes an `EncryptedPrivateKeyInfo` (RFC 5958, section 3) apart.
fn parse(document: &[u8]) -> Result<(Scheme<'_>, &[u8]), Error> {
    let read = || -> der::Result<_> {
        AnyRef::from_der(document)?.sequence(|inside| {
            let algorithm = AlgorithmIdentifierRef::decode(inside)?;
            Ok((algorithm, <&OctetStringRef>::decode(inside)?.as_bytes()))
        })
    };
    let (algorithm, ciphertext) = read().map_err(|_| malformed())?;
    if algorithm.oid != PBES2 {
        return Err(Error::Input(
            "this key is encrypted in an old way: convert it with `openssl pkcs8 -topk8 -v2 aes-256-cbc`"
                .into(),
        ));
    }
    let parameters = algorithm.parameters.ok_or_else(malformed)?;
    Ok((scheme(parameters)?, ciphertext))
}

/// PBES2-params (RFC 8018, appendix A.4).
fn scheme(parameters: AnyRef<'_>) -> Result<Scheme<'_>, Error> {
    let (kdf, cipher) = parameters
        .sequence(|inside| -> der::Result<_> {
            Ok((AlgorithmIdentifierRef::decode(inside)?, AlgorithmIdentifierRef::decode(inside)?))
        })
        .map_err(|_| malformed())?;
    let mode = match cipher.oid {
        AES_128_CBC => Cipher::Aes128,
        AES_192_CBC => Cipher::Aes192,
        AES_256_CBC => Cipher::Aes256,
        other => return Err(unknown("cipher", other, "AES-128, AES-192 or AES-256 in CBC mode")),
    };
    let iv = cipher.parameters.and_then(|iv| iv.decode_as::<&OctetStringRef>().ok());
    let iv = iv.and_then(|iv| iv.as_bytes().try_into().ok()).ok_or_else(malformed)?;
    let parameters = kdf.parameters.ok_or_else(malformed)?;
    let kdf = match kdf.oid {
        PBKDF2 => pbkdf2_kdf(parameters, mode)?,
        SCRYPT => scrypt_kdf(parameters, mode)?,
        other => return Err(unknown("key derivation", other, "PBKDF2 or scrypt")),
    };
    Ok(Scheme { kdf, cipher: mode, iv })
}

/// PBKDF2-params (RFC 8018, appendix A.2).
fn pbkdf2_kdf(parameters: AnyRef<'_>, cipher: Cipher) -> Result<Kdf<'_>, Error> {
    let (salt, iterations, length, prf) = parameters
        .sequence(|inside: &mut SliceReader<'_>| -> der::Result<_> {
            Ok((
                <&OctetStringRef>::decode(inside)?.as_bytes(),
                u64::decode(inside)?,
                Option::<u16>::decode(inside)?,
                Option::<AlgorithmIdentifierRef<'_>>::decode(inside)?,
            ))
        })
        .map_err(|_| malformed())?;
    check_salt(salt)?;
    check_length(length, cipher)?;
    let iterations = u32::try_from(iterations).ok().filter(|iterations| *iterations <= MAX_ITERATIONS);
    let iterations = iterations.and_then(NonZeroU32::new).ok_or_else(|| {
        Error::Input(format!("this key asks for PBKDF2 with no or more than {MAX_ITERATIONS} iterations"))
    })?;
    let prf = match prf.map_or(HMAC_SHA1, |prf| prf.oid) {
        HMAC_SHA1 => pbkdf2::PBKDF2_HMAC_SHA1,
        HMAC_SHA256 => pbkdf2::PBKDF2_HMAC_SHA256,
        HMAC_SHA384 => pbkdf2::PBKDF2_HMAC_SHA384,
        HMAC_SHA512 => pbkdf2::PBKDF2_HMAC_SHA512,
        other => {
            return Err(unknown("PBKDF2 function", other, "HMAC with SHA-1, SHA-256, SHA-384 or SHA-512"));
        }
    };
    Ok(Kdf::Pbkdf2 { prf, salt, iterations })
}

/// scrypt-params (RFC 7914, section 7.1).
fn scrypt_kdf(parameters: AnyRef<'_>, cipher: Cipher) -> Result<Kdf<'_>, Error> {
    let (salt, n, r, p, length) = parameters
        .sequence(|inside: &mut SliceReader<'_>| -> der::Result<_> {
            Ok((
                <&OctetStringRef>::decode(inside)?.as_bytes(),
                u64::decode(inside)?,
                u32::decode(inside)?,
                u32::decode(inside)?,
                Option::<u16>::decode(inside)?,
            ))
        })
        .map_err(|_| malformed())?;
    check_salt(salt)?;
    check_length(length, cipher)?;
    let memory = n.saturating_mul(u64::from(r)).saturating_mul(128);
    let work = n.saturating_mul(u64::from(r)).saturating_mul(u64::from(p));
    if !n.is_power_of_two() || memory > MAX_SCRYPT_BYTES || work > MAX_SCRYPT_WORK {
        return Err(Error::Input(format!(
            "this key asks for scrypt with N={n}, r={r}, p={p}: N must be a power of two, and 128*N*r at most {MAX_SCRYPT_BYTES}"
        )));
    }
    let log_n = u8::try_from(n.ilog2()).map_err(|_| malformed())?;
    let parameters = scrypt::Params::new(log_n, r, p).map_err(|_| malformed())?;
    Ok(Kdf::Scrypt { parameters, salt })
}

fn check_salt(salt: &[u8]) -> Result<(), Error> {
    if salt.len() <= MAX_SALT {
        return Ok(());
    }
    Err(Error::Input(format!("the salt of an encrypted key has {MAX_SALT} bytes at most")))
}

/// A length that is stated must be the cipher's.
fn check_length(stated: Option<u16>, cipher: Cipher) -> Result<(), Error> {
    match stated {
        Some(length) if usize::from(length) != cipher.key_length() => Err(malformed()),
        _ => Ok(()),
    }
}

/// Writes an `EncryptedPrivateKeyInfo` as [`encrypt`] makes it.
fn document(iterations: u32, salt: &[u8], iv: &[u8], ciphertext: &[u8]) -> der::Result<Vec<u8>> {
    let prf = AlgorithmIdentifierRef { oid: HMAC_SHA256, parameters: Some(Null.into()) };
    let kdf = sequence(&[OctetStringRef::new(salt)?.to_der()?, iterations.to_der()?, prf.to_der()?])?;
    let kdf = AlgorithmIdentifierRef { oid: PBKDF2, parameters: Some(AnyRef::from_der(&kdf)?) };
    let iv = OctetStringRef::new(iv)?;
    let cipher = AlgorithmIdentifierRef { oid: AES_256_CBC, parameters: Some(iv.into()) };
    let parameters = sequence(&[kdf.to_der()?, cipher.to_der()?])?;
    let scheme = AlgorithmIdentifierRef { oid: PBES2, parameters: Some(AnyRef::from_der(&parameters)?) };
    sequence(&[scheme.to_der()?, OctetStringRef::new(ciphertext)?.to_der()?])
}

fn sequence(items: &[Vec<u8>]) -> der::Result<Vec<u8>> {
    AnyRef::new(Tag::Sequence, &items.concat())?.to_der()
}

fn malformed() -> Error {
    Error::Key("it is no EncryptedPrivateKeyInfo with PBES2 that can be read".into())
}

fn unknown(what: &str, oid: ObjectIdentifier, known: &str) -> Error {
    Error::Input(format!("this key is encrypted with the {what} {oid}: {known} can be read"))
}

/// A document that asks for so many iterations; its ciphertext is nothing.
#[cfg(test)]
pub(super) fn tests_document(iterations: u32) -> Vec<u8> {
    document(iterations, &[1; 16], &[2; BLOCK], &[3; BLOCK]).unwrap()
}
