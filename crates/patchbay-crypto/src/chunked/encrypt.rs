//! Encrypts a message that comes in pieces.

use super::{Blocks, CHUNK, MessageKey, SEALED_CHUNK};
use crate::Error;

/// A message on its way. What it gives out goes after the prefix that [`super::Key::begin`] has made.
pub struct Encryptor {
    key: MessageKey,
    number: u64,
    blocks: Blocks,
}

impl Encryptor {
    /// Begins with the first chunk.
    pub fn new(key: MessageKey) -> Self {
        Self { key, number: 0, blocks: Blocks::new(CHUNK) }
    }

    /// Bytes that [`Encryptor::update`] gives out for this many more of plaintext.
    pub fn output_len(&self, input: usize) -> usize {
        (self.blocks.rest.len() + input) / CHUNK * SEALED_CHUNK
    }

    /// Takes the next bytes of the plaintext, and appends the chunks that have become whole.
    pub fn update(&mut self, plaintext: &[u8], out: &mut Vec<u8>) -> Result<(), Error> {
        let Self { key, number, blocks } = self;
        blocks.feed(plaintext, |chunk| {
            key.seal(*number, chunk, out)?;
            *number += 1;
            Ok(())
        })
    }

    /// Appends the last chunk, which may be empty.
    pub fn finish(self, out: &mut Vec<u8>) -> Result<(), Error> {
        self.key.seal(self.number, &self.blocks.rest, out)
    }
}
