//! AES key wrap with padding (RFC 5649, SP 800-38F `KWP`) with a key of 256 bits: keys of any length under another key.
//!
//! It is the second half of how keys are brought to a service (RSA-OAEP around an AES key, that around the key itself). It takes no
//! associated data and no nonce; the same key wrapped twice is the same bytes.

use crate::{Error, Secret};
use aws_lc_rs::key_wrap::{AES_256, AesKek, KeyWrapPadded};

/// Bytes of the key that wraps.
pub const KEY_LENGTH: usize = 32;
/// Bytes that are wrapped at most; the largest private key has a few thousand.
pub const MAX_KEY: usize = 64 * 1024;

/// Bytes that wrapping adds at most: eight of its own, and seven of padding.
const OVERHEAD: usize = 15;

/// Wraps a key of 1 to [`MAX_KEY`] bytes.
pub fn wrap(wrapping: &[u8], key: &[u8]) -> Result<Vec<u8>, Error> {
    let kek = kek(wrapping)?;
    if !(1..=MAX_KEY).contains(&key.len()) {
        return Err(Error::Input(format!("a key to wrap has 1 to {MAX_KEY} bytes")));
    }
    let mut output = vec![0; key.len() + OVERHEAD];
    let length = kek.wrap_with_padding(key, &mut output).map_err(|_| Error::Library)?.len();
    output.truncate(length);
    Ok(output)
}

/// Unwraps a key. Whatever is wrong with it gives the same error.
pub fn unwrap(wrapping: &[u8], wrapped: &[u8]) -> Result<Secret, Error> {
    let kek = kek(wrapping)?;
    if wrapped.len() > MAX_KEY + OVERHEAD {
        return Err(Error::Input(format!("a wrapped key has {} bytes at most", MAX_KEY + OVERHEAD)));
    }
    let mut output = Secret::new(vec![0; wrapped.len()]);
    let key = kek.unwrap_with_padding(wrapped, &mut output.0).map_err(|_| Error::Decryption)?;
    // The buffer is as long as what was wrapped, and is overwritten after its beginning has been copied.
    Ok(Secret::new(key.to_vec()))
}

fn kek(wrapping: &[u8]) -> Result<AesKek, Error> {
    AesKek::new(&AES_256, wrapping)
        .map_err(|_| Error::Key(format!("it must have {KEY_LENGTH} bytes, not {}", wrapping.len())))
}

#[cfg(test)]
#[path = "wrap_tests.rs"]
mod tests;
