//! DTLS 1.2 as the server (RFC 6347, RFC 8842), over the one path of a session.

use crate::sdp::Fingerprint;
use aws_lc_rs::{constant_time::verify_slices_are_equal, digest};
use bytes::BytesMut;
use rtc_crypto::{RTCCrypto, RTCCryptoProvider, providers::AwsLcRsProvider};
use rtc_dtls::{
    config::{ClientAuthType, ConfigBuilder, ExtendedMasterSecretType, HandshakeConfig},
    crypto::Certificate,
    endpoint::{Endpoint, EndpointEvent},
    extension::extension_use_srtp::SrtpProtectionProfile,
};
use rtc_shared::{TransportProtocol, error::Error};
use rtc_srtp::{
    config::{LABEL_EXTRACTOR_DTLS_SRTP, SessionKeys},
    protection_profile::ProtectionProfile,
};
use std::{
    net::{Ipv4Addr, SocketAddr, SocketAddrV4},
    sync::Arc,
    time::{Duration, Instant},
};

/// What all sessions of an engine share: the certificate and the cryptography.
#[derive(Clone)]
pub(crate) struct Identity {
    certificate: Certificate,
    fingerprint: Fingerprint,
    provider: Arc<AwsLcRsProvider>,
}

/// Why an identity could not be made.
#[derive(Debug, thiserror::Error)]
#[error("make a certificate: {0}")]
pub struct IdentityError(#[source] Error);

impl Identity {
    /// A key and a certificate of its own for each run: peers learn its fingerprint by signalling.
    pub(crate) fn generate() -> Result<Self, IdentityError> {
        let provider = Arc::new(AwsLcRsProvider::new());
        let certificate = Certificate::generate_self_signed(vec!["patchbay".to_owned()], provider.crypto())
            .map_err(IdentityError)?;
        let fingerprint = fingerprint(certificate.certificate.first().map_or(&[], |der| der.as_ref()));
        Ok(Self { certificate, fingerprint, provider })
    }

    pub(crate) fn fingerprint(&self) -> Fingerprint {
        self.fingerprint
    }

    pub(crate) fn crypto(&self) -> &dyn RTCCrypto {
        self.provider.crypto()
    }
}

pub(crate) fn fingerprint(certificate: &[u8]) -> Fingerprint {
    let digest = digest::digest(&digest::SHA256, certificate);
    let mut bytes = [0; 32];
    bytes.copy_from_slice(digest.as_ref());
    Fingerprint(bytes)
}

/// The library keeps associations by address; a session has one, whichever path its packets take.
const PEER: SocketAddr = SocketAddr::V4(SocketAddrV4::new(Ipv4Addr::LOCALHOST, 1));

/// Time until an unanswered flight is sent again for the first time; doubled each time (RFC 6347, section 4.2.4.1). Shorter than its one second,
/// because peers that have just passed a connectivity check are near.
const FLIGHT_INTERVAL: Duration = Duration::from_millis(250);

/// One association.
pub(crate) struct Dtls {
    endpoint: Endpoint,
}

/// What datagrams led to.
pub(crate) enum Event {
    /// The handshake is done.
    Established(Keys),
    /// Data of SCTP.
    Data(BytesMut),
    /// The peer has closed.
    Closed,
}

/// A record as it lies in a datagram (RFC 6347, section 4.3.1); one that is broken ends with it.
struct Record<'a> {
    kind: u8,
    epoch: u16,
    bytes: &'a [u8],
}

fn records(mut datagram: &[u8]) -> impl Iterator<Item = Record<'_>> {
    std::iter::from_fn(move || {
        let (kind, _) = datagram.split_first()?;
        let [.., first, second, _, _, _, _, _, _, high, low] =
            *datagram.first_chunk::<13>().unwrap_or(&[0; 13]);
        let length = 13 + usize::from(u16::from_be_bytes([high, low]));
        let (bytes, rest) = datagram.split_at_checked(length).unwrap_or((datagram, &[]));
        datagram = rest;
        Some(Record { kind: *kind, epoch: u16::from_be_bytes([first, second]), bytes })
    })
}

/// Bytes of the records that are no application data.
pub(crate) fn bytes_of_handshake(datagram: &[u8]) -> usize {
    const APPLICATION_DATA: u8 = 23;
    records(datagram).filter(|record| record.kind != APPLICATION_DATA).map(|record| record.bytes.len()).sum()
}

/// The records that are encrypted. After the handshake no others matter: a peer that repeats its end encrypts the last message of it. Anybody can
/// send the others in the peer's name, and the stack answers some of them with an alert that ends the session. A change
/// of cipher passes its decryption whatever its epoch.
pub(crate) fn encrypted(datagram: &[u8]) -> BytesMut {
    const CHANGE_CIPHER_SPEC: u8 = 20;
    let mut encrypted = BytesMut::with_capacity(datagram.len());
    records(datagram)
        .filter(|record| record.epoch > 0 && record.kind != CHANGE_CIPHER_SPEC)
        .for_each(|record| encrypted.extend_from_slice(record.bytes));
    encrypted
}

/// Keys for SRTP.
pub(crate) struct Keys {
    pub(crate) profile: ProtectionProfile,
    pub(crate) keys: SessionKeys,
}

impl Dtls {
    /// Waits for the peer whose certificate has that fingerprint.
    pub(crate) fn new(identity: &Identity, remote: Fingerprint) -> Result<Self, Error> {
        let config = Arc::new(config(identity, remote)?);
        Ok(Self { endpoint: Endpoint::new(PEER, TransportProtocol::UDP, Some(config)) })
    }

