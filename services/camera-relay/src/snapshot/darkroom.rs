//! Decodes one camera as far as its newest picture, and makes JPEGs of it. Native code: runs on a thread of its own.

use super::{Jpeg, Width};
use crate::error::Error;
use patchbay_av::{AvError, JpegEncoder, Picture, PictureSize, Quality, Scaler, VideoDecoder};
use patchbay_media::{AccessUnit, MediaTime, ring::Entry, track::Track};
use std::{
    sync::Arc,
    time::{Duration, Instant},
};

/// Time for decoding; where it is over, the picture is the last one that was reached.
const BUDGET: Duration = Duration::from_millis(250);

impl Jpeg {
    /// A black picture. Blocks for some milliseconds.
    pub(crate) fn black((width, height): (u32, u32), quality: u8, now: u64) -> Result<Self, Error> {
        let size = PictureSize::new(width, height).map_err(Error::internal)?;
        let picture = Picture::black(size).map_err(Error::internal)?;
        let quality = Quality::new(quality).map_err(Error::internal)?;
        let data = JpegEncoder::new(quality).encode(&picture).map_err(Error::internal)?;
        Ok(Self { data, time: now, width, height })
    }
}

/// A track's decoder, and what came of it.
pub(crate) struct Darkroom {
    track: Arc<Track>,
    decoder: VideoDecoder,
    scaler: Scaler,
    encoder: JpegEncoder,
    /// Position of the next unit to decode.
    next: u64,
    newest: Option<(Picture, MediaTime)>,
    /// The last picture of each [`Width`], of which there are a few.
    made: Vec<Made>,
}

struct Made {
    width: Width,
    at: Instant,
    shown: MediaTime,
    jpeg: Jpeg,
}

impl Darkroom {
    /// A decoder for a track; `quality` is 1 to 100.
    pub(crate) fn open(track: Arc<Track>, quality: u8) -> Result<Self, Error> {
        let decoder = VideoDecoder::open(track.info()).map_err(|error| no_picture(&error))?;
        let encoder = JpegEncoder::new(Quality::new(quality).map_err(Error::internal)?);
        Ok(Self { track, decoder, scaler: Scaler::new(), encoder, next: 0, newest: None, made: Vec::new() })
    }

    /// Whether it decodes this track.
    pub(crate) fn is_for(&self, track: &Arc<Track>) -> bool {
        Arc::ptr_eq(&self.track, track)
    }

    /// A picture that was made not longer ago.
    pub(crate) fn made_lately(&self, width: Width, age: Duration) -> Option<Jpeg> {
        let made = self.made.iter().find(|made| made.width == width)?;
        (made.at.elapsed() < age && !self.track.ring().has_ended()).then(|| made.jpeg.clone())
    }

    /// Makes a JPEG of the newest picture; `now` is in milliseconds since 1970.
    pub(crate) fn make(&mut self, width: Width, now: u64) -> Result<Jpeg, Error> {
        let problem = self.catch_up().err();
        let Some((picture, shown)) = self.newest.clone() else {
            let nothing = || Error::NoPicture("there is no key frame yet".to_owned());
            return Err(problem.as_ref().map_or_else(nothing, no_picture));
        };
        // As long as the picture is the same, so is the JPEG.
        if let Some(made) = self.made.iter_mut().find(|made| made.width == width && made.shown == shown) {
            made.at = Instant::now();
            return Ok(made.jpeg.clone());
        }
        let time = now.saturating_sub(self.lag(shown));
        let jpeg = self.encode(&picture, width, time).map_err(|error| no_picture(&error))?;
        self.made.retain(|made| made.width != width);
        self.made.push(Made { width, at: Instant::now(), shown, jpeg: jpeg.clone() });
        Ok(jpeg)
    }

    /// Decodes on, or from a newer key frame, as far as time allows.
    fn catch_up(&mut self) -> Result<(), AvError> {
        let ring = self.track.ring().clone();
        let key = ring.newest_key();
        let is_gone = self.newest.is_none() || self.next < ring.oldest();
        if key.is_some_and(|key| key > self.next || is_gone) {
            self.next = key.unwrap_or(self.next);
        } else if is_gone {
            return Ok(());
        }
        let begun = Instant::now();
        let mut last = Ok(());
        while let Some(entry) = ring.get(self.next) {
            self.next += 1;
            last = self.decode(&entry);
            if begun.elapsed() > BUDGET {
                break;
            }
        }
        if self.newest.is_none() {
            self.flush()?;
        }
        last
    }

    fn decode(&mut self, entry: &Entry<AccessUnit>) -> Result<(), AvError> {
        let decoded = self.decoder.decode(&entry.item)?;
        if let Some(newest) = decoded.into_iter().last() {
            self.newest = Some((newest.picture, newest.pts));
        }
        Ok(())
    }

    /// Takes what a decoder holds back that waits for more; it begins anew at the next key frame.
    fn flush(&mut self) -> Result<(), AvError> {
        let held = self.decoder.finish()?;
        self.newest = held.into_iter().last().map(|decoded| (decoded.picture, decoded.pts));
        Ok(())
    }

    fn encode(&mut self, picture: &Picture, width: Width, time: u64) -> Result<Jpeg, AvError> {
        let size = picture.size();
        let wanted = width.pixels().filter(|width| *width < u32::from(size.width()));
        let scaled = match wanted {
            Some(width) => self.scaler.scale(picture, size.scaled_to_width(width))?,
            None => picture.clone(),
        };
        let data = self.encoder.encode(&scaled)?;
        let size = scaled.size();
        Ok(Jpeg { data, time, width: size.width().into(), height: size.height().into() })
    }

    /// Milliseconds between a picture and the newest one.
    fn lag(&self, shown: MediaTime) -> u64 {
        let newest = self.track.ring().newest();
        newest.map_or(0, |newest| u64::try_from(newest.item.pts.since(shown).as_millis()).unwrap_or(0))
    }
}

fn no_picture(error: &AvError) -> Error {
    Error::NoPicture(error.to_string())
}
