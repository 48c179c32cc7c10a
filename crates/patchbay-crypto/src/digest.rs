//! Hash functions without a key. MD5 and SHA-1 are broken: they are here for checksums that others have published, and
//! nothing with a secret takes them.

use aws_lc_rs::digest as lc;
use blake2::Digest as _;
use std::{fmt, str::FromStr};

/// A hash function.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Algorithm {
    /// MD5 (RFC 1321). Broken.
    Md5,
    /// SHA-1 (FIPS 180-4). Broken.
    Sha1,
    /// SHA-224 (FIPS 180-4).
    Sha224,
    /// SHA-256.
    Sha256,
    /// SHA-384.
    Sha384,
    /// SHA-512.
    Sha512,
    /// SHA3-224 (FIPS 202).
    Sha3_224,
    /// SHA3-256.
    Sha3_256,
    /// SHA3-384.
    Sha3_384,
    /// SHA3-512.
    Sha3_512,
    /// BLAKE2b-512 (RFC 7693).
    Blake2b512,
    /// BLAKE2s-256 (RFC 7693).
    Blake2s256,
}

impl Algorithm {
    /// All of them.
    pub const ALL: [Self; 12] = [
        Self::Md5,
        Self::Sha1,
        Self::Sha224,
        Self::Sha256,
        Self::Sha384,
        Self::Sha512,
        Self::Sha3_224,
        Self::Sha3_256,
        Self::Sha3_384,
        Self::Sha3_512,
        Self::Blake2b512,
        Self::Blake2s256,
    ];

    /// Its name, such as `sha2-256`, `sha3-256` or `blake2b-512`; the names of Vault's Transit where it has one.
    pub fn name(self) -> &'static str {
        match self {
            Self::Md5 => "md5",
            Self::Sha1 => "sha1",
            Self::Sha224 => "sha2-224",
            Self::Sha256 => "sha2-256",
            Self::Sha384 => "sha2-384",
            Self::Sha512 => "sha2-512",
            Self::Sha3_224 => "sha3-224",
            Self::Sha3_256 => "sha3-256",
            Self::Sha3_384 => "sha3-384",
            Self::Sha3_512 => "sha3-512",
            Self::Blake2b512 => "blake2b-512",
            Self::Blake2s256 => "blake2s-256",
        }
    }

    /// Bytes of a digest.
    pub fn output_length(self) -> usize {
        match self {
            Self::Md5 => 16,
            Self::Sha1 => 20,
            Self::Sha224 | Self::Sha3_224 => 28,
            Self::Sha256 | Self::Sha3_256 | Self::Blake2s256 => 32,
            Self::Sha384 | Self::Sha3_384 => 48,
            Self::Sha512 | Self::Sha3_512 | Self::Blake2b512 => 64,
        }
    }

    /// Whether it is broken, and good for checksums only.
    pub fn is_unsafe(self) -> bool {
        matches!(self, Self::Md5 | Self::Sha1)
    }

    /// Hashes a message.
    pub fn digest(self, message: &[u8]) -> Vec<u8> {
        let mut context = Context::new(self);
        context.update(message);
        context.finish()
    }
}

impl fmt::Display for Algorithm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// No hash function has this name.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is no hash function that is known here")]
pub struct UnknownAlgorithm(String);

impl FromStr for Algorithm {
    type Err = UnknownAlgorithm;

    /// Reads a name as people write it: `sha256`, `SHA-256`, `sha2-256`, `sha3_256`, `blake2b`.
    fn from_str(name: &str) -> Result<Self, UnknownAlgorithm> {
        let letters: String = name
            .chars()
            .filter(|letter| !"-_/ ".contains(*letter))
            .map(|letter| letter.to_ascii_lowercase())
            .collect();
        let is_it = |algorithm: &Self| {
            let full: String = algorithm.name().chars().filter(|letter| *letter != '-').collect();
            full == letters || algorithm.short() == letters
        };
        Self::ALL.into_iter().find(is_it).ok_or_else(|| UnknownAlgorithm(name.to_owned()))
    }
}

impl Algorithm {
    /// What it is called in short.
    fn short(self) -> &'static str {
        match self {
            Self::Sha224 => "sha224",
            Self::Sha256 => "sha256",
            Self::Sha384 => "sha384",
            Self::Sha512 => "sha512",
            Self::Blake2b512 => "blake2b",
            Self::Blake2s256 => "blake2s",
            other => other.name(),
        }
    }

    fn of_library(self) -> Option<&'static lc::Algorithm> {
        match self {
            Self::Sha1 => Some(&lc::SHA1_FOR_LEGACY_USE_ONLY),
            Self::Sha224 => Some(&lc::SHA224),
            Self::Sha256 => Some(&lc::SHA256),
            Self::Sha384 => Some(&lc::SHA384),
            Self::Sha512 => Some(&lc::SHA512),
            Self::Sha3_256 => Some(&lc::SHA3_256),
            Self::Sha3_384 => Some(&lc::SHA3_384),
            Self::Sha3_512 => Some(&lc::SHA3_512),
            Self::Md5 | Self::Sha3_224 | Self::Blake2b512 | Self::Blake2s256 => None,
        }
    }
}

/// A digest in the making: give it the message in pieces of any size.
#[derive(Clone)]
pub struct Context {
    algorithm: Algorithm,
    state: State,
}

#[derive(Clone)]
enum State {
    Library(lc::Context),
    Md5(md5::Md5),
    Sha3_224(sha3::Sha3_224),
    Blake2b(Box<blake2::Blake2b512>),
    Blake2s(Box<blake2::Blake2s256>),
}

impl Context {
    /// Begins.
    pub fn new(algorithm: Algorithm) -> Self {
        let state = match (algorithm.of_library(), algorithm) {
            (Some(library), _) => State::Library(lc::Context::new(library)),
            (None, Algorithm::Sha3_224) => State::Sha3_224(sha3::Sha3_224::new()),
            (None, Algorithm::Blake2b512) => State::Blake2b(Box::default()),
            (None, Algorithm::Blake2s256) => State::Blake2s(Box::default()),
            (None, _) => State::Md5(md5::Md5::new()),
        };
        Self { algorithm, state }
    }

    /// What it computes.
    pub fn algorithm(&self) -> Algorithm {
        self.algorithm
    }

    /// Takes the next bytes.
    pub fn update(&mut self, bytes: &[u8]) {
        match &mut self.state {
            State::Library(context) => context.update(bytes),
            State::Md5(context) => context.update(bytes),
            State::Sha3_224(context) => context.update(bytes),
            State::Blake2b(context) => context.update(bytes),
            State::Blake2s(context) => context.update(bytes),
        }
    }

    /// The digest.
    pub fn finish(self) -> Vec<u8> {
        match self.state {
            State::Library(context) => context.finish().as_ref().to_vec(),
            State::Md5(context) => context.finalize().to_vec(),
            State::Sha3_224(context) => context.finalize().to_vec(),
            State::Blake2b(context) => context.finalize().to_vec(),
            State::Blake2s(context) => context.finalize().to_vec(),
        }
    }
}

#[cfg(test)]
#[path = "digest_tests.rs"]
mod tests;
