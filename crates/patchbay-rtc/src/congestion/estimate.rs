//! How the way to a peer does: the queue on it, what is lost on it, and what gets through.
//!
//! The ideas are known ones. The queue is the time on the way beyond the least that was seen lately (RFC 6817, section 2.1; RFC 8298, section 4.1.2.3); one
//! that stands is its minimum over some time (RFC 8289, section 3.1), so that the burst of a key frame, which comes and goes, is none; whether it grows
//! is the slope of the delay (draft-ietf-rmcat-gcc-02, section 5). What gets through while packets queue or are lost is what the way can carry
//! (RFC 8698, section 4.2, takes the receiving rate likewise). All of it judges; what to do about it is decided by `steps`.

use super::{
    ledger::{Arrival, Settled},
    trend::Trend,
};
use std::{
    collections::VecDeque,
    time::{Duration, Instant},
};

/// How long the least time on the way is remembered, twice: clocks drift, and ways change.
const BASE: Duration = Duration::from_secs(15);

/// Time over which a queue has to stand, most and least: feedback comes each 50 to 250 ms.
const STANDING: Duration = Duration::from_millis(500);
const LEAST_STANDING: Duration = Duration::from_millis(350);

/// Time over which losses and what gets through are counted.
const WINDOW: Duration = Duration::from_secs(1);

/// Samples of each kind that are kept; with more feedback than browsers give, windows are shorter.
const SAMPLES: usize = 64;

/// Fewer packets than these do not tell which part is lost.
const LEAST_PACKETS: u32 = 20;

/// How the way does, now.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Signals {
    /// Time that the newest packets have waited on the way.
    pub(crate) queue: Duration,
    /// Time that all packets of the last half second have waited at least; nothing when there were none.
    pub(crate) standing: Option<Duration>,
    /// Seconds that the queue grows in a second.
    pub(crate) growth: f64,
    /// Part of the packets of the last second that were lost, 0 to 1; nothing when there were few.
    pub(crate) loss: Option<f64>,
    /// Bits a second that have arrived; nothing until that is known.
    pub(crate) arriving: Option<u64>,
    /// Since when nothing has been heard of packets on their way.
    pub(crate) silence: Duration,
}

/// Takes in feedback.
#[derive(Debug, Default)]
pub(crate) struct Estimator {
    base: Base,
    trend: Trend,
    queue: Duration,
    /// Least queue that each feedback has told of.
    least: VecDeque<(Instant, Duration)>,
    losses: VecDeque<(Instant, u32, u32)>,
    /// When packets arrived on the receiver's clock, in microseconds, and their bytes.
    arrived: VecDeque<(i64, u64)>,
    now: Option<Batch>,
}

/// What one feedback tells.
#[derive(Clone, Copy, Debug)]
struct Batch {
    least: Duration,
    newest: i64,
    bytes: u64,
}

/// The least difference of the clocks at both ends, and so the way without a queue.
#[derive(Debug, Default)]
pub(super) struct Base {
    since: Option<Instant>,
    now: Option<i64>,
    before: Option<i64>,
}

impl Base {
    pub(super) fn note(&mut self, difference: i64, now: Instant) -> i64 {
        if self.since.is_none_or(|since| now.saturating_duration_since(since) >= BASE) {
            self.since = Some(now);
            self.before = self.now.take();
        }
        let least = self.now.map_or(difference, |least| least.min(difference));
        self.now = Some(least);
        self.before.map_or(least, |before| before.min(least))
    }
}

impl Estimator {
    /// A packet that has arrived.
    pub(crate) fn arrival(&mut self, arrival: Arrival, now: Instant) {
        self.trend.arrival(arrival);
        let difference = arrival.arrived.saturating_sub(arrival.sent);
        let base = self.base.note(difference, now);
        let micros = u64::try_from(difference.saturating_sub(base)).unwrap_or(0);
        self.queue = Duration::from_micros(micros);
        let first = Batch { least: self.queue, newest: arrival.arrived, bytes: 0 };
        let batch = self.now.get_or_insert(first);
        batch.least = batch.least.min(self.queue);
        batch.newest = batch.newest.max(arrival.arrived);
        batch.bytes += u64::from(arrival.size);
    }

