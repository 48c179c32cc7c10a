//! Configuration of camera-relay. Every limit is here, with the value that suits most.

mod cameras;
mod mse;
mod validate;

pub use cameras::{Cameras, Capturing, Configured, KeptUnits};
pub use mse::Mse;

use patchbay_chassis::{ByteSize, Problems, ServiceConfig, Span, config::Network};
use patchbay_tls::Tls;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::{
    net::{IpAddr, SocketAddr},
    path::PathBuf,
};

/// All sections of camera-relay's own.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct RelayConfig {
    /// Where viewers and REST clients connect.
    pub listen: Listen,
    /// How pictures travel to viewers.
    pub media: Media,
    /// The cameras.
    pub cameras: Cameras,
    /// How a viewer that comes in the middle catches up.
    pub instant_start: InstantStart,
    /// How replicas give streams to each other.
    pub replicas: Replicas,
    /// Single pictures.
    pub snapshot: Snapshot,
    /// Pictures one after the other over HTTP.
    pub mjpeg: Mjpeg,
    /// Pictures and sound over WebSocket.
    pub mse: Mse,
    /// What is kept of motions.
    pub motion: Motion,
    /// Telling the suite that cameras go and come.
    pub announce: Announce,
    /// Looking at sources that are no cameras yet.
    pub probe: Probe,
    /// Bounds on requests.
    pub limits: Limits,
}

/// Where viewers and REST clients connect.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Listen {
    /// Address for pages, WHEP, WebSocket and REST.
    pub http: SocketAddr,
    /// Addresses of proxies whose `X-Forwarded-For` and `X-Forwarded-Host` are believed; a network is written `10.0.0.0/8`.
    pub trusted_proxies: Vec<Network>,
    /// Origins from which signed-in browsers may open the WebSocket, beside the relay's own host: `https://cameras.example.org`, or `*` for any. Guests
    /// may come from anywhere.
    pub allowed_origins: Vec<String>,
    /// TLS of that address: either two files, or `development`, or neither for plain text.
    pub tls: Tls,
}

impl Default for Listen {
    fn default() -> Self {
        Self {
            http: ([0, 0, 0, 0], 8080).into(),
            trusted_proxies: Vec::new(),
            allowed_origins: Vec::new(),
            tls: Tls::default(),
        }
    }
}

/// How pictures travel to viewers.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Media {
    /// The UDP socket of all viewers.
    pub udp: SocketAddr,
    /// The TCP listener for viewers that UDP does not reach; empty for none.
    #[serde(with = "optional_address")]
    #[schemars(with = "String")]
    pub tcp: Option<SocketAddr>,
    /// Port that viewers are told for both, where a port mapping makes it another than the one bound.
    pub public_port: Option<u16>,
    /// Open TCP connections; more are closed.
    pub max_tcp_connections: usize,
    /// Addresses at which viewers reach both. Where there are none: the one that the request's `Host` names, or those of the interfaces.
    pub public_addresses: Vec<IpAddr>,
    /// Servers that viewers are told of for reaching us from behind strict firewalls, each with `urls` and, for TURN, `username` and `credential_file`.
    pub ice_servers: Vec<IceServer>,
    /// Viewers of this replica; more get 503. As many pages may stand at `/ws`.
    pub max_viewers: usize,
    /// Viewers from one address, or from one IPv6 network of 64 bits; more get 503. As many pages from there may stand at `/ws`.
    pub max_viewers_per_address: usize,
    /// Time from the answer until the viewer must be connected.
    pub connect_timeout: Span,
    /// Silence of a viewer after which it is gone.
    pub idle_timeout: Span,
}

impl Default for Media {
    fn default() -> Self {
        Self {
            udp: ([0, 0, 0, 0], 8189).into(),
            tcp: Some(([0, 0, 0, 0], 8189).into()),
            public_port: None,
            max_tcp_connections: 500,
            public_addresses: Vec::new(),
            ice_servers: Vec::new(),
            max_viewers: 2000,
            max_viewers_per_address: 200,
            connect_timeout: Span::seconds(15),
            idle_timeout: Span::seconds(30),
        }
    }
}

/// A STUN or TURN server that viewers are told of.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct IceServer {
    /// Its addresses: `stun:stun.example.org:3478`, `turn:turn.example.org?transport=tcp`.
    pub urls: Vec<String>,
    /// User name, for TURN.
    pub username: Option<String>,
    /// File with the password, for TURN. Viewers are told it.
    pub credential_file: Option<PathBuf>,
}

