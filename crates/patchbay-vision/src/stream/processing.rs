//! The work on the pictures of one run, on its thread.

use super::{
    Processed,
    decode::Pictures,
    eye::Eye,
    sound::Lane,
    units::{Next, Units},
    video,
};
use crate::{VisionError, mask::Masker, overlay::Clock, time::PictureClock};
use patchbay_av::{
    Decoded, LiveEncoded, LiveEncoder, LiveSettings, Picture, PicturePool, PictureSize, Scaler,
};
use patchbay_media::{
    AccessUnit, Kind, MediaTime,
    hub::{Observer, Publisher, Reason, SourceError},
    ring::{Read, Start},
    track::{KeyFrames, Track, TrackInfo, TrackWriter},
};
use std::{
    sync::Arc,
    time::{Duration, Instant},
};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

/// Further behind than this, reading goes on at the newest key frame.
const PATIENCE: Duration = Duration::from_secs(1);
/// A picture so far behind the newest unit is not encoded: decoding alone catches up sooner.
const LATE: Duration = Duration::from_millis(300);
/// Time to wait for the first key frame before black is shown.
const DARK_AFTER: Duration = Duration::from_secs(1);
/// So many units without one that can be decoded are no pictures.
const HOPELESS: u32 = 100;

/// The work of one run.
pub(super) struct Processing<'a> {
    of: &'a Processed,
    publisher: Publisher,
    carrier: mpsc::Sender<Vec<Lane>>,
    eye: Option<Eye>,
    clock: PictureClock,
    tools: Tools,
    tracks: Option<Tracks>,
}

/// The tracks that are worked on.
struct Tracks {
    video: Arc<Track>,
    sound: Vec<Arc<Track>>,
    pictures: Pictures,
    encoder: LiveEncoder,
    writer: Option<TrackWriter>,
    begun: Instant,
    /// Units in a row of which no picture came, from the beginning on.
    hopeless: Option<u32>,
}

/// What is made for pictures of one size and used again for the next.
pub(super) struct Tools {
    masker: Option<Masker>,
    face: Option<Clock>,
    scaler: Scaler,
    pools: [Option<(PictureSize, PicturePool)>; 2],
}

impl<'a> Processing<'a> {
    pub(super) fn new(
        of: &'a Processed,
        publisher: Publisher,
        carrier: mpsc::Sender<Vec<Lane>>,
    ) -> Result<Self, SourceError> {
        let eye = |(settings, sink)| Eye::new(settings, Arc::clone(sink), Arc::clone(&of.figures));
        let eye = of.motion.as_ref().map(|(settings, sink)| eye((settings, sink))).transpose()?;
        let (clock, tools) = (PictureClock::default(), Tools::new());
        Ok(Self { of, publisher, carrier, eye, clock, tools, tracks: None })
    }

    /// Until the source inside has ended, or `ended`.
    pub(super) fn run(mut self, observer: Observer, ended: CancellationToken) -> Result<(), SourceError> {
        let mut units = Units::new(observer, ended);
        loop {
            match units.next() {
                Next::Tracks(tracks) => self.begin(&tracks, &mut units)?,
                Next::Unit(read) => self.take_measured(&read)?,
                Next::Nothing => self.darken()?,
                Next::Over => return Ok(()),
            }
        }
    }

