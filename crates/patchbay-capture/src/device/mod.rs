//! Video devices of this machine: webcams and capture cards, by V4L2.
//!
//! H.264 of a device passes through; JPEG and plain pixels are encoded. What blocks runs on a thread of its own, in waits of a fifth of a second.

mod capture;
mod error;
mod list;
mod path;

pub use error::DeviceError;
pub use list::{DeviceInfo, DeviceMode, devices};
pub use path::DevicePath;

use futures_util::{FutureExt, future::BoxFuture};
use patchbay_av::{LivePictures, LiveSettings, worker};
use patchbay_media::hub::{Publisher, Source, SourceError};
use std::{sync::Arc, time::Duration};
use tokio_util::sync::CancellationToken;

/// What a device gives.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum DeviceFormat {
    /// H.264, which passes through.
    H264,
    /// JPEG.
    Jpeg,
    /// Plain pixels, 4:2:0.
    Nv12,
    /// Plain pixels, 4:2:2.
    Yuyv,
}

impl DeviceFormat {
    /// In the order in which they are chosen: what costs least first.
    pub const ALL: [Self; 4] = [Self::H264, Self::Jpeg, Self::Nv12, Self::Yuyv];

    /// The device's codes for it, the usual one first.
    pub(crate) fn codes(self) -> &'static [&'static [u8; 4]] {
        match self {
            Self::H264 => &[b"H264"],
            Self::Jpeg => &[b"MJPG", b"JPEG"],
            Self::Nv12 => &[b"NV12"],
            Self::Yuyv => &[b"YUYV"],
        }
    }

    /// The format with that code.
    pub(crate) fn of(code: [u8; 4]) -> Option<Self> {
        Self::ALL.into_iter().find(|format| format.codes().contains(&&code))
    }
}

/// Which device, and what to ask it for. It gives the nearest that it has.
#[derive(Clone, Debug)]
pub struct DeviceSettings {
    /// The device.
    pub path: DevicePath,
    /// The form; the first of [`DeviceFormat::ALL`] that the device has when absent.
    pub format: Option<DeviceFormat>,
    /// Pixels across and down.
    pub size: (u32, u32),
    /// Pictures a second.
    pub fps: u32,
    /// Nothing has come for so long: the device has failed.
    pub stall_timeout: Duration,
    /// How pictures are encoded that do not pass through.
    pub live: LiveSettings,
}

impl DeviceSettings {
    /// 640x480 at 30 pictures a second, in whatever form.
    pub fn new(path: DevicePath) -> Self {
        let stall_timeout = Duration::from_secs(5);
        Self { path, format: None, size: (640, 480), fps: 30, stall_timeout, live: LiveSettings::default() }
    }
}

/// A video device as a source of the hub.
#[derive(Debug)]
pub struct DeviceSource {
    settings: DeviceSettings,
}

impl DeviceSource {
    /// The device is opened when the source runs. Whoever calls this has checked that the configuration allows it.
    pub fn new(settings: DeviceSettings) -> Self {
        Self { settings }
    }
}

impl Source for DeviceSource {
    fn run(
        self: Arc<Self>,
        publisher: Publisher,
        stop: CancellationToken,
    ) -> BoxFuture<'static, Result<(), SourceError>> {
        async move {
            // Either the device's thread publishes what passes through, or the encoder what does not.
            let live = LiveSettings { fps: Some(self.settings.fps), ..self.settings.live.clone() };
            let (sender, pictures) = LivePictures::new(live);
            let mut encoding = pictures.run(publisher.clone(), stop.clone());
            let settings = self.settings.clone();
            let mut capturing = worker::run("av-device", stop, move |stop| {
                Ok(capture::run(&settings, &publisher, sender, stop)?)
            });
            tokio::select! {
                captured = &mut capturing => {
                    encoding.await?;
                    captured
                }
                encoded = &mut encoding => {
                    // The capturing thread ends when it finds that nobody takes its pictures.
                    capturing.await?;
                    encoded
                }
            }
        }
        .boxed()
    }
}

#[cfg(test)]
#[path = "device_tests.rs"]
mod tests;
