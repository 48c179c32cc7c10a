//! Encoders: pictures and samples in, units in the hub's form out.

mod audio;
mod video;

pub use audio::{AudioEncoder, AudioSettings};
pub use video::{KeyFrame, Preset, VideoEncoder, VideoSettings};

#[cfg(test)]
#[path = "encode_tests.rs"]
mod tests;
