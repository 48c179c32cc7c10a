//! AES-GCM and ChaCha20-Poly1305: nonce of 12 bytes, tag of 16 that is never truncated.

use crate::{Error, Secret};
use aws_lc_rs::aead::{Aad, Algorithm, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};

pub(super) const NONCE: usize = NONCE_LEN;
pub(super) const TAG: usize = 16;

pub(super) fn key(algorithm: &'static Algorithm, material: &[u8]) -> Result<LessSafeKey, Error> {
    let key = UnboundKey::new(algorithm, material).map_err(|_| Error::Library)?;
    Ok(LessSafeKey::new(key))
}

/// Appends `nonce || ciphertext || tag`. Must get each nonce once.
pub(super) fn seal(
    key: &LessSafeKey,
    nonce: [u8; NONCE],
    aad: &[u8],
    plaintext: &[u8],
    out: &mut Vec<u8>,
) -> Result<(), Error> {
    out.extend_from_slice(&nonce);
    seal_body(key, nonce, aad, plaintext, out)
}

/// Appends `ciphertext || tag`.
pub(super) fn seal_body(
    key: &LessSafeKey,
    nonce: [u8; NONCE],
    aad: &[u8],
    plaintext: &[u8],
    out: &mut Vec<u8>,
) -> Result<(), Error> {
    let start = out.len();
    out.extend_from_slice(plaintext);
    let body = out.get_mut(start..).ok_or(Error::Library)?;
    let nonce = Nonce::assume_unique_for_key(nonce);
    let tag = key.seal_in_place_separate_tag(nonce, Aad::from(aad), body).map_err(|_| Error::Library)?;
    out.extend_from_slice(tag.as_ref());
    Ok(())
}

/// Opens `nonce || ciphertext || tag`.
pub(super) fn open(key: &LessSafeKey, aad: &[u8], sealed: &[u8]) -> Result<Secret, Error> {
    let (nonce, body) = sealed.split_first_chunk::<NONCE>().ok_or(Error::Decryption)?;
    open_body(key, *nonce, aad, body)
}

/// Opens `ciphertext || tag`. The plaintext of a message whose tag is wrong is overwritten before anybody sees it.
pub(super) fn open_body(
    key: &LessSafeKey,
    nonce: [u8; NONCE],
    aad: &[u8],
    body: &[u8],
) -> Result<Secret, Error> {
    let (ciphertext, tag) = body.split_last_chunk::<TAG>().ok_or(Error::Decryption)?;
    let mut plaintext = Secret::new(vec![0; ciphertext.len()]);
    let nonce = Nonce::assume_unique_for_key(nonce);
    key.open_separate_gather(nonce, Aad::from(aad), ciphertext, tag, &mut plaintext.0)
        .map_err(|_| Error::Decryption)?;
    Ok(plaintext)
}
