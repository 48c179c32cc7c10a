//! What is done with the pictures of cameras that ask for it, and what was done in all.

use super::{
    Motions,
    settings::{motion_settings, processing_settings},
};
use crate::cameras::Camera;
use parking_lot::Mutex;
use patchbay_media::hub::{Source, SourceError};
use patchbay_vision::{Processed, VisionFigures, WallClock, Watching};
use std::{sync::Arc, time::Duration};

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
    /// Each with what is counted of it. Kept until they were counted after their source was gone.
    sources: Vec<(Arc<VisionFigures>, WorkFigures)>,
}

impl Works {
    fn add(&self, figures: Arc<VisionFigures>) {
        let mut totals = self.0.lock();
        totals.count();
        totals.sources.push((figures, WorkFigures::default()));
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
            // Asked first: what is still used may be added to after it was read.
            let is_used = Arc::strong_count(figures) > 1;
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
            is_used
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
                self.shared.works.add(watching.figures());
                Ok(Arc::new(watching))
            }
            (Some(processing), motion) => {
                let settings = processing_settings(processing, self.shared.key_frame_gap);
                let processed = Processed::new(own, settings, motion, clock)?;
                self.shared.works.add(processed.figures());
                Ok(Arc::new(processed))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use patchbay_av::{PictureSize, TestSettings, TestSource};
    use patchbay_media::{
        Spawn, Task,
        hub::{Hub, HubConfig, Mode, StreamName},
    };
    use patchbay_testkit::wait::wait_until;
    use patchbay_vision::ProcessingSettings;

    struct OnRuntime;

    impl Spawn for OnRuntime {
        fn spawn(&self, _: &'static str, task: Task) {
            drop(tokio::runtime::Handle::current().spawn(task));
        }
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn what_was_done_since_the_last_look_is_counted_when_a_source_is_gone() -> anyhow::Result<()> {
        let works = Works::default();
        let clock: WallClock = Arc::new(|| 1_800_000_000_000);
        let settings = TestSettings::new("door", PictureSize::new(160, 120)?);
        let own = Arc::new(TestSource::new(settings, Arc::clone(&clock))?);
        let processed = Processed::new(own, ProcessingSettings::default(), None, clock)?;
        let figures = processed.figures();
        works.add(processed.figures());
        let hub = Hub::new(HubConfig::default(), Arc::new(OnRuntime));
        let name = StreamName::parse("camera/door")?;
        hub.add(name.clone(), Arc::new(processed), Mode::AlwaysOn)?;
        let soon = Duration::from_secs(10);
        wait_until("pictures are worked on", soon, async || figures.pictures() > 2).await?;
        hub.remove(&name);
        // Nobody has looked yet at what was done; the source is gone with its figures but for those held here.
        wait_until("the source is gone", soon, async || Arc::strong_count(&figures) == 2).await?;
        let done = figures.pictures();
        drop(figures);
        assert_eq!(works.total().pictures, done);
        assert!(works.0.lock().sources.is_empty());
        Ok(())
    }
}
