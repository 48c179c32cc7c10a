//! Sound that is not coded.

use patchbay_media::MediaTime;

/// Samples of 16 bits, the channels of one moment side by side.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Samples {
    /// Moments a second.
    pub rate: u32,
    /// Channels: 1 or 2.
    pub channels: u8,
    /// When the first is heard.
    pub pts: MediaTime,
    /// The samples.
    pub data: Vec<i16>,
}

impl Samples {
    /// Moments in it.
    pub fn moments(&self) -> usize {
        self.data.len() / usize::from(self.channels.max(1))
    }

    /// Root mean square of all samples, in decibels below a full square wave; minus infinity for silence.
    pub fn level_db(&self) -> f64 {
        let squares: f64 = self.data.iter().map(|sample| f64::from(*sample).powi(2)).sum();
        #[expect(clippy::cast_precision_loss, reason = "far fewer than 2^52 samples")]
        let mean = squares / self.data.len().max(1) as f64;
        20.0 * (mean.sqrt() / 32_768.0).log10()
    }
}
