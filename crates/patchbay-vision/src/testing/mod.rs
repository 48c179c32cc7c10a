//! What several tests need.

#![expect(
    clippy::cast_possible_truncation,
    clippy::cast_precision_loss,
    clippy::cast_sign_loss,
    reason = "numbers of a test, all small"
)]

pub(crate) mod feed;
mod random;
pub(crate) mod scene;

pub(crate) use random::Random;

use crate::{Overlay, overlay::Clock};
use patchbay_av::{Picture, PicturePool, PictureSize, Plane, TestPattern, VideoEncoder, VideoSettings};
use patchbay_media::MediaTime;

pub(crate) fn size(width: u32, height: u32) -> PictureSize {
    PictureSize::new(width, height).unwrap()
}

pub(crate) fn at_ms(ms: u64) -> MediaTime {
    MediaTime::from_nanos(i64::try_from(ms).unwrap() * 1_000_000)
}

/// The light of a picture, row after row, without what lies between rows.
pub(crate) fn light(picture: &Picture) -> Vec<u8> {
    let (width, height) = (usize::from(picture.size().width()), usize::from(picture.size().height()));
    let rows = picture.plane(Plane::Y).chunks(picture.stride(Plane::Y)).take(height);
    let mut light = Vec::with_capacity(width * height);
    rows.for_each(|row| light.extend_from_slice(&row[..width]));
    light
}

/// How much the light of a picture differs from what a clock draws over it for a time.
pub(crate) fn clock_differs(picture: &Picture, overlay: &Overlay, unix_ms: u64) -> u64 {
    let mut clock = Clock::new(overlay, picture.size()).unwrap();
    let mut canvas = PicturePool::new(picture.size()).take().unwrap();
    for plane in Plane::ALL {
        canvas.plane_mut(plane).fill(128);
    }
    let (stride, width) = (canvas.stride(Plane::Y), usize::from(picture.size().width()));
    let rows = canvas.plane_mut(Plane::Y).chunks_mut(stride);
    rows.zip(light(picture).chunks(width)).for_each(|(row, light)| row[..width].copy_from_slice(light));
    clock.draw(&mut canvas, unix_ms).unwrap();
    let (seen, drawn) = (light(picture), light(&canvas.finish()));
    seen.iter().zip(drawn).map(|(one, other)| u64::from(one.abs_diff(other)).pow(2)).sum()
}

/// CPU time of this thread so far, in milliseconds.
pub(crate) fn thread_cpu_ms() -> f64 {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
    time.tv_sec as f64 * 1e3 + time.tv_nsec as f64 / 1e6
}

/// Resident memory of this process, in KiB.
pub(crate) fn resident_kib() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}

/// So many coded pictures of the test camera at night, a key frame first.
pub(crate) fn coded(
    size: PictureSize,
    fps: u32,
    pictures: u64,
    bitrate: u32,
) -> Vec<patchbay_media::AccessUnit> {
    let pattern = TestPattern::new(size, "camera").unwrap().with_noise(12);
    let settings = VideoSettings { bitrate, ..VideoSettings::h264(patchbay_media::TrackId(0), size, fps) };
    let mut encoder = VideoEncoder::open(settings).unwrap();
    let units = (0..pictures).map(|number| {
        let picture = pattern.draw(1_795_413_053_042 + number * 1_000 / u64::from(fps), number).unwrap();
        let pts = MediaTime::from_ticks(i64::try_from(number).unwrap(), fps);
        encoder.encode(&picture, pts, patchbay_av::KeyFrame::AsDue).unwrap().unwrap()
    });
    units.collect()
}
