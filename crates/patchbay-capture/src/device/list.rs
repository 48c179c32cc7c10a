//! Which devices there are, and what they can do.

use super::{DeviceError, DeviceFormat, DevicePath, capture::open};
use std::fs;
use v4l::{Device, FourCC, framesize::FrameSizeEnum, video::Capture};

/// Most devices of a list.
const DEVICES: usize = 64;
/// Most sizes of a format.
const SIZES: usize = 64;

/// A device that can be used as a camera.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeviceInfo {
    /// The device.
    pub path: DevicePath,
    /// As it calls itself.
    pub name: String,
    /// What it gives.
    pub modes: Vec<DeviceMode>,
}

/// A format and a size.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DeviceMode {
    /// The format.
    pub format: DeviceFormat,
    /// Pixels across; for devices that scale, the most.
    pub width: u32,
    /// Pixels down.
    pub height: u32,
}

/// The cameras among the video devices of this machine; those that cannot be opened are left out. Blocks for as long as the devices do.
pub fn devices() -> Vec<DeviceInfo> {
    let entries = fs::read_dir("/dev").into_iter().flatten().flatten();
    let paths = entries.filter_map(|entry| entry.path().to_str()?.parse::<DevicePath>().ok());
    let mut paths: Vec<_> = paths.take(DEVICES).collect();
    paths.sort_by_key(DevicePath::number);
    paths.into_iter().filter_map(|path| look(path).ok()).collect()
}

fn look(path: DevicePath) -> Result<DeviceInfo, DeviceError> {
    let (device, name) = open(path.as_path())?;
    let modes =
        formats(&device).into_iter().flat_map(|(format, code)| modes(&device, format, code)).collect();
    Ok(DeviceInfo { path, name, modes })
}

/// The formats of a device that can be used, with its codes for them.
pub(super) fn formats(device: &Device) -> Vec<(DeviceFormat, FourCC)> {
    let told = device.enum_formats().unwrap_or_default();
    told.into_iter().filter_map(|told| Some((DeviceFormat::of(told.fourcc.repr)?, told.fourcc))).collect()
}

fn modes(device: &Device, format: DeviceFormat, code: FourCC) -> Vec<DeviceMode> {
    let sizes = device.enum_framesizes(code).unwrap_or_default().into_iter().map(|told| match told.size {
        FrameSizeEnum::Discrete(size) => (size.width, size.height),
        FrameSizeEnum::Stepwise(sizes) => (sizes.max_width, sizes.max_height),
    });
    sizes.take(SIZES).map(|(width, height)| DeviceMode { format, width, height }).collect()
}
