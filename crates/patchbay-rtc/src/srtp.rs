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

/// Sources of a peer that are listened to, and packets of unknown ones that may turn out to be forged: the library remembers every number that it has seen,
/// before it knows whether the packet is true.
const MAX_SOURCES: usize = 64;
const MAX_FORGED: usize = 256;

/// Both directions.
pub(crate) struct Srtp {
    sealer: Sealer,
    outgoing: Context,
    incoming: Context,
    media_sources: Sources,
    report_sources: Sources,
}

/// Whose packets have been believed.
#[derive(Default)]
struct Sources {
    believed: Vec<u32>,
    forged: usize,
}

impl Sources {
    /// Opens a packet whose source stands at an offset, unless there are too many sources.
    fn open(
        &mut self,
        packet: &[u8],
        at: usize,
        open: impl FnOnce() -> Result<BytesMut, Error>,
    ) -> Option<BytesMut> {
        let source = u32::from_be_bytes(*packet.get(at..)?.first_chunk()?);
        if self.believed.contains(&source) {
            return open().ok();
        }
        if self.believed.len() >= MAX_SOURCES || self.forged >= MAX_FORGED {
            return None;
        }
        let Ok(opened) = open() else {
            self.forged += 1;
            return None;
        };
        self.believed.push(source);
        Some(opened)
    }
}

impl Srtp {
    pub(crate) fn new(keys: &Keys, crypto: &dyn RTCCrypto) -> Result<Self, Error> {
        let Keys { profile, keys } = keys;
        let context = |key: &[u8], salt: &[u8]| {
            let media = srtp_replay_protection(REPLAY_WINDOW);
            let reports = srtcp_replay_protection(REPLAY_WINDOW);
            Context::new(key, salt, *profile, Some(media), Some(reports), crypto)
        };
        Ok(Self {
            sealer: Sealer::new(*profile, &keys.local_master_key, &keys.local_master_salt, crypto)?,
            outgoing: Context::new(
                &keys.local_master_key,
                &keys.local_master_salt,
                *profile,
                None,
                None,
                crypto,
            )?,
            incoming: context(&keys.remote_master_key, &keys.remote_master_salt)?,
            media_sources: Sources::default(),
            report_sources: Sources::default(),
        })
    }

