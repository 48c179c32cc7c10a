//! Video devices, and what `OpenCV` opens.

use super::{Address, Violation, file::below_folder, within};
use patchbay_capture::DevicePath;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::ops::RangeInclusive;

const SIDES: RangeInclusive<u32> = 0..=4096;
const RATES: RangeInclusive<u32> = 0..=120;

/// A video device of the machine (V4L2), such as a webcam.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct DeviceSpec {
    /// `/dev/video0`; it must be among `cameras.devices`.
    pub path: String,
    /// Pixels across that are asked for; what the device prefers when 0.
    pub width: u32,
    /// Pixels down that are asked for; what the device prefers when 0.
    pub height: u32,
    /// Pictures a second that are asked for; what the device prefers when 0.
    pub fps: u32,
}

/// Whatever `OpenCV`'s `VideoCapture` opens.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct OpenCvSpec {
    /// A path below the media folder, or an `http://` or `rtsp://` address: `OpenCV` checks no certificates.
    pub input: String,
}

impl DeviceSpec {
    pub(super) fn violations(&self, found: &mut Vec<Violation>) {
        if !is_device(&self.path) {
            found.push(Violation::new("device.path", "must be a video device such as /dev/video0"));
        }
        within(found, "device.width", self.width, &SIDES);
        within(found, "device.height", self.height, &SIDES);
        within(found, "device.fps", self.fps, &RATES);
        if (self.width == 0) != (self.height == 0) {
            found.push(Violation::new("device.height", "must be set together with the width"));
        }
    }
}

/// Whether a path is that of a video device, by its name alone.
pub(crate) fn is_device(path: &str) -> bool {
    path.parse::<DevicePath>().is_ok()
}

impl OpenCvSpec {
    pub(super) fn violations(&self, found: &mut Vec<Violation>) {
        let problem = if self.input.contains("://") {
            let (address, login) = Address::split(&self.input);
            match login {
                Some(_) => Some("must not hold a login: OpenCV would tell it in its log".to_owned()),
                None if address.shown() != self.input => {
                    Some("must not hold a secret: OpenCV would tell it in its log".to_owned())
                }
                None => address.problem(&["http", "rtsp"]),
            }
        } else {
            below_folder(&self.input)
        };
        found.extend(problem.map(|problem| Violation::new("opencv.input", problem)));
    }
}
