//! What a camera is: the form in which it is configured and kept.

mod address;
mod device;
mod drawn;
mod file;
mod motion;
mod processing;
mod remote;

pub use address::Address;
pub use device::{DeviceSpec, OpenCvSpec};
pub use drawn::TestSpec;
pub use file::FileSpec;
pub use motion::{MotionSpec, ZoneSpec};
pub use processing::{CornerSpec, MaskSpec, MaskStyleSpec, OverlaySpec, PointSpec, ProcessingSpec};
pub use remote::{ClearPassword, LoginSpec, MjpegSpec, RtspSpec, RtspTransportSpec, UrlSpec};

pub(super) use address::Whole;
pub(crate) use device::is_device;
pub(crate) use remote::fingerprint_bytes;

use serde::{Deserialize, Serialize};
use std::ops::RangeInclusive;

/// Characters of a title at most.
const MAX_TITLE: usize = 128;

/// A camera's settings.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct CameraSpec {
    /// What people are shown instead of the name; may be empty.
    pub title: String,
    /// Where the pictures come from.
    pub source: SourceSpec,
    /// Whether it is captured while nobody looks.
    pub capture: Capture,
    /// What is done with the pictures.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub processing: Option<ProcessingSpec>,
    /// The search for what moves.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub motion: Option<MotionSpec>,
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
    /// A camera that speaks RTSP.
    Rtsp(RtspSpec),
    /// A file, a live stream or an HLS playlist behind an HTTP address.
    Url(UrlSpec),
    /// JPEG pictures over HTTP.
    Mjpeg(MjpegSpec),
    /// A video device of the machine.
    Device(DeviceSpec),
    /// Whatever `OpenCV` opens.
    OpenCv(OpenCvSpec),
}

/// A field that is wrong, and what is wrong with it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation {
    /// Field, from the camera on: `test.width`.
    pub field: &'static str,
    /// What is wrong, in words that follow the field's name.
    pub problem: String,
}

impl Violation {
    fn new(field: &'static str, problem: impl Into<String>) -> Self {
        Self { field, problem: problem.into() }
    }
}

impl CameraSpec {
    /// A camera of that source, on demand, with its pictures as they are.
    pub fn of(source: SourceSpec) -> Self {
        Self { title: String::new(), source, capture: Capture::default(), processing: None, motion: None }
    }

    /// When it is captured; one that looks for motion is always.
    pub fn captured(&self) -> Capture {
        if self.motion.is_some() { Capture::Always } else { self.capture }
    }

    /// Whether the hub runs the same for another one.
    pub fn runs_as(&self, other: &Self) -> bool {
        self.captured() == other.captured()
            && self.source == other.source
            && self.processing == other.processing
            && self.motion == other.motion
    }

    /// Everything that is wrong with it.
    pub fn violations(&self) -> Vec<Violation> {
        let mut found = Vec::new();
        if self.title.chars().count() > MAX_TITLE || self.title.chars().any(char::is_control) {
            let problem = format!("must be {MAX_TITLE} characters at most, without control characters");
            found.push(Violation::new("title", problem));
        }
        self.source.violations(&mut found);
        if let Some(processing) = &self.processing {
            processing.violations(&mut found);
        }
        if let Some(motion) = &self.motion {
            motion.violations(&mut found);
        }
        found
    }
}

impl SourceSpec {
    fn violations(&self, found: &mut Vec<Violation>) {
        match self {
            Self::Test(test) => test.violations(found),
            Self::File(file) => file.violations(found),
            Self::Rtsp(rtsp) => rtsp.violations(found),
            Self::Url(url) => url.violations(found),
            Self::Mjpeg(mjpeg) => mjpeg.violations(found),
            Self::Device(device) => device.violations(found),
            Self::OpenCv(opencv) => opencv.violations(found),
        }
    }

    /// Its address, where it has one.
    pub fn address(&self) -> Option<&Address> {
        match self {
            Self::Rtsp(RtspSpec { url, .. })
            | Self::Url(UrlSpec { url, .. })
            | Self::Mjpeg(MjpegSpec { url, .. }) => Some(url),
            Self::Test(_) | Self::File(_) | Self::Device(_) | Self::OpenCv(_) => None,
        }
    }

    /// Its login, where it has one.
    pub fn login(&self) -> Option<&LoginSpec> {
        match self {
            Self::Rtsp(RtspSpec { login, .. })
            | Self::Url(UrlSpec { login, .. })
            | Self::Mjpeg(MjpegSpec { login, .. }) => login.as_ref(),
            Self::Test(_) | Self::File(_) | Self::Device(_) | Self::OpenCv(_) => None,
        }
    }

    /// The certificate that alone is believed, as it was given.
    pub(super) fn fingerprint(&self) -> Option<&str> {
        match self {
            Self::Rtsp(RtspSpec { certificate_fingerprint, .. })
            | Self::Url(UrlSpec { certificate_fingerprint, .. })
            | Self::Mjpeg(MjpegSpec { certificate_fingerprint, .. }) => certificate_fingerprint.as_deref(),
            Self::Test(_) | Self::File(_) | Self::Device(_) | Self::OpenCv(_) => None,
        }
    }

    /// Field in which callers give the login.
    pub(super) const fn login_field(&self) -> &'static str {
        match self {
            Self::Rtsp(_) => "rtsp.login",
            Self::Url(_) => "url.login",
            Self::Mjpeg(_) => "mjpeg.login",
            Self::Test(_) | Self::File(_) | Self::Device(_) | Self::OpenCv(_) => "login",
        }
    }

    /// Its address and its login, to change them.
    pub(super) fn remote_mut(&mut self) -> Option<(&mut Address, &mut Option<LoginSpec>)> {
        match self {
            Self::Rtsp(RtspSpec { url, login, .. })
            | Self::Url(UrlSpec { url, login, .. })
            | Self::Mjpeg(MjpegSpec { url, login, .. }) => Some((url, login)),
            Self::Test(_) | Self::File(_) | Self::Device(_) | Self::OpenCv(_) => None,
        }
    }

    /// Word for logs and metrics.
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::Test(_) => "test",
            Self::File(_) => "file",
            Self::Rtsp(_) => "rtsp",
            Self::Url(_) => "url",
            Self::Mjpeg(_) => "mjpeg",
            Self::Device(_) => "device",
            Self::OpenCv(_) => "opencv",
        }
    }
}

fn within(found: &mut Vec<Violation>, field: &'static str, value: u32, range: &RangeInclusive<u32>) {
    if !range.contains(&value) {
        found.push(Violation::new(field, format!("must be from {} to {}", range.start(), range.end())));
    }
}

#[cfg(test)]
#[path = "spec_tests.rs"]
mod tests;
