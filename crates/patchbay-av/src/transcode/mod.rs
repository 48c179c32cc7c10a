//! A track in another codec: each a source of its own, which the hub starts when a consumer needs it and shares among all who do.
//!
//! It reads the ring of the track that it is made of, on a thread of its own; that ring is its queue. When it cannot keep up it goes on at the newest key
//! frame, and pictures that are late are decoded but not encoded; both are counted.

mod audio;
mod video;

use crate::{AvError, Preset, VideoSettings, worker};
use futures_util::{FutureExt, future::BoxFuture};
use patchbay_media::{
    AccessUnit, Codec, Kind,
    hub::{Limit, Publisher, Source, SourceError, Target, Transcoders},
    ring::{Ended, Read, Reader},
    track::Track,
};
use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};
use tokio::runtime::Handle;
use tokio_util::sync::CancellationToken;

/// How tracks are made.
#[derive(Clone, Debug)]
pub struct TranscodeSettings {
    /// Bits a second for pictures; chosen by their size when absent.
    pub video_bitrate: Option<u32>,
    /// Bits a second for sound.
    pub audio_bitrate: u32,
    /// A key frame at least this often.
    pub key_frame_interval: Duration,
    /// Least time between key frames that were asked for.
    pub key_frame_gap: Duration,
    /// How hard the encoder tries.
    pub preset: Preset,
    /// Further behind than this, reading goes on at the newest key frame.
    pub patience: Duration,
}

impl Default for TranscodeSettings {
    fn default() -> Self {
        Self {
            video_bitrate: None,
            audio_bitrate: 64_000,
            key_frame_interval: Duration::from_secs(10),
            key_frame_gap: Duration::from_millis(200),
            preset: Preset::default(),
            patience: Duration::from_secs(1),
        }
    }
}

impl TranscodeSettings {
    /// Checks what can be checked before there is a picture.
    pub fn check(&self) -> Result<(), AvError> {
        if !(6_000..=510_000).contains(&self.audio_bitrate) {
            return Err(AvError::Setting {
                setting: "the bit rate of sound",
                wanted: "from 6 to 510 kbit/s",
            });
        }
        let size = crate::PictureSize::nearest(640, 480);
        let video = VideoSettings::h264(patchbay_media::TrackId(0), size, 30);
        let bitrate = self.video_bitrate.unwrap_or(video.bitrate);
        VideoSettings { bitrate, key_frame_interval: self.key_frame_interval, ..video }.check()
    }
}

/// What transcoders left out, of all since the start.
#[derive(Debug, Default)]
pub struct TranscodeFigures {
    skipped: AtomicU64,
    late: AtomicU64,
    undecodable: AtomicU64,
}

impl TranscodeFigures {
    /// Units that were not read because the transcoder was too far behind.
    pub fn skipped(&self) -> u64 {
        self.skipped.load(Ordering::Relaxed)
    }

    /// Pictures that were decoded, and not encoded because they were late.
    pub fn late(&self) -> u64 {
        self.late.load(Ordering::Relaxed)
    }

    /// Units that could not be decoded.
    pub fn undecodable(&self) -> u64 {
        self.undecodable.load(Ordering::Relaxed)
    }
}

/// Makes transcoders for the hub: pictures to H.264 (Constrained Baseline, never reordered) or VP8, sound to Opus or AAC.
#[derive(Debug)]
pub struct AvTranscoders {
    settings: TranscodeSettings,
    figures: Arc<TranscodeFigures>,
}

impl AvTranscoders {
    /// Checks the settings.
    pub fn new(settings: TranscodeSettings) -> Result<Self, AvError> {
        settings.check()?;
        Ok(Self { settings, figures: Arc::default() })
    }

    /// What was left out.
    pub fn figures(&self) -> Arc<TranscodeFigures> {
        Arc::clone(&self.figures)
    }
}

impl Transcoders for AvTranscoders {
    fn transcoder(&self, from: &Arc<Track>, to: Target) -> Option<Arc<dyn Source>> {
        let (from, settings, figures) = (Arc::clone(from), self.settings.clone(), Arc::clone(&self.figures));
        let transcoder = Transcoder::new(from, to.codec, settings, figures)?.within(to.limit);
        Some(Arc::new(transcoder) as Arc<dyn Source>)
    }
}

/// Makes one track of another; track 0 of its stream.
#[derive(Debug)]
pub struct Transcoder {
    from: Arc<Track>,
    to: Codec,
    limit: Option<Limit>,
    settings: TranscodeSettings,
    figures: Arc<TranscodeFigures>,
}

impl Transcoder {
    /// One for a track; nothing when that codec cannot be made of it.
    pub fn new(
        from: Arc<Track>,
        to: Codec,
        settings: TranscodeSettings,
        figures: Arc<TranscodeFigures>,
    ) -> Option<Self> {
        let can = matches!(to, Codec::H264 | Codec::Vp8 | Codec::Opus | Codec::Aac);
        let same = from.info().codec.kind() == to.kind();
        (can && same).then_some(Self { from, to, limit: None, settings, figures })
    }

    /// The same within a limit.
    #[must_use]
    pub fn within(self, limit: Option<Limit>) -> Self {
        Self { limit, ..self }
    }
}

impl Source for Transcoder {
    fn run(
        self: Arc<Self>,
        publisher: Publisher,
        stop: CancellationToken,
    ) -> BoxFuture<'static, Result<(), SourceError>> {
        async move {
            let ended = stop.child_token();
            let _ended_on_drop = ended.clone().drop_guard();
            let input = Input { runtime: Handle::current(), ended };
            let work = move || match self.to.kind() {
                Kind::Video => video::transcode(&self, &publisher, &input),
                Kind::Audio => audio::transcode(&self, &publisher, &input),
            };
            worker::run("av-transcode", stop, move |_| work()).await
        }
        .boxed()
    }
}

/// Waits for units on a thread.
struct Input {
    runtime: Handle,
    ended: CancellationToken,
}

impl Input {
    /// The next unit; nothing when the track has ended, or the transcoder shall stop.
    fn next(&self, reader: &mut Reader<AccessUnit>) -> Option<Read<AccessUnit>> {
        let read = async {
            tokio::select! {
                biased;
                () = self.ended.cancelled() => Err(Ended),
                read = reader.next() => read,
            }
        };
        self.runtime.block_on(read).ok()
    }
}

#[cfg(test)]
#[path = "transcode_tests.rs"]
mod tests;
