//! A track: what it carries, its ring of units, and the way back to whoever makes them.

use crate::{
    AccessUnit, Codec, TrackId,
    ring::{self, Caps, Reader, Start, Writer},
};
use bytes::Bytes;
use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};
use tokio::sync::Notify;

/// What a track carries.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TrackInfo {
    /// Number within the stream.
    pub id: TrackId,
    /// Coding.
    pub codec: Codec,
    /// Ticks a second of the codec's RTP clock: 90000 for video.
    pub clock_rate: u32,
    /// Channels of sound; 0 for video.
    pub channels: u8,
    /// Pixels across; 0 until known, and for sound.
    pub width: u16,
    /// Pixels down; 0 until known, and for sound.
    pub height: u16,
    /// The codec's configuration outside the units: for H.264 and H.265 the parameter sets, each after its length in four bytes; for AAC the
    /// `AudioSpecificConfig`; empty where the units carry everything.
    pub configuration: Bytes,
    /// Pictures that are shown in another order than they are decoded in (B-frames), which WebRTC cannot carry.
    pub reordered: bool,
}

/// What stands behind a track: can it make a key frame when asked?
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyFrames {
    /// The encoder is ours, or the sender obeys: a key frame comes soon after it was asked for.
    OnRequest,
    /// They come when they come.
    AsTheyCome,
}

/// A track, as its readers see it.
#[derive(Debug)]
pub struct Track {
    info: TrackInfo,
    key_frames: KeyFrames,
    requests: Arc<KeyRequests>,
    ring: ring::Handle<AccessUnit>,
}

/// The writing end of a track; there is one.
#[derive(Debug)]
pub struct TrackWriter {
    track: Arc<Track>,
    writer: Writer<AccessUnit>,
}

impl Track {
    /// A track and its writing end.
    pub fn new(info: TrackInfo, key_frames: KeyFrames, caps: Caps) -> (Arc<Self>, TrackWriter) {
        let (writer, ring) = ring::ring(caps);
        let track = Arc::new(Self { info, key_frames, requests: Arc::default(), ring });
        (Arc::clone(&track), TrackWriter { track, writer })
    }

    /// What it carries.
    pub fn info(&self) -> &TrackInfo {
        &self.info
    }

    /// Whether a request for a key frame has any effect.
    pub fn key_frames(&self) -> KeyFrames {
        self.key_frames
    }

    /// A cursor on it.
    pub fn reader(&self, start: Start) -> Reader<AccessUnit> {
        self.ring.reader(start)
    }

    /// The ring, to look at its figures.
    pub fn ring(&self) -> &ring::Handle<AccessUnit> {
        &self.ring
    }

    /// Asks the source for a key frame. Requests that come before it has answered are one.
    pub fn request_key_frame(&self) {
        self.requests.ask();
    }

    /// The way in which requests for key frames reach the source.
    pub fn key_requests(&self) -> Arc<KeyRequests> {
        Arc::clone(&self.requests)
    }
}

impl TrackWriter {
    /// Appends a unit, whose time must not be before that of the last one.
    pub fn write(&mut self, unit: AccessUnit) {
        self.writer.push(unit);
    }

    /// What it writes to.
    pub fn track(&self) -> &Arc<Track> {
        &self.track
    }
}

/// Requests for key frames on their way to the source.
#[derive(Debug, Default)]
pub struct KeyRequests {
    asked: AtomicU64,
    answered: AtomicU64,
    ask: Notify,
}

impl KeyRequests {
    /// One more.
    pub fn ask(&self) {
        self.asked.fetch_add(1, Ordering::Release);
        self.ask.notify_one();
    }

    /// True when there was a request since the last call: for an encoder that looks before each picture.
    pub fn take(&self) -> bool {
        let asked = self.asked.load(Ordering::Acquire);
        self.answered.swap(asked, Ordering::AcqRel) != asked
    }

    /// Requests so far.
    pub fn total(&self) -> u64 {
        self.asked.load(Ordering::Relaxed)
    }

    /// Waits for a request that has not been taken, and takes it.
    pub async fn taken(&self) {
        while !self.take() {
            self.ask.notified().await;
        }
    }
}
