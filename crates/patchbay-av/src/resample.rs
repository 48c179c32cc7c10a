//! Brings decoded sound to one rate, one or two channels, and samples of 16 bits.

use crate::{AvError, Samples, error::failed};
use ffmpeg_next::{
    ChannelLayout,
    format::{Sample, sample},
    frame,
    software::resampling,
};
use patchbay_media::MediaTime;

const PACKED: Sample = Sample::I16(sample::Type::Packed);
/// Longest sound in one unit. Streams have 2.5 to 128 ms; a low rate in a header makes hours out of little.
const LONGEST: u64 = 10;

/// Resamples and mixes; takes on whatever form the sound changes to.
pub struct Resampler {
    rate: u32,
    channels: u8,
    context: Option<resampling::Context>,
}

impl Resampler {
    /// To `rate` (8,000 to 192,000) in `channels` (1 or 2).
    pub fn new(rate: u32, channels: u8) -> Result<Self, AvError> {
        if !(8_000..=192_000).contains(&rate) {
            return Err(AvError::Setting { setting: "the rate of the samples", wanted: "from 8 to 192 kHz" });
        }
        if !(1..=2).contains(&channels) {
            return Err(AvError::Setting { setting: "the number of channels", wanted: "1 or 2" });
        }
        Ok(Self { rate, channels, context: None })
    }

    /// Converts what a decoder gave.
    pub(crate) fn convert(&mut self, frame: &mut frame::Audio, pts: MediaTime) -> Result<Samples, AvError> {
        if frame.channel_layout().is_empty() {
            frame.set_channel_layout(ChannelLayout::default(i32::from(frame.channels().max(1))));
        }
        let layout = ChannelLayout::default(i32::from(self.channels));
        let (format, from, rate) = (frame.format(), frame.channel_layout(), frame.rate());
        check(rate, frame.samples())?;
        let fits = |context: &resampling::Context| {
            let input = context.input();
            input.format == format && input.channel_layout == from && input.rate == rate
        };
        let context = match self.context.take().filter(fits) {
            Some(context) => context,
            None => resampling::Context::get(format, from, rate, PACKED, layout, self.rate)
                .map_err(failed("resampling sound"))?,
        };
        let context = self.context.insert(context);
        let waiting = context.delay().map_or(0, |delay| usize::try_from(delay.output).unwrap_or(0));
        let room = usize::try_from(u64::from(self.rate) * frame.samples() as u64 / u64::from(rate.max(1)))
            .unwrap_or(0);
        let mut out = frame::Audio::new(PACKED, room + waiting + 64, layout);
        context.run(frame, &mut out).map_err(failed("resampling sound"))?;
        let bytes = out.samples() * usize::from(self.channels) * 2;
        let packed = out.data(0).get(..bytes).unwrap_or_default();
        let data = packed.chunks_exact(2).map(|pair| i16::from_ne_bytes([pair[0], pair[1]])).collect();
        Ok(Samples { rate: self.rate, channels: self.channels, pts, data })
    }
}

/// What comes out is many times as much as what came in when the rate is low: it must be one of sound, and the unit short.
fn check(rate: u32, moments: usize) -> Result<(), AvError> {
    let refused = |reason| Err(AvError::Unsuitable { codec: "the coded sound", reason });
    if !(1_000..=768_000).contains(&rate) {
        return refused("its rate is not between 1 and 768 kHz");
    }
    if u64::try_from(moments).is_ok_and(|moments| moments <= LONGEST * u64::from(rate)) {
        return Ok(());
    }
    refused("a unit lasts longer than 10 s")
}
