//! The search for what moves.
//!
//! # The method
//!
//! Pictures are looked at a few times a second, as light alone and about 320 pixels long, where noise and coding matter less. Each pixel has a
//! running mean and a level that its deviations seldom exceed; what lies beyond is in front of the background. That is the running average with a noise level of
//! each pixel's own (Wren et al., *Pfinder*, 1997; the level as a running quantile instead of a variance, so that what passes by does not raise it). Three facts
//! about cameras shape the rest:
//!
//! - Light changes slowly, or in large soft parts: a shadow multiplies what it falls on (Jacques et al., *Background subtraction and shadow detection in
//!   grayscale video sequences*, 2005). So a pixel counts only when it differs both from the background and from the background in the light around it.
//! - Leaves sway by a pixel or two: a pixel is compared with the range of its neighbours (Barnich and Van Droogenbroeck, *`ViBe`*, 2011, look for a match in the
//!   neighbourhood as well).
//! - What moves goes on changing; a lamp that was switched on changes once. So a thing counts only when it has changed in both of the last two spans of 0.4 s.
//!
//! When most of the picture changes at once (lights, a camera that was turned, the switch to infrared) all is learned anew, and nothing is told.
//!
//! Nothing here is random or depends on the time of day: the same pictures at the same times give the same answer. Memory is bounded: some fifteen planes of at most 320x320 numbers.

mod background;
mod detector;
mod events;
mod plane;
mod settings;
mod things;

pub use settings::{MAX_ZONES, MotionSettings, Zone};

pub(crate) use detector::{Detector, Moving};
pub(crate) use events::{Change, Events};

use bytes::Bytes;

/// A part of the picture in which something moves: parts of its width and height.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct MotionBox {
    /// Left side.
    pub x: f32,
    /// Upper side.
    pub y: f32,
    /// Width.
    pub width: f32,
    /// Height.
    pub height: f32,
}

/// What was seen.
#[derive(Clone, Debug, PartialEq)]
pub enum MotionSeen {
    /// Something has begun to move.
    Began {
        /// When, in milliseconds since 1970.
        at: u64,
        /// Names of the zones in which it moves; empty where no zones are set and the whole picture is looked at.
        zones: Vec<String>,
        /// How clear it is, from 0 to 1: 0.5 is just enough.
        score: f32,
        /// Where, the largest first; at most 16.
        boxes: Vec<MotionBox>,
        /// The picture, as a JPEG file of at most 640 pixels across; empty where it could not be made.
        picture: Bytes,
        /// Pixels across of that JPEG.
        width: u16,
        /// Pixels down of that JPEG.
        height: u16,
    },
    /// Everything has been still for the time that is set; also told when the source ends in between.
    Ended {
        /// When something last moved, in milliseconds since 1970.
        at: u64,
        /// From the beginning until then.
        lasted: std::time::Duration,
    },
}

/// Hears of motion. Called on the thread that looks at the pictures: must not block.
pub trait MotionSink: Send + Sync {
    /// Something has begun or ceased to move; the two alternate for one source.
    fn motion(&self, seen: MotionSeen);

    /// Motion cannot be looked for, for the reason that is given in words; the pictures themselves go on. Told once a run.
    fn blind(&self, _why: &str) {}
}

#[cfg(test)]
#[path = "clip_tests.rs"]
mod clip_tests;
