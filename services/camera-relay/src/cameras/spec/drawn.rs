//! The picture that the relay draws itself.

use super::{Violation, within};
use patchbay_chassis::Span;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::{ops::RangeInclusive, time::Duration};

const WIDTHS: RangeInclusive<u32> = 160..=1920;
const HEIGHTS: RangeInclusive<u32> = 120..=1080;
const RATES: RangeInclusive<u32> = 1..=60;
const BITRATES: RangeInclusive<u32> = 50_000..=20_000_000;
const NOISES: RangeInclusive<u32> = 0..=100;
const KEY_FRAME_INTERVALS: RangeInclusive<Duration> = Duration::from_millis(500)..=Duration::from_mins(1);

/// A moving picture with a clock, a time code that programs read, and a tone.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct TestSpec {
    /// Pixels across, even, 160 to 1920.
    pub width: u32,
    /// Pixels down, even, 120 to 1080.
    pub height: u32,
    /// Pictures a second, 1 to 60.
    pub fps: u32,
    /// Bits a second, 50,000 to 20,000,000.
    pub bitrate: u32,
    /// Noise in the picture, 0 to 100: with some 20 it is as hard to encode as a camera's, and fills its bit rate.
    pub noise: u32,
    /// Longest time between key frames, 500 ms to 60 s.
    pub key_frame_interval: Span,
    /// Leaves out the tone.
    pub silent: bool,
    /// Answers no request for key frames, as most cameras, to try how viewers start then.
    pub ignore_key_frame_requests: bool,
}

impl Default for TestSpec {
    fn default() -> Self {
        Self {
            width: 640,
            height: 480,
            fps: 30,
            bitrate: 1_500_000,
            noise: 0,
            key_frame_interval: Span::seconds(2),
            silent: false,
            ignore_key_frame_requests: false,
        }
    }
}

impl TestSpec {
    pub(super) fn violations(&self, found: &mut Vec<Violation>) {
        within(found, "test.width", self.width, &WIDTHS);
        within(found, "test.height", self.height, &HEIGHTS);
        within(found, "test.fps", self.fps, &RATES);
        within(found, "test.bitrate", self.bitrate, &BITRATES);
        within(found, "test.noise", self.noise, &NOISES);
        for (field, value) in [("test.width", self.width), ("test.height", self.height)] {
            if !value.is_multiple_of(2) {
                found.push(Violation { field, problem: "must be even".to_owned() });
            }
        }
        if !KEY_FRAME_INTERVALS.contains(&self.key_frame_interval.duration()) {
            let problem = "must be from 0.5 s to 60 s".to_owned();
            found.push(Violation { field: "test.key_frame_interval", problem });
        }
    }
}
