//! Pictures from one codec to another.

use super::{Input, Transcoder};
use crate::{AvError, Decoded, PictureSize, VideoDecoder, VideoEncoder, VideoSettings, key_gate::KeyGate};
use patchbay_media::{
    AccessUnit, MediaTime, TrackId,
    hub::{Publisher, SourceError},
    ring::{Read, Start},
    track::{KeyFrames, TrackWriter},
};
use std::{sync::atomic::Ordering, time::Duration};

/// A picture so far behind the newest unit is not encoded: decoding alone catches up sooner.
const LATE: Duration = Duration::from_millis(300);
/// Nobody tells how many pictures a second will come; the encoder goes by their times.
const FPS: u32 = 30;

/// Runs until the track ends or the transcoder shall stop.
pub(super) fn transcode(of: &Transcoder, publisher: &Publisher, input: &Input) -> Result<(), SourceError> {
    let mut decoder = VideoDecoder::open(of.from.info())?;
    let mut output = Output { of, publisher, opened: None };
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
    opened: Option<Opened>,
}

struct Opened {
    size: PictureSize,
    encoder: VideoEncoder,
    writer: TrackWriter,
    gate: KeyGate,
    newest: MediaTime,
}

impl Output<'_> {
    fn write(&mut self, decoded: &Decoded) -> Result<(), SourceError> {
        match &mut self.opened {
            Some(opened) if opened.size == decoded.picture.size() => Ok(opened.write(decoded)?),
            // The first picture, or one of another size: a new generation of the track.
            _ => self.open(decoded),
        }
    }

    fn open(&mut self, decoded: &Decoded) -> Result<(), SourceError> {
        let (size, settings) = (decoded.picture.size(), &self.of.settings);
        let video = VideoSettings::h264(TrackId(0), size, FPS);
        let mut encoder = VideoEncoder::open(VideoSettings {
            codec: self.of.to,
            bitrate: settings.video_bitrate.unwrap_or(video.bitrate),
            key_frame_interval: settings.key_frame_interval,
            preset: settings.preset,
            ..video
        })?;
        let unit = encoder.encode(&decoded.picture, decoded.pts, crate::KeyFrame::Now)?;
        let mut writers = self.publisher.publish(vec![(encoder.info(), KeyFrames::OnRequest)])?;
        let none = || SourceError::temporary("the hub gave no place to write to");
        let mut writer = writers.pop().ok_or_else(none)?;
        let mut gate = KeyGate::new(settings.key_frame_gap);
        gate.made(decoded.pts);
        if let Some(unit) = unit {
            writer.write(unit);
        }
        self.opened = Some(Opened { size, encoder, writer, gate, newest: decoded.pts });
        Ok(())
    }
}

impl Opened {
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
