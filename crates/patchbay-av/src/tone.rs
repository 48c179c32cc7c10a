//! The sound of the test camera: a soft tone of 440 Hz and a short beep of 880 Hz as each second begins.

use crate::Samples;
use patchbay_media::MediaTime;
use std::f64::consts::TAU;

/// Samples a second of each channel.
pub(crate) const RATE: u32 = 48_000;
/// Moments in a block: 20 ms.
pub(crate) const BLOCK: u32 = 960;
const CHANNELS: u8 = 2;
const TONE_HZ: f64 = 440.0;
const BEEP_HZ: f64 = 880.0;
/// 60 ms.
const BEEP_LENGTH: u64 = 2_880;
const TONE_PEAK: f64 = 0.05;
const BEEP_PEAK: f64 = 0.25;

/// Makes the tone, block after block.
#[derive(Debug)]
pub struct Tone {
    /// Moments made so far.
    made: u64,
    /// Where the first moment lies within a second of the wall clock, in moments.
    offset: u64,
}

impl Tone {
    /// A tone whose first block is heard at `unix_ms`, so that the beeps come with the seconds of the wall clock.
    pub fn new(unix_ms: u64) -> Self {
        Self { made: 0, offset: unix_ms % 1_000 * u64::from(RATE) / 1_000 }
    }

    /// The next 20 ms, in two channels.
    pub fn next_block(&mut self) -> Samples {
        let first = self.made;
        self.made += u64::from(BLOCK);
        let data = (first..self.made).flat_map(|moment| [self.sample(moment); CHANNELS as usize]).collect();
        Samples { rate: RATE, channels: CHANNELS, pts: time(first), data }
    }

    /// When the next block begins, since the first.
    pub fn position(&self) -> MediaTime {
        time(self.made)
    }

    /// Leaves out what should have been heard before `elapsed` since the start.
    pub(crate) fn skip_to(&mut self, elapsed: std::time::Duration) {
        let moments = elapsed.as_nanos() * u128::from(RATE) / 1_000_000_000;
        let moments = u64::try_from(moments).unwrap_or(self.made);
        self.made = self.made.max(moments - moments % u64::from(BLOCK));
    }

    fn sample(&self, moment: u64) -> i16 {
        let within = (moment + self.offset) % u64::from(RATE);
        let wave = wave(TONE_HZ, within) * TONE_PEAK;
        let beep = if within < BEEP_LENGTH { wave_of_beep(within) } else { 0.0 };
        #[expect(clippy::cast_possible_truncation, reason = "the peaks add up to less than one")]
        let sample = ((wave + beep) * f64::from(i16::MAX)) as i16;
        sample
    }
}

fn time(moments: u64) -> MediaTime {
    MediaTime::from_ticks(i64::try_from(moments).unwrap_or(i64::MAX), RATE)
}

/// A whole number of waves goes into a second, so the phase within the second is enough.
fn wave(hertz: f64, moment: u64) -> f64 {
    #[expect(clippy::cast_precision_loss, reason = "below the rate")]
    let seconds = moment as f64 / f64::from(RATE);
    (TAU * hertz * seconds).sin()
}

/// Swells and fades, so that it does not click.
fn wave_of_beep(moment: u64) -> f64 {
    #[expect(clippy::cast_precision_loss, reason = "below the length of a beep")]
    let place = moment as f64 / BEEP_LENGTH as f64;
    wave(BEEP_HZ, moment) * BEEP_PEAK * (TAU / 2.0 * place).sin()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_beep_comes_with_each_second() {
        let mut tone = Tone::new(1_790_000_000_500);
        let loud: Vec<usize> = (0..150)
            .filter(|_| {
                let block = tone.next_block();
                assert_eq!((block.rate, block.channels, block.data.len()), (48_000, 2, 1_920));
                block.level_db() > -25.0
            })
            .collect();
        println!("loud blocks of 20 ms: {loud:?}");
        assert!(loud.contains(&26) && loud.contains(&76), "half a second after the start, then each second");
        assert!(loud.iter().all(|block| (25..=27).contains(&(block % 50))));
    }

    #[test]
    fn the_tone_is_soft_and_exact() {
        let mut tone = Tone::new(100);
        let block = tone.next_block();
        println!("level {:.1} dB", block.level_db());
        assert!((-30.0..-28.0).contains(&block.level_db()));
        assert_eq!(tone.position().nanos(), 20_000_000);
    }
}
