//! How much pictures differ, for tests.

use crate::{Picture, Plane};

/// Peak signal-to-noise ratio of the light of two pictures of one size, in decibels.
pub(crate) fn psnr(one: &Picture, other: &Picture) -> f64 {
    assert_eq!(one.size(), other.size());
    let width = usize::from(one.size().width());
    let rows = |picture: &Picture| {
        let stride = picture.stride(Plane::Y);
        let rows = picture.plane(Plane::Y).chunks(stride).take(usize::from(picture.size().height()));
        rows.flat_map(|row| row[..width].to_vec()).collect::<Vec<_>>()
    };
    let (one, other) = (rows(one), rows(other));
    let squares: f64 = one.iter().zip(&other).map(|(a, b)| f64::from(a.abs_diff(*b)).powi(2)).sum();
    #[expect(clippy::cast_precision_loss, reason = "far fewer than 2^52 pixels")]
    let mean = squares / one.len() as f64;
    10.0 * (255.0_f64.powi(2) / mean.max(1e-9)).log10()
}
