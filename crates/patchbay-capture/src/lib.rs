//! Cameras and other sources outside of the process, as sources of the hub: RTSP, MJPEG over HTTP, addresses that libav reads, video devices.
//!
//! Video devices are read with the `v4l` crate and not with libavdevice, which would bring SDL, X11 and `PulseAudio` into the images.
//!
//! Whatever is connected to goes through the guard of `patchbay-egress`; logins stay out of addresses, logs and errors.

mod credentials;
mod device;
mod failure;
pub mod http;
mod limits;
mod mjpeg;
#[cfg(feature = "videocapture")]
mod opencv;
pub mod rtsp;
#[cfg(test)]
mod testing;
mod tls;
mod url;

pub use credentials::{Credentials, redacted};
pub use device::{
    DeviceError, DeviceFormat, DeviceInfo, DeviceMode, DevicePath, DeviceSettings, DeviceSource, devices,
};
pub use failure::of_egress;
pub use http::{HttpClient, HttpError, HttpTarget};
pub use limits::CaptureLimits;
pub use mjpeg::{FASTEST, MjpegSettings, MjpegSource};
#[cfg(feature = "videocapture")]
pub use opencv::{MOST_HUNG, OpenCvInput, OpenCvSettings, OpenCvSource, hung_threads};
pub use rtsp::{RtspSettings, RtspSource, RtspTransport};
pub use tls::connect as connect_tls;
pub use tls::{TlsError, Trust, fingerprint, fingerprint_text};
pub use url::{LibavRtspSource, UrlSource};
