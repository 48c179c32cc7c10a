//! Messages of any size in chunks (C2SP chunked-encryption): Cobblestone-128 and Cobblestone-256, with SHA-512 and AES-GCM. No I/O: bytes go in in pieces of any size and come
//! out as soon as a chunk of 16 KiB is whole.
//!
//! A message is `salt || commitment || chunks`. From key, salt and context come a key for this message, a base nonce and the commitment, so that no other key opens
//! the message. Each chunk has the nonce of its number; the last is shorter than the others, which is what tells that nothing was cut off.

mod decrypt;
mod encrypt;

#[cfg(test)]
#[path = "chunked_tests.rs"]
mod tests;

pub use decrypt::Decryptor;
pub use encrypt::Encryptor;

use crate::{Error, Secret, nonce};
use aws_lc_rs::{
    aead::{AES_128_GCM, AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey},
    constant_time::verify_slices_are_equal,
    hkdf::{HKDF_SHA512, KeyType, Prk},
};
use zeroize::Zeroizing;

/// Bytes of plaintext in every chunk but the last, which has less.
pub const CHUNK: usize = 16 * 1024;

/// Bytes of a chunk's tag.
pub const TAG: usize = 16;

/// Bytes of every encrypted chunk but the last.
pub const SEALED_CHUNK: usize = CHUNK + TAG;

/// Bytes before the chunks.
pub const PREFIX: usize = SALT + COMMITMENT;

/// Chunks of a message at most: 4 PiB.
pub const MAX_CHUNKS: u64 = 1 << 38;

const SALT: usize = 24;
const COMMITMENT: usize = 32;

/// What the derivation begins with.
const LABEL: &[u8] = b"c2sp.org/chunked-encryption@v1+";

/// How chunks are encrypted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Algorithm {
    /// AES-128-GCM.
    Cobblestone128,
    /// AES-256-GCM.
    Cobblestone256,
}

impl Algorithm {
    /// Bytes of a key.
    pub fn key_length(self) -> usize {
        match self {
            Self::Cobblestone128 => 16,
            Self::Cobblestone256 => 32,
        }
    }

    /// Its name in the registry of AEAD algorithms, and a zero byte.
    fn name(self) -> &'static [u8] {
        match self {
            Self::Cobblestone128 => b"AEAD_AES_128_GCM\0",
            Self::Cobblestone256 => b"AEAD_AES_256_GCM\0",
        }
    }

    fn aead(self) -> &'static aws_lc_rs::aead::Algorithm {
        match self {
            Self::Cobblestone128 => &AES_128_GCM,
            Self::Cobblestone256 => &AES_256_GCM,
        }
    }
}

/// A key under which any number of messages are encrypted.
pub struct Key {
    algorithm: Algorithm,
    derivation: Prk,
}

/// Bytes wanted of a derivation.
struct Length(usize);

impl KeyType for Length {
    fn len(&self) -> usize {
        self.0
    }
}

impl Key {
    /// Takes material of [`Algorithm::key_length`] uniformly random bytes.
    pub fn new(algorithm: Algorithm, material: &[u8]) -> Result<Self, Error> {
        let length = algorithm.key_length();
        if material.len() != length {
            return Err(Error::Key(format!("it has {} bytes instead of {length}", material.len())));
        }
        Ok(Self { algorithm, derivation: Prk::new_less_safe(HKDF_SHA512, material) })
    }

    /// Begins a message that is bound to a context: what it starts with, and the key of its chunks.
    pub fn begin(&self, context: &[u8]) -> Result<([u8; PREFIX], MessageKey), Error> {
        let salt: [u8; SALT] = nonce::random()?;
        let (key, commitment) = self.derive(&salt, context)?;
        let mut prefix = [0; PREFIX];
        let (first, rest) = prefix.split_at_mut(SALT);
        first.copy_from_slice(&salt);
        rest.copy_from_slice(&*commitment);
        Ok((prefix, key))
    }

    /// The key of a message's chunks, by what it starts with. [`Error::Decryption`] when it was begun under another key or with another context.
    pub fn open(&self, prefix: &[u8; PREFIX], context: &[u8]) -> Result<MessageKey, Error> {
        let (salt, commitment) = prefix.split_first_chunk::<SALT>().ok_or(Error::Library)?;
        let (key, expected) = self.derive(salt, context)?;
        verify_slices_are_equal(&*expected, commitment).map_err(|_| Error::Decryption)?;
        Ok(key)
    }

