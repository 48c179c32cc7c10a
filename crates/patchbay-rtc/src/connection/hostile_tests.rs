//! Damaged handshakes: whoever may check a path may send what it likes on it.

use super::*;
use crate::congestion::{Adapt, Probes};
use crate::sdp::{Credentials, Fingerprint, Transport};
use core::net::{IpAddr, Ipv4Addr, SocketAddr};
use rtc_crypto::{RTCCryptoProvider, providers::AwsLcRsProvider};
use rtc_dtls::{
    config::ConfigBuilder, crypto::Certificate, endpoint::Endpoint,
    extension::extension_use_srtp::SrtpProtectionProfile,
};
use rtc_shared::TransportProtocol;
use std::sync::Arc;

const SERVER: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 4000);

struct Noise(u64);

impl Noise {
    fn below(&mut self, end: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 >> 8).unwrap() % end.max(1)
    }
}

fn client(provider: &Arc<AwsLcRsProvider>, certificate: Certificate, now: Instant) -> Endpoint {
    let config = ConfigBuilder::default()
        .with_crypto_provider(Arc::clone(provider) as Arc<dyn RTCCryptoProvider>)
        .with_certificates(vec![certificate])
        .with_srtp_protection_profiles(vec![SrtpProtectionProfile::Srtp_Aead_Aes_128_Gcm])
        .with_insecure_skip_verify(true)
        .build(true, Some(SERVER))
        .unwrap();
    let mut client = Endpoint::new(SERVER, TransportProtocol::UDP, None);
    client.connect(now, SERVER, Arc::new(config), None).unwrap();
    client
}

fn connection(identity: &Identity, remote: Fingerprint, now: Instant) -> Connection {
    let credentials =
        || Credentials { ufrag: "abcd".to_owned(), password: "abcdefghijklmnopqrstuv".to_owned() };
    let agent = Agent::new(credentials(), credentials());
    let congestion = Controller::new(Adapt::Never, Probes::Impossible, now);
    let tracks = Tracks { senders: Vec::new(), incoming: Incoming::default(), channels: None, congestion };
    let timing = Timing { connect: Duration::from_secs(15), idle: Duration::from_secs(30) };
    let mut connection = Connection::new(agent, Dtls::new(identity, remote).unwrap(), tracks, timing, now);
    connection.path = Some(Path { transport: Transport::Udp, remote: SERVER, local: None });
    connection
}

fn damage(datagram: &mut Vec<u8>, noise: &mut Noise) {
    for _ in 0..=noise.below(4) {
        let at = noise.below(datagram.len());
        match noise.below(5) {
            0 => datagram.truncate(at),
            1 => datagram.extend_from_within(at..),
            _ => {
                if let Some(byte) = datagram.get_mut(at) {
                    *byte = noise.below(256).to_le_bytes()[0];
                }
            }
        }
    }
    datagram.truncate(4000);
}

/// A handshake in which so many of a hundred datagrams of the client come with damaged copies in front. True when it came about.
fn handshake(identity: &Identity, seed: u64, damaged: usize) -> bool {
    let (mut noise, mut now) = (Noise(seed * 0x9e37_79b9 + 1), Instant::now());
    let provider = Arc::new(AwsLcRsProvider::new());
    let certificate = Certificate::generate_self_signed(vec!["peer".to_owned()], provider.crypto()).unwrap();
    let remote = dtls::fingerprint(certificate.certificate[0].as_ref());
    let mut client = client(&provider, certificate, now);
    let mut connection = connection(identity, remote, now);
    for _ in 0..20 {
        let mut batch = Batch::default();
        while let Some(transmit) = client.poll_transmit() {
            if noise.below(100) < damaged {
                let mut copy = transmit.message.to_vec();
                damage(&mut copy, &mut noise);
                connection.datagram(&copy, now, identity);
            }
            connection.datagram(&transmit.message, now, identity);
        }
        while connection.poll_transmit(&mut batch).is_some() {
            for packet in batch.packets() {
                // What the damage has led to may end the client; that is its own.
                if let Err(error) = client.read(now, SERVER, None, packet.into()) {
                    tracing::debug!(%error, "the client");
                }
            }
            batch.clear();
        }
        if connection.is_connected() {
            return true;
        }
        now += Duration::from_millis(300);
        connection.timeout(now);
        if client.get_connection_state(SERVER).is_some() {
            client.handle_timeout(SERVER, now).unwrap_or_default();
        }
    }
    false
}

#[test]
fn damaged_handshakes_do_no_harm() {
    let identity = Identity::generate().unwrap();
    assert!(handshake(&identity, 1, 0));
    let connected = (0..300).filter(|seed| handshake(&identity, *seed, 60)).count();
    assert!(connected > 100, "{connected} of 300 came about");
    println!("{connected} of 300 handshakes came about beside damaged copies of their datagrams");
}

#[test]
fn what_a_peer_makes_the_handshake_keep_is_bounded() {
    let identity = Identity::generate().unwrap();
    let now = Instant::now();
    let mut connection = connection(&identity, Fingerprint([7; 32]), now);
    // Records of the epoch to come, which the stack keeps until it has keys.
    let mut record = vec![22, 254, 253, 0, 1, 0, 0, 0, 0, 0, 1, 4, 0];
    record.resize(13 + 1024, 7);
    for _ in 0..10_000 {
        connection.datagram(&record, now, &identity);
    }
    assert!(connection.handshake_budget < record.len());
    assert!(!connection.is_closed());
}
