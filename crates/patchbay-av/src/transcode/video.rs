//! Pictures from one codec to another.

use super::{Input, Transcoder};
use crate::{
    AvError, Decoded, PictureSize, Scaler, VideoDecoder, VideoEncoder, VideoSettings, key_gate::KeyGate,
};
use patchbay_media::{
    AccessUnit, MediaTime, TrackId,
    hub::{Limit, Publisher, SourceError},
    ring::{Read, Start},
    track::{KeyFrames, TrackWriter},
};
use std::{sync::atomic::Ordering, time::Duration};

/// A picture so far behind the newest unit is not encoded: decoding alone catches up sooner.
const LATE: Duration = Duration::from_millis(300);
/// A key frame at least this often in a rendition for viewers with little bandwidth: some of them get nothing else.
const LIMITED_KEY_FRAMES: Duration = Duration::from_secs(2);
/// Least time between those that were asked for: many viewers share a rendition, each of them may miss something at any time, and what one is given costs
/// all the others a part of the little that they can take.
const LIMITED_KEY_FRAME_GAP: Duration = Duration::from_millis(500);
/// Pictures a second until they are counted.
const FPS: u32 = 30;
/// Pictures are counted once so much of the track was encoded.
const COUNT_AFTER: Duration = Duration::from_secs(1);

/// Runs until the track ends or the transcoder shall stop.
pub(super) fn transcode(of: &Transcoder, publisher: &Publisher, input: &Input) -> Result<(), SourceError> {
    let mut decoder = VideoDecoder::open(of.from.info())?;
    let mut output = Output { of, publisher, scaler: Scaler::new(), opened: None };
    if of.from.ring().newest_key().is_none() {
        of.from.request_key_frame();
    }
    let mut reader = of.from.reader(Start::NewestKey).with_patience(of.settings.patience);
    while let Some(read) = input.next(&mut reader) {
        if read.skipped > 0 {
            of.figures.skipped.fetch_add(read.skipped, Ordering::Relaxed);
            // What it still holds belongs before the gap.
            drop(decoder.finish());
        }
        let results = match decoder.decode(&read.entry.item) {
            Ok(results) => results,
            Err(error) => {
                of.figures.undecodable.fetch_add(1, Ordering::Relaxed);
                tracing::debug!(%error, "left out a picture that cannot be decoded");
                continue;
            }
        };
        let late = is_late(of, &read);
        for picture in results {
            if late {
                of.figures.late.fetch_add(1, Ordering::Relaxed);
                continue;
            }
            output.write(&picture)?;
        }
    }
    Ok(())
}

fn is_late(of: &Transcoder, read: &Read<AccessUnit>) -> bool {
    let newest = of.from.ring().newest();
    newest.is_some_and(|newest| newest.item.dts.since(read.entry.item.dts) > LATE)
}

/// The track that is made.
struct Output<'a> {
    of: &'a Transcoder,
    publisher: &'a Publisher,
    scaler: Scaler,
    opened: Option<Opened>,
}

struct Opened {
    size: PictureSize,
    encoder: VideoEncoder,
    writer: TrackWriter,
    gate: KeyGate,
    newest: MediaTime,
    /// When to count the pictures a second, which happens once.
    count_at: Option<MediaTime>,
    /// Times between pictures until then, of which the first few hundred are enough.
    gaps: Vec<Duration>,
}

impl Output<'_> {
    fn write(&mut self, decoded: &Decoded) -> Result<(), SourceError> {
        let size = limited(decoded.picture.size(), self.of.limit);
        if size == decoded.picture.size() {
            return self.encode(decoded);
        }
        let picture = self.scaler.scale(&decoded.picture, size)?;
        self.encode(&Decoded { picture, pts: decoded.pts })
    }

    fn encode(&mut self, decoded: &Decoded) -> Result<(), SourceError> {
        match &mut self.opened {
            Some(opened) if opened.size == decoded.picture.size() => {
                opened.count(self.of, decoded.pts)?;
                Ok(opened.write(decoded)?)
            }
            // The first picture, or one of another size: a new generation of the track.
            _ => self.open(decoded),
        }
    }

    fn open(&mut self, decoded: &Decoded) -> Result<(), SourceError> {
        let size = decoded.picture.size();
        let mut encoder = VideoEncoder::open(settings(self.of, size, FPS))?;
        let unit = encoder.encode(&decoded.picture, decoded.pts, crate::KeyFrame::Now)?;
        let mut writers = self.publisher.publish(vec![(encoder.info(), KeyFrames::OnRequest)])?;
        let none = || SourceError::temporary("the hub gave no place to write to");
        let mut writer = writers.pop().ok_or_else(none)?;
        let gap = self.of.settings.key_frame_gap;
        let gap = if self.of.limit.is_some() { gap.max(LIMITED_KEY_FRAME_GAP) } else { gap };
        let mut gate = KeyGate::new(gap);
        gate.made(decoded.pts);
        if let Some(unit) = unit {
            writer.write(unit);
        }
        let (newest, count_at) = (decoded.pts, Some(decoded.pts + COUNT_AFTER));
        self.opened = Some(Opened { size, encoder, writer, gate, newest, count_at, gaps: Vec::new() });
        Ok(())
    }
}

