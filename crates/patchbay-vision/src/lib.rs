//! What is done with pictures on their way: a clock over them, masks, another size, and the search for what moves.
//!
//! Two sources are made of another one. [`Processed`] decodes its pictures, works on them and encodes them once for all viewers; what the other source gives is
//! never seen outside. [`Watching`] passes the other source on untouched and only looks for motion. Both leave starting again after failures to the hub in which
//! they run, and do their work on a thread of their own.

mod error;
mod mask;
pub mod motion;
pub mod overlay;
mod region;
mod settings;
mod stream;
mod time;

pub use error::VisionError;
pub use mask::{Mask, MaskStyle};
pub use motion::{MAX_ZONES, MotionBox, MotionSeen, MotionSettings, MotionSink, Zone};
pub use overlay::{Corner, MAX_TITLE, Overlay};
pub use region::{MAX_POINTS, MIN_POINTS, Point};
pub use settings::{MAX_MASKS, ProcessingSettings};
pub use stream::{Processed, VisionFigures, Watching};

pub use patchbay_av::{PictureSize, Preset, WallClock};

#[cfg(test)]
mod testing;
