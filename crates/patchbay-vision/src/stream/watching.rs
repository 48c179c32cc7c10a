//! A source passed on untouched, in which motion is looked for.

use super::{
    VisionFigures,
    decode::Pictures,
    eye::Eye,
    strain::Strain,
    units::{Next, Units},
    video,
};
use crate::{
    VisionError, WallClock,
    motion::{MotionSettings, MotionSink},
    time::PictureClock,
};
use futures_util::{FutureExt, future::BoxFuture};
use patchbay_av::worker;
use patchbay_media::{
    AccessUnit,
    hub::{Observer, Publisher, Source, SourceError},
    ring::{Read, Start},
    track::Track,
};
use std::{
    sync::Arc,
    time::{Duration, Instant},
};
use tokio_util::sync::CancellationToken;

/// Further behind than this, looking goes on at the newest key frame.
const PATIENCE: Duration = Duration::from_secs(2);

/// Another source, whose tracks everybody gets as they are; a decoder of its own looks at the pictures. Never more work than decoding all of them, and less where
/// the machine cannot keep up. That motion cannot be looked for harms no viewer: it is told to the sink.
pub struct Watching {
    inner: Arc<dyn Source>,
    motion: MotionSettings,
    sink: Arc<dyn MotionSink>,
    clock: WallClock,
    figures: Arc<VisionFigures>,
}

impl Watching {
    /// Checks the settings. `clock` tells the time of events.
    pub fn new(
        inner: Arc<dyn Source>,
        motion: MotionSettings,
        sink: Arc<dyn MotionSink>,
        clock: WallClock,
    ) -> Result<Self, VisionError> {
        motion.check()?;
        Ok(Self { inner, motion, sink, clock, figures: Arc::default() })
    }

    /// What was done and what was left out.
    pub fn figures(&self) -> Arc<VisionFigures> {
        Arc::clone(&self.figures)
    }

    fn look(&self, observer: Observer, ended: CancellationToken) -> Result<(), SourceError> {
        let eye = Eye::new(&self.motion, Arc::clone(&self.sink), Arc::clone(&self.figures))?;
        let units = Units::new(observer, ended);
        Looking {
            of: self,
            units,
            eye,
            clock: PictureClock::default(),
            strain: Strain::default(),
            pictures: None,
        }
        .run();
        Ok(())
    }

    fn blind(&self, why: &str) {
        self.figures.add_blind();
        self.sink.blind(why);
    }
}

impl Source for Watching {
    fn run(
        self: Arc<Self>,
        publisher: Publisher,
        stop: CancellationToken,
    ) -> BoxFuture<'static, Result<(), SourceError>> {
        async move {
            let (publisher, observer) = publisher.observed();
            let ended = CancellationToken::new();
            let guard = ended.clone().drop_guard();
            let runtime = tokio::runtime::Handle::current();
            let watching = Arc::clone(&self);
            let mut looking = worker::run("vision-motion", CancellationToken::new(), move |_| {
                let _runtime = runtime.enter();
                watching.look(observer, ended)
            });
            let mut inner = Arc::clone(&self.inner).run(publisher, stop);
            tokio::select! {
                result = &mut inner => {
                    drop(guard);
                    if let Err(error) = looking.await {
                        tracing::warn!(%error, "the search for motion failed");
                    }
                    result
                }
                looked = &mut looking => {
                    if let Err(error) = looked {
                        tracing::warn!(%error, "the search for motion failed");
                        self.blind(&error.to_string());
                    }
                    inner.await
                }
            }
        }
        .boxed()
    }
}

/// The search while it runs, on its thread.
struct Looking<'a> {
    of: &'a Watching,
    units: Units,
    eye: Eye,
    clock: PictureClock,
    strain: Strain,
    pictures: Option<Pictures>,
}

impl Looking<'_> {
    fn run(mut self) {
        loop {
            match self.units.next() {
                Next::Tracks(tracks) => self.begin(&tracks),
                Next::Unit(read) => {
                    let begun = Instant::now();
                    self.take(&read);
                    self.of.figures.add_busy(begun.elapsed());
                }
                Next::Nothing => {}
                Next::Over => return,
            }
        }
    }

    /// Other tracks: the pictures may be others altogether.
    fn begin(&mut self, tracks: &[Arc<Track>]) {
        self.eye.close();
        self.clock = PictureClock::default();
        self.pictures = None;
        let Some(track) = video(tracks) else {
            self.units.read(None);
            self.of.blind("the camera has no pictures");
            return;
        };
        match Pictures::of(track) {
            Ok(pictures) => self.pictures = Some(pictures),
            Err(error) => {
                self.units.read(None);
                self.of.blind(&format!("the pictures cannot be decoded: {error}"));
                return;
            }
        }
        if track.ring().newest_key().is_none() {
            track.request_key_frame();
        }
        self.units.read(Some(track.reader(Start::NewestKey).with_patience(PATIENCE)));
    }

    fn take(&mut self, read: &Read<AccessUnit>) {
        let unit = &read.entry.item;
        let Some(pictures) = &mut self.pictures else { return };
        self.eye.pass(unit.pts);
        if read.skipped > 0 {
            self.of.figures.add_skipped(read.skipped);
            if self.strain.left_behind(unit.dts) {
                self.of.figures.add_keys_only();
                tracing::info!(
                    "cannot keep up with looking for motion: looks at key frames alone for a minute"
                );
            }
        }
        let unix_ms = self.clock.at(unit.pts, (self.of.clock)());
        if self.strain.leaves_out(unit.dts, unit.key) {
            return;
        }
        if self.strain.is_relieved() {
            pictures.begin_anew();
        }
        if !self.eye.is_due(unit.pts) && pictures.can_do_without(unit) {
            return;
        }
        for decoded in pictures.decode(read, &self.of.figures).unwrap_or_default() {
            let before = u64::try_from(unit.pts.since(decoded.pts).as_millis()).unwrap_or(0);
            self.eye.see(&decoded.picture, decoded.pts, unix_ms.saturating_sub(before));
        }
    }
}
