//! Decrypts a message that comes in pieces, from its start or from any chunk.

use super::{Blocks, MessageKey, SEALED_CHUNK};
use crate::Error;

/// A message on its way, after its prefix.
pub struct Decryptor {
    key: MessageKey,
    number: u64,
    blocks: Blocks,
}

impl Decryptor {
    /// Begins with a chunk; the first has number 0.
    pub fn new(key: MessageKey, chunk: u64) -> Self {
        Self { key, number: chunk, blocks: Blocks::new(SEALED_CHUNK) }
    }

    /// Takes the next bytes of the ciphertext, and appends the plaintext of the chunks that have become whole and are genuine: a whole one is never
    /// the last. After an error nothing more may be given.
    pub fn update(&mut self, ciphertext: &[u8], out: &mut Vec<u8>) -> Result<(), Error> {
        let Self { key, number, blocks } = self;
        blocks.feed(ciphertext, |chunk| {
            key.open(*number, chunk, out)?;
            *number += 1;
            Ok(())
        })
    }

    /// Appends the plaintext of the last chunk. [`Error::Decryption`] when the message was cut off, which it was when there is none.
    pub fn finish(self, out: &mut Vec<u8>) -> Result<(), Error> {
        self.key.open(self.number, &self.blocks.rest, out)
    }
}
