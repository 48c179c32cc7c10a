//! What is done with the pictures of cameras that ask for it, and what was done in all.

use super::{
    Motions,
    settings::{motion_settings, processing_settings},
};
use crate::cameras::Camera;
use parking_lot::Mutex;
use patchbay_media::hub::{Source, SourceError};
use patchbay_vision::{Processed, VisionFigures, WallClock, Watching};
use std::{
    sync::{Arc, Weak},
    time::Duration,
};

/// What was done with pictures since the replica began.
#[expect(missing_docs, reason = "each is described where it is registered")]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct WorkFigures {
    pub looks: u64,
    pub looks_left_out: u64,
    pub pictures: u64,
    pub pictures_left_out: u64,
    pub busy: Duration,
}

/// Figures of all sources that work on pictures. Sources come and go with their cameras, and what they have done stays counted.
#[derive(Default)]
pub(super) struct Works(Mutex<Totals>);

#[derive(Default)]
struct Totals {
    counted: WorkFigures,
    /// Each with what is counted of it.
    sources: Vec<(Weak<VisionFigures>, WorkFigures)>,
}

impl Works {
    fn add(&self, figures: &Arc<VisionFigures>) {
        let mut totals = self.0.lock();
        totals.count();
        totals.sources.push((Arc::downgrade(figures), WorkFigures::default()));
    }

    fn total(&self) -> WorkFigures {
        let mut totals = self.0.lock();
        totals.count();
        totals.counted
    }
}

impl Totals {
    /// Counts what was done since the last time, and forgets the sources that are gone.
    fn count(&mut self) {
        let counted = &mut self.counted;
        self.sources.retain_mut(|(figures, before)| {
            let Some(figures) = figures.upgrade() else { return false };
            let now = WorkFigures {
                looks: figures.looks(),
                looks_left_out: figures.skipped(),
                pictures: figures.pictures(),
                pictures_left_out: figures.late(),
                busy: figures.busy(),
            };
            counted.looks += now.looks - before.looks;
            counted.looks_left_out += now.looks_left_out - before.looks_left_out;
            counted.pictures += now.pictures - before.pictures;
            counted.pictures_left_out += now.pictures_left_out - before.pictures_left_out;
            counted.busy += now.busy.saturating_sub(before.busy);
            *before = now;
            true
        });
    }
}

impl Motions {
    /// What was done with pictures here.
    pub fn work(&self) -> WorkFigures {
        self.shared.works.total()
    }

    /// The source of a camera with what its settings ask for: masks, a clock, another size, and the search for motion.
    pub(crate) fn work_on(
        &self,
        camera: &Camera,
        own: Arc<dyn Source>,
    ) -> Result<Arc<dyn Source>, SourceError> {
        let clock = self.shared.clock.clone();
        let clock: WallClock = Arc::new(move || clock.now_millis());
        let motion = camera.spec.motion.as_ref().map(|spec| {
            let settings = motion_settings(spec, &self.shared.section);
            (settings, self.sink(&camera.name))
        });
        match (&camera.spec.processing, motion) {
            (None, None) => Ok(own),
            (None, Some((settings, sink))) => {
                let watching = Watching::new(own, settings, sink, clock)?;
                self.shared.works.add(&watching.figures());
                Ok(Arc::new(watching))
            }
            (Some(processing), motion) => {
                let settings = processing_settings(processing, self.shared.key_frame_gap);
                let processed = Processed::new(own, settings, motion, clock)?;
                self.shared.works.add(&processed.figures());
                Ok(Arc::new(processed))
            }
        }
    }
}
