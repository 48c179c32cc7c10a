//! Cameras and other sources outside of the process, as sources of the hub: RTSP, MJPEG over HTTP, addresses that libav reads, video devices.
//!
//! Video devices are read with the `v4l` crate and not with libavdevice, which would bring SDL, X11 and PulseAudio into the images.
//!
//! Whatever is connected to goes through the guard of `patchbay-egress`; logins stay out of addresses, logs and errors.
