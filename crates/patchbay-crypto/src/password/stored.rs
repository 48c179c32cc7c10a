//! A hash as it is stored: its algorithm, what it costs, salt and output.

use super::{Algorithm, BCRYPT_MAX, Parameters, Pepper, check_length};
use crate::{Error, Secret};
use aws_lc_rs::{constant_time::verify_slices_are_equal, pbkdf2};
use std::num::NonZeroU32;

/// KiB times passes of an Argon2 hash, or the like of scrypt, that are computed at most: 4 GiB once over, some seconds.
pub const MAX_WORK: u64 = 4 * 1024 * 1024;

/// Lanes of Argon2 and parallelism of scrypt at most.
const MAX_LANES: u32 = 64;

/// Cost of bcrypt at most; 16 takes some seconds.
const BCRYPT_COST_MAX: u32 = 16;

/// Iterations of PBKDF2 at most; that many take some seconds.
const PBKDF2_MAX: u32 = 10_000_000;

/// What a check has found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Verdict {
    /// Whether it is the password.
    pub is_valid: bool,
}

/// What it takes to compute a hash.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Cost {
    Argon2 { variant: argon2::Algorithm, version: argon2::Version, memory_kib: u32, passes: u32, lanes: u32 },
    Bcrypt { cost: u32 },
    Scrypt { log_n: u8, r: u32, p: u32 },
    Pbkdf2Sha256 { iterations: u32 },
}

/// A hash that was read, and can be checked.
#[derive(Clone)]
pub struct Stored {
    pub(super) cost: Cost,
    pub(super) salt: Vec<u8>,
    pub(super) output: Secret,
    pub(super) is_peppered: bool,
}

impl Stored {
    pub(super) fn new(cost: Cost, salt: Vec<u8>, output: Secret, is_peppered: bool) -> Self {
        Self { cost, salt, output, is_peppered }
    }

    /// Memory that a check needs.
    pub fn memory_bytes(&self) -> u64 {
        self.cost.memory_bytes()
    }

    /// Whether it can be checked with a pepper only.
    pub fn is_peppered(&self) -> bool {
        self.is_peppered
    }

    /// Checks a password. Takes the same time whether it is right or wrong.
    pub fn verify(&self, password: &[u8], pepper: Option<&Pepper>) -> Result<Verdict, Error> {
        check_length(password)?;
        let seasoned = match (self.is_peppered, pepper) {
            (true, Some(pepper)) => Some(pepper.season(password)),
            (true, None) => return Err(Error::Input("the hash needs a pepper that is not here".to_owned())),
            (false, _) => None,
        };
        let password = seasoned.as_deref().map_or(password, Vec::as_slice);
        let computed = self.cost.compute(password, &self.salt, self.output.expose().len())?;
        let is_valid = verify_slices_are_equal(computed.expose(), self.output.expose()).is_ok();
        Ok(Verdict { is_valid })
    }

    /// Whether a new hash by the same algorithm would be stronger. Argon2i, Argon2d and versions before the last are never made anew.
    pub fn needs_rehash(&self, parameters: &Parameters) -> bool {
        let is_short = self.salt.len() < super::SALT || self.output.expose().len() < self.cost.usual_output();
        is_short || self.cost.is_weaker_than(&parameters.cost(self.cost.algorithm()))
    }
}

impl Cost {
    fn algorithm(&self) -> Algorithm {
        match self {
            Self::Argon2 { .. } => Algorithm::Argon2id,
            Self::Bcrypt { .. } => Algorithm::Bcrypt,
            Self::Scrypt { .. } => Algorithm::Scrypt,
            Self::Pbkdf2Sha256 { .. } => Algorithm::Pbkdf2Sha256,
        }
    }

    pub(super) fn memory_bytes(&self) -> u64 {
        match *self {
            Self::Argon2 { memory_kib, .. } => u64::from(memory_kib) * 1024,
            // N blocks, and p more; each has 128 r bytes.
            Self::Scrypt { log_n, r, p } => {
                let blocks = 1_u64.checked_shl(log_n.into()).unwrap_or(u64::MAX).saturating_add(p.into());
                blocks.saturating_mul(128).saturating_mul(r.into())
            }
            // Blowfish's boxes.
            Self::Bcrypt { .. } => 4168,
            Self::Pbkdf2Sha256 { .. } => 1024,
        }
    }

    fn usual_output(&self) -> usize {
        match self {
            Self::Bcrypt { .. } => super::phc::BCRYPT_OUTPUT,
            _ => super::OUTPUT,
        }
    }

