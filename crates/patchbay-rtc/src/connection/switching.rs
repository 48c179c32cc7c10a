//! Which feed a track comes from, what of it, and how fast: what changes when the way to the peer is too narrow.

use super::{
    lines::Next,
    outlet::Outlet,
    pace::{MOST_WAIT, Pace},
    sender::{Progress, Sender},
};
use crate::{
    congestion::Quality,
    feed::{Feed, FeedId, Packets},
    path::Batch,
};
use patchbay_media::ring::Entry;
use rtc_shared::error::Error;
use std::{
    any::Any,
    sync::Arc,
    time::{Duration, Instant},
};

/// A track stands still for so long at most while it waits for the key frame of another feed. After that it gets the key frames of its own.
const LONGEST_PAUSE: Duration = Duration::from_secs(3);

/// In bits a second: as fast as a newcomer is sent at most.
const UNBOUNDED: u64 = 100_000_000;

/// Packets that a probe sends again, at most: the newest ones.
const PROBED: u16 = 64;

/// What of the feed is sent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Picks {
    #[default]
    All,
    KeyFrames,
    /// Nothing until then, and after that key frames: the way is full, and another feed comes soon.
    Nothing {
        until: Instant,
    },
}

/// What makes a feed flow: kept for as long as a track comes from it.
pub type Keep = Arc<dyn Any + Send + Sync>;

/// What came of a wish for another feed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Change {
    /// It is made.
    Done,
    /// It is made at the next key frame.
    AtKeyFrame,
}

impl Sender {
    /// Comes from this feed from its next key frame on, whole or as key frames alone.
    pub(crate) fn change(&mut self, feed: &Arc<Feed>, quality: Quality, keep: Keep) -> Change {
        let picks = if quality == Quality::KeyFrames { Picks::KeyFrames } else { Picks::All };
        let before = std::mem::replace(&mut self.picks_next, picks);
        if self.feed().id() == feed.id() {
            self.next = None;
            self.lines.keep(keep);
            if self.picks != picks && picks == Picks::All && !self.is_in_key() {
                self.begin_at_key();
            }
            self.picks = picks;
            return Change::Done;
        }
        if self.progress == Progress::Idle {
            self.lines.begin(Next { feed: Arc::clone(feed), keep });
            (self.next, self.picks) = (None, picks);
            return Change::Done;
        }
        let is_new = self.next.as_ref().is_none_or(|next| next.feed.id() != feed.id());
        if is_new || before != picks {
            feed.request_key_frame();
        }
        self.next = Some(Next { feed: Arc::clone(feed), keep });
        Change::AtKeyFrame
    }

    /// What follows can be decoded though only key frames were sent: nothing was yet, or the newest of them is on its way.
    fn is_in_key(&self) -> bool {
        let is_sending = self.pace.as_ref().is_some_and(|pace| pace.index > 0);
        self.progress == Progress::Idle || is_sending && self.picks == Picks::KeyFrames
    }

    /// Stops what is sent until another feed begins.
    pub(crate) fn pause(&mut self, now: Instant) {
        self.picks = Picks::Nothing { until: now + LONGEST_PAUSE };
        if let Some(pace) = &mut self.pace {
            pace.index = 0;
        }
    }

    pub(super) fn is_paused(&self) -> bool {
        matches!(self.picks, Picks::Nothing { .. })
    }

    /// Goes over to the next feed, if this is its unit and one at which it can begin.
    pub(super) fn switches_to(&mut self, from: FeedId, entry: &Entry<Packets>) -> bool {
        if !entry.item.key {
            return false;
        }
        let Some(next) = self.next.take_if(|next| next.feed.id() == from) else { return false };
        self.lines.go_on(next, &entry.item, self.newest);
        self.picks = self.picks_next;
        self.progress = Progress::Live { next: entry.position };
        self.counters.switches += 1;
        if let Some(pace) = &mut self.pace {
            pace.index = 0;
        }
        true
    }

    /// Whether a unit is among those that are sent.
    pub(super) fn picks(&self, unit: &Packets, now: Instant) -> bool {
        match self.picks {
            Picks::All => true,
            Picks::KeyFrames => unit.key,
            Picks::Nothing { until } => unit.key && now >= until,
        }
    }

    /// Bits a second of the largest feed that it has lately been sent from, as far as that still flows.
    pub(crate) fn full_rate(&self) -> Option<u64> {
        self.lines.feeds().filter_map(|feed| feed.bit_rate()).max()
    }

