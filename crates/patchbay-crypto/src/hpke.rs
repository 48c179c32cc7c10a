//! Hybrid public key encryption (RFC 9180), base mode, one message for each encapsulated key.
//!
//! The key encapsulation is DHKEM(X25519, HKDF-SHA256) or DHKEM(P-256, HKDF-SHA256), the derivation HKDF-SHA256, and the cipher
//! AES-256-GCM: suites `0x0020` or `0x0010`, `0x0001`, `0x0002`. Nothing tells who has sent a message: anybody with the public key may have.

use crate::{
    Error, Secret,
    agreement::{Curve, PrivateKey, PublicKey},
    kdf,
};
use aws_lc_rs::aead::{AES_128_GCM, AES_256_GCM, Aad, Algorithm, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};

/// Bytes of the info of a message at most.
pub const MAX_INFO: usize = 64 * 1024;

/// What every label begins with (section 4).
const VERSION: &[u8] = b"HPKE-v1";
/// Base mode (section 5.1).
const MODE_BASE: u8 = 0;
/// HKDF-SHA256 (section 7.2).
const KDF: u16 = 1;
/// Bytes by which a ciphertext is longer than its message.
pub const TAG: usize = 16;

/// A sealed message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sealed {
    /// The encapsulated key: 32 bytes of X25519, 65 of P-256.
    pub enc: Vec<u8>,
    /// Ciphertext and tag.
    pub ciphertext: Vec<u8>,
}

/// Encrypts for the owner of a key. The info and the associated data must be the same when the message is opened.
pub fn seal(public: &PublicKey, info: &[u8], aad: &[u8], plaintext: &[u8]) -> Result<Sealed, Error> {
    seal_with(Cipher::Aes256Gcm, &PrivateKey::generate(public.curve())?, public, info, aad, plaintext)
}

/// Decrypts. Whatever is wrong with a message gives the same error.
pub fn open(
    private: &PrivateKey,
    enc: &[u8],
    info: &[u8],
    aad: &[u8],
    ciphertext: &[u8],
) -> Result<Secret, Error> {
    open_with(Cipher::Aes256Gcm, private, enc, info, aad, ciphertext)
}

/// A cipher of the format (section 7.3). The specification's vectors are of both; messages here have the second.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Cipher {
    #[cfg_attr(not(test), expect(dead_code, reason = "the vectors of section A.1.1 and A.3.1 need it"))]
    Aes128Gcm,
    Aes256Gcm,
}

impl Cipher {
    fn id(self) -> u16 {
        match self {
            Self::Aes128Gcm => 1,
            Self::Aes256Gcm => 2,
        }
    }

    fn algorithm(self) -> &'static Algorithm {
        match self {
            Self::Aes128Gcm => &AES_128_GCM,
            Self::Aes256Gcm => &AES_256_GCM,
        }
    }
}

/// The ephemeral key must be used once.
fn seal_with(
    cipher: Cipher,
    ephemeral: &PrivateKey,
    public: &PublicKey,
    info: &[u8],
    aad: &[u8],
    plaintext: &[u8],
) -> Result<Sealed, Error> {
    check_info(info)?;
    let enc = ephemeral.public().raw().to_vec();
    let shared = shared_secret(&ephemeral.shared_point(public)?, public.curve(), &enc, public)?;
    let (key, nonce) = schedule(cipher, public.curve(), &shared, info)?;
    let mut ciphertext = Vec::with_capacity(plaintext.len() + TAG);
    ciphertext.extend_from_slice(plaintext);
    key.seal_in_place_append_tag(nonce, Aad::from(aad), &mut ciphertext).map_err(|_| Error::Library)?;
    Ok(Sealed { enc, ciphertext })
}

fn open_with(
    cipher: Cipher,
    private: &PrivateKey,
    enc: &[u8],
    info: &[u8],
    aad: &[u8],
    ciphertext: &[u8],
) -> Result<Secret, Error> {
    check_info(info)?;
    let sender = PublicKey::from_raw(private.curve(), enc).map_err(|_| Error::Decryption)?;
    let point = private.shared_point(&sender).map_err(|_| Error::Decryption)?;
    let shared = shared_secret(&point, private.curve(), enc, private.public())?;
    let (key, nonce) = schedule(cipher, private.curve(), &shared, info)?;
    let (body, tag) = ciphertext.split_last_chunk::<TAG>().ok_or(Error::Decryption)?;
    let mut plaintext = Secret::new(vec![0; body.len()]);
    key.open_separate_gather(nonce, Aad::from(aad), body, tag, &mut plaintext.0)
        .map_err(|_| Error::Decryption)?;
    Ok(plaintext)
}

fn check_info(info: &[u8]) -> Result<(), Error> {
    if info.len() <= MAX_INFO {
        return Ok(());
    }
    Err(Error::Input(format!("the info of a message has {MAX_INFO} bytes at most")))
}

/// Section 4.1, `ExtractAndExpand`.
fn shared_secret(point: &Secret, curve: Curve, enc: &[u8], recipient: &PublicKey) -> Result<Secret, Error> {
    let suite = [b"KEM".as_slice(), &kem(curve).to_be_bytes()].concat();
    let prk = labeled_extract(&suite, &[], b"eae_prk", point.expose());
    labeled_expand(&suite, &prk, b"shared_secret", &[enc, recipient.raw()], kdf::HASH_LENGTH)
}

/// Section 5.1, `KeySchedule` without a pre-shared key. The nonce is that of the first message, and there is no second.
fn schedule(
    cipher: Cipher,
    curve: Curve,
    shared: &Secret,
    info: &[u8],
) -> Result<(LessSafeKey, Nonce), Error> {
    let ids = [kem(curve), KDF, cipher.id()].map(u16::to_be_bytes).concat();
    let suite = [b"HPKE".as_slice(), &ids].concat();
    let psk_id = labeled_extract(&suite, &[], b"psk_id_hash", &[]);
    let info = labeled_extract(&suite, &[], b"info_hash", info);
    let context: [&[u8]; 3] = [&[MODE_BASE], psk_id.expose(), info.expose()];
    let secret = labeled_extract(&suite, shared.expose(), b"secret", &[]);
    let algorithm = cipher.algorithm();
    let key = labeled_expand(&suite, &secret, b"key", &context, algorithm.key_len())?;
    let nonce = labeled_expand(&suite, &secret, b"base_nonce", &context, NONCE_LEN)?;
    let key = UnboundKey::new(algorithm, key.expose()).map_err(|_| Error::Library)?;
    let nonce = Nonce::try_assume_unique_for_key(nonce.expose()).map_err(|_| Error::Library)?;
    Ok((LessSafeKey::new(key), nonce))
}

/// Section 7.1.
fn kem(curve: Curve) -> u16 {
    match curve {
        Curve::X25519 => 0x0020,
        Curve::P256 => 0x0010,
    }
}

/// Section 4, `LabeledExtract`.
fn labeled_extract(suite: &[u8], salt: &[u8], label: &[u8], ikm: &[u8]) -> Secret {
    kdf::extract(salt, &[VERSION, suite, label, ikm])
}

/// Section 4, `LabeledExpand`; the info may be in parts.
fn labeled_expand(
    suite: &[u8],
    prk: &Secret,
    label: &[u8],
    info: &[&[u8]],
    length: usize,
) -> Result<Secret, Error> {
    let wanted = u16::try_from(length).map_err(|_| Error::Library)?.to_be_bytes();
    let labeled = [&[&wanted, VERSION, suite, label], info].concat();
    kdf::expand(prk, &labeled, length)
}

#[cfg(test)]
#[path = "hpke_tests.rs"]
mod tests;
