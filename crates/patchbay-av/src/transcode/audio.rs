//! Sound from one codec to another.

use super::{Input, Transcoder};
use crate::{AudioDecoder, AudioEncoder, AudioSettings};
use patchbay_media::{
    Codec, TrackId,
    hub::{Publisher, SourceError},
    ring::Start,
    track::KeyFrames,
};
use std::sync::atomic::Ordering;

/// Rate of what is made: that of Opus, and good for AAC.
const RATE: u32 = 48_000;

/// Runs until the track ends or the transcoder shall stop.
pub(super) fn transcode(of: &Transcoder, publisher: &Publisher, input: &Input) -> Result<(), SourceError> {
    let channels = of.from.info().channels.clamp(1, 2);
    let mut decoder = AudioDecoder::open(of.from.info(), RATE, channels)?;
    let track = TrackId(0);
    let settings = if of.to == Codec::Opus { AudioSettings::opus(track) } else { AudioSettings::aac(track) };
    let mut encoder =
        AudioEncoder::open(AudioSettings { channels, bitrate: of.settings.audio_bitrate, ..settings })?;
    let mut writers = publisher.publish(vec![(encoder.info(), KeyFrames::AsTheyCome)])?;
    let mut writer =
        writers.pop().ok_or_else(|| SourceError::temporary("the hub gave no place to write to"))?;
    let mut reader = of.from.reader(Start::NewestKey).with_patience(of.settings.patience);
    while let Some(read) = input.next(&mut reader) {
        of.figures.skipped.fetch_add(read.skipped, Ordering::Relaxed);
        let results = match decoder.decode(&read.entry.item) {
            Ok(results) => results,
            Err(error) => {
                of.figures.undecodable.fetch_add(1, Ordering::Relaxed);
                tracing::debug!(%error, "left out sound that cannot be decoded");
                continue;
            }
        };
        for samples in results {
            for unit in encoder.encode(&samples)? {
                writer.write(unit);
            }
        }
    }
    Ok(())
}
