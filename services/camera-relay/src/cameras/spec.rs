//! What a camera is: the form in which it is configured and kept.

use patchbay_chassis::Span;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::{ops::RangeInclusive, time::Duration};

/// Characters of a title at most.
const MAX_TITLE: usize = 128;

/// Bytes of a path below the media folder at most.
const MAX_PATH: usize = 1024;

const WIDTHS: RangeInclusive<u32> = 160..=1920;
const HEIGHTS: RangeInclusive<u32> = 120..=1080;
const RATES: RangeInclusive<u32> = 1..=60;
const BITRATES: RangeInclusive<u32> = 50_000..=20_000_000;
const NOISES: RangeInclusive<u32> = 0..=100;
const KEY_FRAME_INTERVALS: RangeInclusive<Duration> = Duration::from_millis(500)..=Duration::from_mins(1);

/// A camera's settings.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CameraSpec {
    /// What people are shown instead of the name; may be empty.
    pub title: String,
    /// Where the pictures come from.
    pub source: SourceSpec,
    /// Whether it is captured while nobody looks.
    pub capture: Capture,
}

/// When a camera is captured.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Capture {
    /// While somebody looks.
    #[default]
    OnDemand,
    /// Always.
    Always,
}

/// Where pictures come from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SourceSpec {
    /// Drawn by the relay.
    Test(TestSpec),
    /// A file in a loop.
    File(FileSpec),
}

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

/// A media file in the media folder.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct FileSpec {
    /// Path below `cameras.media_folder`.
    pub path: String,
}

/// A field that is wrong, and what is wrong with it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation {
    /// Field, from the camera on: `test.width`.
    pub field: &'static str,
    /// What is wrong, in words that follow the field's name.
    pub problem: String,
}

impl CameraSpec {
    /// Everything that is wrong with it.
    pub fn violations(&self) -> Vec<Violation> {
        let mut found = Vec::new();
        if self.title.chars().count() > MAX_TITLE || self.title.chars().any(char::is_control) {
            let problem = format!("must be {MAX_TITLE} characters at most, without control characters");
            found.push(Violation { field: "title", problem });
        }
        match &self.source {
            SourceSpec::Test(test) => test.violations(&mut found),
            SourceSpec::File(file) => file.violations(&mut found),
        }
        found
    }
}

impl TestSpec {
    fn violations(&self, found: &mut Vec<Violation>) {
        let mut within = |field, value: u32, range: &RangeInclusive<u32>| {
            if !range.contains(&value) {
                let problem = format!("must be from {} to {}", range.start(), range.end());
                found.push(Violation { field, problem });
            }
        };
        within("test.width", self.width, &WIDTHS);
        within("test.height", self.height, &HEIGHTS);
        within("test.fps", self.fps, &RATES);
        within("test.bitrate", self.bitrate, &BITRATES);
        within("test.noise", self.noise, &NOISES);
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

impl FileSpec {
    /// Only what can be told without looking at the disk; the rest is looked at when the file is opened.
    fn violations(&self, found: &mut Vec<Violation>) {
        let problem = if self.path.is_empty() || self.path.len() > MAX_PATH {
            format!("must be a path of 1 to {MAX_PATH} bytes below the media folder")
        } else if self.path.chars().any(char::is_control) {
            "must not have control characters".to_owned()
        } else if self.path.starts_with('/')
            || self.path.split('/').any(|part| matches!(part, "" | "." | ".."))
        {
            "must lie below the media folder: no leading `/`, no empty parts, no `.` and `..`".to_owned()
        } else {
            return;
        };
        found.push(Violation { field: "file.path", problem });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fields(source: SourceSpec) -> Vec<&'static str> {
        let spec = CameraSpec { title: String::new(), source, capture: Capture::OnDemand };
        spec.violations().into_iter().map(|violation| violation.field).collect()
    }

    #[test]
    fn the_default_is_good_and_every_bound_holds() {
        assert_eq!(fields(SourceSpec::Test(TestSpec::default())), [""; 0]);
        let wrong = TestSpec {
            width: 159,
            height: 1082,
            fps: 0,
            bitrate: 1,
            noise: 101,
            key_frame_interval: Span::seconds(61),
            silent: true,
            ignore_key_frame_requests: true,
        };
        let expected = [
            "test.width",
            "test.height",
            "test.fps",
            "test.bitrate",
            "test.noise",
            "test.width",
            "test.key_frame_interval",
        ];
        assert_eq!(fields(SourceSpec::Test(wrong)), expected);
    }

    #[test]
    fn paths_stay_below_the_folder() {
        let path = |path: &str| fields(SourceSpec::File(FileSpec { path: path.into() }));
        for good in ["easy.mp4", "a/b c.mkv", "..x/y...mp4", "中文.mp4"] {
            assert!(path(good).is_empty(), "{good}");
        }
        for bad in
            ["", "/etc/passwd", "../x", "a/../../x", "a//b", "./a", "a/.", "a\0b", "a\nb", &"x".repeat(1025)]
        {
            assert_eq!(path(bad), ["file.path"], "{bad:?}");
        }
    }

    #[test]
    fn titles_are_bounded_in_characters() {
        let spec = |title: String| CameraSpec {
            title,
            source: SourceSpec::Test(TestSpec::default()),
            capture: Capture::Always,
        };
        assert!(spec("门".repeat(128)).violations().is_empty());
        assert_eq!(spec("门".repeat(129)).violations()[0].field, "title");
        assert_eq!(spec("a\u{7}".into()).violations()[0].field, "title");
    }

    #[test]
    fn what_is_kept_comes_back() {
        let spec = CameraSpec {
            title: "Door".into(),
            source: SourceSpec::File(FileSpec { path: "a.mp4".into() }),
            capture: Capture::Always,
        };
        let json = serde_json::to_string(&spec).unwrap();
        assert_eq!(json, r#"{"title":"Door","source":{"file":{"path":"a.mp4"}},"capture":"always"}"#);
        assert_eq!(serde_json::from_str::<CameraSpec>(&json).unwrap(), spec);
    }
}
