//! The section of the cameras.

use crate::cameras::{CameraName, CameraSpec, Capture, FileSpec, SourceSpec, TestSpec};
use patchbay_chassis::{ByteSize, Span};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::path::PathBuf;

/// The cameras.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Cameras {
    /// Cameras that are always there and cannot be changed by calls; others are added by calls and kept on the backplane. Each has a `name`, may have
    /// a `title` and `always_on = true`, and has either `file = { path = "..." }`, below `media_folder`, or `test`, whose fields are those of the default.
    pub configured: Vec<Configured>,
    /// Cameras at most, the configured ones among them.
    pub max: usize,
    /// Folder with media files that play as cameras; none can where it is not set.
    pub media_folder: Option<PathBuf>,
    /// How long a camera is captured on after its last viewer has gone.
    pub linger: Span,
    /// Time for a camera to bring its first picture, before it counts as failed.
    pub start_timeout: Span,
    /// Least time between two key frames that viewers have asked for.
    pub key_frame_gap: Span,
    /// What is kept of each picture and sound for viewers that come.
    pub cache: KeptUnits,
}

impl Default for Cameras {
    fn default() -> Self {
        Self {
            configured: vec![Configured::named_test()],
            max: 500,
            media_folder: None,
            linger: Span::seconds(10),
            start_timeout: Span::seconds(10),
            key_frame_gap: Span::millis(200),
            cache: KeptUnits::default(),
        }
    }
}

/// What is kept of each picture and sound for viewers that come.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct KeptUnits {
    /// Bytes at most.
    pub bytes: ByteSize,
    /// Time at most; longer than the time between key frames, or viewers wait for one.
    pub time: Span,
}

impl Default for KeptUnits {
    fn default() -> Self {
        Self { bytes: ByteSize::mib(32), time: Span::seconds(12) }
    }
}

/// A camera that is configured. Exactly one of its sources must be set.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Configured {
    /// Name: 1 to 64 of `a-z`, `A-Z`, `0-9`, `-`, `_`, `.`.
    pub name: String,
    /// What people are shown instead of the name.
    pub title: String,
    /// Capture even while nobody looks.
    pub always_on: bool,
    /// A picture that the relay draws itself.
    pub test: Option<TestSpec>,
    /// A file that plays in a loop.
    pub file: Option<FileSpec>,
}

impl Configured {
    fn named_test() -> Self {
        Self { name: "test".to_owned(), test: Some(TestSpec::default()), ..Self::default() }
    }

    /// Its name and settings; an error says which field is wrong.
    pub fn parse(&self) -> Result<(CameraName, CameraSpec), (&'static str, String)> {
        let name = self.name.parse().map_err(|error| ("name", format!("{error}")))?;
        let source = match (&self.test, &self.file) {
            (Some(test), None) => SourceSpec::Test(test.clone()),
            (None, Some(file)) => SourceSpec::File(file.clone()),
            _ => return Err(("test", "or `file` must be set, and only one of them".to_owned())),
        };
        let capture = if self.always_on { Capture::Always } else { Capture::OnDemand };
        Ok((name, CameraSpec { title: self.title.clone(), source, capture }))
    }
}

impl Cameras {
    /// The configured cameras; those that are wrong are left out, and no process starts with such.
    pub(crate) fn parsed(&self) -> impl Iterator<Item = (CameraName, CameraSpec)> {
        self.configured.iter().filter_map(|configured| configured.parse().ok())
    }
}