    /// The feedback that told of them ends.
    pub(crate) fn settled(&mut self, settled: Settled, now: Instant) {
        if let Some(batch) = self.now.take() {
            push(&mut self.least, (now, batch.least));
            push(&mut self.arrived, (batch.newest, batch.bytes));
        }
        push(&mut self.losses, (now, settled.arrived, settled.lost));
        let micros = i64::try_from(WINDOW.as_micros()).unwrap_or(i64::MAX);
        let newest = self.arrived.back().map_or(0, |(at, _)| *at);
        drop_while(&mut self.arrived, |(at, _)| newest.saturating_sub(*at) > micros);
    }

    /// A report of a receiver that gives no other feedback: part lost, and how much longer than at best the way there and back takes.
    pub(crate) fn report(&mut self, loss: f64, queue: Duration, arriving: u64, now: Instant) -> Signals {
        self.queue = queue;
        push(&mut self.least, (now, queue));
        drop_while(&mut self.least, |(at, _)| now.saturating_duration_since(*at) > 3 * WINDOW);
        // One report says little of the queue: the peer may just have been slow to answer.
        let standing = (self.least.len() > 1).then(|| self.least.iter().map(|(_, least)| *least).min());
        Signals {
            queue: standing.flatten().unwrap_or_default(),
            standing: standing.flatten(),
            growth: 0.0,
            loss: Some(loss),
            arriving: Some(arriving),
            silence: Duration::ZERO,
        }
    }

    /// How the way does.
    pub(crate) fn signals(&mut self, silence: Duration, now: Instant) -> Signals {
        drop_while(&mut self.least, |(at, _)| now.saturating_duration_since(*at) > STANDING);
        drop_while(&mut self.losses, |(at, ..)| now.saturating_duration_since(*at) > WINDOW);
        Signals {
            queue: self.queue,
            standing: self.standing(),
            growth: self.trend.slope(),
            loss: self.loss(),
            arriving: self.arriving(),
            silence,
        }
    }

    fn standing(&self) -> Option<Duration> {
        let (first, last) = (self.least.front()?.0, self.least.back()?.0);
        let spans = last.saturating_duration_since(first) >= LEAST_STANDING;
        spans.then(|| self.least.iter().map(|(_, least)| *least).min()).flatten()
    }

    fn loss(&self) -> Option<f64> {
        let (arrived, lost) = self.losses.iter().fold((0_u32, 0_u32), |(arrived, lost), (_, more, gone)| {
            (arrived.saturating_add(*more), lost.saturating_add(*gone))
        });
        let all = arrived.saturating_add(lost);
        (all >= LEAST_PACKETS).then(|| f64::from(lost) / f64::from(all))
    }

    fn arriving(&self) -> Option<u64> {
        let (first, last) = (self.arrived.front()?.0, self.arrived.back()?.0);
        let micros = u64::try_from(last.saturating_sub(first)).ok().filter(|micros| *micros > 300_000)?;
        // The bytes of the first have arrived before the time begins.
        let bytes = self.arrived.iter().skip(1).map(|(_, bytes)| bytes).sum::<u64>();
        Some(bytes.saturating_mul(8_000_000) / micros)
    }

    /// Forgets losses and queues: they are of something else than what is sent from now on. What the way carries stays known.
    pub(crate) fn forget(&mut self) {
        self.least.clear();
        self.losses.clear();
        self.trend = Trend::default();
    }
}

fn push<T>(samples: &mut VecDeque<T>, sample: T) {
    if samples.len() == SAMPLES {
        samples.pop_front();
    }
    samples.push_back(sample);
}

fn drop_while<T>(samples: &mut VecDeque<T>, is_old: impl Fn(&T) -> bool) {
    while samples.front().is_some_and(&is_old) {
        samples.pop_front();
    }
}

#[cfg(test)]
#[path = "estimate_tests.rs"]
mod tests;