    fn derive(
        &self,
        salt: &[u8; SALT],
        context: &[u8],
    ) -> Result<(MessageKey, Zeroizing<[u8; COMMITMENT]>), Error> {
        let length = self.algorithm.key_length();
        let info = [LABEL, self.algorithm.name(), salt, context];
        let mut derived = Zeroizing::new(vec![0; length + NONCE_LEN + COMMITMENT]);
        let expanded = self.derivation.expand(&info, Length(derived.len())).map_err(|_| Error::Library)?;
        expanded.fill(&mut derived).map_err(|_| Error::Library)?;
        let (material, rest) = derived.split_at_checked(length).ok_or(Error::Library)?;
        let (base, commitment) = rest.split_first_chunk::<NONCE_LEN>().ok_or(Error::Library)?;
        let commitment = commitment.first_chunk::<COMMITMENT>().ok_or(Error::Library)?;
        let key = MessageKey::new(self.algorithm, material, *base)?;
        Ok((key, Zeroizing::new(*commitment)))
    }
}

/// The key of one message.
pub struct MessageKey {
    cipher: LessSafeKey,
    base: [u8; NONCE_LEN],
    material: Secret,
}

impl MessageKey {
    fn new(algorithm: Algorithm, material: &[u8], base: [u8; NONCE_LEN]) -> Result<Self, Error> {
        let key = UnboundKey::new(algorithm.aead(), material).map_err(|_| Error::Library)?;
        Ok(Self { cipher: LessSafeKey::new(key), base, material: Secret::new(material.to_vec()) })
    }

    /// Key and base nonce, for a caller who encrypts the chunks himself.
    pub fn into_parts(self) -> (Secret, [u8; NONCE_LEN]) {
        (self.material, self.base)
    }

    /// The base nonce, exclusive-or the number of the chunk as a big-endian integer.
    fn nonce(&self, number: u64) -> Result<Nonce, Error> {
        if number >= MAX_CHUNKS {
            return Err(Error::Input("a message has 4 PiB at most".to_owned()));
        }
        let mut nonce = self.base;
        let tail = nonce.last_chunk_mut::<8>().ok_or(Error::Library)?;
        *tail = (u64::from_be_bytes(*tail) ^ number).to_be_bytes();
        Ok(Nonce::assume_unique_for_key(nonce))
    }

    /// Appends an encrypted chunk.
    fn seal(&self, number: u64, chunk: &[u8], out: &mut Vec<u8>) -> Result<(), Error> {
        let nonce = self.nonce(number)?;
        let start = out.len();
        out.extend_from_slice(chunk);
        let body = out.get_mut(start..).ok_or(Error::Library)?;
        let tag = self.cipher.seal_in_place_separate_tag(nonce, Aad::empty(), body);
        out.extend_from_slice(tag.map_err(|_| Error::Library)?.as_ref());
        Ok(())
    }

    /// Appends a decrypted chunk; nothing where it is not genuine.
    fn open(&self, number: u64, sealed: &[u8], out: &mut Vec<u8>) -> Result<(), Error> {
        let (body, tag) = sealed.split_last_chunk::<TAG>().ok_or(Error::Decryption)?;
        let nonce = self.nonce(number)?;
        let start = out.len();
        out.extend_from_slice(body);
        let place = out.get_mut(start..).ok_or(Error::Library)?;
        let opened = self.cipher.open_in_place_separate_tag(nonce, Aad::empty(), tag, place);
        if opened.is_err() {
            crate::wipe(out.get_mut(start..).unwrap_or_default());
            out.truncate(start);
            return Err(Error::Decryption);
        }
        Ok(())
    }
}

/// Collects what comes until `size` bytes are there. Whole blocks of what comes are not copied.
struct Blocks {
    size: usize,
    rest: Zeroizing<Vec<u8>>,
}

impl Blocks {
    fn new(size: usize) -> Self {
        Self { size, rest: Zeroizing::new(Vec::new()) }
    }

    /// Gives every whole block to `take`, and keeps what is left.
    fn feed(
        &mut self,
        mut input: &[u8],
        mut take: impl FnMut(&[u8]) -> Result<(), Error>,
    ) -> Result<(), Error> {
        if !self.rest.is_empty() {
            let missing = self.size.saturating_sub(self.rest.len()).min(input.len());
            let (first, later) = input.split_at_checked(missing).ok_or(Error::Library)?;
            self.rest.extend_from_slice(first);
            input = later;
            if self.rest.len() < self.size {
                return Ok(());
            }
            take(&self.rest)?;
            self.rest.clear();
        }
        let whole = input.chunks_exact(self.size);
        let left = whole.remainder();
        for block in whole {
            take(block)?;
        }
        if !left.is_empty() {
            // Reserved once, so that no copy of it is left behind by growing.
            self.rest.reserve(self.size);
            self.rest.extend_from_slice(left);
        }
        Ok(())
    }
}
