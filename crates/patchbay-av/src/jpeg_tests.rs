use super::*;
use crate::{TestPattern, TimeCode, VideoDecoder};
use std::time::Instant;

#[test]
fn a_jpeg_shows_the_picture() {
    let size = PictureSize::new(640, 480).unwrap();
    let picture = TestPattern::new(size, "test").unwrap().draw(1_795_413_053_042, 9).unwrap();
    let mut last = 0;
    for quality in [1, 50, 80, 100] {
        let mut encoder = JpegEncoder::new(Quality::new(quality).unwrap());
        encoder.encode(&picture).unwrap();
        let start = Instant::now();
        let jpeg = encoder.encode(&picture).unwrap();
        let took = start.elapsed();
        assert!(jpeg.starts_with(&[0xFF, 0xD8]) && jpeg.ends_with(&[0xFF, 0xD9]));
        let decoded = VideoDecoder::jpeg().unwrap().decode_still(&jpeg).unwrap();
        assert_eq!(decoded.size(), size);
        let psnr = crate::quality::psnr(&picture, &decoded);
        println!("quality {quality}: {} bytes in {took:?}, PSNR {psnr:.1} dB", jpeg.len());
        assert!(psnr > 22.0 && jpeg.len() > last);
        assert_eq!(TimeCode::read(&decoded), TimeCode::read(&picture));
        last = jpeg.len();
    }
}

#[test]
fn sizes_may_change_and_qualities_are_checked() {
    let mut encoder = JpegEncoder::new(Quality::new(80).unwrap());
    for (width, height) in [(64, 64), (640, 480), (34, 18)] {
        let size = PictureSize::new(width, height).unwrap();
        let jpeg = encoder.encode(&Picture::black(size).unwrap()).unwrap();
        assert_eq!(VideoDecoder::jpeg().unwrap().decode_still(&jpeg).unwrap().size(), size);
    }
    assert!(Quality::new(0).is_err() && Quality::new(101).is_err());
}
