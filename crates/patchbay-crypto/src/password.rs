//! Password hashing.

use crate::{Error, Secret};

/// Derives a key from a passphrase with Argon2id (RFC 9106).
pub fn argon2id_key(
    passphrase: &[u8],
    salt: &[u8],
    memory_kib: u32,
    passes: u32,
    lanes: u32,
    length: usize,
) -> Result<Secret, Error> {
    let params = argon2::Params::new(memory_kib, passes, lanes, Some(length)).map_err(|_| Error::Library)?;
    let argon2 = argon2::Argon2::new(argon2::Algorithm::Argon2id, argon2::Version::V0x13, params);
    let mut key = vec![0; length];
    argon2.hash_password_into(passphrase, salt, &mut key).map_err(|_| Error::Library)?;
    Ok(Secret::new(key))
}
