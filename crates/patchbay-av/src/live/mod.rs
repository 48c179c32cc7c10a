//! Pictures that come from outside one by one, as a track of H.264: cameras that send JPEG, raw pictures of devices, codecs that the hub does not carry.
//!
//! Whoever receives them puts them into a short queue, in which the newest wins; a thread of its own decodes and encodes. Pictures keep their size: where
//! that changes, the track is published anew.

mod encoder;
mod queue;
mod rate;

pub use encoder::{LiveEncoded, LiveEncoder, LiveSettings};
pub use queue::{LiveFigures, PictureSender, Shot};

use crate::{
    AvError, Picture, VideoDecoder,
    changes::Changes,
    worker::{self, Stop},
};
use bytes::Bytes;
use futures_util::future::BoxFuture;
use patchbay_media::{
    AccessUnit, MediaTime, TrackId,
    hub::{Publisher, Reason, SourceError},
    track::{KeyFrames, TrackInfo, TrackWriter},
};
use queue::{Shared, Waiting};
use std::{
    sync::Arc,
    time::{Duration, Instant},
};
use tokio_util::sync::CancellationToken;

/// How often the thread looks whether it shall stop while nothing comes.
const LOOK: Duration = Duration::from_millis(100);
/// So many JPEGs without one that can be decoded are no stream of JPEGs.
const HOPELESS: u64 = 25;

/// The half that encodes.
pub struct LivePictures {
    settings: LiveSettings,
    shared: Arc<Shared>,
}

impl LivePictures {
    /// The end that takes pictures, and the one that encodes them.
    pub fn new(settings: LiveSettings) -> (PictureSender, Self) {
        let shared = Arc::<Shared>::default();
        (PictureSender::new(Arc::clone(&shared)), Self { settings, shared })
    }

    /// Encodes, and publishes nothing but these pictures, until the sender is gone, `stop` is cancelled, or nothing can be made of what comes.
    pub fn run(
        self,
        publisher: Publisher,
        stop: CancellationToken,
    ) -> BoxFuture<'static, Result<(), SourceError>> {
        let to = publisher.clone();
        self.run_with(publisher, stop, move |info| {
            let mut writers = to.publish(vec![(info, KeyFrames::OnRequest)])?.into_iter();
            writers.next().ok_or_else(|| SourceError::temporary("the hub gave no place to write to"))
        })
    }

    /// The same for sources that have other tracks as well: `publish` is called on the thread with what the track is, at the first picture and when the
    /// size changes, and gives what to write to. `publisher` counts what cannot be used.
    pub fn run_with(
        self,
        publisher: Publisher,
        stop: CancellationToken,
        publish: impl FnMut(TrackInfo) -> Result<TrackWriter, SourceError> + Send + 'static,
    ) -> BoxFuture<'static, Result<(), SourceError>> {
        worker::run("av-live", stop, move |stop| {
            let encoder = LiveEncoder::new(self.settings);
            let running = Running {
                encoder,
                decoder: None,
                shared: self.shared,
                publisher,
                publish,
                writer: None,
                changes: Changes::new(Instant::now()),
            };
            running.run(stop)
        })
    }
}

struct Running<P> {
    encoder: LiveEncoder,
    /// For JPEG; opened with the first one.
    decoder: Option<VideoDecoder>,
    shared: Arc<Shared>,
    publisher: Publisher,
    publish: P,
    writer: Option<TrackWriter>,
    changes: Changes,
}

impl<P: FnMut(TrackInfo) -> Result<TrackWriter, SourceError>> Running<P> {
    fn run(mut self, stop: &Stop) -> Result<(), SourceError> {
        while !stop.is_told() {
            match self.shared.next(LOOK) {
                Waiting::Shot(shot, at) => self.take(shot, at)?,
                Waiting::Nothing => {}
                Waiting::Gone => break,
            }
        }
        Ok(())
    }

    fn take(&mut self, shot: Shot, at: MediaTime) -> Result<(), SourceError> {
        let picture = match shot {
            Shot::Picture(picture) => picture,
            Shot::Jpeg(coded) => match self.decode(coded) {
                Ok(picture) => picture,
                Err(error) => return self.undecodable(&error),
            },
        };
        let requests = self.writer.as_ref().map(|writer| writer.track().key_requests());
        if requests.is_some_and(|requests| requests.take()) {
            self.encoder.ask_key_frame();
        }
        // Every viewer begins anew with each change.
        if !self.encoder.fits(&picture) && self.changes.add(Instant::now()).is_err() {
            self.publisher.health().discard();
            self.shared.late();
            return Ok(());
        }
        let Some(encoded) = self.encoder.encode(&picture, at)? else {
            self.shared.late();
            return Ok(());
        };
        // Counted first: whoever sees the picture finds it counted.
        self.shared.encoded(self.encoder.rate());
        self.write(encoded)
    }

    fn decode(&mut self, coded: Bytes) -> Result<Picture, AvError> {
        let decoder = match &mut self.decoder {
            Some(decoder) => decoder,
            none => none.insert(VideoDecoder::jpeg()?),
        };
        let (dts, pts) = (MediaTime::ZERO, MediaTime::ZERO);
        let unit = AccessUnit { track: TrackId(0), dts, pts, key: true, data: coded };
        let picture = decoder.decode(&unit)?.pop().map(|decoded| decoded.picture);
        picture.ok_or(AvError::Unsuitable { codec: "the JPEG", reason: "no picture comes of it" })
    }

    /// One bad picture is left out; nothing but bad ones from the beginning is an error.
    fn undecodable(&mut self, error: &AvError) -> Result<(), SourceError> {
        self.publisher.health().discard();
        let bad = self.shared.undecodable();
        if self.writer.is_some() || bad < HOPELESS {
            return Ok(());
        }
        let text = format!(
            "the first {bad} pictures are no JPEG that can be decoded ({error}): look whether the address is the one for MJPEG or snapshots"
        );
        Err(SourceError::temporary(text).because(Reason::Codec))
    }

    fn write(&mut self, encoded: LiveEncoded) -> Result<(), SourceError> {
        if let Some(info) = encoded.anew {
            self.writer = Some((self.publish)(info)?);
        }
        if let Some(writer) = &mut self.writer {
            writer.write(encoded.unit);
        }
        Ok(())
    }
}

impl<P> Drop for Running<P> {
    fn drop(&mut self) {
        self.shared.end();
    }
}

#[cfg(test)]
#[path = "live_tests.rs"]
mod tests;
