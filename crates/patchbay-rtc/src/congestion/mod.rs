//! How much the way to a peer carries, and what it is therefore sent.
//!
//! No I/O: feedback in, orders out. `ledger` remembers what was sent, `feedback` reads what the peer says of its arrival, `estimate` judges the way,
//! `steps` decides. Peers that give no feedback on single packets are judged by their reports of losses and by the time there and back.

mod estimate;
mod feedback;
mod ledger;
mod steps;
mod trend;

pub(crate) use feedback::Feedback;
pub(crate) use ledger::Ledger;
pub use steps::Quality;
pub(crate) use steps::{Order, PROBE_RAMP, PROBE_TIME, Probes};

use estimate::{Base, Estimator, Signals};
use std::time::{Duration, Instant};
use steps::Steps;

/// Pacing is faster than what the way seems to carry, in percent, so that it does not hold back what has room.
const PACE: u64 = 125;
/// And than the mean of the track, in percent, so that what is late is made up for.
const PACE_TRACK: u64 = 150;
/// Least rate, in bits a second.
const LEAST_PACE: u64 = 64_000;

/// Time between looks at the measured bit rate of what is sent.
const MEASURE: Duration = Duration::from_millis(500);

/// What a peer says of its own estimate is believed when it has said so often that it is too little: at first it does not know yet.
const LESS_THAN_SENT: u32 = 5;

/// How much the way to a peer carries.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Congestion {
    /// Bits a second; nothing while the way carries everything.
    pub available: Option<u64>,
    /// Time that packets wait on the way.
    pub queue: Duration,
    /// Part of the packets that is lost, 0 to 1.
    pub loss: f64,
}

/// Whether a peer's pictures follow what its way carries.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Adapt {
    /// It is sent everything, whatever happens.
    #[default]
    Never,
    /// It is told by [`PeerEvent::Quality`](crate::PeerEvent::Quality) when it should be sent less or more.
    Steps,
}

/// Judges the way to one peer.
#[derive(Debug)]
pub(crate) struct Controller {
    estimator: Estimator,
    steps: Option<Steps>,
    signals: Signals,
    probes: Probes,
    /// Least time there and back, of a peer that reports nothing else.
    round_trip: Base,
    /// What the peer says that it can take, and how often in a row that was less than what was sent.
    most: Option<u64>,
    less: u32,
    rate: Rate,
    arrivals: Arrivals,
}

/// Whether a peer gives feedback on single packets. Some agree to it and never do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Arrivals {
    Unheard,
    Heard,
}

/// What is sent, as it is measured.
#[derive(Debug, Default)]
struct Rate {
    at: Option<(Instant, u64)>,
    bits: u64,
}

impl Rate {
    fn note(&mut self, bytes: u64, now: Instant) {
        let Some((at, before)) = self.at else {
            self.at = Some((now, bytes));
            return;
        };
        let time = now.saturating_duration_since(at);
        if time >= MEASURE {
            let millis = u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
            self.bits = bytes.saturating_sub(before).saturating_mul(8_000) / millis;
            self.at = Some((now, bytes));
        }
    }
}

impl Controller {
    pub(crate) fn new(adapt: Adapt, probes: Probes, now: Instant) -> Self {
        Self {
            estimator: Estimator::default(),
            steps: (adapt == Adapt::Steps).then(|| Steps::new(probes, now)),
            signals: Signals::default(),
            probes,
            round_trip: Base::default(),
            most: None,
            less: 0,
            rate: Rate::default(),
            arrivals: Arrivals::Unheard,
        }
    }

    /// Media begins to flow.
    pub(crate) fn begin(&mut self, now: Instant) {
        if self.steps.is_some() {
            self.steps = Some(Steps::new(self.probes, now));
        }
    }

    /// Feedback on single packets.
    pub(crate) fn arrivals(&mut self, feedback: &Feedback<'_>, ledger: &mut Ledger, now: Instant) {
        self.arrivals = Arrivals::Heard;
        let estimator = &mut self.estimator;
        let settled = ledger.settle(feedback, |arrival| estimator.arrival(arrival, now));
        if self.steps.as_ref().is_some_and(|steps| steps.is_held(now)) {
            // The first burst, and what a step has left behind, must not count afterwards; how long packets take at best does.
            self.estimator.forget();
        }
        self.estimator.settled(settled, now);
        self.signals = self.estimator.signals(Duration::ZERO, now);
    }

