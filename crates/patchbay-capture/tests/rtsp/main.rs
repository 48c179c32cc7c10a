//! The RTSP source in a real hub, against GStreamer's server, against media that ffmpeg sends, and against a server that errs in every way that we could think of.

mod cost;
mod faults;
mod ffmpeg;
mod film;
mod gstreamer;
mod harness;
mod hostile;
mod login;
mod order;
mod streams;
