//! Password hashes on the pool: for accounts of our own, and for applications that ask.

use crate::{config, error::Error, pool::Pool, root_key::RootKey};
use patchbay_crypto::{
    Secret,
    password::{self, Algorithm, Parameters, Stored},
};
use std::sync::Arc;

/// Whether the service's pepper goes into a new hash.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pepper {
    /// It does not: the hash can be checked anywhere.
    Without,
    /// It does: the hash begins with `$pepper$` and can be checked with this root key alone.
    With,
}

/// What a check has found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Verdict {
    /// Whether it is the password.
    pub is_valid: bool,
    /// Whether the hash is weaker than what is configured; only for a valid password.
    pub needs_rehash: bool,
}

/// Hashes and checks passwords. Cheap to clone.
#[derive(Clone)]
pub struct Passwords {
    parameters: Parameters,
    pepper: Arc<password::Pepper>,
    pool: Pool,
    memory: u64,
}

impl Passwords {
    /// Puts it together; the pepper is the root key's.
    pub fn new(config: &config::Passwords, limits: &config::Pool, root: &RootKey, pool: &Pool) -> Self {
        Self {
            parameters: parameters(config),
            pepper: Arc::new(password::Pepper::new(root.pepper())),
            pool: pool.clone(),
            memory: limits.memory.0,
        }
    }

    /// Hashes a password of 1 to 1024 bytes with the configured parameters and a new salt.
    pub async fn hash(&self, algorithm: Algorithm, password: &str, pepper: Pepper) -> Result<String, Error> {
        let (parameters, seasoning) = (self.parameters, Arc::clone(&self.pepper));
        let memory = self.affordable("algorithm", parameters.memory_bytes(algorithm))?;
        let password = Secret::new(password.as_bytes().to_vec());
        let job = move || {
            let pepper = (pepper == Pepper::With).then_some(&*seasoning);
            password::hash(algorithm, &parameters, password.expose(), pepper)
        };
        self.pool.hash(memory, job).await?.map_err(|error| refused("password", error))
    }

    /// Checks a password against a hash of any kind that is known. A wrong password is an answer; a hash that cannot be read, or costs
    /// too much, is an error.
    pub async fn verify(&self, password: &str, hash: &str) -> Result<Verdict, Error> {
        let stored: Stored = hash.parse().map_err(|error| refused("hash", error))?;
        let memory = self.affordable("hash", stored.memory_bytes())?;
        let is_outdated = stored.needs_rehash(&self.parameters);
        let (password, pepper) = (Secret::new(password.as_bytes().to_vec()), Arc::clone(&self.pepper));
        let job = move || stored.verify(password.expose(), Some(&pepper));
        let verdict = self.pool.hash(memory, job).await?.map_err(|error| refused("password", error))?;
        Ok(Verdict { is_valid: verdict.is_valid, needs_rehash: verdict.is_valid && is_outdated })
    }

    /// Costs what a check of a default hash costs, and fails where that would fail: for an account that is not there, so that the time
    /// does not tell.
    pub async fn verify_nothing(&self, password: &str) -> Result<(), Error> {
        self.hash(Algorithm::default(), password, Pepper::With).await.map(drop)
    }

    fn affordable(&self, field: &'static str, memory: u64) -> Result<u64, Error> {
        let refused =
            || Error::bad(field, format!("needs {memory} bytes of memory, more than pool.memory has"));
        (memory <= self.memory).then_some(memory).ok_or_else(refused)
    }
}

/// The configured strength of new hashes.
pub(crate) fn parameters(config: &config::Passwords) -> Parameters {
    Parameters {
        argon2_memory_kib: u32::try_from(config.argon2_memory.0 / 1024).unwrap_or(u32::MAX),
        argon2_passes: config.argon2_passes,
        argon2_lanes: config.argon2_lanes,
        bcrypt_cost: config.bcrypt_cost,
        scrypt_log_n: config.scrypt_log_n,
        pbkdf2_iterations: config.pbkdf2_iterations,
    }
}

fn refused(field: &'static str, error: patchbay_crypto::Error) -> Error {
    match error {
        patchbay_crypto::Error::Input(problem) => Error::bad(field, format!("is refused: {problem}")),
        other => Error::internal(other),
    }
}

#[cfg(test)]
#[path = "passwords_tests.rs"]
mod tests;
