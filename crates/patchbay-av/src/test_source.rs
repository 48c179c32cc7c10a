//! The test camera: the test picture and the test tone, drawn, encoded and published in real time.

use crate::{
    AudioEncoder, AudioSettings, AvError, Picture, PictureSize, Preset, TestPattern, Tone, VideoEncoder,
    VideoSettings,
    key_gate::KeyGate,
    tone,
    worker::{self, Stop},
};
use futures_util::future::BoxFuture;
use patchbay_media::{
    AccessUnit, MediaTime, TrackId,
    hub::{Publisher, Source, SourceError},
    track::{KeyFrames, KeyRequests, TrackWriter},
};
use std::{
    sync::Arc,
    time::{Duration, Instant},
};
use tokio_util::sync::CancellationToken;

/// Gives milliseconds since 1970, which go into the picture.
pub type WallClock = Arc<dyn Fn() -> u64 + Send + Sync>;

/// Whether the test camera can be heard.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Sound {
    /// A soft tone, with a beep each second, in Opus.
    #[default]
    Tone,
    /// No sound track.
    None,
}

/// What the test camera shows.
#[derive(Clone, Debug)]
pub struct TestSettings {
    /// Words in the picture (ASCII).
    pub title: String,
    /// Size of the picture; the time code needs 320 across.
    pub size: PictureSize,
    /// Pictures a second: 1 to 120.
    pub fps: u32,
    /// Bits a second; chosen by size and pictures a second when absent.
    pub bitrate: Option<u32>,
    /// Noise in the picture: the greatest deviation of a pixel's light, 0 to 100. Some 20 make it fill its bit rate as a camera does at night.
    pub noise: u8,
    /// A key frame at least this often.
    pub key_frame_interval: Duration,
    /// Least time between key frames that were asked for.
    pub key_frame_gap: Duration,
    /// Whether viewers get a key frame when they ask. Where they do not, it is like most cameras.
    pub key_frames: KeyFrames,
    /// How hard the encoder tries.
    pub preset: Preset,
    /// Whether there is a tone.
    pub sound: Sound,
}

impl TestSettings {
    /// 30 pictures a second, a key frame each 10 s and on request, with sound.
    pub fn new(title: impl Into<String>, size: PictureSize) -> Self {
        Self {
            title: title.into(),
            size,
            fps: 30,
            bitrate: None,
            noise: 0,
            key_frame_interval: Duration::from_secs(10),
            key_frame_gap: Duration::from_millis(200),
            key_frames: KeyFrames::OnRequest,
            preset: Preset::default(),
            sound: Sound::default(),
        }
    }

    fn video(&self) -> VideoSettings {
        let video = VideoSettings::h264(VIDEO, self.size, self.fps);
        VideoSettings {
            bitrate: self.bitrate.unwrap_or(video.bitrate),
            key_frame_interval: self.key_frame_interval,
            preset: self.preset,
            ..video
        }
    }
}

/// Strongest noise: more would not look like anything.
const MOST_NOISE: u8 = 100;

const VIDEO: TrackId = TrackId(0);
const AUDIO: TrackId = TrackId(1);
/// More than this late, pictures are left out; the machine is too slow.
const LATE: u32 = 2;
/// More than this late, sound is left out: the process stood still.
const SOUND_LATE: Duration = Duration::from_millis(500);

/// The test camera as a source of the hub. Track 0 is H.264, track 1 Opus.
pub struct TestSource {
    settings: TestSettings,
    clock: WallClock,
}

impl TestSource {
    /// Checks the settings; `clock` tells the time that goes into the picture.
    pub fn new(settings: TestSettings, clock: WallClock) -> Result<Self, AvError> {
        if !(1..=120).contains(&settings.fps) {
            return Err(AvError::Setting {
                setting: "the number of pictures a second",
                wanted: "from 1 to 120",
            });
        }
        if settings.key_frame_gap > Duration::from_secs(10) {
            return Err(AvError::Setting { setting: "the gap between key frames", wanted: "up to 10 s" });
        }
        if settings.noise > MOST_NOISE {
            return Err(AvError::Setting { setting: "the noise", wanted: "up to 100" });
        }
        settings.video().check()?;
        Ok(Self { settings, clock })
    }
}

impl Source for TestSource {
    fn run(
        self: Arc<Self>,
        publisher: Publisher,
        stop: CancellationToken,
    ) -> BoxFuture<'static, Result<(), SourceError>> {
        worker::run("av-test", stop, move |stop| Running::open(&self, &publisher)?.run(stop))
    }
}

impl From<AvError> for SourceError {
    fn from(error: AvError) -> Self {
        Self::temporary(error.to_string())
    }
}

/// The camera while it runs, on its thread.
struct Running<'a> {
    source: &'a TestSource,
    started: Instant,
    video: Video,
    sound: Option<SoundTrack>,
}