    /// Takes a datagram.
    pub(crate) fn read(&mut self, now: Instant, datagram: BytesMut) -> Result<Vec<Event>, Error> {
        let events = self.endpoint.read(now, PEER, None, datagram)?;
        events.into_iter().filter_map(|event| self.translate(event).transpose()).collect()
    }

    /// Encrypts data of SCTP.
    pub(crate) fn write(&mut self, now: Instant, data: &[u8]) -> Result<(), Error> {
        self.endpoint.write(now, PEER, data)
    }

    /// The next datagram to send.
    pub(crate) fn poll_transmit(&mut self) -> Option<BytesMut> {
        self.endpoint.poll_transmit().map(|transmit| transmit.message)
    }

    pub(crate) fn poll_timeout(&self) -> Option<Instant> {
        self.endpoint.poll_timeout(&PEER)
    }

    pub(crate) fn handle_timeout(&mut self, now: Instant) -> Result<(), Error> {
        if self.endpoint.get_connection_state(PEER).is_none() {
            return Ok(());
        }
        self.endpoint.handle_timeout(PEER, now)
    }

    /// Tells the peer that it is over.
    pub(crate) fn close(&mut self, now: Instant) -> Result<(), Error> {
        self.endpoint.close(now)
    }

    fn translate(&self, event: EndpointEvent) -> Result<Option<Event>, Error> {
        Ok(match event {
            EndpointEvent::HandshakeComplete => Some(Event::Established(self.keys()?)),
            EndpointEvent::ApplicationData(data) => Some(Event::Data(data)),
            EndpointEvent::PeerClosed => Some(Event::Closed),
            _ => None,
        })
    }

    /// RFC 5764, section 4.2.
    fn keys(&self) -> Result<Keys, Error> {
        let state = self.endpoint.get_connection_state(PEER).ok_or(Error::HandshakeInProgress)?;
        let profile = match state.srtp_protection_profile() {
            SrtpProtectionProfile::Srtp_Aead_Aes_128_Gcm => ProtectionProfile::AeadAes128Gcm,
            SrtpProtectionProfile::Srtp_Aead_Aes_256_Gcm => ProtectionProfile::AeadAes256Gcm,
            SrtpProtectionProfile::Srtp_Aes128_Cm_Hmac_Sha1_80 => ProtectionProfile::Aes128CmHmacSha1_80,
            _ => return Err(Error::ErrNoSuchSrtpProfile),
        };
        let mut config = rtc_srtp::config::Config { profile, ..Default::default() };
        let material =
            state.export_keying_material(LABEL_EXTRACTOR_DTLS_SRTP, &[], config.keying_material_len())?;
        config.set_session_keys_from_keying_material(material.as_ref(), state.is_client())?;
        Ok(Keys { profile, keys: config.keys })
    }
}

fn config(identity: &Identity, remote: Fingerprint) -> Result<HandshakeConfig, Error> {
    let verify = move |certificates: &[Vec<u8>], _: &[_]| match certificates.first() {
        Some(certificate) if verify_slices_are_equal(&fingerprint(certificate).0, &remote.0).is_ok() => {
            Ok(())
        }
        Some(_) => Err(Error::ErrNoMatchingCertificateFingerprint),
        None => Err(Error::ErrNonCertificate),
    };
    ConfigBuilder::default()
        .with_crypto_provider(Arc::clone(&identity.provider) as Arc<dyn RTCCryptoProvider>)
        .with_certificates(vec![identity.certificate.clone()])
        .with_srtp_protection_profiles(vec![
            SrtpProtectionProfile::Srtp_Aead_Aes_128_Gcm,
            SrtpProtectionProfile::Srtp_Aead_Aes_256_Gcm,
            SrtpProtectionProfile::Srtp_Aes128_Cm_Hmac_Sha1_80,
        ])
        .with_client_auth(ClientAuthType::RequireAnyClientCert)
        // There is no authority to ask: the fingerprint in the offer is what the certificate is compared with.
        .with_insecure_skip_verify(true)
        .with_verify_peer_certificate(Some(Arc::new(verify)))
        .with_extended_master_secret(ExtendedMasterSecretType::Require)
        .with_flight_interval(FLIGHT_INTERVAL)
        .build(false, None)
}

#[cfg(test)]
mod tests {
    use super::{bytes_of_handshake, encrypted};

    fn record(kind: u8, size: u8) -> Vec<u8> {
        let mut record = vec![kind, 254, 253, 0, 1, 0, 0, 0, 0, 0, 1, 0, size];
        record.resize(13 + usize::from(size), 7);
        record
    }

    #[test]
    fn all_but_application_data_counts_as_handshake() {
        assert_eq!(bytes_of_handshake(&record(23, 100)), 0);
        assert_eq!(bytes_of_handshake(&record(22, 100)), 113);
        assert_eq!(bytes_of_handshake(&[record(23, 9), record(22, 100), record(21, 2)].concat()), 128);
        assert_eq!(bytes_of_handshake(&[record(23, 9), vec![22; 20]].concat()), 20);
        assert_eq!(bytes_of_handshake(&[22, 1, 2]), 3);
        assert_eq!(bytes_of_handshake(&[]), 0);
    }
    #[test]
    fn what_is_not_encrypted_is_left_out() {
        let mut clear = record(22, 100);
        clear[4] = 0;
        let finished = record(22, 40);
        let all = [clear.clone(), record(20, 1), record(23, 9), clear.clone(), finished.clone(), vec![22; 5]]
            .concat();
        assert_eq!(encrypted(&all), [record(23, 9), finished].concat());
        assert!(encrypted(&clear).is_empty() && encrypted(&[]).is_empty());
    }
}
