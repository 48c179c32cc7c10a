//! A source whose pictures are worked on before anybody sees them.

use super::{VisionFigures, processing::Processing, sound};
use crate::{
    ProcessingSettings, VisionError, WallClock,
    motion::{MotionSettings, MotionSink},
};
use futures_util::{FutureExt, future::BoxFuture};
use patchbay_av::worker;
use patchbay_media::hub::{Publisher, Source, SourceError};
use std::sync::Arc;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

/// Tracks of sound that wait to be carried: one set for each time that tracks are published, which waits while two are waiting.
const SETS: usize = 2;

/// Another source with its pictures decoded, worked on, and encoded once for all viewers (H.264, Constrained Baseline, key frames on request); its sound is passed
/// on as it is, on the same line of time. Only the first video track is shown. What the other source publishes is seen by nobody else: nothing leads past the masks.
pub struct Processed {
    pub(super) inner: Arc<dyn Source>,
    pub(super) settings: ProcessingSettings,
    pub(super) motion: Option<(MotionSettings, Arc<dyn MotionSink>)>,
    pub(super) clock: WallClock,
    pub(super) figures: Arc<VisionFigures>,
}

impl Processed {
    /// Checks the settings. `clock` tells the time of pictures.
    pub fn new(
        inner: Arc<dyn Source>,
        settings: ProcessingSettings,
        motion: Option<(MotionSettings, Arc<dyn MotionSink>)>,
        clock: WallClock,
    ) -> Result<Self, VisionError> {
        settings.check()?;
        if let Some((motion, _)) = &motion {
            motion.check()?;
        }
        Ok(Self { inner, settings, motion, clock, figures: Arc::default() })
    }

    /// What was done and what was left out.
    pub fn figures(&self) -> Arc<VisionFigures> {
        Arc::clone(&self.figures)
    }
}

impl Source for Processed {
    fn run(
        self: Arc<Self>,
        publisher: Publisher,
        stop: CancellationToken,
    ) -> BoxFuture<'static, Result<(), SourceError>> {
        async move {
            let (hidden, observer) = publisher.hidden();
            let ended = CancellationToken::new();
            let guard = ended.clone().drop_guard();
            let (carrier, lanes) = mpsc::channel(SETS);
            let runtime = tokio::runtime::Handle::current();
            let processed = Arc::clone(&self);
            let mut working = worker::run("vision-picture", CancellationToken::new(), move |_| {
                let _runtime = runtime.enter();
                Processing::new(&processed, publisher, carrier)?.run(observer, ended)
            });
            // Its own, because it must also stop when the work on its pictures fails.
            let stop_inner = stop.child_token();
            let mut inner = Arc::clone(&self.inner).run(hidden, stop_inner.clone());
            let result = tokio::select! {
                result = &mut inner => Ending::Inner(result),
                result = &mut working => Ending::Work(result),
                never = sound::carry(lanes) => match never {},
            };
            drop(guard);
            match result {
                Ending::Inner(result) => {
                    // What goes wrong at the very end says less than why the source has ended.
                    if let Err(error) = working.await {
                        tracing::debug!(%error, "the work on pictures ended with a failure");
                    }
                    result
                }
                Ending::Work(result) => {
                    stop_inner.cancel();
                    let ended = inner.await;
                    // Without a failure of its own the work ends because the source inside has.
                    result.and(ended)
                }
            }
        }
        .boxed()
    }
}

/// What ended first.
enum Ending {
    Inner(Result<(), SourceError>),
    Work(Result<(), SourceError>),
}
