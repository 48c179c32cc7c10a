//! RTSP servers to test clients against: `GStreamer`'s ([`gstreamer`]), one whose media ffmpeg sends ([`scripted::Media::Ffmpeg`]), and one that does whatever it is told to,
//! right or wrong ([`scripted`]).

pub mod gstreamer;
pub mod scripted;
