//! XAES-256-GCM (C2SP): AES-256-GCM under a key that is made for each message from the first half of a nonce of 24 bytes, by
//! a CMAC in counter mode (NIST SP 800-108). Random nonces are safe for 2^80 messages.

use super::gcm;
use crate::{Error, Secret};
use aws_lc_rs::{
    aead::{AES_256_GCM, LessSafeKey},
    cipher::{AES_256, EncryptingKey, EncryptionContext, UnboundCipherKey},
};
use zeroize::Zeroizing;

pub(super) const NONCE: usize = 24;

/// Half of a nonce: one half makes the key, the other is the nonce under it.
const HALF: usize = NONCE / 2;

const BLOCK: usize = 16;

/// AES-256 with the key, and CMAC's first subkey.
pub(super) struct Key {
    block: EncryptingKey,
    subkey: Zeroizing<[u8; BLOCK]>,
}

impl Key {
    pub(super) fn new(material: &[u8]) -> Result<Self, Error> {
        let key = UnboundCipherKey::new(&AES_256, material).map_err(|_| Error::Library)?;
        let block = EncryptingKey::ecb(key).map_err(|_| Error::Library)?;
        let mut subkey = Zeroizing::new([0; BLOCK]);
        encrypt_blocks(&block, subkey.as_mut_slice())?;
        double(&mut subkey);
        Ok(Self { block, subkey })
    }

    /// Appends `nonce || ciphertext || tag`. Must get each nonce once.
    pub(super) fn seal(
        &self,
        nonce: [u8; NONCE],
        aad: &[u8],
        plaintext: &[u8],
        out: &mut Vec<u8>,
    ) -> Result<(), Error> {
        let (key, short) = self.derive(&nonce)?;
        out.extend_from_slice(&nonce);
        gcm::seal_body(&key, short, aad, plaintext, out)
    }

    /// Opens `nonce || ciphertext || tag`.
    pub(super) fn open(&self, aad: &[u8], sealed: &[u8]) -> Result<Secret, Error> {
        let (nonce, body) = sealed.split_first_chunk::<NONCE>().ok_or(Error::Decryption)?;
        let (key, short) = self.derive(nonce)?;
        gcm::open_body(&key, short, aad, body)
    }

    /// The key of one message, and the nonce under it.
    fn derive(&self, nonce: &[u8; NONCE]) -> Result<(LessSafeKey, [u8; HALF]), Error> {
        let (prefix, rest) = nonce.split_first_chunk::<HALF>().ok_or(Error::Library)?;
        let short = *rest.first_chunk::<HALF>().ok_or(Error::Library)?;
        let mut material = Zeroizing::new([0; 2 * BLOCK]);
        for (counter, block) in [1, 2].into_iter().zip(material.chunks_exact_mut(BLOCK)) {
            let input = [0, counter, b'X', 0].into_iter().chain(*prefix);
            for ((byte, input), subkey) in block.iter_mut().zip(input).zip(self.subkey.iter()) {
                *byte = input ^ subkey;
            }
        }
        encrypt_blocks(&self.block, material.as_mut_slice())?;
        Ok((gcm::key(&AES_256_GCM, material.as_slice())?, short))
    }
}

fn encrypt_blocks(key: &EncryptingKey, blocks: &mut [u8]) -> Result<(), Error> {
    key.less_safe_encrypt(blocks, EncryptionContext::None).map(drop).map_err(|_| Error::Library)
}

/// Doubles in GF(2^128) (NIST SP 800-38B, section 6.1), in the same time whatever the bits.
fn double(block: &mut [u8; BLOCK]) {
    let value = u128::from_be_bytes(*block);
    let reduce = (value >> 127).wrapping_neg() & 0x87;
    *block = ((value << 1) ^ reduce).to_be_bytes();
}
