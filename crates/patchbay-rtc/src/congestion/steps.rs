//! What a viewer is sent, as the way to it allows: everything, a smaller picture, or key frames alone.
//!
//! Down at once, when packets queue or are lost; up one step at a time, after a pause that doubles with each attempt that fails, and only once a burst of
//! packets sent again has shown that there is room, where that can be tried. A step up is on trial for a while, in which much less is needed to go back.

use super::estimate::Signals;
use std::time::{Duration, Instant};

/// What of a track a viewer is sent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Quality {
    /// Key frames alone, of the smaller picture where there is one.
    KeyFrames,
    /// The smaller picture.
    Low,
    /// Everything.
    #[default]
    Full,
}

impl Quality {
    /// A word for logs, metrics and tables.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Full => "full",
            Self::Low => "low",
            Self::KeyFrames => "keyframes",
        }
    }
}

/// What is to be done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Order {
    /// Another quality.
    Step(Quality),
    /// So many bits a second for a while, whatever they carry.
    Probe(u64),
}

/// Bounds beyond which a way is too narrow for what is sent.
struct Bounds {
    standing: Duration,
    queue: Duration,
    growth: f64,
    loss: f64,
}

/// While all goes well: some queue is no harm.
const STEADY: Bounds =
    Bounds { standing: Duration::from_millis(200), queue: Duration::from_secs(1), growth: 0.15, loss: 0.1 };
/// After a step up.
const TRIAL: Bounds = Bounds {
    standing: Duration::from_millis(100),
    queue: Duration::from_millis(400),
    growth: 0.15,
    loss: 0.05,
};
/// While more than usual is sent, only to see whether it gets through.
const PROBE: Bounds = Bounds {
    standing: Duration::from_millis(80),
    queue: Duration::from_millis(120),
    growth: 0.3,
    loss: 0.05,
};
/// Less than these are a quiet way.
const QUIET: Bounds = Bounds {
    standing: Duration::from_millis(60),
    queue: Duration::from_millis(150),
    growth: 0.1,
    loss: 0.02,
};

/// With pictures that are already small, losses that stay may be the way's own: only many of them are worth the loss of all movement.
const MUCH_LOSS: f64 = 0.25;

/// Nothing heard of packets on their way.
const SILENCE: Duration = Duration::from_secs(2);

/// After the start, and after a step, what was sent before it is still on its way.
const START: Duration = Duration::from_secs(1);
const SETTLE: Duration = Duration::from_millis(1_200);
const LONGEST_SETTLE: Duration = Duration::from_secs(4);
/// How often a queue is looked at that should get shorter, and by how much it has to.
const DRAIN: Duration = Duration::from_millis(500);
const DRAINED: Duration = Duration::from_millis(20);
/// After a step up, what was sent before it was little.
const TRIAL_HOLD: Duration = Duration::from_millis(300);
/// Within this a step is made by whoever has the pictures, or never.
const APPLY: Duration = Duration::from_secs(6);

/// Pause before a step up: at first, also where nothing can be tried before with packets that do no harm, and at most.
const FIRST_RETRY: Duration = Duration::from_secs(5);
const BLIND_RETRY: Duration = Duration::from_secs(15);
const LAST_RETRY: Duration = Duration::from_mins(1);
/// A way that was good for so long after a step up is another one than that which was too narrow.
const LASTING: Duration = Duration::from_secs(30);
const TRIAL_TIME: Duration = Duration::from_secs(6);
/// How long the way must have been quiet.
const QUIET_TIME: Duration = Duration::from_secs(2);
/// A probe begins with little, and has its full rate after a part of its time, so that a way with a queue tells early.
pub(crate) const PROBE_TIME: Duration = Duration::from_millis(1_300);
pub(crate) const PROBE_RAMP: Duration = Duration::from_millis(800);
/// Until the last feedback on a probe is there.
const PROBE_ANSWER: Duration = Duration::from_millis(400);
/// Probes are no faster than this.
const MOST_PROBED: u64 = 20_000_000;

