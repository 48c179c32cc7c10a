//! What a probe has found.

use super::advice::Advice;
use bytes::Bytes;
use patchbay_media::{
    hub::{Figures, Reason, SourceError},
    track::TrackInfo,
};
use std::time::Duration;
use tokio::time::Instant;

/// Everything that was found.
#[derive(Debug, Default)]
pub(crate) struct Findings {
    /// What was done, up to what failed.
    pub(crate) steps: Vec<Step>,
    /// What is wrong; none when pictures came.
    pub(crate) problem: Option<Problem>,
    /// What it carries.
    pub(crate) tracks: Vec<Found>,
    /// What works and could be better, or what to try.
    pub(crate) advice: Vec<Advice>,
    /// A first picture as JPEG; empty where none could be made.
    pub(crate) picture: Bytes,
}

/// A track of it.
#[derive(Debug)]
pub(crate) struct Found {
    /// What the source says of it.
    pub(crate) info: TrackInfo,
    /// What was measured.
    pub(crate) figures: Figures,
    /// `H.264 High@4.0`; empty where the codec has no profiles.
    pub(crate) profile: String,
    /// How browsers get it.
    pub(crate) delivery: super::delivery::Delivery,
}

/// The things that a probe does, in their order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum StepName {
    Resolve,
    Connect,
    Tls,
    Open,
    Tracks,
    KeyFrame,
    Pictures,
}

impl StepName {
    /// Its word in the interface.
    pub(crate) const fn word(self) -> &'static str {
        match self {
            Self::Resolve => "resolve",
            Self::Connect => "connect",
            Self::Tls => "tls",
            Self::Open => "open",
            Self::Tracks => "tracks",
            Self::KeyFrame => "key_frame",
            Self::Pictures => "pictures",
        }
    }
}

/// One thing that was done.
#[derive(Debug)]
pub(crate) struct Step {
    pub(crate) name: StepName,
    pub(crate) ok: bool,
    pub(crate) took: Duration,
    /// What was found, or what is wrong.
    pub(crate) detail: String,
}

/// What is wrong.
#[derive(Debug)]
pub(crate) struct Problem {
    /// The step that failed.
    pub(crate) step: StepName,
    pub(crate) reason: Reason,
    /// In words, with what to do.
    pub(crate) detail: String,
}

impl Problem {
    pub(super) fn new(step: StepName, reason: Reason, detail: impl Into<String>) -> Self {
        Self { step, reason, detail: detail.into() }
    }

    /// What a source has said. The reason tells how far it came; one that says nothing of that failed at `step`, where the probe is.
    pub(super) fn of_source(error: &SourceError, step: StepName) -> Self {
        let known = match error.reason() {
            Reason::NameNotFound => StepName::Resolve,
            Reason::Refused | Reason::Unreachable => StepName::Connect,
            Reason::Tls => StepName::Tls,
            Reason::NoTracks | Reason::Codec => StepName::Tracks,
            Reason::NoKeyFrame => StepName::KeyFrame,
            Reason::Forbidden
            | Reason::TimedOut
            | Reason::Unauthorized
            | Reason::NotFound
            | Reason::Protocol
            | Reason::Device
            | Reason::Ended
            | Reason::Other => step,
        };
        Self::new(known, error.reason(), error.to_string())
    }
}

/// The steps as they are done, each timed from the end of the one before.
#[derive(Debug)]
pub(super) struct Steps {
    done: Vec<Step>,
    last: Instant,
}

impl Steps {
    pub(super) fn begin() -> Self {
        Self { done: Vec::new(), last: Instant::now() }
    }

    /// One went well.
    pub(super) fn pass(&mut self, name: StepName, detail: impl Into<String>) {
        self.push(name, true, detail.into());
    }

    /// One did not, and there are no more. What a source must have done to come so far counts as done, though it did not say so.
    pub(super) fn fail(&mut self, problem: &Problem) {
        self.done.retain(|step| step.name < problem.step);
        for (name, detail) in [(StepName::Open, "it answers"), (StepName::Tracks, "it says what it has")] {
            if name < problem.step && self.done.iter().all(|step| step.name != name) {
                self.done.push(Step { name, ok: true, took: Duration::ZERO, detail: detail.to_owned() });
            }
        }
        self.push(problem.step, false, problem.detail.clone());
    }

    pub(super) fn done(self) -> Vec<Step> {
        self.done
    }

    fn push(&mut self, name: StepName, ok: bool, detail: String) {
        let took = self.last.elapsed();
        self.last = Instant::now();
        self.done.push(Step { name, ok, took, detail });
    }
}