    /// A report on losses of the pictures, which counts where there is no feedback on single packets.
    pub(crate) fn reception(&mut self, fraction_lost: u8, round_trip: Option<Duration>, now: Instant) {
        if self.arrivals == Arrivals::Heard {
            return;
        }
        let round_trip = round_trip.unwrap_or_default();
        let micros = i64::try_from(round_trip.as_micros()).unwrap_or(i64::MAX);
        let least = self.round_trip.note(micros, now);
        if self.steps.as_ref().is_some_and(|steps| steps.is_held(now)) {
            // It is of what was sent before the step.
            return;
        }
        let queue = Duration::from_micros(u64::try_from(micros - least).unwrap_or(0));
        let mut loss = f64::from(fraction_lost) / 256.0;
        let sent = self.rate.bits;
        if let Some(most) = self.most.filter(|_| self.less >= LESS_THAN_SENT && sent > 0) {
            loss = loss.max(1.0 - part(most, sent));
        }
        let arriving = sent.saturating_mul(256 - u64::from(fraction_lost)) / 256;
        self.signals = self.estimator.report(loss, queue, arriving, now);
    }

    /// The peer says what it can take (draft-alvestrand-rmcat-remb-03).
    pub(crate) fn most(&mut self, bits: u64) {
        // Whatever a peer says: the number is its own.
        let is_less = bits.saturating_mul(100) < self.rate.bits.saturating_mul(85);
        self.less = if is_less { self.less.saturating_add(1) } else { 0 };
        self.most = Some(bits);
    }

    /// What to do now. `track` is the mean of what is sent in bits a second, `bytes` what was sent in all.
    pub(crate) fn decide(
        &mut self,
        ledger: &Ledger,
        track: Option<u64>,
        bytes: u64,
        now: Instant,
    ) -> Option<Order> {
        self.rate.note(bytes, now);
        let steps = self.steps.as_mut()?;
        if self.arrivals == Arrivals::Heard {
            self.signals.silence = ledger.waiting(now);
        }
        let order = steps.decide(&self.signals, track, now);
        if order.is_some() {
            tracing::debug!(?order, signals = ?self.signals, available = steps.available(), "the way to a peer");
            self.forget();
        }
        order
    }

    /// What the whole track has in bits a second, also while a smaller one is sent.
    pub(crate) fn note_full(&mut self, rate: Option<u64>) {
        if let Some(steps) = &mut self.steps {
            steps.note_full(rate);
        }
    }

    /// The pictures of a quality begin.
    pub(crate) fn applied(&mut self, now: Instant) {
        if let Some(steps) = &mut self.steps {
            steps.applied(self.signals.queue, now);
            self.forget();
        }
    }

    /// What was heard so far has led to a step, and must not lead to another: nothing may be heard for a while.
    fn forget(&mut self) {
        self.estimator.forget();
        let Signals { queue, arriving, .. } = self.signals;
        self.signals = Signals { queue, arriving, ..Signals::default() };
    }

    /// The peer is reached in another way, which takes its own time; packets may have been lost with the one before.
    pub(crate) fn moved(&mut self, now: Instant) {
        self.estimator = Estimator::default();
        self.round_trip = Base::default();
        self.signals = Signals::default();
        if let Some(steps) = &mut self.steps {
            steps.settle(now);
        }
    }

    /// The quality that is really given.
    pub(crate) fn given(&mut self, quality: Quality, now: Instant) {
        if let Some(steps) = &mut self.steps {
            steps.given(quality, now);
        }
    }

    /// At which rate packets go out, in bits a second; nothing while there is room for everything.
    pub(crate) fn pace(&self, track: Option<u64>) -> Option<u64> {
        let steps = self.steps.as_ref()?;
        let way = steps.available()?.saturating_mul(PACE) / 100;
        let track = track.filter(|_| steps.quality() != Quality::KeyFrames).unwrap_or(0);
        Some(way.max(track.saturating_mul(PACE_TRACK) / 100).max(LEAST_PACE))
    }

    /// Packets are sent to see whether they get through.
    pub(crate) fn is_probing(&self) -> bool {
        self.steps.as_ref().is_some_and(Steps::is_probing)
    }

    pub(crate) fn quality(&self) -> Quality {
        self.steps.as_ref().map_or(Quality::Full, Steps::quality)
    }

    /// Steps so far.
    pub(crate) fn count(&self) -> u64 {
        self.steps.as_ref().map_or(0, |steps| steps.count)
    }

    pub(crate) fn congestion(&self) -> Congestion {
        Congestion {
            available: self.steps.as_ref().and_then(Steps::available),
            queue: self.signals.queue,
            loss: self.signals.loss.unwrap_or(0.0),
        }
    }
}