    /// Other tracks.
    fn begin(&mut self, tracks: &[Arc<Track>], units: &mut Units) -> Result<(), SourceError> {
        if let Some(eye) = &mut self.eye {
            eye.close();
        }
        self.clock = PictureClock::default();
        self.tracks = None;
        let is_sound = |track: &&Arc<Track>| track.info().codec.kind() == Kind::Audio;
        let sound: Vec<_> = tracks.iter().filter(is_sound).cloned().collect();
        let Some(video) = video(tracks).cloned() else {
            units.read(None);
            return self.publish(None, &sound).map(drop);
        };
        let undecodable = |error| {
            let text =
                format!("the camera's pictures cannot be decoded, which working on them needs: {error}");
            SourceError::permanent(text).because(Reason::Codec)
        };
        let pictures = Pictures::of(&video).map_err(undecodable)?;
        if video.ring().newest_key().is_none() {
            video.request_key_frame();
        }
        units.read(Some(video.reader(Start::NewestKey).with_patience(PATIENCE)));
        let settings = &self.of.settings;
        let encoder = LiveEncoder::new(LiveSettings {
            track: video.info().id,
            fps: None,
            bitrate: settings.bitrate,
            key_frame_interval: settings.key_frame_interval,
            key_frame_gap: settings.key_frame_gap,
            preset: settings.preset,
        });
        let begun = Instant::now();
        self.tracks =
            Some(Tracks { video, sound, pictures, encoder, writer: None, begun, hopeless: Some(0) });
        Ok(())
    }

    fn take_measured(&mut self, read: &Read<AccessUnit>) -> Result<(), SourceError> {
        let begun = Instant::now();
        let taken = self.take(read);
        self.of.figures.add_busy(begun.elapsed());
        taken
    }

    fn take(&mut self, read: &Read<AccessUnit>) -> Result<(), SourceError> {
        let Some(mut tracks) = self.tracks.take() else { return Ok(()) };
        let unit = &read.entry.item;
        let figures = &self.of.figures;
        if read.skipped > 0 && tracks.writer.is_some() {
            figures.add_skipped(read.skipped);
        }
        if let Some(eye) = &mut self.eye {
            eye.pass(unit.pts);
        }
        let unix_ms = self.clock.at(unit.pts, (self.of.clock)());
        let decoded = tracks.pictures.decode(read, figures);
        if decoded.is_none() {
            self.publisher.health().discard();
        }
        tracks.judge(decoded.as_ref().is_some_and(|pictures| !pictures.is_empty()))?;
        let is_late = tracks.is_late(unit);
        for decoded in decoded.unwrap_or_default() {
            let before = u64::try_from(unit.pts.since(decoded.pts).as_millis()).unwrap_or(0);
            if is_late {
                figures.add_late();
                continue;
            }
            self.show(&mut tracks, &decoded, unix_ms.saturating_sub(before))?;
        }
        self.tracks = Some(tracks);
        Ok(())
    }

    /// Works on a picture and writes it. The masks come before anything else; where they fail, nothing is shown.
    fn show(&mut self, tracks: &mut Tracks, decoded: &Decoded, unix_ms: u64) -> Result<(), SourceError> {
        let masked = self.tools.mask(self.of, &decoded.picture)?;
        if let Some(eye) = &mut self.eye {
            eye.see(&masked, decoded.pts, unix_ms);
        }
        let finished = self.tools.finish(self.of, &masked, unix_ms)?;
        self.write(tracks, &finished, decoded.pts)
    }

    fn write(&mut self, tracks: &mut Tracks, picture: &Picture, at: MediaTime) -> Result<(), SourceError> {
        if tracks.writer.as_ref().is_some_and(|writer| writer.track().key_requests().take()) {
            tracks.encoder.ask_key_frame();
        }
        let Some(LiveEncoded { unit, anew }) = tracks.encoder.encode(picture, at)? else { return Ok(()) };
        if let Some(info) = anew {
            tracks.writer = self.publish(Some(info), &tracks.sound)?;
        }
        if let Some(writer) = &mut tracks.writer {
            writer.write(unit);
        }
        Ok(())
    }

    /// Publishes the pictures, if there are any, and the sound; gives the writer of the pictures.
    fn publish(
        &self,
        video: Option<TrackInfo>,
        sound: &[Arc<Track>],
    ) -> Result<Option<TrackWriter>, SourceError> {
        let has_video = video.is_some();
        let video = video.into_iter().map(|info| (info, KeyFrames::OnRequest));
        let all = video.chain(sound.iter().map(|track| (track.info().clone(), track.key_frames())));
        // Before anybody can see the tracks, so that nothing is missed.
        let readers: Vec<_> = sound.iter().map(|track| track.reader(Start::Next)).collect();
        let mut writers = self.publisher.publish(all.collect())?.into_iter();
        let first = if has_video { writers.next() } else { None };
        let lanes =
            readers.into_iter().zip(writers).map(|(reader, writer)| Lane { reader, writer }).collect();
        // Nobody carries any more: the run is over, and its thread is about to be told.
        drop(self.carrier.blocking_send(lanes));
        Ok(first)
    }

