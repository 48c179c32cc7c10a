//! Cameras and other sources outside of the process, as sources of the hub: RTSP, MJPEG over HTTP, addresses that libav reads, video devices.
//!
//! Whatever is connected to goes through the guard of `patchbay-egress`; logins stay out of addresses, logs and errors.