/// How a viewer that comes in the middle catches up: it gets what was kept since the newest key frame, quickly, and is live.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct InstantStart {
    /// Bits a second at which the kept units are sent.
    pub max_rate: u64,
    /// Longest time that sending them may take; where it would take longer, the viewer waits for a key frame.
    pub max_time: Span,
    /// Most pictures that are sent so.
    pub max_frames: usize,
    /// Most bytes that are sent so.
    pub max_bytes: ByteSize,
    /// Viewers that are sent kept units at the same time; more wait their turn.
    pub concurrent: usize,
}

impl Default for InstantStart {
    fn default() -> Self {
        Self {
            max_rate: 100_000_000,
            max_time: Span::millis(1500),
            max_frames: 600,
            max_bytes: ByteSize::mib(16),
            concurrent: 4,
        }
    }
}

/// How replicas give streams to each other: one captures a camera, the others get it there.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Replicas {
    /// Where other replicas reach this one's gRPC server, `host:port`; each replica must have its own. Where it is not set: the address in
    /// `grpc.listen`, or, where that is all addresses, the first of the interfaces.
    pub address: Option<String>,
}

/// Single pictures.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Snapshot {
    /// Quality of the JPEG, 1 to 100.
    pub quality: u8,
    /// A picture younger than this is given again.
    pub min_interval: Span,
    /// How long to wait for a camera that has no picture yet.
    pub timeout: Span,
    /// Pictures made at the same time; more are refused with BUSY.
    pub concurrent: usize,
}

impl Default for Snapshot {
    fn default() -> Self {
        Self { quality: 80, min_interval: Span::millis(200), timeout: Span::seconds(10), concurrent: 8 }
    }
}

/// Pictures one after the other over HTTP.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Mjpeg {
    /// Pictures a second at most, 1 to 60.
    pub fps: u32,
    /// Viewers of this replica that may come so; more get 503.
    pub max_viewers: usize,
    /// Quality of the JPEGs, 1 to 100.
    pub quality: u8,
}

impl Default for Mjpeg {
    fn default() -> Self {
        Self { fps: 10, max_viewers: 50, quality: 75 }
    }
}

/// What is kept of motions.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Motion {
    /// Motions of each camera that are kept; the oldest go first.
    pub max_kept: usize,
    /// Those of them whose picture is kept.
    pub max_pictures: usize,
    /// How long they are kept.
    pub keep_for: Span,
    /// Looks a second at the pictures of a camera, 1 to 15.
    pub looks: u32,
}

impl Default for Motion {
    fn default() -> Self {
        Self { max_kept: 1000, max_pictures: 100, keep_for: Span::seconds(7 * 24 * 3600), looks: 5 }
    }
}

/// Telling the suite that cameras go and come.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Announce {
    /// How long a camera that somebody wants must give no pictures, or give them again, until `camera.offline` or `camera.online` is told. One that changes faster is not told of.
    pub after: Span,
}

impl Default for Announce {
    fn default() -> Self {
        Self { after: Span::seconds(5) }
    }
}

/// Looking at sources that are no cameras yet.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Probe {
    /// Sources that are looked at at the same time; more are refused with BUSY.
    pub concurrent: usize,
    /// Whether the service may look for cameras near it, which sends a datagram to the multicast group of ONVIF.
    pub discovery: bool,
}

impl Default for Probe {
    fn default() -> Self {
        Self { concurrent: 4, discovery: true }
    }
}

/// Bounds on requests.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Limits {
    /// Body of a request: an offer, a camera.
    pub body: ByteSize,
    /// Open HTTP connections; more wait to be accepted.
    pub connections: usize,
    /// Time for a request to arrive whole.
    pub request_timeout: Span,
    /// Offers of one address a second, in the long run.
    pub offers_per_second: u32,
    /// Offers of one address at once, after a rest.
    pub offers_burst: u32,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            body: ByteSize::kib(64),
            connections: 10_000,
            request_timeout: Span::seconds(30),
            offers_per_second: 20,
            offers_burst: 100,
        }
    }
}

impl ServiceConfig for RelayConfig {
    fn validate(&self, problems: &mut Problems) {
        self.listen.tls.validate("listen.tls", problems);
        validate::all(self, problems);
    }
}

/// An address that may be switched off with an empty text.
mod optional_address {
    use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error};
    use std::net::SocketAddr;

    #[expect(clippy::ref_option, reason = "the form that serde asks for")]
    pub(super) fn serialize<S: Serializer>(
        value: &Option<SocketAddr>,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        value.map(|address| address.to_string()).unwrap_or_default().serialize(serializer)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Option<SocketAddr>, D::Error> {
        let text = String::deserialize(deserializer)?;
        if text.is_empty() { Ok(None) } else { text.parse().map(Some).map_err(D::Error::custom) }
    }
}