    /// Shows black where pictures come and none can be begun with for a while: some cameras make a key frame twice a minute.
    fn darken(&mut self) -> Result<(), SourceError> {
        let Some(mut tracks) = self.tracks.take() else { return Ok(()) };
        if tracks.writer.is_none() && tracks.begun.elapsed() >= DARK_AFTER {
            let info = tracks.video.info();
            let source = PictureSize::new(info.width.into(), info.height.into()).ok();
            let size = source.map(|source| self.of.settings.size_of(source)).or(self.of.settings.size);
            let newest = tracks.video.ring().newest();
            if let (Some(size), Some(newest)) = (size, newest) {
                let black = Picture::black(size)?;
                self.write(&mut tracks, &black, newest.item.dts)?;
            }
        }
        self.tracks = Some(tracks);
        Ok(())
    }
}

impl Tracks {
    /// Gives up where nothing was ever decoded of many units.
    fn judge(&mut self, has_decoded: bool) -> Result<(), SourceError> {
        let Some(units) = &mut self.hopeless else { return Ok(()) };
        if has_decoded {
            self.hopeless = None;
            return Ok(());
        }
        *units += 1;
        if *units < HOPELESS {
            return Ok(());
        }
        let text = "the camera's pictures cannot be decoded, which working on them needs";
        Err(SourceError::temporary(text).because(Reason::Codec))
    }

    /// Whether there are far newer units than this one already. The first picture is never late.
    fn is_late(&self, unit: &AccessUnit) -> bool {
        let newest = self.video.ring().newest();
        self.writer.is_some() && newest.is_some_and(|newest| newest.item.dts.since(unit.dts) > LATE)
    }
}

impl Tools {
    pub(super) fn new() -> Self {
        Self { masker: None, face: None, scaler: Scaler::new(), pools: [None, None] }
    }

    pub(super) fn mask(&mut self, of: &Processed, picture: &Picture) -> Result<Picture, VisionError> {
        let masks = &of.settings.masks;
        if masks.is_empty() {
            return Ok(picture.clone());
        }
        let size = picture.size();
        let masker = match self.masker.take().filter(|masker| masker.size() == size) {
            Some(masker) => masker,
            None => Masker::new(masks, size)?,
        };
        let [pool, _] = &mut self.pools;
        let mut canvas = of_size(pool, size).take()?;
        canvas.copy_from(picture)?;
        self.masker.insert(masker).apply(&mut canvas);
        Ok(canvas.finish())
    }

    /// The size, then the clock.
    pub(super) fn finish(
        &mut self,
        of: &Processed,
        picture: &Picture,
        unix_ms: u64,
    ) -> Result<Picture, VisionError> {
        let size = of.settings.size_of(picture.size());
        let scaled = self.scaler.scale(picture, size)?;
        let Some(overlay) = &of.settings.overlay else { return Ok(scaled) };
        let mut face = match self.face.take().filter(|face| face.size() == size) {
            Some(face) => face,
            None => Clock::new(overlay, size)?,
        };
        let [_, pool] = &mut self.pools;
        let mut canvas = of_size(pool, size).take()?;
        canvas.copy_from(&scaled)?;
        face.draw(&mut canvas, unix_ms)?;
        self.face = Some(face);
        Ok(canvas.finish())
    }
}

/// The pool for pictures of a size; that for another size is given up.
fn of_size(pool: &mut Option<(PictureSize, PicturePool)>, size: PictureSize) -> &PicturePool {
    let kept = pool.take().filter(|(of, _)| *of == size);
    let (_, pool) = pool.insert(kept.unwrap_or_else(|| (size, PicturePool::new(size))));
    pool
}