    /// At which rate packets go out, in bits a second.
    pub(crate) fn set_pace(&mut self, bits: Option<u64>, now: Instant) {
        match (bits, &mut self.pace) {
            (Some(bits), Some(pace)) => pace.set_rate(bits),
            (Some(bits), None) => self.pace = Some(Pace::new(bits, now)),
            // The unit that is being sent goes out as a whole first.
            (None, Some(pace)) if pace.index > 0 => pace.set_rate(UNBOUNDED),
            (None, _) => self.pace = None,
        }
    }

    /// The rate is kept down.
    pub(crate) fn is_paced(&self) -> bool {
        self.pace.is_some()
    }

    /// Sends packets again to see whether so many bits a second get through.
    pub(crate) fn begin_probe(&mut self, bits: u64, now: Instant) {
        if let Some(pace) = &mut self.pace {
            pace.begin_probe(bits, now);
        }
    }

    /// Sends no more than is due.
    pub(crate) fn end_probe(&mut self) {
        if let Some(pace) = &mut self.pace {
            pace.probe = None;
        }
    }

    /// Sends what the pace allows now.
    pub(crate) fn pump(&mut self, outlet: &mut Outlet, batch: &mut Batch) -> Result<(), Error> {
        let Some(mut pace) = self.pace.take() else { return Ok(()) };
        pace.refill(outlet.now);
        let mut result = Ok(());
        while result.is_ok() && pace.has_room() {
            match self.paced_unit(&mut pace, outlet.now) {
                Some(entry) => result = self.send_paced(&entry, &mut pace, outlet, batch),
                None => break,
            }
        }
        let probed = self.probe(&mut pace, outlet, batch);
        self.pace = Some(pace);
        result.and(probed)
    }

    /// The unit to send from, past those that are not picked and those that have waited too long.
    fn paced_unit(&mut self, pace: &mut Pace, now: Instant) -> Option<Arc<Entry<Packets>>> {
        while let Progress::Live { next } = self.progress {
            let Some(entry) = self.feed().at(next) else {
                if next < self.feed().ring().written() {
                    pace.index = 0;
                    self.wait_for_key();
                }
                return None;
            };
            if pace.index > 0 {
                return Some(entry);
            }
            if !self.picks(&entry.item, now) {
                self.progress = Progress::Live { next: next + 1 };
                continue;
            }
            if now.saturating_duration_since(entry.item.at) <= MOST_WAIT {
                return Some(entry);
            }
            match self.feed().ring().newest_key() {
                Some(key) if key > next => {
                    self.counters.skips += 1;
                    self.progress = Progress::Live { next: key };
                }
                _ if entry.item.key => return Some(entry),
                _ => self.wait_for_key(),
            }
        }
        None
    }

    fn send_paced(
        &mut self,
        entry: &Entry<Packets>,
        pace: &mut Pace,
        outlet: &mut Outlet,
        batch: &mut Batch,
    ) -> Result<(), Error> {
        if pace.index == 0 {
            self.begin_unit(entry);
        }
        while pace.has_room() && pace.index < entry.item.payloads.len() {
            let size = entry.item.payloads.payload(pace.index).map_or(0, <[u8]>::len);
            self.send_packet(entry, pace.index, outlet, batch)?;
            pace.spend(size);
            pace.index += 1;
        }
        if pace.index >= entry.item.payloads.len() {
            pace.index = 0;
            self.progress = Progress::Live { next: entry.position + 1 };
        }
        Ok(())
    }

    fn probe(&mut self, pace: &mut Pace, outlet: &mut Outlet, batch: &mut Batch) -> Result<(), Error> {
        let Some(probe) = &mut pace.probe else { return Ok(()) };
        let Some(mut has_room) = probe.room(outlet.now) else {
            pace.probe = None;
            return Ok(());
        };
        // Bounded by what it may send at once, and by one round of the packets that there are.
        let mut left = PROBED;
        while has_room && left > 0 {
            left -= 1;
            probe.back = probe.back % PROBED + 1;
            match self.send_back(probe.back, outlet, batch)? {
                // Not kept any more: once more from the newest on.
                0 => probe.back = 0,
                size => probe.spend(size),
            }
            has_room = probe.room(outlet.now) == Some(true);
        }
        Ok(())
    }
}

#[cfg(test)]
#[path = "switching_tests.rs"]
mod tests;
