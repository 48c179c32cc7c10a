//! Passwords: hashes in PHC strings, and how strong they are. A new hash has a random salt of 16 bytes and 32 bytes of output.
//!
//! Hashes come from strangers: whoever gives one says how much memory and time it costs to check it. What is read is bounded
//! here, and [`Stored::memory_bytes`] tells the cost before it is paid.

mod phc;
mod stored;

pub use stored::{MAX_WORK, Stored, Verdict};

#[cfg(test)]
#[path = "password_tests.rs"]
mod tests;

use crate::{Error, Secret};
use aws_lc_rs::hmac;
use base64::{Engine, engine::general_purpose::STANDARD};
use stored::Cost;
use zeroize::Zeroizing;

/// Bytes of a password at most.
pub const MAX_PASSWORD: usize = 1024;

/// Bytes that bcrypt takes.
const BCRYPT_MAX: usize = 72;

/// Bytes of a new salt, and of a new hash.
const SALT: usize = 16;
const OUTPUT: usize = 32;

/// How a password is hashed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Algorithm {
    /// Argon2id (RFC 9106).
    #[default]
    Argon2id,
    /// bcrypt, `$2b$`. A password has 72 bytes at most.
    Bcrypt,
    /// scrypt (RFC 7914) with r = 8 and p = 1.
    Scrypt,
    /// PBKDF2 with HMAC-SHA256 (RFC 8018).
    Pbkdf2Sha256,
}

impl Algorithm {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Argon2id, Self::Bcrypt, Self::Scrypt, Self::Pbkdf2Sha256];
}

/// How strong new hashes are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Parameters {
    /// Memory of Argon2id in KiB; at least 8 for each lane.
    pub argon2_memory_kib: u32,
    /// Passes of Argon2id over its memory.
    pub argon2_passes: u32,
    /// Lanes of Argon2id.
    pub argon2_lanes: u32,
    /// Binary logarithm of bcrypt's rounds.
    pub bcrypt_cost: u32,
    /// Binary logarithm of scrypt's N.
    pub scrypt_log_n: u8,
    /// Iterations of PBKDF2.
    pub pbkdf2_iterations: u32,
}

impl Parameters {
    /// Memory that a new hash needs while it is computed.
    pub fn memory_bytes(&self, algorithm: Algorithm) -> u64 {
        self.cost(algorithm).memory_bytes()
    }

    /// Refuses parameters with which no hash could be made or checked.
    pub fn check(&self, algorithm: Algorithm) -> Result<(), Error> {
        self.cost(algorithm).check()
    }

    fn cost(&self, algorithm: Algorithm) -> Cost {
        match algorithm {
            Algorithm::Argon2id => Cost::Argon2 {
                variant: argon2::Algorithm::Argon2id,
                version: argon2::Version::V0x13,
                memory_kib: self.argon2_memory_kib,
                passes: self.argon2_passes,
                lanes: self.argon2_lanes,
            },
            Algorithm::Bcrypt => Cost::Bcrypt { cost: self.bcrypt_cost },
            Algorithm::Scrypt => Cost::Scrypt { log_n: self.scrypt_log_n, r: 8, p: 1 },
            Algorithm::Pbkdf2Sha256 => Cost::Pbkdf2Sha256 { iterations: self.pbkdf2_iterations },
        }
    }
}

/// A secret that goes into passwords before they are hashed: without it, a stolen table of hashes cannot even be guessed at.
pub struct Pepper(hmac::Key);

impl Pepper {
    /// Takes a key of 32 bytes.
    pub fn new(key: &[u8; 32]) -> Self {
        Self(hmac::Key::new(hmac::HMAC_SHA256, key))
    }

    /// Base64 of HMAC-SHA256 of the password: 44 characters without NUL, which bcrypt takes whole.
    fn season(&self, password: &[u8]) -> Zeroizing<Vec<u8>> {
        Zeroizing::new(STANDARD.encode(hmac::sign(&self.0, password)).into_bytes())
    }
}

/// Hashes a password with a new salt. With a pepper, the hash begins with `$pepper$` and can be checked with that pepper alone.
pub fn hash(
    algorithm: Algorithm,
    parameters: &Parameters,
    password: &[u8],
    pepper: Option<&Pepper>,
) -> Result<String, Error> {
    check_length(password)?;
    let mut salt = vec![0; SALT];
    aws_lc_rs::rand::fill(&mut salt).map_err(|_| Error::Library)?;
    let cost = parameters.cost(algorithm);
    let seasoned = pepper.map(|pepper| pepper.season(password));
    let output = cost.compute(seasoned.as_deref().map_or(password, Vec::as_slice), &salt, OUTPUT)?;
    let stored = Stored::new(cost, salt, output, pepper.is_some());
    Ok(stored.to_string())
}

/// Derives a key from a passphrase with Argon2id (RFC 9106).
pub fn argon2id_key(
    passphrase: &[u8],
    salt: &[u8],
    memory_kib: u32,
    passes: u32,
    lanes: u32,
    length: usize,
) -> Result<Secret, Error> {
    let cost = Cost::Argon2 {
        variant: argon2::Algorithm::Argon2id,
        version: argon2::Version::V0x13,
        memory_kib,
        passes,
        lanes,
    };
    cost.compute(passphrase, salt, length)
}

fn check_length(password: &[u8]) -> Result<(), Error> {
    match password.len() {
        0 => Err(Error::Input("the password is empty".to_owned())),
        1..=MAX_PASSWORD => Ok(()),
        _ => Err(Error::Input(format!("the password has more than {MAX_PASSWORD} bytes"))),
    }
}
