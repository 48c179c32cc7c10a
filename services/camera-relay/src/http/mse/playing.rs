//! What one page gets, over restarts and changes of its camera.

use super::{counters::Counters, lane::Opening, live::Live};
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
    hub::{Ended, NotStarted, Selected, Subscription, Wanted},
};
use std::{collections::VecDeque, future::pending, sync::Arc};

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

/// A page's hold on its camera.
pub(super) struct Playing {
    viewings: Arc<Viewings>,
    caller: Caller,
    camera: CameraName,
    wanted: Wanted,
    subscription: Subscription,
    live: Option<Live>,
    /// Where what was written ends.
    end: MediaTime,
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
        let subscribed = viewings.core.hub.subscribe(&stream_of(camera), wanted.clone());
        Ok(Self {
            viewings: Arc::clone(viewings),
            caller: caller.clone(),
            camera: camera.clone(),
            wanted,
            subscription: subscribed.map_err(|error| not_subscribed(&error, camera))?,
            live: None,
            end: before.map_or(BEGIN, Self::end),
            counters: Arc::clone(counters),
            steps: VecDeque::new(),
        })
    }

    fn end(&self) -> MediaTime {
        self.live.as_ref().map_or(self.end, Live::end)
    }

    /// What comes next. Cancel-safe: what was made and not given is kept.
    pub(super) async fn next(&mut self) -> Step {
        loop {
            if let Some(step) = self.steps.pop_front() {
                return step;
            }
            let Self { subscription, live, counters, .. } = self;
            tokio::select! {
                biased;
                told = subscription.tracks_or_failure() => self.follow(told),
                steps = next_of(live, counters) => self.steps.extend(steps),
            }
        }
    }

    fn follow(&mut self, told: Result<Selected, NotStarted>) {
        match told {
            Ok(selected) => self.switch(&selected),
            // What came before the failure can still be played.
            Err(NotStarted::Failed(error)) => {
                let why = self.caller.told(&self.camera, &error);
                self.steps.push_back(Step::Waiting(why));
            }
            Err(NotStarted::Ended(Ended::Closed)) => self.steps.push_back(Step::Over(ViewError::Stopping)),
            Err(NotStarted::Ended(Ended::Removed)) => {
                let gone = Error::NoCamera(self.camera.clone());
                self.steps.push_back(Step::Over(gone.into()));
            }
        }
    }

    fn switch(&mut self, selected: &Selected) {
        self.end = self.end();
        if let Err(error) = self.viewings.check(&self.wanted, selected, &self.camera) {
            self.live = None;
            self.steps.push_back(Step::Over(error));
            return;
        }
        let config = &self.viewings.core.config;
        let opening = Opening {
            frames: config.instant_start.max_frames,
            bytes: config.instant_start.max_bytes.as_usize(),
            patience: config.mse.patience.duration(),
        };
        self.live = Live::of(selected, self.end, opening);
    }
}

async fn next_of(live: &mut Option<Live>, counters: &Counters) -> Vec<Step> {
    match live {
        Some(live) => live.next(counters).await,
        None => pending().await,
    }
}