/// A smaller picture has this part of the bits, until that is known.
const LOW_PART: u64 = 4;
/// Part of what gets through that a picture may fill, in percent.
const FILL: u64 = 90;

#[derive(Clone, Copy, Debug, PartialEq)]
enum State {
    /// The way is judged.
    Steady,
    /// A step was ordered, and is not made yet.
    Ordered { since: Instant },
    /// More than usual is sent, to see whether it gets through.
    Probing { until: Instant, rate: u64, best: u64 },
}

/// Whether there is a smaller picture.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum LowPicture {
    There,
    /// It could not be had; so long it is not ordered again.
    Missing {
        until: Instant,
    },
}

/// What could not be made may be made later: whoever makes it was busy, or has failed once.
const LOW_AGAIN: Duration = Duration::from_mins(1);

/// The steps of one viewer.
#[derive(Debug)]
pub(crate) struct Steps {
    quality: Quality,
    state: State,
    /// Nothing is judged until then.
    hold: Instant,
    trial_until: Option<Instant>,
    last_up: Option<Instant>,
    probes: Probes,
    first_retry: Duration,
    retry: Duration,
    retry_at: Instant,
    quiet_since: Option<Instant>,
    /// The queue that was there at the last step, or when it was last looked at: while it gets shorter, the step was enough.
    draining: Option<(Instant, Duration)>,
    available: Option<u64>,
    grown_at: Instant,
    full_rate: Option<u64>,
    low_rate: Option<u64>,
    low: LowPicture,
    pub(crate) count: u64,
}

/// Whether packets can be sent again without harm, to see what the way carries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Probes {
    Possible,
    Impossible,
}

impl Bounds {
    fn are_broken(&self, signals: &Signals) -> bool {
        let standing = signals.standing.unwrap_or_default();
        standing > self.standing
            || signals.queue > self.queue
            || signals.growth > self.growth && standing > self.standing / 2
            || signals.loss.is_some_and(|loss| loss > self.loss)
            || signals.silence > SILENCE
    }
}

impl Steps {
    pub(crate) fn new(probes: Probes, now: Instant) -> Self {
        let first_retry = if probes == Probes::Possible { FIRST_RETRY } else { BLIND_RETRY };
        Self {
            probes,
            first_retry,
            quality: Quality::Full,
            state: State::Steady,
            hold: now + START,
            trial_until: None,
            last_up: None,
            retry: first_retry,
            retry_at: now,
            quiet_since: None,
            draining: None,
            available: None,
            grown_at: now,
            full_rate: None,
            low_rate: None,
            low: LowPicture::There,
            count: 0,
        }
    }

    pub(crate) fn quality(&self) -> Quality {
        self.quality
    }

    /// Bits a second that the way carries; nothing while it carries everything.
    pub(crate) fn available(&self) -> Option<u64> {
        self.available
    }

    /// Packets are sent to see whether they get through.
    pub(crate) fn is_probing(&self) -> bool {
        matches!(self.state, State::Probing { .. })
    }

    /// Nothing is judged before what is sent at the start has gone through.
    pub(crate) fn is_held(&self, now: Instant) -> bool {
        now < self.hold
    }

    /// What the whole track has in bits a second, also while a smaller one is sent.
    pub(crate) fn note_full(&mut self, rate: Option<u64>) {
        self.full_rate = rate.or(self.full_rate);
    }

    /// Looks at how the way does. `track` is the mean of the track that is sent, all of it, in bits a second.
    pub(crate) fn decide(&mut self, signals: &Signals, track: Option<u64>, now: Instant) -> Option<Order> {
        if matches!(self.low, LowPicture::Missing { until } if now >= until) {
            // Its rate is not known: what was measured since is that of the whole track.
            self.low = LowPicture::There;
        }
        self.note_rate(track);
        if let State::Ordered { since } = self.state {
            if now.saturating_duration_since(since) < APPLY {
                return None;
            }
            self.applied(signals.queue, now);
        }
        if self.is_held(now) {
            return None;
        }
        if let State::Probing { until, rate, best } = self.state {
            return self.judge_probe(signals, (until, rate, best), now);
        }
        if self.is_too_much(signals) {
            return if self.is_draining(signals, now) { None } else { self.down(signals, now) };
        }
        self.draining = None;
        if self.trial_until.take_if(|until| now >= *until).is_some() {
            self.retry = self.first_retry;
            self.retry_at = now + self.retry;
        }
        self.grow(signals, now);
        self.up(signals, now)
    }

