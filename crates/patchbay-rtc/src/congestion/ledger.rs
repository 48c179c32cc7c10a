//! What was sent to a peer and has not been heard of yet, by the number that counts all packets to it.

use super::feedback::{self, Feedback};
use std::{
    collections::VecDeque,
    time::{Duration, Instant},
};

/// Packets that are remembered: half a second at 100 Mbit/s. With more, the oldest are forgotten, as if nothing was heard of them.
const MOST: usize = 8192;

/// Numbers packets, and remembers when they were sent. Keeps nothing for a peer that gives no such feedback.
#[derive(Debug)]
pub(crate) struct Ledger {
    /// Number of the next packet, with the count of wraps above its 16 bits.
    next: u64,
    sent: VecDeque<Sent>,
    begun: Instant,
    /// Reference time of the newest feedback, and the same on a line without wraps.
    reference: Option<(u32, i64)>,
}

#[derive(Clone, Copy, Debug)]
struct Sent {
    /// Microseconds since the beginning.
    at: i64,
    size: u32,
    has_arrived: bool,
}

/// A packet that has arrived. Both times are in microseconds, each on its own clock: only differences of differences count.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Arrival {
    pub(crate) sent: i64,
    pub(crate) arrived: i64,
    pub(crate) size: u32,
}

/// What a feedback has settled.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Settled {
    pub(crate) arrived: u32,
    pub(crate) lost: u32,
}

impl Ledger {
    pub(crate) fn new(now: Instant) -> Self {
        let next = u64::from(rand::random::<u16>() >> 1);
        Self { next, sent: VecDeque::new(), begun: now, reference: None }
    }

    /// Numbers a packet of that many bytes.
    pub(crate) fn stamp(&mut self, size: usize, now: Instant) -> [u8; 2] {
        if self.sent.len() >= MOST {
            self.sent.pop_front();
        }
        let at = i64::try_from(now.saturating_duration_since(self.begun).as_micros()).unwrap_or(i64::MAX);
        self.sent.push_back(Sent { at, size: u32::try_from(size).unwrap_or(u32::MAX), has_arrived: false });
        let [.., high, low] = self.next.to_be_bytes();
        self.next += 1;
        [high, low]
    }

    /// Takes in a feedback: tells of each packet that has arrived, and forgets it and those before it. Of packets before the first that it speaks of
    /// nothing is known: the feedback on them was lost on its own way.
    pub(crate) fn settle(&mut self, feedback: &Feedback<'_>, mut each: impl FnMut(Arrival)) -> Settled {
        let reference = match self.reference {
            Some((before, line)) => line.saturating_add(feedback::between(before, feedback.reference)),
            None => 0,
        };
        self.reference = Some((feedback.reference, reference));
        let mut newest = None;
        feedback.arrivals(|number, at| {
            let Some(index) = self.index(number) else { return };
            let Some(sent) = self.sent.get_mut(index).filter(|sent| !sent.has_arrived) else { return };
            sent.has_arrived = true;
            newest = newest.max(Some(index));
            each(Arrival { sent: sent.at, arrived: reference.saturating_add(at), size: sent.size });
        });
        let mut settled = Settled::default();
        let heard_of = newest.map_or(0, |newest| newest + 1);
        let first = self.index(feedback.first).unwrap_or(0);
        for (index, sent) in self.sent.drain(..heard_of).enumerate() {
            settled.arrived += u32::from(sent.has_arrived);
            settled.lost += u32::from(!sent.has_arrived && index >= first);
        }
        settled
    }

    /// Since when nothing has been heard of the oldest packet on its way.
    pub(crate) fn waiting(&self, now: Instant) -> Duration {
        let Some(oldest) = self.sent.front() else { return Duration::ZERO };
        let at = Duration::from_micros(u64::try_from(oldest.at).unwrap_or(0));
        now.saturating_duration_since(self.begun + at)
    }

    /// Where a packet stands among those remembered.
    fn index(&self, number: u16) -> Option<usize> {
        let [.., high, low] = self.next.to_be_bytes();
        let back = usize::from(u16::from_be_bytes([high, low]).wrapping_sub(number));
        if back == 0 {
            return None;
        }
        self.sent.len().checked_sub(back)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Says that all of so many from a number on have arrived, but for the last but one.
    fn body(first: [u8; 2], count: u8, reference: u8) -> Vec<u8> {
        let mut body = vec![0; 8];
        body.extend_from_slice(&first);
        body.extend_from_slice(&[0, count, 0, 0, reference, 0]);
        body.extend_from_slice(&[0x20, count - 2, 0, 1, 0x20, 1]);
        body.resize(body.len() + usize::from(count - 1), 4);
        body
    }

    #[test]
    fn what_has_arrived_and_what_is_lost_is_told_once() {
        let now = Instant::now();
        let mut ledger = Ledger::new(now);
        ledger.next = 65_533;
        let first = ledger.stamp(1000, now);
        for number in 1_u64..10 {
            ledger.stamp(1000, now + Duration::from_millis(number * 10));
        }
        let bytes = body(first, 6, 5);
        let mut all = Vec::new();
        let settled = ledger.settle(&Feedback::read(&bytes).unwrap(), |arrival| all.push(arrival));
        assert_eq!(settled, Settled { arrived: 5, lost: 1 });
        assert_eq!(all[4], Arrival { sent: 50_000, arrived: 5_000, size: 1000 });
        assert_eq!(ledger.waiting(now + Duration::from_millis(100)), Duration::from_millis(40));
        let again = ledger.settle(&Feedback::read(&bytes).unwrap(), |_| panic!("it was told already"));
        assert_eq!(again, Settled::default());
        let never_sent = body([0, 100], 3, 6);
        ledger.settle(&Feedback::read(&never_sent).unwrap(), |_| panic!("it was never sent"));
    }

    /// Of ten packets that have arrived, a feedback each; the second one is lost.
    #[test]
    fn a_feedback_that_is_lost_is_no_loss_of_packets() {
        let now = Instant::now();
        let mut ledger = Ledger::new(now);
        let mut settled = Vec::new();
        for round in 0..3_u8 {
            let first = ledger.stamp(1000, now);
            for _ in 1..10 {
                ledger.stamp(1000, now);
            }
            let mut body = vec![0; 8];
            body.extend_from_slice(&first);
            body.extend_from_slice(&[0, 10, 0, 0, round, 0, 0x20, 10]);
            body.resize(body.len() + 10, 4);
            if round != 1 {
                settled.push(ledger.settle(&Feedback::read(&body).unwrap(), |_| {}));
            }
        }
        assert_eq!(settled, [Settled { arrived: 10, lost: 0 }; 2]);
        assert_eq!(ledger.sent.len(), 0, "those of which nothing was heard are forgotten too");
    }

    #[test]
    fn it_is_bounded() {
        let now = Instant::now();
        let mut ledger = Ledger::new(now);
        for _ in 0..100_000 {
            ledger.stamp(1000, now);
        }
        assert_eq!(ledger.sent.len(), MOST);
    }
}
