//! The RTSP source in a real hub, against `GStreamer`'s server, against media that `FFmpeg` sends, and against a server that errs in every way that we could think of.

#![expect(clippy::unwrap_used, clippy::print_stdout, reason = "a test, whose helpers are tests too")]
#![expect(clippy::cast_possible_truncation, reason = "packets are numbered modulo their fields")]

mod av1;
mod faults;
mod ffmpeg;
mod film;
mod gstreamer;
mod harness;
mod hostile;
mod login;
mod order;
mod streams;
mod tunnel;
