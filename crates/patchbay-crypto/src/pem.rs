//! Keys as files: PEM (RFC 7468) and DER.
//!
//! Private keys are read as PKCS#8 (RFC 5958), in the clear or encrypted with PBES2 (RFC 8018), as PKCS#1 `RSA PRIVATE KEY` (RFC 8017) and
//! as SEC 1 `EC PRIVATE KEY` (RFC 5915); they are written as PKCS#8. Public keys are `SubjectPublicKeyInfo` (RFC 5280). What is read has been
//! taken apart here, but only the modules of the key types tell whether its numbers fit together.

mod armor;
mod pbes2;
mod structure;

pub(crate) use structure::{
    ML_DSA_65, ML_KEM_768, X25519, curve_of_sec1, key_bits_of_spki, key_of_pkcs8, kind_of_pkcs8,
    kind_of_spki, public_of_pkcs8, write_pkcs8, write_spki,
};

use crate::{Error, Secret, ecdsa::Curve};
use std::{borrow::Cow, fmt};
use structure::Shape;

/// The most bytes of a file; RSA keys of 4096 bits have less than 4 KiB.
pub const MAX_FILE: usize = 64 * 1024;

/// What a key is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// RSA, with the length of its modulus, which may be one that is refused later.
    Rsa {
        /// Length in bits.
        bits: usize,
    },
    /// ECDSA, or ECDH: files do not tell one from the other.
    Ecdsa(Curve),
    /// Ed25519.
    Ed25519,
    /// X25519.
    X25519,
    /// ML-KEM-768.
    MlKem768,
    /// ML-DSA-65.
    MlDsa65,
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Rsa { bits } => write!(f, "an RSA key of {bits} bits"),
            Self::Ecdsa(curve) => write!(f, "an ECDSA key on {curve}"),
            Self::Ed25519 => f.write_str("an Ed25519 key"),
            Self::X25519 => f.write_str("an X25519 key"),
            Self::MlKem768 => f.write_str("an ML-KEM-768 key"),
            Self::MlDsa65 => f.write_str("an ML-DSA-65 key"),
        }
    }
}

/// A private key from a file.
#[derive(Debug)]
pub struct PrivateKeyInfo {
    /// What it is.
    pub kind: Kind,
    /// The key as PKCS#8 in DER, in the clear.
    pub pkcs8: Secret,
}

/// Reads a private key from PEM or DER. An encrypted one needs its password, and one in the clear must have none, so that nobody takes it
/// for protected.
///
/// A wrong password and damaged ciphertext are one [`Error::Decryption`].
pub fn private_key_from(bytes: &[u8], password: Option<&str>) -> Result<PrivateKeyInfo, Error> {
    check_size(bytes)?;
    let (label, der) = if armor::is_pem(bytes) {
        let (label, der) = armor::private_key(bytes)?;
        (Some(label), der)
    } else {
        (None, Secret::new(bytes.to_vec()))
    };
    let shape = structure::shape(der.expose())?;
    if let Some(label) = label.filter(|label| *label != shape.label()) {
        return Err(Error::Input(format!("this PEM is labelled `{label}` and is a `{}`", shape.label())));
    }
    match (shape, password) {
        (Shape::Encrypted, None) => Err(Error::Input("this key is encrypted: give its password".into())),
        (Shape::Encrypted, Some(password)) => {
            let pkcs8 = decrypt_pbes2(der.expose(), password.as_bytes())?;
            // Random bytes pass the check of the padding once in 256 times, and are no key.
            structure::to_pkcs8(&pkcs8).map_err(|_| Error::Decryption)
        }
        (_, Some(_)) => Err(Error::Input("this key is not encrypted: give no password".into())),
        (_, None) => structure::to_pkcs8(&der),
    }
}

/// Decrypts an `EncryptedPrivateKeyInfo` in DER and returns what is inside, which need not be a key. [`private_key_from`] is for keys.
pub fn decrypt_pbes2(document: &[u8], password: &[u8]) -> Result<Secret, Error> {
    check_size(document)?;
    pbes2::decrypt(document, password)
}

/// Writes a PKCS#8 document as PEM; with a password, encrypted with PBES2 (PBKDF2-HMAC-SHA256 with 600,000 iterations, AES-256-CBC).
pub fn write_pkcs8_pem(pkcs8: &[u8], password: Option<&str>) -> Result<Secret, Error> {
    let der = write_pkcs8_der(pkcs8, password)?;
    let label = if password.is_some() { "ENCRYPTED PRIVATE KEY" } else { "PRIVATE KEY" };
    Ok(armor::write(label, der.expose()))
}

/// Writes a PKCS#8 document as DER; with a password, encrypted as by [`write_pkcs8_pem`].
pub fn write_pkcs8_der(pkcs8: &[u8], password: Option<&str>) -> Result<Secret, Error> {
    kind_of_pkcs8(pkcs8)?;
    match password {
        None => Ok(Secret::new(pkcs8.to_vec())),
        Some("") => Err(Error::Input("an empty password protects nothing".into())),
        Some(password) => pbes2::encrypt(pkcs8, password),
    }
}

/// Reads a `SubjectPublicKeyInfo` from PEM or DER, and returns what it is and its DER.
pub fn public_key_from(bytes: &[u8]) -> Result<(Kind, Vec<u8>), Error> {
    check_size(bytes)?;
    let der = if armor::is_pem(bytes) { Cow::Owned(armor::public_key(bytes)?) } else { Cow::Borrowed(bytes) };
    Ok((kind_of_spki(&der)?, der.into_owned()))
}

/// Writes a `SubjectPublicKeyInfo` as PEM.
pub fn write_spki_pem(spki: &[u8]) -> String {
    String::from_utf8_lossy(armor::write("PUBLIC KEY", spki).expose()).into_owned()
}

fn check_size(bytes: &[u8]) -> Result<(), Error> {
    match bytes.len() {
        0 => Err(Error::Input("there is no key: the input is empty".into())),
        1..=MAX_FILE => Ok(()),
        _ => Err(Error::Input(format!("a key has {MAX_FILE} bytes at most"))),
    }
}

#[cfg(test)]
mod tests;
