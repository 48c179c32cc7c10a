//! What a peer is sent, as the way to it allows.

use super::{Change, Connection, Event, Keep, Sender};
use crate::{
    congestion::{Controller, Order, Quality},
    feed::{Feed, FeedId, Packets},
    path::{Batch, Path},
};
use patchbay_media::{Kind, ring::Entry};
use std::{sync::Arc, time::Instant};

/// A report on a track's packets.
pub(super) fn note(congestion: &mut Controller, sender: &Sender, now: Instant) {
    if sender.feed().kind() == Kind::Video {
        congestion.reception(sender.counters.fraction_lost, sender.counters.round_trip, now);
    }
}

impl Connection {
    /// A live unit of a feed for a track, written to an empty batch.
    pub(crate) fn deliver(
        &mut self,
        track: usize,
        from: FeedId,
        entry: &Entry<Packets>,
        batch: &mut Batch,
    ) -> Option<Path> {
        let switches =
            |connection: &Self| connection.senders.get(track).map(|sender| sender.counters.switches);
        let before = switches(self);
        let path =
            self.send_with(track, batch, |sender, outlet, batch| sender.deliver(from, entry, outlet, batch));
        if switches(self) != before {
            self.congestion.applied(Instant::now());
        }
        path
    }

    /// Whether a track of the peer has any use for a feed.
    pub(crate) fn wants(&self, track: usize, feed: FeedId) -> bool {
        !self.is_closed() && self.senders.get(track).is_some_and(|sender| sender.wants(feed))
    }

    /// Looks at how the way does, and acts on it.
    pub(super) fn adapt(&mut self, now: Instant) {
        let Some(outlet) = &self.outlet else { return };
        let Some(sender) = self.senders.iter_mut().find(|sender| sender.feed().kind() == Kind::Video) else {
            return;
        };
        let track = sender.feed().bit_rate();
        let sent = sender.counters.bytes + sender.counters.resent_bytes;
        let before = self.congestion.quality();
        self.congestion.note_full(sender.full_rate());
        let order = self.congestion.decide(&outlet.ledger, track, sent, now);
        sender.set_pace(self.congestion.pace(track), now);
        match order {
            Some(Order::Step(quality)) => {
                if quality < before {
                    sender.pause(now);
                }
                self.events.push_back(Event::Quality(quality));
            }
            Some(Order::Probe(rate)) => {
                // Besides what is sent anyway, which is little where there are key frames alone.
                let besides = track.filter(|_| before != Quality::KeyFrames).unwrap_or(0);
                sender.begin_probe(rate.saturating_sub(besides), now);
            }
            None if !self.congestion.is_probing() => sender.end_probe(),
            None => {}
        }
    }

    /// Has a track come from a feed, in a quality; nothing when it has ended, or there is no such track, or not in this codec.
    pub(crate) fn change(
        &mut self,
        feed: &Arc<Feed>,
        quality: Quality,
        keep: Keep,
        now: Instant,
    ) -> Option<(usize, Change)> {
        if self.is_closed() {
            return None;
        }
        let of_kind = |sender: &Sender| sender.feed().kind() == feed.kind();
        let track = self.senders.iter().position(of_kind)?;
        let sender = self.senders.get_mut(track).filter(|sender| sender.feed().codec() == feed.codec())?;
        self.congestion.given(quality, now);
        let change = sender.change(feed, quality, keep);
        if change == Change::Done {
            self.congestion.applied(now);
        }
        Some((track, change))
    }

    /// Its packets go out at a pace, so that [`Self::pump`] wants to be called often.
    pub(crate) fn is_paced(&self) -> bool {
        self.is_connected() && self.senders.iter().any(Sender::is_paced)
    }

    /// Writes what the pace allows now to an empty batch.
    pub(crate) fn pump(&mut self, batch: &mut Batch) -> Option<Path> {
        let track = self.senders.iter().position(Sender::is_paced)?;
        self.send_with(track, batch, Sender::pump)
    }
}