struct Video {
    pattern: TestPattern,
    encoder: VideoEncoder,
    gate: KeyGate,
    requests: Arc<KeyRequests>,
    obeys: KeyFrames,
    writer: TrackWriter,
    /// Number of the next picture.
    next: u64,
    fps: u32,
}

struct SoundTrack {
    tone: Tone,
    encoder: AudioEncoder,
    writer: TrackWriter,
}

impl<'a> Running<'a> {
    /// Encodes the first picture, with which the parameter sets come, and publishes.
    fn open(source: &'a TestSource, publisher: &Publisher) -> Result<Self, SourceError> {
        let settings = &source.settings;
        let pattern = TestPattern::new(settings.size, &settings.title)?.with_noise(settings.noise);
        let mut encoder = VideoEncoder::open(settings.video())?;
        let unix_ms = (source.clock)();
        let first = encoder.encode(&pattern.draw(unix_ms, 0)?, MediaTime::ZERO, crate::KeyFrame::Now)?;
        let started = Instant::now();
        let sound = match settings.sound {
            Sound::Tone => {
                Some(AudioEncoder::open(AudioSettings { bitrate: 48_000, ..AudioSettings::opus(AUDIO) })?)
            }
            Sound::None => None,
        };
        let mut tracks = vec![(encoder.info(), settings.key_frames)];
        tracks.extend(sound.as_ref().map(|sound| (sound.info(), KeyFrames::AsTheyCome)));
        let mut writers = publisher.publish(tracks)?.into_iter();
        let none = || SourceError::temporary("the hub gave no place to write to");
        let writer = writers.next().ok_or_else(none)?;
        let (requests, gate) = (writer.track().key_requests(), KeyGate::new(settings.key_frame_gap));
        let obeys = settings.key_frames;
        let mut video = Video { pattern, encoder, gate, requests, obeys, writer, next: 1, fps: settings.fps };
        video.write(first);
        let sound = match sound {
            Some(encoder) => {
                let writer = writers.next().ok_or_else(none)?;
                Some(SoundTrack { tone: Tone::new(unix_ms), encoder, writer })
            }
            None => None,
        };
        Ok(Self { source, started, video, sound })
    }

    fn run(mut self, stop: &Stop) -> Result<(), SourceError> {
        loop {
            let picture = self.started + self.video.due();
            let block = self.sound.as_ref().map(|sound| self.started + sound.due());
            let next = block.map_or(picture, |block| block.min(picture));
            if stop.wait_until(next) {
                return Ok(());
            }
            if block == Some(next) {
                self.play()?;
            } else {
                self.draw()?;
            }
        }
    }

    fn draw(&mut self) -> Result<(), SourceError> {
        self.video.catch_up(self.started.elapsed());
        let unix_ms = (self.source.clock)();
        let picture = self.video.pattern.draw(unix_ms, self.video.next)?;
        self.video.encode(&picture)
    }

    fn play(&mut self) -> Result<(), SourceError> {
        let elapsed = self.started.elapsed();
        let Some(sound) = &mut self.sound else { return Ok(()) };
        if elapsed.saturating_sub(sound.due()) > SOUND_LATE {
            sound.tone.skip_to(elapsed);
        }
        for unit in sound.encoder.encode(&sound.tone.next_block())? {
            sound.writer.write(unit);
        }
        Ok(())
    }
}

impl Video {
    /// Time of the next picture.
    fn pts(&self) -> MediaTime {
        MediaTime::from_ticks(i64::try_from(self.next).unwrap_or(i64::MAX), self.fps)
    }

    fn due(&self) -> Duration {
        self.pts().since(MediaTime::ZERO)
    }

    /// Leaves pictures out when they are more than a little late.
    fn catch_up(&mut self, elapsed: Duration) {
        let now =
            u64::try_from(elapsed.as_nanos() * u128::from(self.fps) / 1_000_000_000).unwrap_or(self.next);
        if now > self.next + u64::from(LATE) {
            self.next = now;
        }
    }

    fn encode(&mut self, picture: &Picture) -> Result<(), SourceError> {
        let pts = self.pts();
        if self.requests.take() && self.obeys == KeyFrames::OnRequest {
            self.gate.ask();
        }
        let unit = self.encoder.encode(picture, pts, self.gate.decide(pts))?;
        self.next += 1;
        self.write(unit);
        Ok(())
    }

    fn write(&mut self, unit: Option<AccessUnit>) {
        let Some(unit) = unit else { return };
        if unit.key {
            self.gate.made(unit.pts);
        }
        self.writer.write(unit);
    }
}

impl SoundTrack {
    /// A block is due when its last moment has been.
    fn due(&self) -> Duration {
        let block = Duration::from_nanos(u64::from(tone::BLOCK) * 1_000_000_000 / u64::from(tone::RATE));
        self.tone.position().since(MediaTime::ZERO) + block
    }
}

#[cfg(test)]
#[path = "test_source_tests.rs"]
pub(crate) mod tests;
