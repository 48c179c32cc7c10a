//! How long units last, which MP4 must say of each and the hub does not know before the next one comes.
//!
//! [`Exact`] waits for the next one: what is written is true, and a unit late. [`Immediate`] waits for nothing: each unit is said to last as long as the one
//! before, and its decoding time, which nobody sees, is moved so that there are neither gaps nor overlaps. Players take a gap in decoding times for the
//! end of a stretch and drop all until the next key frame. The time at which a unit is shown is always its own.

use crate::Sample;
use patchbay_media::{
    AccessUnit, Codec, MediaTime,
    codec::{aac::AudioSpecificConfig, opus},
    track::TrackInfo,
};
use std::time::Duration;

/// Distance of pictures that is assumed before two have come.
pub const FIRST_GUESS: Duration = Duration::from_millis(40);

/// No unit is said to last longer by [`Immediate`]: a player takes what lasts for what it has.
const LONGEST: Duration = Duration::from_secs(2);

/// Gives units of one track their true durations, each when the next one has come.
#[derive(Debug, Default)]
pub struct Exact {
    held: Option<AccessUnit>,
}

impl Exact {
    /// None yet.
    pub const fn new() -> Self {
        Self { held: None }
    }

    /// Takes a unit; gives the one before it.
    pub fn push(&mut self, unit: AccessUnit) -> Option<Sample> {
        let now = unit.dts;
        let before = self.held.replace(unit)?;
        let duration = now.since(before.dts);
        Some(Sample { unit: before, duration })
    }

    /// The last one, of which somebody must say how long it lasts.
    pub fn finish(self, duration: Duration) -> Option<Sample> {
        self.held.map(|unit| Sample { unit, duration })
    }
}

/// Gives units of one track durations at once.
#[derive(Debug)]
pub struct Immediate {
    /// Of sound, from which the length of each unit is read.
    sound: Option<Sound>,
    /// Smoothed distance of units, when two have come or it is known otherwise.
    typical: Option<Duration>,
    last: Option<MediaTime>,
    /// Where the last unit ends, and so the next one is decoded.
    next: Option<MediaTime>,
}

#[derive(Clone, Copy, Debug)]
enum Sound {
    Opus,
    /// Each unit lasts so long.
    Blocks(Duration),
}

impl Immediate {
    /// For a track. The first picture is decoded [`FIRST_GUESS`] before its own time.
    pub fn new(info: &TrackInfo) -> Self {
        Self { sound: Sound::of(info), typical: None, last: None, next: None }
    }

    /// Takes a unit, with the time at which it is decoded moved, and says how long it lasts.
    pub fn push(&mut self, mut unit: AccessUnit) -> Sample {
        let length = self.sound.and_then(|sound| sound.length(&unit));
        let typical = self.measure(unit.dts, length);
        let lead = if length.is_some() { Duration::ZERO } else { typical };
        let begin = self.next.unwrap_or(unit.dts - lead);
        // Sound ends where its samples do; a picture is decoded when the one before it was due.
        let end = unit.dts + length.unwrap_or_default();
        let duration = end.since(begin).clamp(typical / 2, (typical * 2).min(LONGEST));
        self.next = Some(begin + duration);
        unit.dts = begin;
        Sample { unit, duration }
    }

    fn measure(&mut self, now: MediaTime, length: Option<Duration>) -> Duration {
        let last = self.last.replace(now);
        let distance = last.map(|last| now.since(last).clamp(Duration::from_millis(1), LONGEST));
        self.typical = match (length, self.typical, distance) {
            (Some(length), _, _) => Some(length),
            // A stall is not what is typical.
            (None, Some(typical), Some(distance)) => Some((typical * 7 + distance.min(typical * 4)) / 8),
            (None, None, distance) => distance,
            (None, typical, None) => typical,
        };
        self.typical.unwrap_or(FIRST_GUESS)
    }
}

impl Sound {
    fn of(info: &TrackInfo) -> Option<Self> {
        match info.codec {
            Codec::Opus => Some(Self::Opus),
            Codec::Aac => {
                let config = AudioSpecificConfig::parse(&info.configuration).ok()?;
                let seconds = f64::from(config.block) / f64::from(config.core_rate.max(1));
                Some(Self::Blocks(Duration::from_secs_f64(seconds)))
            }
            _ => None,
        }
    }

    fn length(self, unit: &AccessUnit) -> Option<Duration> {
        match self {
            Self::Opus => opus::Packet::parse(&unit.data).ok().map(|packet| packet.duration),
            Self::Blocks(length) => Some(length),
        }
    }
}

#[cfg(test)]
#[path = "timing_tests.rs"]
mod tests;
