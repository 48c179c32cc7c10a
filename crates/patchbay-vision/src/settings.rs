//! How pictures are worked on.

use crate::{VisionError, mask::Mask, overlay::Overlay};
use patchbay_av::{PictureSize, Preset};
use std::time::Duration;

/// Most masks of one picture.
pub const MAX_MASKS: usize = 32;

/// What is done with the pictures of one source, in this order: masks, the look for motion, another size, the clock.
#[derive(Clone, Debug)]
pub struct ProcessingSettings {
    /// A clock and a name over the picture.
    pub overlay: Option<Overlay>,
    /// Size of what viewers get, whatever the proportions of the source's pictures; theirs when absent.
    pub size: Option<PictureSize>,
    /// Height of what viewers get where no size is set: the width follows from the proportions of the source's pictures.
    pub height: Option<u16>,
    /// Parts of the picture that nobody sees.
    pub masks: Vec<Mask>,
    /// Bits a second; chosen by the size when absent.
    pub bitrate: Option<u32>,
    /// A key frame at least this often.
    pub key_frame_interval: Duration,
    /// Least time between key frames that were asked for.
    pub key_frame_gap: Duration,
    /// How hard the encoder tries.
    pub preset: Preset,
}

impl Default for ProcessingSettings {
    /// Nothing but encoding anew: a key frame each 10 s and when asked for.
    fn default() -> Self {
        Self {
            overlay: None,
            size: None,
            height: None,
            masks: Vec::new(),
            bitrate: None,
            key_frame_interval: Duration::from_secs(10),
            key_frame_gap: Duration::from_millis(200),
            preset: Preset::default(),
        }
    }
}

impl ProcessingSettings {
    /// Size of what viewers get of pictures of that size.
    pub(crate) fn size_of(&self, source: PictureSize) -> PictureSize {
        let of_height = |height: u16| {
            let (height, width) = (u32::from(height), u32::from(source.width()));
            PictureSize::nearest(width * height / u32::from(source.height()), height)
        };
        self.size.or(self.height.map(of_height)).unwrap_or(source)
    }

    /// Checks all of it; the error names the first field that is wrong.
    pub fn check(&self) -> Result<(), VisionError> {
        if let Some(overlay) = &self.overlay {
            overlay.check()?;
        }
        if self.masks.len() > MAX_MASKS {
            return Err(VisionError::setting("masks", format!("at most {MAX_MASKS} polygons")));
        }
        for (index, mask) in self.masks.iter().enumerate() {
            crate::region::check(&mask.points, &format!("masks[{index}].points"))?;
        }
        if self.bitrate.is_some_and(|bitrate| !(10_000..=100_000_000).contains(&bitrate)) {
            return Err(VisionError::setting("bitrate", "from 10 kbit/s to 100 Mbit/s"));
        }
        let interval = self.key_frame_interval;
        if interval < Duration::from_millis(100) || interval > Duration::from_mins(10) {
            return Err(VisionError::setting("key_frame_interval", "from 100 ms to 10 min"));
        }
        if self.key_frame_gap > Duration::from_secs(10) {
            return Err(VisionError::setting("key_frame_gap", "up to 10 s"));
        }
        Ok(())
    }
}

#[cfg(test)]
#[path = "settings_tests.rs"]
mod tests;
