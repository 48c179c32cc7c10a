//! When a source that has failed is tried again. Only reckons; who waits is the stream's task.
//!
//! Failures in a row are answered with ever longer waits. While somebody watches no wait is longer than [`HubConfig::retry_watched`], and somebody who
//! comes does not wait for the rest of it. What only a change can mend is not tried by itself, and people who come again and again do not make it more
//! often: they are told what is wrong instead.

use super::{
    HubConfig, SourceError,
    source::{Again, Reason},
    stream::Control,
};
use std::time::Duration;
use tokio::time::Instant;

/// Time after a refused login in which nobody's coming makes the source ask again: many cameras lock out after five wrong ones in half an hour.
pub(super) const REFUSED_LOGIN: Duration = Duration::from_mins(10);

/// Time after which what only a change can mend is tried again by itself where it is wanted: a camera may have been changed where nobody tells. Three times the
/// other, for several replicas may do so, each for itself.
pub(super) const RARELY: Duration = Duration::from_mins(30);

/// The last attempt was a failure.
pub(super) struct Failed {
    /// When it is tried again while nobody watches; none where only a change can mend it.
    alone: Option<Instant>,
    /// The same while somebody watches.
    watched: Option<Instant>,
    /// The same in any case, where only a change can mend it.
    rarely: Option<Instant>,
    /// Not sooner, whatever happens.
    soonest: Instant,
    /// Until when somebody who comes is told of this failure and changes nothing; none where the source is tried for him.
    stands_until: Option<Instant>,
    in_a_row: usize,
    counts: Counts,
}

/// What was counted when an attempt had failed; whatever comes later is new.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Counts {
    /// The source that failed.
    revision: u64,
    joins: u64,
    hints: u64,
}

impl Counts {
    pub(super) const fn of(control: &Control) -> Self {
        Self { revision: control.revision, joins: control.joins, hints: control.hints }
    }

    /// As if it had been of that source.
    pub(super) const fn with_revision(self, revision: u64) -> Self {
        Self { revision, ..self }
    }
}

/// What happened, as far as waits go by it.
pub(super) struct Failure<'a> {
    pub(super) error: &'a SourceError,
    pub(super) counts: Counts,
    /// How many came one after the other, this one among them.
    pub(super) in_a_row: usize,
    /// By how much waits are longer or shorter this time, in percent.
    pub(super) percent: u32,
}

impl Failed {
    pub(super) fn new(now: Instant, failure: &Failure<'_>, config: &HubConfig) -> Self {
        let Failure { error, counts, in_a_row, percent } = *failure;
        let of = |wait: Duration| now + wait * percent / 100;
        let (step, again) = (step(config, in_a_row), error.again() == Again::Yes);
        let is_login = error.reason() == Reason::Unauthorized;
        let watched = if is_login { step } else { step.min(config.retry_watched.max(shortest(config))) };
        let stands_until = match (is_login, again) {
            (true, _) => Some(now + REFUSED_LOGIN),
            (false, false) => Some(now + longest(config)),
            (false, true) => None,
        };
        Self {
            alone: again.then(|| of(step)),
            watched: again.then(|| of(watched)),
            rarely: (!again).then(|| now + RARELY),
            soonest: now + shortest(config),
            stands_until,
            in_a_row,
            counts,
        }
    }

    pub(super) const fn in_a_row(&self) -> usize {
        self.in_a_row
    }

    /// Whether it was the source that is there now.
    pub(super) const fn is_of(&self, revision: u64) -> bool {
        self.counts.revision == revision
    }

    pub(super) const fn stands_until(&self) -> Option<Instant> {
        self.stands_until
    }

    /// Whether that is only in case that somebody has changed something: nobody is told to wait for it.
    pub(super) fn is_rare(&self, due: Instant) -> bool {
        self.rarely == Some(due)
    }

    /// When it is tried again.
    pub(super) fn due(&self, control: &Control) -> Option<Instant> {
        let now = Counts::of(control);
        let by_itself = if control.consumers > 0 { self.watched } else { self.alone };
        let hinted = (now.hints != self.counts.hints).then_some(self.soonest);
        let joined = (now.joins != self.counts.joins).then_some(self.stands_until.unwrap_or(self.soonest));
        [by_itself, self.rarely, hinted, joined].into_iter().flatten().min()
    }
}

/// Time to wait after so many failures in a row.
fn step(config: &HubConfig, in_a_row: usize) -> Duration {
    let step = config.retry.get(in_a_row.saturating_sub(1)).or(config.retry.last());
    step.copied().unwrap_or(LEAST)
}

fn shortest(config: &HubConfig) -> Duration {
    step(config, 1)
}

fn longest(config: &HubConfig) -> Duration {
    config.retry.iter().max().copied().unwrap_or(LEAST)
}

/// Where no waits are configured.
const LEAST: Duration = Duration::from_secs(1);

#[cfg(test)]
#[path = "retry_tests.rs"]
mod tests;
