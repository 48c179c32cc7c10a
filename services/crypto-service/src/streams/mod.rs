//! Messages of any size: which key opens one, and what stands before its chunks. `patchbay_crypto::chunked` has the format.
//!
//! A message is never held here: a piece that has come is encrypted or decrypted and given on before the next is asked for, so that whoever reads slowly is
//! sent nothing more by a sender who is not heard.

mod decrypting;
mod encrypting;
mod header;
mod pieces;
mod range;

pub(crate) use decrypting::{Decrypting, Lock};
pub(crate) use encrypting::{Encrypting, Step};
pub(crate) use header::{HEADER, Header};
pub(crate) use pieces::Piece;
pub(crate) use range::Range;

use crate::{
    caller::Caller,
    core::Core,
    error::Error,
    keyring::{LoadedKey, LoadedVersion, Material},
};
use patchbay_crypto::{
    Error as CryptoError,
    chunked::{self, MessageKey},
};
use std::sync::Arc;

/// Bytes that a message may be bound to.
const MAX_ASSOCIATED: usize = 64 * 1024;

/// Bytes that are computed, and given on, at once.
const PART: usize = 256 * 1024;

/// A message that has been begun or opened.
pub(crate) struct Opened {
    /// What it begins with.
    pub(crate) header: Header,
    /// Of its chunks.
    pub(crate) key: MessageKey,
}

/// Begins a message under a version of a key; 0 is the newest. `word` is the operation that the caller must be allowed.
pub(crate) async fn begin(
    core: &Core,
    caller: &Caller,
    word: &str,
    (key, version): (&str, u32),
    associated_data: &[u8],
) -> Result<Opened, Error> {
    let key = admit(core, caller, word, key, associated_data).await?;
    let version = key.encrypting(version)?;
    let (prefix, message) = chunks(&key, version)?.begin(associated_data).map_err(Error::internal)?;
    Ok(Opened { header: Header { version: version.number, prefix }, key: message })
}

/// Opens a message by its header. A version that is not there is one more way for it to be wrong.
pub(crate) async fn open(
    core: &Core,
    caller: &Caller,
    key: &str,
    header: Header,
    associated_data: &[u8],
) -> Result<Opened, Error> {
    let key = admit(core, caller, "decrypt", key, associated_data).await?;
    let version = key.decrypting(header.version).map_err(|error| match error {
        Error::KeyVersion(_) => Error::DecryptionFailed,
        other => other,
    })?;
    let message = chunks(&key, version)?.open(&header.prefix, associated_data).map_err(refused)?;
    Ok(Opened { header, key: message })
}

/// Whether the caller may, with a key that can.
async fn admit(
    core: &Core,
    caller: &Caller,
    word: &str,
    name: &str,
    associated_data: &[u8],
) -> Result<Arc<LoadedKey>, Error> {
    caller.require_key(word, name)?;
    if associated_data.len() > MAX_ASSOCIATED {
        return Err(Error::TooLarge { what: "associated_data", limit: MAX_ASSOCIATED as u64 });
    }
    let key = core.keyring.get(name).await?;
    key.check_enabled()?;
    if key.key_type().chunked().is_none() {
        return Err(Error::KeyType {
            key_type: key.key_type().word(),
            operation: "encrypt streams; one of type aes256-gcm-chunked or aes128-gcm-chunked can",
        });
    }
    Ok(key)
}

fn chunks<'k>(key: &LoadedKey, version: &'k LoadedVersion) -> Result<&'k chunked::Key, Error> {
    match &version.material {
        Material::Chunked(chunks) => Ok(chunks),
        _ => {
            Err(Error::internal(format!("a version of the key {} is of another type than the key", key.name)))
        }
    }
}

fn refused(error: CryptoError) -> Error {
    match error {
        CryptoError::Decryption => Error::DecryptionFailed,
        CryptoError::Input(problem) => Error::bad("chunk", problem),
        other => Error::internal(other),
    }
}
