//! What one page gets, over restarts and changes of its camera.

use super::{black::Black, counters::Counters, lane::Opening, live::Live};
use crate::{
    caller::Caller,
    cameras::{CameraName, stream_of},
    error::Error,
    viewing::{ViewError, Viewings, not_subscribed},
};
use bytes::Bytes;
use patchbay_fmp4::Fragment;
use patchbay_media::{
    MediaTime,
    hub::{Again, Ended, NotStarted, Selected, SourceError, Subscription, Wanted},
};
use std::{collections::VecDeque, future::pending, sync::Arc};
use tokio::time::{Instant, sleep_until};

/// Where the page's line of time begins: what is decoded ahead of its time must not be before zero.
const BEGIN: MediaTime = MediaTime::from_nanos(1_000_000_000);

/// What a page is sent.
pub(super) enum Step {
    /// Tracks, and what says how to decode them.
    Start { mime: String, init: Bytes },
    /// Pictures and sound.
    Fragment(Fragment),
    /// Nothing for now, and why.
    Waiting(String),
    /// Nothing any more, and why.
    Over(ViewError),
}

/// What the page sees.
enum Shown {
    /// Nothing; black from that moment on, if ever.
    Nothing { black_from: Option<Instant> },
    /// That the camera has brought no picture yet.
    Black(Black),
    /// The camera, or what it has shown last.
    Live(Box<Live>),
}

/// A page's hold on its camera.
pub(super) struct Playing {
    viewings: Arc<Viewings>,
    caller: Caller,
    camera: CameraName,
    wanted: Wanted,
    subscription: Subscription,
    shown: Shown,
    /// Where what was written before that ends.
    end: MediaTime,
    /// The camera had brought something before that.
    has_seen: bool,
    counters: Arc<Counters>,
    /// A fragment, and what stands before it; nothing is read before they were taken.
    steps: VecDeque<Step>,
}

impl Playing {
    /// Begins with what a page wants; its line of time goes on where it was with what it wanted before.
    pub(super) fn begin(
        viewings: &Arc<Viewings>,
        (caller, camera): (&Caller, &CameraName),
        wanted: Wanted,
        counters: &Arc<Counters>,
        before: Option<&Self>,
    ) -> Result<Self, ViewError> {
        let black_from = Instant::now() + viewings.core.config.cameras.slate_after.duration();
        let subscribed = viewings.core.hub.subscribe(&stream_of(camera), wanted.clone());
        Ok(Self {
            viewings: Arc::clone(viewings),
            caller: caller.clone(),
            camera: camera.clone(),
            wanted,
            subscription: subscribed.map_err(|error| not_subscribed(&error, camera))?,
            shown: Shown::Nothing { black_from: Some(black_from) },
            end: before.map_or(BEGIN, Self::end),
            has_seen: before.is_some_and(Self::has_seen),
            counters: Arc::clone(counters),
            steps: VecDeque::new(),
        })
    }

    fn end(&self) -> MediaTime {
        match &self.shown {
            Shown::Nothing { .. } => self.end,
            Shown::Black(black) => black.end(),
            Shown::Live(live) => live.end(),
        }
    }

    /// Whether the camera has ever brought something.
    fn has_seen(&self) -> bool {
        self.has_seen || matches!(&self.shown, Shown::Live(live) if live.end() > self.end)
    }

    /// What comes next. Cancel-safe: what was made and not given is kept, and black that is not there yet is made again.
    pub(super) async fn next(&mut self) -> Step {
        loop {
            if let Some(step) = self.steps.pop_front() {
                return step;
            }
            let Self { subscription, shown, counters, .. } = self;
            let steps = tokio::select! {
                biased;
                told = subscription.tracks_or_failure() => {
                    self.follow(told);
                    continue;
                }
                steps = shown.next(counters) => steps,
            };
            match steps {
                Some(steps) => self.steps.extend(steps),
                None => self.darken().await,
            }
        }
    }

    /// Shows black, if the page can.
    async fn darken(&mut self) {
        self.shown = match self.viewings.slate(&self.wanted).await {
            Some(slate) => Shown::Black(Black::new(slate, self.end)),
            None => Shown::Nothing { black_from: None },
        };
    }

    fn follow(&mut self, told: Result<Selected, NotStarted>) {
        match told {
            Ok(selected) => self.switch(&selected),
            Err(NotStarted::Failed(error)) => self.fail(&error),
            Err(NotStarted::Ended(Ended::Closed)) => self.steps.push_back(Step::Over(ViewError::Stopping)),
            Err(NotStarted::Ended(Ended::Removed)) => {
                let gone = Error::NoCamera(self.camera.clone());
                self.steps.push_back(Step::Over(gone.into()));
            }
        }
    }

    /// What came before the failure can still be played. Where nothing has, the page sees black as long as the camera may come by itself, and is told why.
    fn fail(&mut self, error: &SourceError) {
        if !self.has_seen() {
            self.forget_tracks();
        }
        if let Shown::Nothing { black_from } = &mut self.shown {
            *black_from = (error.again() == Again::Yes).then(Instant::now);
        }
        self.steps.push_back(Step::Waiting(self.caller.told(&self.camera, error)));
    }

    /// The camera had tracks and nothing in them.
    fn forget_tracks(&mut self) {
        if matches!(self.shown, Shown::Live(_)) {
            self.shown = Shown::Nothing { black_from: None };
        }
    }

    fn switch(&mut self, selected: &Selected) {
        self.has_seen = self.has_seen();
        self.end = self.end();
        if let Err(error) = self.viewings.check(&self.wanted, selected, &self.camera) {
            self.shown = Shown::Nothing { black_from: None };
            self.steps.push_back(Step::Over(error));
            return;
        }
        let config = &self.viewings.core.config;
        let opening = Opening {
            frames: config.instant_start.max_frames,
            bytes: config.instant_start.max_bytes.as_usize(),
            patience: config.mse.patience.duration(),
        };
        let live = Live::of(selected, self.end, opening);
        self.shown = live.map_or(Shown::Nothing { black_from: None }, |live| Shown::Live(Box::new(live)));
    }
}

impl Shown {
    /// What the page gets next; none when it is time for black. Cancel-safe.
    async fn next(&mut self, counters: &Counters) -> Option<Vec<Step>> {
        match self {
            Self::Nothing { black_from: None } => pending().await,
            Self::Nothing { black_from: Some(moment) } => {
                sleep_until(*moment).await;
                None
            }
            Self::Black(black) => Some(black.next().await),
            Self::Live(live) => Some(live.next(counters).await),
        }
    }
}