    /// Protects the RTP packet that begins at `start` of the buffer and ends with it. `index` is its sequence number with the count of wraps above it.
    pub(crate) fn seal(
        &mut self,
        buffer: &mut Vec<u8>,
        start: usize,
        header: usize,
        ssrc: u32,
        index: u64,
    ) -> Result<(), Error> {
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

    /// A packet of media, if it is to be believed.
    pub(crate) fn open(&mut self, packet: &[u8]) -> Option<BytesMut> {
        self.media_sources.open(packet, 8, || self.incoming.decrypt_rtp(packet))
    }

    /// A packet of RTCP, if it is to be believed.
    pub(crate) fn open_rtcp(&mut self, packet: &[u8]) -> Option<BytesMut> {
        self.report_sources.open(packet, 4, || self.incoming.decrypt_rtcp(packet))
    }
}

#[expect(clippy::needless_pass_by_value, reason = "it is for `map_err`")]
fn crypto_error(error: CryptoError) -> Error {
    Error::Crypto(error.to_string())
}

enum Sealer {
    Gcm(Gcm),
    /// Profiles that only old peers want.
    Library,
}

impl Sealer {
    fn new(
        profile: ProtectionProfile,
        key: &[u8],
        salt: &[u8],
        crypto: &dyn RTCCrypto,
    ) -> Result<Self, Error> {
        let (cipher, block) = match profile {
            ProtectionProfile::AeadAes128Gcm => (AeadAlgorithm::Aes128Gcm, BlockCipherAlgorithm::Aes128),
            ProtectionProfile::AeadAes256Gcm => (AeadAlgorithm::Aes256Gcm, BlockCipherAlgorithm::Aes256),
            _ => return Ok(Self::Library),
        };
        let mut session_key = [0_u8; 32];
        let session_key = session_key
            .get_mut(..key.len())
            .ok_or_else(|| Error::Crypto("the key is too long".to_owned()))?;
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
    fn seal(
        &mut self,
        buffer: &mut Vec<u8>,
        start: usize,
        header: usize,
        ssrc: u32,
        index: u64,
    ) -> Result<(), CryptoError> {
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
pub(crate) mod tests {
    use super::*;
    use rtc_crypto::{RTCCryptoProvider, providers::AwsLcRsProvider};
    use rtc_srtp::config::SessionKeys;

    /// Both ends of a connection at once: with the same keys for both directions.
    pub(crate) fn pair(crypto: &dyn RTCCrypto) -> Srtp {
        of(ProtectionProfile::AeadAes128Gcm, crypto)
    }

    fn of(profile: ProtectionProfile, crypto: &dyn RTCCrypto) -> Srtp {
        let key = (0..profile.key_len()).map(|byte| u8::try_from(byte).unwrap()).collect::<Vec<_>>();
        let salt = vec![0xa5; profile.salt_len()];
        let keys = SessionKeys {
            local_master_key: key.clone(),
            local_master_salt: salt.clone(),
            remote_master_key: key,
            remote_master_salt: salt,
        };
        Srtp::new(&Keys { profile, keys }, crypto).unwrap()
    }

    fn packet(ssrc: u32, index: u64) -> Vec<u8> {
        let mut plain = vec![0x80, 96];
        plain.extend_from_slice(&u16::try_from(index & 0xffff).unwrap().to_be_bytes());
        plain.extend_from_slice(&[0, 0, 0, 1]);
        plain.extend_from_slice(&ssrc.to_be_bytes());
        plain.extend_from_slice(&[5, 4, 3, 2]);
        plain
    }

    #[test]
    fn sources_are_bounded_and_forgeries_keep_no_known_one_out() {
        let provider = AwsLcRsProvider::new();
        let mut srtp = pair(provider.crypto());
        let mut sealed = |ssrc, index| {
            let mut packet = packet(ssrc, index);
            srtp.seal(&mut packet, 0, 12, ssrc, index).unwrap();
            packet
        };
        let (one, another, third) = (sealed(1, 1), sealed(1, 2), sealed(2, 1));
        let many = (100..200).map(|ssrc| sealed(ssrc, 1)).collect::<Vec<_>>();
        let mut receiver = pair(provider.crypto());
        assert!(receiver.open(&one).is_some());
        for ssrc in 1000_u32..2000 {
            let mut forged = packet(ssrc, 1);
            forged.extend_from_slice(&[0; 16]);
            assert!(receiver.open(&forged).is_none());
        }
        assert_eq!((receiver.media_sources.believed.len(), receiver.media_sources.forged), (1, MAX_FORGED));
        assert!(receiver.open(&another).is_some(), "who is known is heard");
        assert!(receiver.open(&third).is_none(), "nobody else is");
        let mut receiver = pair(provider.crypto());
        let heard = many.iter().filter(|packet| receiver.open(packet).is_some()).count();
        assert_eq!(heard, MAX_SOURCES);
        assert!(receiver.open(&[0x80]).is_none() && receiver.open_rtcp(&[]).is_none());
    }

    /// Our sealing against the library's opening, over a wrap of the sequence number, for every profile.
    #[test]
    fn the_library_opens_what_is_sealed_here() {
        let provider = AwsLcRsProvider::new();
        for profile in [
            ProtectionProfile::AeadAes128Gcm,
            ProtectionProfile::AeadAes256Gcm,
            ProtectionProfile::Aes128CmHmacSha1_80,
        ] {
            let mut srtp = of(profile, provider.crypto());
            for index in 65_000_u64..66_000 {
                let mut packet = vec![1, 2, 3];
                let plain = self::packet(9, index);
                packet.extend_from_slice(&plain);
                srtp.seal(&mut packet, 3, 12, 9, index).unwrap();
                assert_eq!(srtp.open(&packet[3..]).unwrap(), plain, "{profile:?} {index}");
            }
        }
    }
}
