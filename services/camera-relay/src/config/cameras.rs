//! The section of the cameras.

use crate::cameras::{
    CameraName, CameraSpec, Capture, DeviceSpec, FileSpec, MjpegSpec, MotionSpec, OpenCvSpec, ProcessingSpec,
    RtspSpec, SourceSpec, TestSpec, UrlSpec,
};
use patchbay_chassis::{ByteSize, Span};
use patchbay_egress::EgressConfig;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::path::PathBuf;

/// The cameras.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Cameras {
    /// Cameras that are always there and cannot be changed by calls; others are added by calls and kept on the backplane. Each has a `name`, may have
    /// a `title`, `always_on = true`, `processing` and `motion`, and has one source: `test`, whose fields are those of the default, `file = { path = "..." }`, below `media_folder`, `rtsp`, `url` or `mjpeg`, each
    /// with a `url`, perhaps a `login = { username = "...", password_file = "..." }` and a `certificate_fingerprint`, `device = { path = "/dev/video0" }`, or `opencv`.
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
    /// Times after each failure in a row until a source is tried again; the last one is for all that follow.
    pub retry: Vec<Span>,
    /// Longest of these times while somebody watches the camera, so that its pictures are there soon after it is back. A camera that has refused its login is not asked more often for it: some lock out.
    pub retry_watched: Span,
    /// How long a viewer waits for a camera that is slow to start; then it is shown black until the camera does. One that cannot be reached is shown so at once.
    pub slate_after: Span,
    /// Which addresses cameras may have. Private networks are refused until they are named here, as `allow = ["192.168.1.0/24"]`.
    pub egress: EgressConfig,
    /// How sources outside of the process are treated.
    pub capture: Capturing,
    /// Video devices that cameras may use, such as `["/dev/video0"]`.
    pub devices: Vec<String>,
    /// Whether cameras may be opened by `OpenCV`, which looks names up and follows redirects by itself: `egress` is only asked about the address that was given. Needs a build with the feature `videocapture`.
    pub opencv: bool,
    /// File with the 32 bytes under which the passwords of cameras and the secrets in their addresses are kept, as 64 hexadecimal digits; made where it is not there. Where none is named they are kept under a key made of the service's own, and must be
    /// given again when that changes.
    pub login_key_file: Option<PathBuf>,
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
            retry: [1, 2, 5, 10, 30].map(Span::seconds).to_vec(),
            retry_watched: Span::seconds(2),
            slate_after: Span::seconds(5),
            egress: EgressConfig::default(),
            capture: Capturing::default(),
            devices: Vec::new(),
            opencv: false,
            login_key_file: None,
            cache: KeptUnits::default(),
        }
    }
}

/// How sources outside of the process are treated.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Capturing {
    /// Time for a connection, its TLS handshake included.
    pub connect_timeout: Span,
    /// Time without anything from a source after which it is opened anew.
    pub stall_timeout: Span,
    /// Bytes a second of one source, over some seconds; one that sends more is given up.
    pub max_rate: ByteSize,
}

impl Default for Capturing {
    fn default() -> Self {
        Self {
            connect_timeout: Span::seconds(5),
            stall_timeout: Span::seconds(10),
            max_rate: ByteSize::mib(16),
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
    /// A camera that speaks RTSP.
    pub rtsp: Option<RtspSpec>,
    /// A file, a live stream or an HLS playlist behind an HTTP address.
    pub url: Option<UrlSpec>,
    /// JPEG pictures over HTTP.
    pub mjpeg: Option<MjpegSpec>,
    /// A video device of the machine.
    pub device: Option<DeviceSpec>,
    /// Whatever `OpenCV` opens.
    pub opencv: Option<OpenCvSpec>,
    /// What is done with the pictures.
    pub processing: Option<ProcessingSpec>,
    /// The search for what moves.
    pub motion: Option<MotionSpec>,
}

impl Configured {
    fn named_test() -> Self {
        Self { name: "test".to_owned(), test: Some(TestSpec::default()), ..Self::default() }
    }

    /// Its name and settings; an error says which field is wrong.
    pub fn parse(&self) -> Result<(CameraName, CameraSpec), (&'static str, String)> {
        let name = self.name.parse().map_err(|error| ("name", format!("{error}")))?;
        let mut sources = [
            self.test.clone().map(SourceSpec::Test),
            self.file.clone().map(SourceSpec::File),
            self.rtsp.clone().map(SourceSpec::Rtsp),
            self.url.clone().map(SourceSpec::Url),
            self.mjpeg.clone().map(SourceSpec::Mjpeg),
            self.device.clone().map(SourceSpec::Device),
            self.opencv.clone().map(SourceSpec::OpenCv),
        ]
        .into_iter()
        .flatten();
        let (Some(source), None) = (sources.next(), sources.next()) else {
            let problem =
                "or `file`, `rtsp`, `url`, `mjpeg`, `device` or `opencv` must be set, and only one of them";
            return Err(("test", problem.to_owned()));
        };
        let capture = if self.always_on { Capture::Always } else { Capture::OnDemand };
        let (processing, motion) = (self.processing.clone(), self.motion.clone());
        Ok((name, CameraSpec { title: self.title.clone(), source, capture, processing, motion }))
    }
}

impl Cameras {
    /// Why a source cannot be used with this configuration: the field, and words that follow its name.
    pub(crate) fn refuses(&self, source: &SourceSpec) -> Option<(&'static str, String)> {
        match source {
            SourceSpec::File(_) if self.media_folder.is_none() => {
                Some(("file", "needs cameras.media_folder".to_owned()))
            }
            SourceSpec::Device(device) if !self.devices.contains(&device.path) => {
                Some(("device.path", "must be among cameras.devices of the configuration".to_owned()))
            }
            SourceSpec::OpenCv(_) if !self.opencv => {
                Some(("opencv", "needs cameras.opencv of the configuration".to_owned()))
            }
            _ => None,
        }
    }

    /// The configured cameras; those that are wrong are left out, and no process starts with such.
    pub(crate) fn parsed(&self) -> impl Iterator<Item = (CameraName, CameraSpec)> {
        self.configured.iter().filter_map(|configured| configured.parse().ok())
    }
}
