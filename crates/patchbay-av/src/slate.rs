//! What viewers see while a camera gives nothing: black until its first picture, then its last one.

use crate::{AvError, KeyFrame, Picture, Scaler, VideoEncoder, VideoSettings};
use patchbay_media::{AccessUnit, MediaTime, track::TrackInfo};

/// An encoder that always has a picture. Whoever runs a camera puts its pictures in as they come, and takes a unit each time that one is due.
pub struct Slate {
    encoder: VideoEncoder,
    scaler: Scaler,
    picture: Picture,
}

impl Slate {
    /// Black.
    pub fn open(settings: VideoSettings) -> Result<Self, AvError> {
        let picture = Picture::black(settings.size)?;
        Ok(Self { encoder: VideoEncoder::open(settings)?, scaler: Scaler::new(), picture })
    }

    /// A new picture, brought to the size of the units.
    pub fn put(&mut self, picture: &Picture) -> Result<(), AvError> {
        self.picture = self.scaler.scale(picture, self.encoder.settings().size)?;
        Ok(())
    }

    /// The newest picture as a unit; the same one again where no other came, which costs a few bytes.
    pub fn unit(&mut self, pts: MediaTime, key: KeyFrame) -> Result<Option<AccessUnit>, AvError> {
        self.encoder.encode(&self.picture, pts, key)
    }

    /// What the units are; complete after the first.
    pub fn info(&self) -> TrackInfo {
        self.encoder.info()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{PictureSize, Plane, TestPattern, TimeCode, VideoDecoder};
    use patchbay_media::TrackId;

    #[test]
    fn black_comes_first_and_the_last_picture_stays() {
        let size = PictureSize::new(640, 480).unwrap();
        let mut slate = Slate::open(VideoSettings::h264(TrackId(0), size, 30)).unwrap();
        let mut decoder = VideoDecoder::open(&slate.info()).unwrap();
        let (mut number, mut bytes) = (0, Vec::new());
        let mut show = |slate: &mut Slate, bytes: &mut Vec<usize>| {
            let unit = slate.unit(MediaTime::from_ticks(number, 30), KeyFrame::AsDue).unwrap().unwrap();
            number += 1;
            bytes.push(unit.data.len());
            decoder.decode(&unit).unwrap().pop().unwrap().picture
        };
        let black = show(&mut slate, &mut bytes);
        assert!(black.plane(Plane::Y).iter().all(|light| *light <= 18));
        let pattern = TestPattern::new(size, "camera").unwrap();
        slate.put(&pattern.draw(1_795_413_053_042, 5).unwrap()).unwrap();
        for _ in 0..30 {
            assert_eq!(TimeCode::read(&show(&mut slate, &mut bytes)).unwrap().number, 5);
        }
        println!("bytes: {bytes:?}");
        assert!(bytes[20..].iter().sum::<usize>() < 11 * 200, "a picture that stands still costs little");
        let other = PictureSize::new(320, 240).unwrap();
        slate.put(&Picture::black(other).unwrap()).unwrap();
        assert!(TimeCode::read(&show(&mut slate, &mut bytes)).is_none());
    }
}
