//! What a page sees of a camera that has no picture yet: the slate, as fragments.

use super::playing::Step;
use crate::viewing::{SLATE_EVERY, Slate};
use patchbay_fmp4::{Description, MuxError, Muxer, Sample};
use patchbay_media::{AccessUnit, MediaTime};
use std::time::Duration;

/// What follows begins so long after the last picture at least.
const STEP: Duration = Duration::from_millis(1);

/// The slate for one page.
pub(super) struct Black {
    slate: Slate,
    muxer: Option<Muxer>,
    /// Where it begins on the page's line of time.
    begin: MediaTime,
}

impl Black {
    pub(super) const fn new(slate: Slate, begin: MediaTime) -> Self {
        Self { slate, muxer: None, begin }
    }

    /// Where on the page's line of time it is now. The last picture lasts for longer, and gives way to what follows.
    pub(super) fn end(&self) -> MediaTime {
        self.begin + self.slate.elapsed() + STEP
    }

    /// The next picture; none where it could not be written. Cancel-safe.
    pub(super) async fn next(&mut self) -> Vec<Step> {
        self.slate.due().await;
        let Some(unit) = self.slate.next() else { return Vec::new() };
        self.write(unit).unwrap_or_else(|error| {
            tracing::error!(%error, "the slate could not be written for a page");
            Vec::new()
        })
    }

    fn write(&mut self, unit: AccessUnit) -> Result<Vec<Step>, MuxError> {
        let mut steps = Vec::new();
        let muxer = match &mut self.muxer {
            Some(muxer) => muxer,
            none => {
                let muxer = Muxer::with(vec![Description::of(self.slate.info(), Some(&unit.data))?])?;
                steps.push(Step::Start { mime: muxer.mime().to_owned(), init: muxer.init() });
                none.insert(muxer)
            }
        };
        let time = self.begin + unit.pts.since(MediaTime::from_nanos(0));
        let unit = AccessUnit { dts: time, pts: time, ..unit };
        steps.push(Step::Fragment(muxer.fragment(&[Sample { unit, duration: SLATE_EVERY }])?));
        Ok(steps)
    }
}
