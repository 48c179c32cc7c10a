//! SRTP (RFC 3711, RFC 7714) for one session.
//!
//! What arrives, and all RTCP, goes through `rtc-srtp`. What is sent is sealed here, in the buffer from which it is sent: with many viewers this is what the
//! processor does most, and the library copies each packet twice.

use crate::dtls::Keys;
use bytes::BytesMut;
use rtc_crypto::{AeadAlgorithm, AeadCipher, BlockCipherAlgorithm, CryptoError, RTCCrypto};
use rtc_shared::error::Error;
use rtc_srtp::{
    context::Context,
    option::{srtcp_replay_protection, srtp_replay_protection},
    protection_profile::ProtectionProfile,
};

/// Bytes that protection adds to an RTP packet, at most.
pub(crate) const OVERHEAD: usize = 16;

/// Packets that may arrive out of order without being taken for replays. Browsers send bursts, and retransmissions have an SSRC of their own.
const REPLAY_WINDOW: usize = 1024;

/// Both directions.
pub(crate) struct Srtp {
    sealer: Sealer,
    outgoing: Context,
    incoming: Context,
}

impl Srtp {
    pub(crate) fn new(keys: &Keys, crypto: &dyn RTCCrypto) -> Result<Self, Error> {
        let Keys { profile, keys } = keys;
        let context = |key: &[u8], salt: &[u8]| {
            let (rtp, rtcp) = (srtp_replay_protection(REPLAY_WINDOW), srtcp_replay_protection(REPLAY_WINDOW));
            Context::new(key, salt, *profile, Some(rtp), Some(rtcp), crypto)
        };
        Ok(Self {
            sealer: Sealer::new(*profile, &keys.local_master_key, &keys.local_master_salt, crypto)?,
            outgoing: Context::new(&keys.local_master_key, &keys.local_master_salt, *profile, None, None, crypto)?,
            incoming: context(&keys.remote_master_key, &keys.remote_master_salt)?,
        })
    }

    /// Protects the RTP packet that begins at `start` of the buffer and ends with it. `index` is its sequence number with the count of wraps above it.
    pub(crate) fn seal(&mut self, buffer: &mut Vec<u8>, start: usize, header: usize, ssrc: u32, index: u64) -> Result<(), Error> {
        match &mut self.sealer {
            Sealer::Gcm(gcm) => gcm.seal(buffer, start, header, ssrc, index).map_err(crypto_error),
            Sealer::Library => {
                let sealed = self.outgoing.encrypt_rtp(buffer.get(start..).unwrap_or(&[]))?;
                buffer.truncate(start);
                buffer.extend_from_slice(&sealed);
                Ok(())
            }
        }
    }

    pub(crate) fn seal_rtcp(&mut self, packet: &[u8]) -> Result<BytesMut, Error> {
        self.outgoing.encrypt_rtcp(packet)
    }

    pub(crate) fn open(&mut self, packet: &[u8]) -> Result<BytesMut, Error> {
        self.incoming.decrypt_rtp(packet)
    }

    pub(crate) fn open_rtcp(&mut self, packet: &[u8]) -> Result<BytesMut, Error> {
        self.incoming.decrypt_rtcp(packet)
    }
}

fn crypto_error(error: CryptoError) -> Error {
    Error::Crypto(error.to_string())
}

enum Sealer {
    Gcm(Gcm),
    /// Profiles that only old peers want.
    Library,
}

impl Sealer {
    fn new(profile: ProtectionProfile, key: &[u8], salt: &[u8], crypto: &dyn RTCCrypto) -> Result<Self, Error> {
        let (cipher, block) = match profile {
            ProtectionProfile::AeadAes128Gcm => (AeadAlgorithm::Aes128Gcm, BlockCipherAlgorithm::Aes128),
            ProtectionProfile::AeadAes256Gcm => (AeadAlgorithm::Aes256Gcm, BlockCipherAlgorithm::Aes256),
            _ => return Ok(Self::Library),
        };
        let mut session_key = [0_u8; 32];
        let session_key = session_key.get_mut(..key.len()).ok_or_else(|| Error::Crypto("the key is too long".to_owned()))?;
        let mut session_salt = [0; SALT];
        derive(LABEL_KEY, key, salt, block, crypto, session_key).map_err(crypto_error)?;
        derive(LABEL_SALT, key, salt, block, crypto, &mut session_salt).map_err(crypto_error)?;
        let cipher = crypto.new_aead(cipher, session_key).map_err(crypto_error)?;
        Ok(Self::Gcm(Gcm { cipher, salt: session_salt }))
    }
}

