//! What is shown of a camera that has no picture yet: black, in the codec that the viewer takes.
//!
//! A few key frames are encoded once for all cameras and repeated: each is a picture by itself, so that whoever comes sees it at once.

use patchbay_av::{AvError, KeyFrame, PictureSize, Slate, VideoSettings};
use patchbay_media::{AccessUnit, Codec, MediaTime, TrackId, track::TrackInfo};
use std::{sync::Arc, time::Duration};
use tokio::{
    sync::OnceCell,
    time::{Instant, sleep_until},
};

/// Its size: that of a camera of which nothing is known.
const SIZE: (u32, u32) = (640, 480);

/// Pictures that are made. Two key frames of H.264 in a row must differ in a number that they carry (ITU-T H.264, section 7.4.3), so one is not enough.
const PICTURES: u32 = 4;

/// Time between two.
pub(crate) const EVERY: Duration = Duration::from_secs(1);

/// Least time between two, where viewers ask for key frames.
const AT_LEAST: Duration = Duration::from_millis(100);

/// Black pictures of a codec.
#[derive(Debug)]
pub(super) struct Strip {
    info: TrackInfo,
    units: Vec<AccessUnit>,
}

/// One strip for each codec, made when it is first needed.
#[derive(Debug, Default)]
pub(super) struct Strips {
    h264: OnceCell<Arc<Strip>>,
    vp8: OnceCell<Arc<Strip>>,
}

impl Strips {
    /// Whether there can be one of that codec.
    pub(super) fn has(codec: Codec) -> bool {
        matches!(codec, Codec::H264 | Codec::Vp8)
    }

    /// The strip of a codec; none where there can be none, or where it could not be made.
    pub(super) async fn of(&self, codec: Codec) -> Option<Arc<Strip>> {
        let cell = match codec {
            Codec::H264 => &self.h264,
            Codec::Vp8 => &self.vp8,
            _ => return None,
        };
        let made = cell.get_or_try_init(|| async move {
            let made = tokio::task::spawn_blocking(move || Strip::make(codec)).await;
            made.unwrap_or(Err(AvError::OtherSize)).map(Arc::new)
        });
        made.await.inspect_err(|error| tracing::error!(%error, "no slate could be made")).ok().cloned()
    }
}

impl Strip {
    /// Encodes it: blocks for some milliseconds.
    fn make(codec: Codec) -> Result<Self, AvError> {
        let size = PictureSize::new(SIZE.0, SIZE.1)?;
        let mut slate = Slate::open(VideoSettings { codec, ..VideoSettings::h264(TrackId(0), size, 1) })?;
        let mut units = Vec::new();
        for number in 0..PICTURES {
            units.extend(slate.unit(MediaTime::from_ticks(number.into(), 1), KeyFrame::Now)?);
        }
        Ok(Self { info: slate.info(), units })
    }

    /// What it is.
    pub(super) fn info(&self) -> &TrackInfo {
        &self.info
    }
}

/// Plays a strip to a feed, or to one viewer.
#[derive(Debug)]
pub(crate) struct Playing {
    strip: Arc<Strip>,
    begun: Instant,
    last: Option<Instant>,
    next: usize,
}

impl Playing {
    pub(super) fn new(strip: Arc<Strip>) -> Self {
        Self { strip, begun: Instant::now(), last: None, next: 0 }
    }

    /// What it is.
    pub(crate) fn info(&self) -> &TrackInfo {
        self.strip.info()
    }

    /// Time since it has begun, which is where its pictures are on its line of time.
    pub(crate) fn elapsed(&self) -> Duration {
        self.begun.elapsed()
    }

    /// Waits until the next picture is due. Cancel-safe.
    pub(crate) async fn due(&self) {
        sleep_until(self.last.map_or(self.begun, |last| last + EVERY)).await;
    }

    /// The next picture; nothing where the last one has just been.
    pub(crate) fn next(&mut self) -> Option<AccessUnit> {
        let now = Instant::now();
        if self.last.is_some_and(|last| now < last + AT_LEAST) {
            return None;
        }
        let unit = self.strip.units.get(self.next % self.strip.units.len().max(1))?.clone();
        self.next += 1;
        self.last = Some(now);
        let nanos = i64::try_from((now - self.begun).as_nanos()).unwrap_or(i64::MAX);
        let time = MediaTime::from_nanos(nanos);
        Some(AccessUnit { dts: time, pts: time, ..unit })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use patchbay_av::{Plane, VideoDecoder};

    #[tokio::test(start_paused = true)]
    async fn each_picture_is_black_by_itself() {
        let strips = Strips::default();
        for codec in [Codec::H264, Codec::Vp8] {
            let strip = strips.of(codec).await.unwrap();
            let mut playing = Playing::new(Arc::clone(&strip));
            let mut last = None;
            for _ in 0..PICTURES * 2 {
                playing.due().await;
                let unit = playing.next().unwrap();
                assert!(unit.key && last < Some(unit.pts));
                last = Some(unit.pts);
                let mut decoder = VideoDecoder::open(strip.info()).unwrap();
                let mut pictures = decoder.decode(&unit).unwrap();
                pictures.extend(decoder.finish().unwrap());
                let picture = pictures.pop().unwrap().picture;
                assert!(picture.plane(Plane::Y).iter().all(|light| *light <= 18));
                assert!(playing.next().is_none(), "not twice at once");
            }
            println!("{} bytes of {codec:?}", strip.units.iter().map(|unit| unit.data.len()).sum::<usize>());
        }
        assert!(strips.of(Codec::Av1).await.is_none());
    }
}
