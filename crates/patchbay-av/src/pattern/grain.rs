//! Noise as of a camera's sensor, so that the picture is as hard to encode as a camera's and fills its bit rate.

use crate::{Canvas, Plane, pattern::HEIGHT};

/// Noise that is drawn once and moved from picture to picture.
pub(super) struct Grain {
    /// What is added to the light of each pixel; longer than a picture by [`SHIFTS`].
    noise: Vec<i8>,
}

/// Places at which a picture's noise may begin.
const SHIFTS: usize = 4096;

impl Grain {
    /// Noise for pictures of so many pixels; `strength` is the greatest deviation, in steps of luma, and 0 is none.
    pub(super) fn new(pixels: usize, strength: u8) -> Option<Self> {
        if strength == 0 {
            return None;
        }
        let mut state = 0x2545_F491_4F6C_DD1D_u64;
        let mut uniform = move || {
            // Xorshift: enough for noise.
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            i32::try_from(state >> 40).unwrap_or(0) % (i32::from(strength) + 1)
        };
        // The difference of two is most often near zero, as a sensor's noise is.
        let noise = (0..pixels + SHIFTS).map(|_| i8::try_from(uniform() - uniform()).unwrap_or(0)).collect();
        Some(Self { noise })
    }

    /// Adds it to the light of a picture, below the time code.
    pub(super) fn draw(&self, canvas: &mut Canvas, number: u64) {
        let stride = canvas.stride(Plane::Y);
        let width = usize::from(canvas.size().width());
        // Multiplied by a large odd number, so that neighbours are far from each other.
        let shift = usize::try_from(number.wrapping_mul(2_654_435_761) % SHIFTS as u64).unwrap_or(0);
        let mut noise = self.noise.get(shift..).unwrap_or(&[]);
        for row in canvas.plane_mut(Plane::Y).chunks_mut(stride).skip(usize::from(HEIGHT)) {
            let Some((here, rest)) = noise.split_at_checked(width) else { return };
            for (light, noise) in row.iter_mut().zip(here) {
                *light = light.saturating_add_signed(*noise);
            }
            noise = rest;
        }
    }
}
