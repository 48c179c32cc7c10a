//! The packets of a track, cut once for all who are sent them.
//!
//! A feed outlives what it is fed from: when a source comes back, or another one takes its place, the time stamps go on, and viewers stay. The
//! ring of packets is at once the store for retransmission and the cached group of pictures from which a newcomer starts.

use bytes::Bytes;
use patchbay_media::{
    AccessUnit, Codec, Kind, MediaTime,
    ring::{self, Caps, Entry, Handle, Item, Writer},
    rtp::packetize::{PAYLOAD_SIZE, PacketizeError, Packetizer, Payloads},
    track::{KeyFrames, KeyRequests, TrackInfo},
};
use std::{
    collections::VecDeque,
    fmt::Write as _,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

/// How many intervals between key frames are looked at to tell when the next one is due.
const INTERVALS: usize = 5;

/// Time over which the bit rate is counted.
const COUNTED: Duration = Duration::from_secs(1);

/// Numbers feeds of a process.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct FeedId(u64);

/// What a feed is made of.
#[derive(Clone, Copy, Debug)]
pub struct FeedConfig {
    /// Bounds of what is kept for newcomers and retransmission: as long as a group of pictures.
    pub caps: Caps,
    /// Bytes of a payload at most.
    pub payload_size: usize,
    /// Whether a request for a key frame has any effect on the source.
    pub key_frames: KeyFrames,
}

impl Default for FeedConfig {
    fn default() -> Self {
        Self { caps: Caps::default(), payload_size: PAYLOAD_SIZE, key_frames: KeyFrames::AsTheyCome }
    }
}

/// Packets of a track.
#[derive(Debug)]
pub struct Feed {
    id: FeedId,
    codec: Codec,
    clock_rate: u32,
    profile: Option<String>,
    pixels: u32,
    key_frames: KeyFrames,
    ring: Handle<Packets>,
    requests: Arc<KeyRequests>,
    /// Median of the newest intervals between key frames, in nanoseconds; 0 when not known.
    key_interval: AtomicU64,
    /// Bits a second lately; 0 when not known.
    bit_rate: AtomicU64,
}

/// The writing end of a feed; there is one.
#[derive(Debug)]
pub struct FeedWriter {
    feed: Arc<Feed>,
    ring: Writer<Packets>,
    packetizer: Packetizer,
    /// Time stamp of the start of the line of time (RFC 3550, section 5.1: not to be guessed).
    base: u32,
    last: Option<Last>,
    /// What to add to the times of the source.
    shift: i64,
    /// The next unit is from a new source.
    fresh: bool,
    intervals: VecDeque<u64>,
    last_key: Option<MediaTime>,
    /// Since when bytes are counted, and how many came.
    counted: Option<(Instant, u64)>,
}

#[derive(Clone, Copy, Debug)]
struct Last {
    time: MediaTime,
    at: Instant,
}

/// The packets of one unit.
#[derive(Debug)]
pub(crate) struct Packets {
    pub(crate) payloads: Payloads,
    /// RTP time stamp.
    pub(crate) timestamp: u32,
    pub(crate) time: MediaTime,
    pub(crate) key: bool,
    /// When it came.
    pub(crate) at: Instant,
}

impl Item for Packets {
    fn size(&self) -> usize {
        self.payloads.bytes()
    }

    fn time(&self) -> MediaTime {
        self.time
    }

    fn is_key(&self) -> bool {
        self.key
    }
}

impl Feed {
    /// A feed for tracks like this one, and its writing end.
    pub fn new(info: &TrackInfo, config: FeedConfig) -> (Arc<Self>, FeedWriter) {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        let (writer, ring) = ring::ring(config.caps);
        let feed = Arc::new(Self {
            id: FeedId(NEXT.fetch_add(1, Ordering::Relaxed)),
            codec: info.codec,
            clock_rate: info.clock_rate,
            profile: (info.codec == Codec::H264).then(|| profile_level_id(&info.configuration)).flatten(),
            pixels: u32::from(info.width) * u32::from(info.height),
            key_frames: config.key_frames,
            ring,
            requests: Arc::default(),
            key_interval: AtomicU64::new(0),
            bit_rate: AtomicU64::new(0),
        });
        let writer = FeedWriter {
            feed: Arc::clone(&feed),
            ring: writer,
            packetizer: Packetizer::new(info.codec, config.payload_size),
            base: rand::random(),
            last: None,
            shift: 0,
            fresh: true,
            intervals: VecDeque::with_capacity(INTERVALS + 1),
            last_key: None,
            counted: None,
        };
        (feed, writer)
    }

    /// Its coding.
    pub fn codec(&self) -> Codec {
        self.codec
    }

    /// Pictures or sound.
    pub fn kind(&self) -> Kind {
        self.codec.kind()
    }

    /// Ticks a second of its time stamps.
    pub fn clock_rate(&self) -> u32 {
        self.clock_rate
    }

    /// `profile-level-id` of H.264 (RFC 6184, section 8.1), where it is known.
    pub fn profile(&self) -> Option<&str> {
        self.profile.as_deref()
    }

    /// Requests of viewers for key frames, which the writer's side hands on to the source.
    pub fn key_requests(&self) -> &Arc<KeyRequests> {
        &self.requests
    }

    /// Whether such requests have any effect.
    pub fn key_frames(&self) -> KeyFrames {
        self.key_frames
    }

    /// Time between key frames; nothing until there were two.
    pub fn key_interval(&self) -> Option<Duration> {
        match self.key_interval.load(Ordering::Relaxed) {
            0 => None,
            nanos => Some(Duration::from_nanos(nanos)),
        }
    }

    /// Bits a second of what is written, over the last seconds; nothing until there were some.
    pub fn bit_rate(&self) -> Option<u64> {
        Some(self.bit_rate.load(Ordering::Relaxed)).filter(|rate| *rate > 0)
    }

    /// Units kept, in bytes of payload.
    pub fn bytes(&self) -> u64 {
        self.ring.bytes()
    }

    /// Pixels of a picture; 0 when not known.
    pub(crate) fn pixels(&self) -> u32 {
        self.pixels
    }

    pub(crate) fn id(&self) -> FeedId {
        self.id
    }

    pub(crate) fn ring(&self) -> &Handle<Packets> {
        &self.ring
    }

    pub(crate) fn at(&self, position: u64) -> Option<Arc<Entry<Packets>>> {
        self.ring.get(position)
    }

    /// Asks for a key frame, where that helps.
    pub(crate) fn request_key_frame(&self) {
        if self.key_frames == KeyFrames::OnRequest {
            self.requests.ask();
        }
    }
}

impl FeedWriter {
    /// What it writes to.
    pub fn feed(&self) -> &Arc<Feed> {
        &self.feed
    }

    /// The units that follow are from another source, or from the same one after a break: their times begin anew.
    pub fn begin(&mut self) {
        self.fresh = true;
    }

    /// Cuts a unit and appends its packets. A unit that cannot be cut is left out.
    pub fn write(&mut self, unit: &AccessUnit) -> Result<(), PacketizeError> {
        let payloads = self.packetizer.packetize(&unit.data)?;
        let at = Instant::now();
        let time = self.place(unit.pts, at);
        if unit.key && self.feed.kind() == Kind::Video {
            self.note_key(time);
        }
        let ticks = time.ticks(self.feed.clock_rate).to_be_bytes();
        let [.., a, b, c, d] = ticks;
        let timestamp = self.base.wrapping_add(u32::from_be_bytes([a, b, c, d]));
        // Sound can begin anywhere.
        let key = unit.key || self.feed.kind() == Kind::Audio;
        self.count(payloads.bytes(), at);
        self.ring.push(Packets { payloads, timestamp, time, key, at });
        self.last = Some(Last { time, at });
        Ok(())
    }

    /// Puts a time of the source on the feed's own line, on which a new source goes on where the last one has stopped.
    fn place(&mut self, time: MediaTime, at: Instant) -> MediaTime {
        if std::mem::take(&mut self.fresh) {
            let target =
                self.last.map_or(MediaTime::ZERO, |last| last.time + at.saturating_duration_since(last.at));
            self.shift = target.nanos().saturating_sub(time.nanos());
        }
        MediaTime::from_nanos(time.nanos().saturating_add(self.shift))
    }

    /// Counts over some seconds, in which there are a key frame and the pictures that follow it, as a rule; what came before counts a half.
    fn count(&mut self, bytes: usize, at: Instant) {
        let (since, before) = self.counted.unwrap_or((at, 0));
        let bytes = before + bytes as u64;
        let time = at.saturating_duration_since(since);
        if time < COUNTED {
            self.counted = Some((since, bytes));
            return;
        }
        let millis = u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
        let rate = bytes.saturating_mul(8_000) / millis;
        let mean = self.feed.bit_rate().map_or(rate, |mean| u64::midpoint(mean, rate));
        self.feed.bit_rate.store(mean.max(1), Ordering::Relaxed);
        self.counted = Some((at, 0));
    }

    fn note_key(&mut self, time: MediaTime) {
        if let Some(last) = self.last_key.replace(time) {
            let interval = u64::try_from(time.since(last).as_nanos()).unwrap_or(u64::MAX);
            self.intervals.push_back(interval);
            if self.intervals.len() > INTERVALS {
                self.intervals.pop_front();
            }
            let mut sorted = self.intervals.iter().copied().collect::<Vec<_>>();
            sorted.sort_unstable();
            let median = sorted.get(sorted.len() / 2).copied().unwrap_or(0);
            self.feed.key_interval.store(median, Ordering::Relaxed);
        }
    }
}

/// Profile and level as they stand in the first sequence parameter set of a configuration.
fn profile_level_id(configuration: &Bytes) -> Option<String> {
    let (length, rest) = configuration.split_first_chunk::<4>()?;
    let length = usize::try_from(u32::from_be_bytes(*length)).ok()?;
    let [header, profile @ ..] = rest.get(..length)?.first_chunk::<4>()?;
    let mut text = String::with_capacity(6);
    for byte in profile {
        write!(text, "{byte:02x}").ok()?;
    }
    (header & 0x1f == 7).then_some(text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use patchbay_media::TrackId;

    fn info() -> TrackInfo {
        TrackInfo {
            id: TrackId(0),
            codec: Codec::Vp8,
            clock_rate: 90_000,
            channels: 0,
            width: 0,
            height: 0,
            configuration: Bytes::new(),
            reordered: false,
        }
    }

    fn unit(millis: i64, key: bool) -> AccessUnit {
        let time = MediaTime::from_nanos(millis * 1_000_000);
        AccessUnit {
            track: TrackId(0),
            dts: time,
            pts: time,
            key,
            data: Bytes::from(vec![u8::from(!key); 3000]),
        }
    }

    #[test]
    fn time_stamps_go_on_when_the_source_changes() {
        let (feed, mut writer) = Feed::new(&info(), FeedConfig::default());
        writer.write(&unit(5000, true)).unwrap();
        writer.write(&unit(5033, false)).unwrap();
        writer.begin();
        writer.write(&unit(0, true)).unwrap();
        writer.write(&unit(33, false)).unwrap();
        let stamp = |position| feed.at(position).unwrap().item.timestamp;
        assert_eq!(stamp(1).wrapping_sub(stamp(0)), 2970);
        assert!(stamp(2).wrapping_sub(stamp(1)) < 90_000);
        assert_eq!(stamp(3).wrapping_sub(stamp(2)), 2970);
        assert_eq!(feed.at(0).unwrap().item.payloads.len(), 3);
    }

    #[test]
    fn the_interval_between_key_frames_is_the_usual_one() {
        let (feed, mut writer) = Feed::new(&info(), FeedConfig::default());
        for millis in [0, 2000, 2400, 4000, 6000, 8000] {
            writer.write(&unit(millis, true)).unwrap();
        }
        assert_eq!(feed.key_interval(), Some(Duration::from_secs(2)));
    }
}
