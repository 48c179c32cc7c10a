//! camera-relay seen by the `webrtc` crate, whole: its own ICE, DTLS and SRTP on the viewer's side.

use anyhow::{Context, Result, ensure};
use async_trait::async_trait;
use integration_tests::{
    camera::{self, Relay, open_settings},
    report::report,
    verdict::TestResult,
};
use patchbay_testkit::keys::Keys;
use rtc::{
    interceptor::Registry,
    peer_connection::configuration::{
        interceptor_registry::register_default_interceptors, media_engine::MediaEngine,
    },
    peer_connection::sdp::RTCSessionDescription,
    rtp_transceiver::{RTCRtpTransceiverDirection, RTCRtpTransceiverInit, rtp_sender::RtpCodecKind},
};
use std::{
    sync::Arc,
    time::{Duration, Instant},
};
use tokio::{
    sync::mpsc,
    time::{timeout, timeout_at},
};
use webrtc::{
    media_stream::track_remote::{TrackRemote, TrackRemoteEvent},
    peer_connection::{
        PeerConnection, PeerConnectionBuilder, PeerConnectionEventHandler, RTCIceGatheringState,
        RTCPeerConnectionState,
    },
};

/// Packets of pictures that are waited for: about four seconds of them.
const PACKETS: usize = 400;

/// What the stack tells.
#[derive(Debug)]
enum Told {
    Gathered,
    State(RTCPeerConnectionState),
    Packet { kind: RtpCodecKind, number: u16, timestamp: u32, bytes: usize },
}

/// Hands on what is told.
#[derive(Clone)]
struct Handler(mpsc::Sender<Told>);

#[async_trait]
impl PeerConnectionEventHandler for Handler {
    async fn on_ice_gathering_state_change(&self, state: RTCIceGatheringState) {
        if state == RTCIceGatheringState::Complete {
            drop(self.0.send(Told::Gathered).await);
        }
    }

    async fn on_connection_state_change(&self, state: RTCPeerConnectionState) {
        drop(self.0.send(Told::State(state)).await);
    }

    #[expect(clippy::disallowed_methods, reason = "it ends with the track; the stack waits for this call")]
    async fn on_track(&self, track: Arc<dyn TrackRemote>) {
        let told = self.0.clone();
        tokio::spawn(async move {
            let kind = track.kind().await;
            while let Some(event) = track.poll().await {
                let TrackRemoteEvent::OnRtpPacket(packet) = event else { continue };
                let header = packet.header;
                let (number, timestamp, bytes) =
                    (header.sequence_number, header.timestamp, packet.payload.len());
                if told.send(Told::Packet { kind, number, timestamp, bytes }).await.is_err() {
                    return;
                }
            }
        });
    }
}

async fn peer(handler: Handler) -> Result<impl PeerConnection> {
    let mut engine = MediaEngine::default();
    engine.register_default_codecs()?;
    let registry = register_default_interceptors(Registry::new(), &mut engine)?;
    let built = PeerConnectionBuilder::new()
        .with_media_engine(engine)
        .with_interceptor_registry(registry)
        .with_handler(Arc::new(handler))
        .with_udp_addrs(vec!["127.0.0.1:0"])
        .build();
    let peer = Box::pin(built).await?;
    for kind in [RtpCodecKind::Video, RtpCodecKind::Audio] {
        let direction = RTCRtpTransceiverDirection::Recvonly;
        let init = RTCRtpTransceiverInit { direction, ..RTCRtpTransceiverInit::default() };
        peer.add_transceiver_from_kind(kind, Some(init)).await?;
    }
    Ok(peer)
}

/// What came of pictures.
#[derive(Debug, Default)]
struct Seen {
    packets: usize,
    bytes: usize,
    pictures: usize,
    gaps: usize,
    sounds: usize,
    last: Option<(u16, u32)>,
}

impl Seen {
    fn take(&mut self, kind: RtpCodecKind, number: u16, timestamp: u32, bytes: usize) {
        if kind == RtpCodecKind::Audio {
            self.sounds += 1;
            return;
        }
        let (before, time) = self.last.unwrap_or((number.wrapping_sub(1), timestamp.wrapping_add(1)));
        self.gaps += usize::from(number != before.wrapping_add(1));
        self.pictures += usize::from(timestamp != time);
        self.packets += 1;
        self.bytes += bytes;
        self.last = Some((number, timestamp));
    }
}

#[tokio::test]
async fn the_webrtc_crate_watches() -> TestResult {
    let folder = tempfile::tempdir()?;
    let keys = Keys::create(folder.path())?;
    let relay = Relay::start(folder.path(), "relay", &keys, open_settings()).await?;
    // Room for seconds of packets: who reads here is always faster.
    let (told, mut telling) = mpsc::channel(10_000);
    let peer = Box::pin(peer(Handler(told))).await?;
    let offer = peer.create_offer(None).await?;
    peer.set_local_description(offer).await?;
    let deadline = tokio::time::Instant::now() + camera::SOON;
    while !matches!(timeout_at(deadline, telling.recv()).await?.context("it has ended")?, Told::Gathered) {}
    let offer = peer.local_description().await.context("no offer")?;

    let begun = Instant::now();
    let answer = relay.offer("test", &offer.sdp).await?;
    ensure_created(answer.status, &answer.body)?;
    peer.set_remote_description(RTCSessionDescription::answer(answer.body.clone())?).await?;
    let (mut seen, mut connected, mut first) = (Seen::default(), Duration::ZERO, Duration::ZERO);
    while seen.packets < PACKETS {
        let told = timeout_at(deadline, telling.recv()).await;
        match told.with_context(|| format!("{seen:?}"))?.context("it has ended")? {
            Told::Gathered => {}
            Told::State(RTCPeerConnectionState::Connected) => connected = begun.elapsed(),
            Told::State(state) => {
                let over = [RTCPeerConnectionState::Failed, RTCPeerConnectionState::Closed];
                assert!(!over.contains(&state), "{state}: {seen:?}");
            }
            Told::Packet { kind, number, timestamp, bytes } => {
                seen.take(kind, number, timestamp, bytes);
                if first.is_zero() {
                    first = begun.elapsed();
                }
            }
        }
    }
    report(&format!(
        "the webrtc crate: connected after {connected:?}, first packet after {first:?}, {seen:?}"
    ));
    assert_eq!(seen.gaps, 0, "{seen:?}");
    assert!(seen.pictures > 30 && seen.sounds > 50 && seen.bytes > 100_000, "{seen:?}");

    let session = camera::header(&answer, "location").context("no location")?.to_owned();
    assert_eq!(relay.ask("DELETE", &session, &[], "").await?.status, 200);
    timeout(camera::SOON, peer.close()).await??;
    Ok(())
}

fn ensure_created(status: u16, body: &str) -> Result<()> {
    ensure!(status == 201, "the offer was answered {status}: {body}");
    Ok(())
}