/// Least bit rate that is encoded, whatever the limit.
const LEAST_BIT_RATE: u32 = 32_000;

/// A size within a limit, in the same proportions.
fn limited(size: PictureSize, limit: Option<Limit>) -> PictureSize {
    match limit {
        Some(limit) if size.height() > limit.height => {
            let width = u32::from(size.width()) * u32::from(limit.height) / u32::from(size.height());
            PictureSize::nearest(width, u32::from(limit.height))
        }
        _ => size,
    }
}

/// What to encode, when so many pictures a second come.
fn settings(of: &Transcoder, size: PictureSize, fps: u32) -> VideoSettings {
    let (video, wanted) = (VideoSettings::h264(TrackId(0), size, fps), &of.settings);
    let (bitrate, key_frames) = match of.limit {
        // Small pictures need more bits for each pixel, up to what they may have.
        Some(limit) => (limit.bit_rate.min(2 * video.bitrate).max(LEAST_BIT_RATE), LIMITED_KEY_FRAMES),
        None => (wanted.video_bitrate.unwrap_or(video.bitrate), wanted.key_frame_interval),
    };
    VideoSettings {
        codec: of.to,
        bitrate,
        key_frame_interval: wanted.key_frame_interval.min(key_frames),
        preset: wanted.preset,
        ..video
    }
}

/// Pictures a second by the middle one of the times between them, which a pause or a picture left out does not move.
fn pictures_a_second(gaps: &mut [Duration]) -> Option<u32> {
    gaps.sort_unstable();
    let gap = gaps.get(gaps.len() / 2)?.as_micros().max(1);
    u32::try_from((1_000_000 + gap / 2) / gap).ok().map(|fps| fps.clamp(1, 240))
}

impl Opened {
    /// Goes on with another encoder when it was opened for too many or too few pictures a second. Encoders without delay do not go by the times of
    /// pictures: how many bits each gets, and when a key frame is due, follows from their number.
    fn count(&mut self, of: &Transcoder, now: MediaTime) -> Result<(), AvError> {
        let Some(at) = self.count_at else { return Ok(()) };
        if now > self.newest && self.gaps.len() < 300 {
            self.gaps.push(now.since(self.newest));
        }
        if now < at {
            return Ok(());
        }
        self.count_at = None;
        let before = self.encoder.settings().fps;
        let fps = pictures_a_second(&mut std::mem::take(&mut self.gaps)).unwrap_or(before);
        if fps.abs_diff(before) * 5 > before {
            self.encoder = VideoEncoder::open(settings(of, self.size, fps))?;
        }
        Ok(())
    }

    fn write(&mut self, decoded: &Decoded) -> Result<(), AvError> {
        if decoded.pts <= self.newest {
            return Ok(());
        }
        self.newest = decoded.pts;
        let requests = self.writer.track().key_requests();
        if requests.take() {
            self.gate.ask();
        }
        let key = self.gate.decide(decoded.pts);
        let Some(unit) = self.encoder.encode(&decoded.picture, decoded.pts, key)? else { return Ok(()) };
        if unit.key {
            self.gate.made(unit.pts);
        }
        self.writer.write(unit);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pause_does_not_change_the_count() {
        let of = |millis: &[u64]| {
            pictures_a_second(&mut millis.iter().copied().map(Duration::from_millis).collect::<Vec<_>>())
        };
        assert_eq!(of(&[16, 17, 17, 9_000, 16, 17, 33]), Some(59));
        assert_eq!(of(&[5_000]), Some(1), "the least that an encoder takes");
        assert_eq!((of(&[0, 0]), of(&[])), (Some(240), None));
    }
}