    fn is_weaker_than(&self, wanted: &Self) -> bool {
        match (self, wanted) {
            (
                Self::Argon2 { variant, version, memory_kib, passes, .. },
                Self::Argon2 { variant: its, version: newest, memory_kib: memory, passes: more, .. },
            ) => variant != its || version != newest || memory_kib < memory || passes < more,
            (Self::Bcrypt { cost }, Self::Bcrypt { cost: wanted }) => cost < wanted,
            (Self::Scrypt { log_n, r, p }, Self::Scrypt { log_n: wanted, r: its_r, p: its_p }) => {
                log_n < wanted || r < its_r || p < its_p
            }
            (Self::Pbkdf2Sha256 { iterations }, Self::Pbkdf2Sha256 { iterations: wanted }) => {
                iterations < wanted
            }
            _ => true,
        }
    }

    /// Refuses what would take too long; memory is bounded by [`MAX_WORK`] as well, and by whoever lends it.
    pub(super) fn check(&self) -> Result<(), Error> {
        let (work, lanes) = match *self {
            Self::Argon2 { memory_kib, passes, lanes, .. } => {
                (u64::from(memory_kib).saturating_mul(passes.into()), lanes)
            }
            Self::Scrypt { p, .. } => (self.memory_bytes().div_ceil(1024).saturating_mul(p.into()), p),
            Self::Bcrypt { cost } => {
                return within("the cost of bcrypt", cost.into(), 4..=BCRYPT_COST_MAX.into());
            }
            Self::Pbkdf2Sha256 { iterations } => {
                return within("the number of iterations", iterations.into(), 1..=PBKDF2_MAX.into());
            }
        };
        within("the number of lanes", lanes.into(), 1..=MAX_LANES.into())?;
        within("memory in KiB times passes", work, 1..=MAX_WORK)
    }

    pub(super) fn compute(&self, password: &[u8], salt: &[u8], length: usize) -> Result<Secret, Error> {
        self.check()?;
        match *self {
            Self::Argon2 { variant, version, memory_kib, passes, lanes } => {
                let parameters =
                    argon2::Params::new(memory_kib, passes, lanes, Some(length)).map_err(refused)?;
                let argon2 = argon2::Argon2::new(variant, version, parameters);
                let mut output = Secret::new(vec![0; length]);
                argon2.hash_password_into(password, salt, &mut output.0).map_err(refused)?;
                Ok(output)
            }
            Self::Bcrypt { cost } => bcrypt(cost, password, salt),
            Self::Scrypt { log_n, r, p } => {
                let parameters = scrypt::Params::new(log_n, r, p).map_err(refused)?;
                let mut output = Secret::new(vec![0; length]);
                scrypt::scrypt(password, salt, &parameters, &mut output.0).map_err(refused)?;
                Ok(output)
            }
            Self::Pbkdf2Sha256 { iterations } => {
                let iterations = NonZeroU32::new(iterations).ok_or(Error::Library)?;
                let mut output = Secret::new(vec![0; length]);
                pbkdf2::derive(pbkdf2::PBKDF2_HMAC_SHA256, iterations, salt, password, &mut output.0);
                Ok(output)
            }
        }
    }
}

/// bcrypt reads a password up to its first NUL and not beyond 72 bytes; rather than ignore the rest, this refuses it.
fn bcrypt(cost: u32, password: &[u8], salt: &[u8]) -> Result<Secret, Error> {
    if password.len() > BCRYPT_MAX {
        return Err(Error::Input(format!("bcrypt takes passwords of {BCRYPT_MAX} bytes at most")));
    }
    if password.contains(&0) {
        return Err(Error::Input("bcrypt takes no password with a NUL in it".to_owned()));
    }
    let salt = salt.try_into().map_err(|_| Error::Library)?;
    let parts = bcrypt::hash_with_salt(password, cost, salt).map_err(|_| Error::Library)?;
    super::phc::bcrypt_output(&parts.to_string()).map(Secret::new)
}

fn within(what: &str, value: u64, range: std::ops::RangeInclusive<u64>) -> Result<(), Error> {
    let (least, most) = (range.start(), range.end());
    let refused = || Error::Input(format!("{what} is {value}, but must be from {least} to {most}"));
    range.contains(&value).then_some(()).ok_or_else(refused)
}

fn refused(error: impl std::fmt::Display) -> Error {
    Error::Input(format!("the parameters of the hash are refused: {error}"))
}