    /// A step was made; what was sent before it is still on its way.
    pub(crate) fn applied(&mut self, queue: Duration, now: Instant) {
        self.state = State::Steady;
        self.quiet_since = None;
        self.draining = Some((now, queue));
        self.hold = now + (SETTLE + 2 * queue).min(LONGEST_SETTLE);
        if self.trial_until.is_some() {
            self.hold = now + TRIAL_HOLD;
            self.trial_until = Some(now + TRIAL_TIME);
        }
    }

    /// The quality that is really given: where there is no smaller picture, it is another than what was ordered, and that is not ordered again.
    pub(crate) fn given(&mut self, quality: Quality, now: Instant) {
        if self.quality == Quality::Low && quality == Quality::KeyFrames {
            self.low = LowPicture::Missing { until: now + LOW_AGAIN };
        }
        self.quality = quality;
    }

    /// What was sent before is not judged any more.
    pub(crate) fn settle(&mut self, now: Instant) {
        self.hold = self.hold.max(now + SETTLE);
        self.draining = None;
        self.quiet_since = None;
    }

    fn note_rate(&mut self, track: Option<u64>) {
        if self.state != State::Steady {
            return;
        }
        match self.quality {
            Quality::Full => self.full_rate = track.or(self.full_rate),
            // They are those of the whole track.
            _ if self.low != LowPicture::There => {}
            Quality::Low | Quality::KeyFrames => self.low_rate = track.or(self.low_rate),
        }
    }

    fn is_too_much(&self, signals: &Signals) -> bool {
        let bounds = if self.trial_until.is_some() { &TRIAL } else { &STEADY };
        if self.trial_until.is_some() {
            return bounds.are_broken(signals);
        }
        if self.quality == Quality::Full {
            // Where nothing gets through less helps nobody, and for one who went without a word a smaller picture would be made for nobody.
            return bounds.are_broken(&Signals { silence: Duration::ZERO, ..*signals });
        }
        let few = signals.loss.filter(|loss| *loss > MUCH_LOSS);
        bounds.are_broken(&Signals { loss: few, silence: Duration::ZERO, ..*signals })
    }

    /// The queue from before the last step gets shorter, and nothing else is wrong.
    fn is_draining(&mut self, signals: &Signals, now: Instant) -> bool {
        let Some((at, before)) = self.draining else { return false };
        let loses = signals.loss.is_some_and(|loss| loss > MUCH_LOSS);
        if loses || signals.silence > SILENCE {
            return false;
        }
        if now.saturating_duration_since(at) < DRAIN {
            return true;
        }
        let is_shorter = signals.queue + DRAINED <= before;
        self.draining = is_shorter.then_some((now, signals.queue));
        is_shorter
    }

    fn down(&mut self, signals: &Signals, now: Instant) -> Option<Order> {
        let carries = signals.arriving.map(|rate| rate * FILL / 100);
        self.grown_at = now;
        self.quiet_since = None;
        let low = self.low_rate.or(self.full_rate.map(|rate| rate / LOW_PART));
        self.available = carries.or(self.available).or(low);
        let low_fits = self.low == LowPicture::There
            && carries.zip(low).is_none_or(|(carries, low)| carries * 5 > low * 4);
        let to = match self.quality {
            Quality::Full if low_fits => Quality::Low,
            Quality::Full | Quality::Low => Quality::KeyFrames,
            Quality::KeyFrames => return None,
        };
        let lasted = self.last_up.is_none_or(|at| now.saturating_duration_since(at) > LASTING);
        self.retry = if lasted { self.first_retry } else { (self.retry * 2).min(LAST_RETRY) };
        self.retry_at = now + self.retry;
        self.trial_until = None;
        Some(self.order(to, now))
    }