/// One number as a part of another, at most 1.
fn part(of: u64, all: u64) -> f64 {
    let percent = of.saturating_mul(1_000) / all.max(1);
    f64::from(u32::try_from(percent.min(1_000)).unwrap_or(1_000)) / 1_000.0
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Agreed to feedback on packets, and gives reports alone.
    #[test]
    fn who_never_tells_of_packets_is_judged_by_reports() {
        let begun = Instant::now();
        let mut ledger = Ledger::new(begun);
        let mut controller = Controller::new(Adapt::Steps, Probes::Possible, begun);
        controller.begin(begun);
        let mut orders = Vec::new();
        for second in 1..60_u32 {
            let now = begun + second * Duration::from_secs(1);
            ledger.stamp(1_200, now);
            let lost = if second > 30 { 80 } else { 0 };
            controller.reception(lost, Some(Duration::from_millis(20)), now);
            let sent = u64::from(second) * 375_000;
            if let Some(order) = controller.decide(&ledger, Some(3_000_000), sent, now) {
                orders.push((second, order));
                controller.applied(now);
            }
        }
        println!("{orders:?}");
        assert_eq!(orders.first(), Some(&(31, Order::Step(Quality::Low))));
    }

    /// Reports come each five seconds, as some stacks have it; one tells of a loss.
    #[test]
    fn a_report_leads_to_one_step() {
        let begun = Instant::now();
        let (ledger, mut orders) = (Ledger::new(begun), Vec::new());
        let mut controller = Controller::new(Adapt::Steps, Probes::Impossible, begun);
        controller.begin(begun);
        for second in 1..=14_u32 {
            let now = begun + second * Duration::from_secs(1);
            if second.is_multiple_of(5) {
                controller.reception(if second == 5 { 90 } else { 0 }, None, now);
            }
            let sent = u64::from(second) * 375_000;
            if let Some(order) = controller.decide(&ledger, Some(3_000_000), sent, now) {
                orders.push((second, order));
                controller.applied(now);
            }
        }
        assert_eq!(orders, [(5, Order::Step(Quality::Low))]);
    }

    #[test]
    fn a_peer_may_say_that_it_can_take_anything() {
        let begun = Instant::now();
        let (ledger, mut orders) = (Ledger::new(begun), Vec::new());
        let mut controller = Controller::new(Adapt::Steps, Probes::Impossible, begun);
        controller.begin(begun);
        for second in 1..20_u32 {
            let now = begun + second * Duration::from_secs(1);
            // More than fits when it is taken times a hundred.
            controller.most(if second % 2 == 0 { u64::MAX } else { u64::MAX / 100 + 1 });
            controller.reception(0, None, now);
            let sent = u64::from(second) * 375_000;
            orders.extend(controller.decide(&ledger, Some(3_000_000), sent, now));
        }
        assert_eq!(orders, []);
    }

    /// All packets arrive; after ten seconds by another way, which takes 400 ms longer.
    #[test]
    fn another_way_that_takes_longer_is_no_queue() {
        let begun = Instant::now();
        let mut orders = Vec::new();
        let mut ledger = Ledger::new(begun);
        let mut controller = Controller::new(Adapt::Steps, Probes::Possible, begun);
        controller.begin(begun);
        for tick in 0..200_u32 {
            let now = begun + tick * Duration::from_millis(100);
            let first = ledger.stamp(1_200, now);
            for _ in 1..10 {
                ledger.stamp(1_200, now);
            }
            if tick == 100 {
                controller.moved(now);
            }
            let arrived = tick * 100 + if tick >= 100 { 400 } else { 0 };
            let [_, a, b, c] = (arrived / 64).to_be_bytes();
            let mut body = vec![0; 8];
            body.extend_from_slice(&first);
            body.extend_from_slice(&[0, 10, a, b, c, 0, 0x20, 10]);
            body.push(u8::try_from(arrived % 64 * 4).unwrap());
            body.resize(body.len() + 9, 0);
            controller.arrivals(&Feedback::read(&body).unwrap(), &mut ledger, now);
            let sent = u64::from(tick) * 12_000;
            orders.extend(controller.decide(&ledger, Some(960_000), sent, now).map(|order| (tick, order)));
        }
        assert_eq!(orders, []);
    }

    #[test]
    fn what_a_peer_can_take_counts_once_it_has_said_so_often() {
        let begun = Instant::now();
        let (ledger, mut orders) = (Ledger::new(begun), Vec::new());
        let mut controller = Controller::new(Adapt::Steps, Probes::Impossible, begun);
        controller.begin(begun);
        for second in 1..20_u32 {
            let now = begun + second * Duration::from_secs(1);
            controller.most(1_000_000);
            controller.reception(0, None, now);
            let sent = u64::from(second) * 375_000;
            orders
                .extend(controller.decide(&ledger, Some(3_000_000), sent, now).map(|order| (second, order)));
        }
        println!("{orders:?}");
        assert!(matches!(orders.first(), Some((5..10, Order::Step(Quality::Low)))), "{orders:?}");
        assert_eq!(controller.congestion().available, Some(2_700_000), "what has arrived, but for some");
    }
}
