//! Packets back in order: what comes early waits, what is missing is asked for again, what never comes is given up.
//!
//! For what browsers publish over UDP. No clock and no sockets: the caller says what time it is and sends the NACKs.

use std::{
    collections::VecDeque,
    time::{Duration, Instant},
};

/// How long and how much is waited for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Sequence numbers between the next packet to hand out and the newest one. Beyond it the oldest gap is given up.
    pub packets: usize,
    /// How long a missing packet is waited for.
    pub patience: Duration,
    /// How long after a gap was seen it is asked for: packets that only changed places come meanwhile.
    pub ask_after: Duration,
    /// How long after that it is asked for again; at least the round trip, once that is known.
    pub ask_again_after: Duration,
    /// How often it is asked for.
    pub asks: u8,
}

impl Default for Limits {
    /// A second of 5 Mbit/s; the patience is what a call bears.
    fn default() -> Self {
        Self {
            packets: 512,
            patience: Duration::from_millis(250),
            ask_after: Duration::from_millis(5),
            ask_again_after: Duration::from_millis(40),
            asks: 5,
        }
    }
}

/// What became of a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Inserted {
    /// It is kept, and comes out in its turn.
    Kept,
    /// It was here already.
    Duplicate,
    /// Its place was handed out or given up.
    Late,
    /// Its number is far from all others; it is dropped. When the next one follows it, the sender has started again.
    Stray,
    /// The sender started again with other numbers: what was held is dropped, this one is kept.
    Restarted,
}

/// What happened so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Packets that came when they were missed.
    pub recovered: u64,
    /// Packets given up.
    pub lost: u64,
    /// Packets that were here already.
    pub duplicates: u64,
    /// Packets that came when their place was given up.
    pub late: u64,
    /// Packets without a place: strays, and what was held when the sender started again.
    pub dropped: u64,
}

#[derive(Debug)]
enum Slot<T> {
    Held(T),
    Missing { since: Instant, asked: u8, ask_at: Instant },
}

/// Holds the packets of one sender.
#[derive(Debug)]
pub struct Reorder<T> {
    limits: Limits,
    round_trip: Duration,
    /// Sequence number of the first slot: the next one to hand out.
    next: Option<u16>,
    /// One for each number from `next` to the newest that came; at most twice `limits.packets`.
    slots: VecDeque<Slot<T>>,
    /// The number that would follow the stray that came last.
    after_stray: Option<u16>,
    counts: Counts,
}

impl<T> Reorder<T> {
    /// Empty. A window of more than 16,384 numbers is cut to that: more would not tell late from early.
    pub fn new(limits: Limits) -> Self {
        let limits = Limits { packets: limits.packets.clamp(1, 1 << 14), ..limits };
        Self {
            limits,
            round_trip: Duration::ZERO,
            next: None,
            slots: VecDeque::new(),
            after_stray: None,
            counts: Counts::default(),
        }
    }

    /// Takes a packet. Then call [`Self::pop`] until it returns `None`.
    pub fn insert(&mut self, sequence: u16, packet: T, now: Instant) -> Inserted {
        let Some(next) = self.next else {
            self.start(sequence, packet);
            return Inserted::Kept;
        };
        let ahead = usize::from(sequence.wrapping_sub(next));
        let behind = usize::from(next.wrapping_sub(sequence));
        if ahead < 2 * self.limits.packets {
            self.after_stray = None;
            return self.place(ahead, packet, now);
        }
        if behind <= self.limits.packets {
            self.counts.late += 1;
            return Inserted::Late;
        }
        if self.after_stray != Some(sequence) {
            self.after_stray = Some(sequence.wrapping_add(1));
            self.counts.dropped += 1;
            return Inserted::Stray;
        }
        self.counts.dropped += self.held();
        self.start(sequence, packet);
        Inserted::Restarted
    }

    fn start(&mut self, sequence: u16, packet: T) {
        self.next = Some(sequence);
        self.after_stray = None;
        self.slots.clear();
        self.slots.push_back(Slot::Held(packet));
    }

    fn place(&mut self, ahead: usize, packet: T, now: Instant) -> Inserted {
        let ask_at = now + self.limits.ask_after;
        while self.slots.len() < ahead {
            self.slots.push_back(Slot::Missing { since: now, asked: 0, ask_at });
        }
        match self.slots.get_mut(ahead) {
            None => self.slots.push_back(Slot::Held(packet)),
            Some(slot @ Slot::Missing { .. }) => {
                *slot = Slot::Held(packet);
                self.counts.recovered += 1;
            }
            Some(Slot::Held(_)) => {
                self.counts.duplicates += 1;
                return Inserted::Duplicate;
            }
        }
        Inserted::Kept
    }

    /// The next packet in order, and its number; `None` while it is waited for. Steps over what is given up.
    pub fn pop(&mut self, now: Instant) -> Option<(u16, T)> {
        loop {
            if let Slot::Missing { since, .. } = self.slots.front()?
                && now.saturating_duration_since(*since) < self.limits.patience
                && self.slots.len() <= self.limits.packets
            {
                return None;
            }
            let sequence = self.next?;
            self.next = Some(sequence.wrapping_add(1));
            match self.slots.pop_front()? {
                Slot::Held(packet) => return Some((sequence, packet)),
                Slot::Missing { .. } => self.counts.lost += 1,
            }
        }
    }

    /// Adds the numbers that should be asked for now to `out`, in order, and takes note that they were.
    pub fn missing(&mut self, now: Instant, out: &mut Vec<u16>) {
        let again = now + self.limits.ask_again_after.max(self.round_trip);
        let Some(first) = self.next else { return };
        let numbers = (0_u16..).map(|offset| first.wrapping_add(offset));
        for (sequence, slot) in numbers.zip(&mut self.slots) {
            let Slot::Missing { asked, ask_at, .. } = slot else { continue };
            if *asked < self.limits.asks && *ask_at <= now {
                *asked += 1;
                *ask_at = again;
                out.push(sequence);
            }
        }
    }

    /// When something is to be done though nothing comes: a question, or a packet to give up.
    pub fn deadline(&self) -> Option<Instant> {
        let due = |slot: &Slot<T>| match slot {
            Slot::Held(_) => None,
            Slot::Missing { since, asked, ask_at } => {
                let given_up = *since + self.limits.patience;
                Some(if *asked < self.limits.asks { given_up.min(*ask_at) } else { given_up })
            }
        };
        self.slots.iter().filter_map(due).min()
    }

    /// Asks again no sooner than this: an answer cannot come earlier.
    pub fn set_round_trip(&mut self, round_trip: Duration) {
        self.round_trip = round_trip.min(self.limits.patience);
    }

    /// What happened so far.
    pub fn counts(&self) -> Counts {
        self.counts
    }

    fn held(&self) -> u64 {
        self.slots.iter().map(|slot| u64::from(matches!(slot, Slot::Held(_)))).sum()
    }
}

#[cfg(test)]
#[path = "reorder_tests.rs"]
mod tests;