    fn order(&mut self, to: Quality, now: Instant) -> Order {
        self.quality = to;
        self.state = State::Ordered { since: now };
        self.count += 1;
        Order::Step(to)
    }

    /// What gets through is what the way carries at least; beyond that the estimate grows slowly while nothing speaks against it.
    fn grow(&mut self, signals: &Signals, now: Instant) {
        let Some(available) = self.available else { return };
        let is_quiet = !QUIET.are_broken(signals);
        let since = now.saturating_duration_since(self.grown_at);
        let millis = u64::try_from(since.as_millis()).unwrap_or(u64::MAX).min(1_000);
        self.grown_at = now;
        let arriving = signals.arriving.unwrap_or(0);
        let grown = available + available * millis / 12_500;
        // What nothing has tried is not known.
        let grown = if is_quiet { grown.min(arriving + arriving / 2) } else { 0 };
        self.available = Some(available.max(grown).max(arriving));
        let is_over = self.quality == Quality::Full && self.trial_until.is_none();
        if is_over && self.last_up.is_none_or(|at| now.saturating_duration_since(at) > LASTING) {
            self.available = None;
        }
    }

    fn up(&mut self, signals: &Signals, now: Instant) -> Option<Order> {
        if QUIET.are_broken(signals) {
            self.quiet_since = None;
            return None;
        }
        let quiet = now.saturating_duration_since(*self.quiet_since.get_or_insert(now));
        let is_time = now >= self.retry_at && quiet >= QUIET_TIME && self.trial_until.is_none();
        if self.quality == Quality::Full || !is_time {
            return None;
        }
        let rate = match self.quality {
            Quality::KeyFrames if self.low == LowPicture::There => self.low_rate,
            _ => self.full_rate,
        };
        match rate {
            Some(rate) if self.probes == Probes::Possible => {
                let rate = (rate + rate / 10).min(MOST_PROBED);
                self.state = State::Probing { until: now + PROBE_TIME + PROBE_ANSWER, rate, best: 0 };
                Some(Order::Probe(rate))
            }
            _ => Some(self.step_up(now)),
        }
    }

    fn step_up(&mut self, now: Instant) -> Order {
        let to = match self.quality {
            Quality::KeyFrames if self.low == LowPicture::There => Quality::Low,
            _ => Quality::Full,
        };
        self.last_up = Some(now);
        self.trial_until = Some(now + APPLY + TRIAL_TIME);
        // The next one may follow at its own time.
        self.retry_at = now + self.retry;
        self.order(to, now)
    }

    /// Goes up when what was sent has come through, and gives up as soon as it queues.
    fn judge_probe(&mut self, signals: &Signals, probe: (Instant, u64, u64), now: Instant) -> Option<Order> {
        let (until, rate, best) = probe;
        let best = best.max(signals.arriving.unwrap_or(0));
        if PROBE.are_broken(signals) {
            self.probe_failed(signals, best, now);
            return None;
        }
        if now < until {
            self.state = State::Probing { until, rate, best };
            return None;
        }
        // The window over which arrivals are counted is longer than the probe.
        if best * 2 >= rate {
            self.available = self.available.max(Some(best));
            self.state = State::Steady;
            return Some(self.step_up(now));
        }
        self.probe_failed(signals, best, now);
        None
    }

    fn probe_failed(&mut self, signals: &Signals, best: u64, now: Instant) {
        self.state = State::Steady;
        if best > 0 {
            self.available = Some(best * FILL / 100);
        }
        self.retry = (self.retry * 2).min(LAST_RETRY);
        self.retry_at = now + self.retry;
        self.quiet_since = None;
        self.draining = Some((now, signals.queue));
        self.hold = now + SETTLE;
    }
}

#[cfg(test)]
#[path = "steps_tests.rs"]
mod tests;
