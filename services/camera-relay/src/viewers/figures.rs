//! What the connections of viewers measure, and what was sent to all of them.

use serde::{Deserialize, Serialize};
use std::time::Duration;

/// What a viewer's connection measures. Counts only rise.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Figures {
    /// Pictures go to it.
    pub connected: bool,
    /// How it is reached: `udp`, `tcp`, `http`; empty until known.
    pub transport: String,
    /// Packets sent.
    pub packets_sent: u64,
    /// Bytes sent, without the headers of UDP and IP.
    pub bytes_sent: u64,
    /// Packets sent again.
    pub packets_resent: u64,
    /// Part of the packets lost on the way, 0 to 1.
    pub loss: f64,
    /// Spread of the arrival times.
    pub jitter: Duration,
    /// Time to it and back.
    pub round_trip: Option<Duration>,
    /// Times it was moved to a newer key frame.
    pub skips: u64,
    /// Key frames that it asked for.
    pub key_frame_requests: u64,
    /// Time from the request to the connection.
    pub connect_time: Option<Duration>,
    /// What it gets for the bandwidth that it has; none where it takes what it can.
    #[serde(default)]
    pub quality: Option<ViewerQuality>,
    /// Bits a second that its way was estimated to carry; none while that is everything.
    #[serde(default)]
    pub available: Option<u64>,
    /// Times that its quality has changed.
    #[serde(default)]
    pub quality_changes: u64,
}

/// What a viewer gets of a camera's pictures.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ViewerQuality {
    /// All that the camera has.
    Full,
    /// A smaller picture.
    Low,
    /// Key frames only.
    KeyFrames,
}

/// Measures a viewer's connection; called when somebody looks, and once when the viewer has gone.
pub trait Measured: Send + Sync {
    /// The figures now.
    fn figures(&self) -> Figures;
}

impl<F: Fn() -> Figures + Send + Sync> Measured for F {
    fn figures(&self) -> Figures {
        self()
    }
}

/// What viewers have been sent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Sent {
    /// Packets.
    pub packets: u64,
    /// Bytes.
    pub bytes: u64,
    /// Packets that were sent again.
    pub resent: u64,
    /// Times that a viewer was moved to a newer key frame.
    pub skips: u64,
    /// Key frames that viewers asked for.
    pub key_frame_requests: u64,
}

impl Sent {
    pub(super) fn add(&mut self, figures: &Figures) {
        self.packets += figures.packets_sent;
        self.bytes += figures.bytes_sent;
        self.resent += figures.packets_resent;
        self.skips += figures.skips;
        self.key_frame_requests += figures.key_frame_requests;
    }

    pub(super) fn merge(&mut self, other: Self) {
        self.packets += other.packets;
        self.bytes += other.bytes;
        self.resent += other.resent;
        self.skips += other.skips;
        self.key_frame_requests += other.key_frame_requests;
    }
}