/// RFC 7714, section 8.1: bytes of the salt and of the nonce.
const SALT: usize = 12;
/// RFC 3711, section 4.3.2: labels of the key and of the salt of SRTP.
const LABEL_KEY: u8 = 0;
const LABEL_SALT: u8 = 2;

/// RFC 3711, section 4.3, with a key derivation rate of 0: the key stream of AES in counter mode, started at the salt with the label in its eighth byte.
fn derive(
    label: u8,
    key: &[u8],
    salt: &[u8],
    cipher: BlockCipherAlgorithm,
    crypto: &dyn RTCCrypto,
    output: &mut [u8],
) -> Result<(), CryptoError> {
    let mut start = [0_u8; 16];
    for (byte, salt) in start.iter_mut().zip(salt) {
        *byte = *salt;
    }
    start[7] ^= label;
    for (counter, chunk) in (0_u16..).zip(output.chunks_mut(16)) {
        let mut block = start;
        block[14..].copy_from_slice(&counter.to_be_bytes());
        crypto.block_encrypt(cipher, key, &mut block)?;
        for (byte, stream) in chunk.iter_mut().zip(block) {
            *byte = stream;
        }
    }
    Ok(())
}

/// AES-GCM (RFC 7714).
struct Gcm {
    cipher: Box<dyn AeadCipher>,
    salt: [u8; SALT],
}

impl Gcm {
    fn seal(&mut self, buffer: &mut Vec<u8>, start: usize, header: usize, ssrc: u32, index: u64) -> Result<(), CryptoError> {
        // Section 8.1: two zero bytes, SSRC, wraps, sequence number; combined with the salt.
        let mut nonce = [0_u8; SALT];
        nonce[2..6].copy_from_slice(&ssrc.to_be_bytes());
        nonce[6..].copy_from_slice(&index.to_be_bytes()[2..]);
        for (byte, salt) in nonce.iter_mut().zip(self.salt) {
            *byte ^= salt;
        }
        let mut tag = [0_u8; OVERHEAD];
        let (clear, payload) = buffer
            .get_mut(start..)
            .and_then(|packet| packet.split_at_mut_checked(header))
            .ok_or(CryptoError::AuthenticationFailed)?;
        self.cipher.seal_in_place(&nonce, clear, payload, &mut tag)?;
        buffer.extend_from_slice(&tag);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rtc_crypto::{RTCCryptoProvider, providers::AwsLcRsProvider};
    use rtc_srtp::config::SessionKeys;

    /// Our sealing against the library's opening, over a wrap of the sequence number, for every profile.
    #[test]
    fn the_library_opens_what_is_sealed_here() {
        let provider = AwsLcRsProvider::new();
        for profile in [ProtectionProfile::AeadAes128Gcm, ProtectionProfile::AeadAes256Gcm, ProtectionProfile::Aes128CmHmacSha1_80] {
            let key = (0..profile.key_len()).map(|byte| u8::try_from(byte).unwrap()).collect::<Vec<_>>();
            let salt = vec![0xa5; profile.salt_len()];
            let keys = SessionKeys {
                local_master_key: key.clone(), local_master_salt: salt.clone(), remote_master_key: key, remote_master_salt: salt,
            };
            let mut srtp = Srtp::new(&Keys { profile, keys }, provider.crypto()).unwrap();
            for index in 65_000_u64..66_000 {
                let mut packet = vec![1, 2, 3];
                let mut plain = vec![0x80, 96];
                plain.extend_from_slice(&u16::try_from(index & 0xffff).unwrap().to_be_bytes());
                plain.extend_from_slice(&[0, 0, 0, 1, 0, 0, 0, 9, 5, 4, 3, 2]);
                packet.extend_from_slice(&plain);
                srtp.seal(&mut packet, 3, 12, 9, index).unwrap();
                assert_eq!(srtp.open(&packet[3..]).unwrap(), plain, "{profile:?} {index}");
            }
        }
    }
}
