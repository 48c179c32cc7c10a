//! An encoder for pictures of which neither size nor rate is known before they come.

use super::rate::Rate;
use crate::{
    AvError, KeyFrame, Picture, PictureSize, Preset, VideoEncoder, VideoSettings, key_gate::KeyGate,
};
use patchbay_media::{AccessUnit, MediaTime, TrackId, track::TrackInfo};
use std::time::Duration;

/// Pictures a second that the bit rate is made for, where neither the source nor the pictures have told.
const USUAL_RATE: u32 = 25;
/// Most pictures a second that the bit rate is made for.
const MOST_RATE: u32 = 60;

/// How live pictures are encoded.
#[derive(Clone, Debug)]
pub struct LiveSettings {
    /// Track that the units belong to.
    pub track: TrackId,
    /// Pictures a second, where the source tells: a guide for the bit rate only.
    pub fps: Option<u32>,
    /// Bits a second; chosen by size and rate when absent.
    pub bitrate: Option<u32>,
    /// A key frame at least this often, by the times of the pictures.
    pub key_frame_interval: Duration,
    /// Least time between key frames that were asked for.
    pub key_frame_gap: Duration,
    /// How hard the encoder tries.
    pub preset: Preset,
}

impl Default for LiveSettings {
    /// Track 0, a key frame each 10 s and when asked for.
    fn default() -> Self {
        Self {
            track: TrackId(0),
            fps: None,
            bitrate: None,
            key_frame_interval: Duration::from_secs(10),
            key_frame_gap: Duration::from_millis(200),
            preset: Preset::default(),
        }
    }
}

/// A picture in H.264.
#[derive(Clone, Debug)]
pub struct LiveEncoded {
    /// The unit.
    pub unit: AccessUnit,
    /// What the track is from here on: at the first picture, and where the size has changed. The unit is a key frame then.
    pub anew: Option<TrackInfo>,
}

/// Encodes pictures as they come, in their own size.
pub struct LiveEncoder {
    settings: LiveSettings,
    encoder: Option<VideoEncoder>,
    gate: KeyGate,
    rate: Rate,
    newest: Option<MediaTime>,
    last_key: Option<MediaTime>,
}

impl LiveEncoder {
    /// One that is opened by the first picture.
    pub fn new(settings: LiveSettings) -> Self {
        let gate = KeyGate::new(settings.key_frame_gap);
        Self { settings, encoder: None, gate, rate: Rate::default(), newest: None, last_key: None }
    }

    /// Somebody asked for a key frame.
    pub fn ask_key_frame(&mut self) {
        self.gate.ask();
    }

    /// Pictures a second, measured over the last ones; 0 until it is known.
    pub fn rate(&self) -> f64 {
        self.rate.per_second()
    }

    /// Whether a picture goes on with the track as it is.
    pub(super) fn fits(&self, picture: &Picture) -> bool {
        self.encoder.as_ref().is_some_and(|encoder| encoder.settings().size == picture.size())
    }

    /// Encodes a picture; nothing comes of one that is not newer than the one before.
    pub fn encode(&mut self, picture: &Picture, at: MediaTime) -> Result<Option<LiveEncoded>, AvError> {
        if self.newest.is_some_and(|newest| at <= newest) {
            return Ok(None);
        }
        self.newest = Some(at);
        self.rate.add(at);
        let due = self.last_key.is_none_or(|last| at.since(last) >= self.settings.key_frame_interval);
        let fits = self.encoder.take().filter(|encoder| encoder.settings().size == picture.size());
        let (mut encoder, key, is_new) = match fits {
            Some(encoder) if due => (encoder, KeyFrame::Now, false),
            Some(encoder) => (encoder, self.gate.decide(at), false),
            None => (VideoEncoder::open(self.video(picture.size()))?, KeyFrame::Now, true),
        };
        let unit = encoder.encode(picture, at, key)?;
        let info = encoder.info();
        self.encoder = Some(encoder);
        let Some(unit) = unit else { return Ok(None) };
        if unit.key {
            self.gate.made(at);
            self.last_key = Some(at);
        }
        Ok(Some(LiveEncoded { unit, anew: is_new.then_some(info) }))
    }

    fn video(&self, size: PictureSize) -> VideoSettings {
        let told = self.settings.fps.map(|fps| fps.clamp(1, MOST_RATE));
        let video = VideoSettings::h264(self.settings.track, size, told.unwrap_or(USUAL_RATE));
        VideoSettings {
            bitrate: self.settings.bitrate.unwrap_or(video.bitrate),
            // Key frames are counted by the clock here; the encoder's own count stays out of the way.
            key_frame_interval: Duration::from_mins(10),
            preset: self.settings.preset,
            ..video
        }
    }
}
