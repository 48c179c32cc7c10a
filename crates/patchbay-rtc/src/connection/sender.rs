//! One track on its way to one peer: numbers, retransmission, reports. Which feed it comes from, and how fast it goes, is in `switching`.

use super::{
    lines::{self, Line, Lines, Next},
    outlet::{Extensions, Header, Outlet},
    pace::Pace,
    switching::Picks,
};
use crate::{
    feed::{Feed, FeedId, Packets},
    path::Batch,
    rtcp::{self, Missing, Reception, SenderInfo},
};
use patchbay_media::ring::Entry;
use rtc_shared::error::Error;
use std::{
    collections::VecDeque,
    sync::Arc,
    time::{Duration, Instant, SystemTime},
};

/// Units whose packets can be sent again; the feed bounds how long they are kept.
const MAX_SPANS: usize = 2048;

/// Retransmissions that a peer gets, in bytes a second, and how many seconds of them at once: enough to repair a burst with a tenth lost, too little to be
/// of use for drowning somebody with forged requests.
const RESEND_RATE: u64 = 2_000_000;
const RESEND_BURST: u64 = 4_000_000;

/// What was negotiated for a track.
#[derive(Clone, Debug)]
pub(crate) struct Negotiated {
    pub(crate) ssrc: u32,
    pub(crate) payload_type: u8,
    /// SSRC and payload type of retransmissions.
    pub(crate) rtx: Option<(u32, u8)>,
    /// Numbers of the header extensions.
    pub(crate) extensions: Extensions,
}

/// Where a peer stands in the feed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Progress {
    /// Not connected.
    Idle,
    /// It gets the units from the next key frame on.
    WaitingForKey,
    /// What is cached is being sent to it, up to now this position; live units wait for that.
    CatchingUp {
        /// Position of the next unit.
        next: u64,
    },
    /// It gets each unit as it comes.
    Live {
        /// Position of the next unit.
        next: u64,
    },
}

/// A track on its way to a peer.
pub(crate) struct Sender {
    pub(super) lines: Lines,
    /// The feed that takes its place at its next key frame.
    pub(super) next: Option<Next>,
    pub(super) picks: Picks,
    /// What is picked of the next feed, or of this one when it begins anew.
    pub(super) picks_next: Picks,
    negotiated: Negotiated,
    pub(crate) progress: Progress,
    /// Number of the next packet, with the count of wraps above its 16 bits.
    sequence: u64,
    rtx_sequence: u64,
    spans: VecDeque<Span>,
    /// Time stamp of the newest unit sent, and when it came.
    pub(super) newest: Option<(u32, Instant)>,
    resend: Allowance,
    /// Only where the way is narrow.
    pub(super) pace: Option<Pace>,
    pub(crate) counters: Counters,
}

/// The packets of a unit, as this peer knows them.
#[derive(Clone, Copy, Debug)]
struct Span {
    first: u64,
    position: u64,
    count: u32,
    /// Number of the feed.
    line: u32,
}

/// A packet that was sent.
struct Found {
    sequence: u64,
    entry: Arc<Entry<Packets>>,
    index: usize,
    line: Line,
}

/// What a track has sent, and what the peer reports.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Counters {
    pub(crate) packets: u64,
    pub(crate) bytes: u64,
    pub(crate) resent: u64,
    pub(crate) resent_bytes: u64,
    /// Requests for packets that are not kept any more, or too many.
    pub(crate) not_resent: u64,
    pub(crate) skips: u64,
    pub(crate) key_frame_requests: u64,
    pub(crate) switches: u64,
    pub(crate) fraction_lost: u8,
    pub(crate) jitter: Duration,
    pub(crate) round_trip: Option<Duration>,
}

impl Sender {
    pub(crate) fn new(feed: Arc<Feed>, negotiated: Negotiated) -> Self {
        Self {
            lines: Lines::new(feed),
            next: None,
            picks: Picks::default(),
            picks_next: Picks::default(),
            negotiated,
            progress: Progress::Idle,
            // Below the half, so that the first wrap is far (RFC 3711, section 3.3.1).
            sequence: u64::from(rand::random::<u16>() >> 1),
            rtx_sequence: u64::from(rand::random::<u16>() >> 1),
            spans: VecDeque::new(),
            newest: None,
            resend: Allowance::default(),
            pace: None,
            counters: Counters::default(),
        }
    }

    pub(crate) fn ssrc(&self) -> u32 {
        self.negotiated.ssrc
    }

    /// Its own, and that of its retransmissions.
    pub(crate) fn sources(&self) -> impl Iterator<Item = u32> {
        std::iter::once(self.negotiated.ssrc).chain(self.negotiated.rtx.map(|(ssrc, _)| ssrc))
    }

    /// What it is sent from.
    pub(crate) fn feed(&self) -> &Arc<Feed> {
        self.lines.feed()
    }

    /// Whether units of this feed are of use to it.
    pub(crate) fn wants(&self, feed: FeedId) -> bool {
        self.feed().id() == feed || self.next.as_ref().is_some_and(|next| next.feed.id() == feed)
    }

    /// The feeds in whose groups it may be.
    pub(crate) fn feeds(&self) -> impl Iterator<Item = FeedId> {
        self.lines.ids().chain(self.next.iter().map(|next| next.feed.id()))
    }

    /// A live unit of a feed: sends it, and what stands between the last one and it.
    pub(crate) fn deliver(
        &mut self,
        from: FeedId,
        entry: &Entry<Packets>,
        outlet: &mut Outlet,
        batch: &mut Batch,
    ) -> Result<(), Error> {
        if self.feed().id() != from && !self.switches_to(from, entry) {
            return Ok(());
        }
        match self.progress {
            Progress::Idle | Progress::CatchingUp { .. } => return Ok(()),
            Progress::WaitingForKey if !entry.item.key => return Ok(()),
            Progress::Live { next } if entry.position < next => return Ok(()),
            Progress::WaitingForKey => self.progress = Progress::Live { next: entry.position },
            Progress::Live { .. } => {}
        }
        if self.pace.is_some() {
            return self.pump(outlet, batch);
        }
        self.advance(entry, outlet, batch)
    }

    fn advance(
        &mut self,
        entry: &Entry<Packets>,
        outlet: &mut Outlet,
        batch: &mut Batch,
    ) -> Result<(), Error> {
        let Progress::Live { next } = self.progress else { return Ok(()) };
        for position in next..entry.position {
            let Some(missed) = self.feed().at(position) else {
                return self.fall_behind(entry, outlet, batch);
            };
            self.send_if_picked(&missed, outlet, batch)?;
        }
        self.send_if_picked(entry, outlet, batch)?;
        self.progress = Progress::Live { next: entry.position + 1 };
        Ok(())
    }

    fn send_if_picked(
        &mut self,
        entry: &Entry<Packets>,
        outlet: &mut Outlet,
        batch: &mut Batch,
    ) -> Result<(), Error> {
        if self.picks(&entry.item, outlet.now) { self.send(entry, outlet, batch) } else { Ok(()) }
    }

    /// The peer has missed units that are gone: it goes on at a key frame.
    fn fall_behind(
        &mut self,
        entry: &Entry<Packets>,
        outlet: &mut Outlet,
        batch: &mut Batch,
    ) -> Result<(), Error> {
        self.wait_for_key();
        if !entry.item.key {
            return Ok(());
        }
        self.progress = Progress::Live { next: entry.position };
        self.advance(entry, outlet, batch)
    }

    /// What was sent did not reach the peer, and nothing will until the next key frame.
    pub(crate) fn wait_for_key(&mut self) {
        self.counters.skips += 1;
        self.begin_at_key();
    }

    pub(super) fn begin_at_key(&mut self) {
        self.progress = Progress::WaitingForKey;
        if let Some(pace) = &mut self.pace {
            pace.index = 0;
        }
        self.feed().request_key_frame();
    }

    /// The peer asks for a key frame.
    pub(crate) fn key_frame_asked(&mut self) {
        self.counters.key_frame_requests += 1;
        self.next.as_ref().map_or(self.feed(), |next| &next.feed).request_key_frame();
    }

    /// Sends a unit.
    pub(crate) fn send(
        &mut self,
        entry: &Entry<Packets>,
        outlet: &mut Outlet,
        batch: &mut Batch,
    ) -> Result<(), Error> {
        self.begin_unit(entry);
        for index in 0..entry.item.payloads.len() {
            self.send_packet(entry, index, outlet, batch)?;
        }
        Ok(())
    }

    /// Remembers the numbers that the packets of a unit will have.
    pub(super) fn begin_unit(&mut self, entry: &Entry<Packets>) {
        self.remember(entry.position, entry.item.payloads.len());
        let timestamp = entry.item.timestamp.wrapping_add(self.lines.newest().offset);
        self.newest = Some((timestamp, entry.item.at));
    }

    pub(super) fn send_packet(
        &mut self,
        entry: &Entry<Packets>,
        index: usize,
        outlet: &mut Outlet,
        batch: &mut Batch,
    ) -> Result<(), Error> {
        let Some(payload) = entry.item.payloads.payload(index) else { return Ok(()) };
        let header = self.header(self.sequence, &entry.item, index, self.lines.newest());
        header.write(&[payload], outlet, batch)?;
        self.sequence += 1;
        self.counters.packets += 1;
        self.counters.bytes += payload.len() as u64;
        Ok(())
    }

    /// A packet without payload in front of the first one: when the first is lost, the gap is seen, and it is asked for again.
    pub(crate) fn send_padding(
        &mut self,
        timestamp: u32,
        outlet: &mut Outlet,
        batch: &mut Batch,
    ) -> Result<(), Error> {
        let timestamp = timestamp.wrapping_add(self.lines.newest().offset);
        self.bare_header(self.sequence, timestamp).write_padding(outlet, batch)?;
        self.sequence += 1;
        Ok(())
    }

    fn bare_header(&self, sequence: u64, timestamp: u32) -> Header {
        let Negotiated { ssrc, payload_type, extensions, .. } = self.negotiated;
        Header { payload_type, marker: false, sequence, timestamp, ssrc, extensions }
    }

    /// Of the packet at `index` of a unit.
    fn header(&self, sequence: u64, unit: &Packets, index: usize, line: Line) -> Header {
        let offset = unit.payloads.timestamp_offset(index).wrapping_add(line.offset);
        let timestamp = unit.timestamp.wrapping_add(offset);
        Header { marker: unit.payloads.marker(index), ..self.bare_header(sequence, timestamp) }
    }

    fn remember(&mut self, position: u64, count: usize) {
        let (oldest, line) = (self.feed().ring().oldest(), self.lines.newest().number);
        let is_gone = |span: &Span| span.line == line && span.position < oldest;
        while self.spans.len() >= MAX_SPANS || self.spans.front().is_some_and(is_gone) {
            self.spans.pop_front();
        }
        let count = u32::try_from(count).unwrap_or(u32::MAX);
        self.spans.push_back(Span { first: self.sequence, position, count, line });
    }

    /// Sends again what the peer misses, as far as it is kept and allowed.
    pub(crate) fn resend(
        &mut self,
        missing: Missing,
        outlet: &mut Outlet,
        batch: &mut Batch,
    ) -> Result<(), Error> {
        for sequence in missing.sequences() {
            if self.resend_one(sequence, outlet, batch)?.is_none() {
                self.counters.not_resent += 1;
            }
        }
        Ok(())
    }

    fn resend_one(
        &mut self,
        sequence: u16,
        outlet: &mut Outlet,
        batch: &mut Batch,
    ) -> Result<Option<()>, Error> {
        if self.would_differ() {
            return Ok(None);
        }
        let Some(found) = self.find(sequence) else { return Ok(None) };
        let size = found.entry.item.payloads.payload(found.index).map_or(0, <[u8]>::len);
        if !self.may_repair(&found, outlet.now) || !self.resend.take(size as u64, outlet.now) {
            return Ok(None);
        }
        if let Some(pace) = &mut self.pace {
            pace.spend(size);
        }
        self.write_again(&found, outlet, batch)?;
        self.counters.resent += 1;
        self.counters.resent_bytes += size as u64;
        Ok(Some(()))
    }

    /// Sends again what went out so many packets ago, and tells how much that was.
    pub(super) fn send_back(
        &mut self,
        back: u16,
        outlet: &mut Outlet,
        batch: &mut Batch,
    ) -> Result<usize, Error> {
        let [.., high, low] = self.sequence.to_be_bytes();
        let Some(found) = self.find(u16::from_be_bytes([high, low]).wrapping_sub(back)) else { return Ok(0) };
        self.write_again(&found, outlet, batch)?;
        Ok(found.entry.item.payloads.payload(found.index).map_or(0, <[u8]>::len))
    }

    /// Whether packets can be sent again besides those that were asked for: in a stream of their own, where they do no harm.
    pub(crate) fn has_repair_stream(&self) -> bool {
        self.negotiated.rtx.is_some() && self.negotiated.extensions.transport_cc.is_some()
    }

    /// A packet that is sent again in the same stream has the same nonce, with which nothing else may ever be sealed (RFC 7714, section 8.1); numbered for
    /// feedback on packets, it would have another header.
    fn would_differ(&self) -> bool {
        self.negotiated.rtx.is_none() && self.negotiated.extensions.transport_cc.is_some()
    }

    /// On a narrow way what belongs to an earlier feed is of no use any more, and repairs take their part of the pace. Before another feed begins, nothing is.
    fn may_repair(&mut self, found: &Found, now: Instant) -> bool {
        if self.is_paused() {
            return false;
        }
        let is_newest = found.line.number == self.lines.newest().number;
        self.pace.as_mut().is_none_or(|pace| {
            pace.refill(now);
            is_newest && pace.has_room_for_repair()
        })
    }

    /// Sends a packet again.
    fn write_again(&mut self, found: &Found, outlet: &mut Outlet, batch: &mut Batch) -> Result<(), Error> {
        let Found { sequence, entry, index, line } = found;
        let Some(payload) = entry.item.payloads.payload(*index) else { return Ok(()) };
        let original = self.header(*sequence, &entry.item, *index, *line);
        // Without a stream of its own it is the same packet once more.
        let Some((ssrc, payload_type)) = self.negotiated.rtx else {
            return original.write(&[payload], outlet, batch);
        };
        // RFC 4588, section 4: the original number in front of the payload.
        let [.., high, low] = sequence.to_be_bytes();
        let header = Header { payload_type, ssrc, sequence: self.rtx_sequence, ..original };
        header.write(&[&[high, low], payload], outlet, batch)?;
        self.rtx_sequence += 1;
        Ok(())
    }

    /// The unit and the packet within it that had this number.
    fn find(&self, sequence: u16) -> Option<Found> {
        let [.., high, low] = self.sequence.to_be_bytes();
        let back = u16::from_be_bytes([high, low]).wrapping_sub(sequence);
        if back == 0 {
            // Of a unit that goes out at a pace it may be known already, and was not sent.
            return None;
        }
        let sequence = self.sequence.checked_sub(u64::from(back))?;
        let after = self.spans.partition_point(|span| span.first <= sequence);
        let span = self.spans.get(after.checked_sub(1)?)?;
        let index = sequence - span.first;
        if index >= u64::from(span.count) {
            return None;
        }
        let (feed, line) = self.lines.find(span.line)?;
        Some(Found { sequence, entry: feed.at(span.position)?, index: usize::try_from(index).ok()?, line })
    }

    /// What a sender report says now (RFC 3550, section 6.4.1); nothing before the first packet.
    pub(crate) fn report(&self, now: Instant, time: SystemTime) -> Option<SenderInfo> {
        let (timestamp, at) = self.newest?;
        let since = now.saturating_duration_since(at);
        let ticks = lines::ticks(since, self.feed().clock_rate());
        Some(SenderInfo {
            ssrc: self.negotiated.ssrc,
            ntp: rtcp::ntp(time),
            timestamp: timestamp.wrapping_add(ticks),
            packets: low_half(self.counters.packets),
            bytes: low_half(self.counters.bytes),
        })
    }

    /// The peer reports how the packets arrive.
    pub(crate) fn reception(&mut self, reception: &Reception, time: SystemTime) {
        self.counters.fraction_lost = reception.fraction_lost;
        let nanos = u64::from(reception.jitter) * 1_000_000_000 / u64::from(self.feed().clock_rate().max(1));
        self.counters.jitter = Duration::from_nanos(nanos);
        if reception.last_report != 0 {
            let units = rtcp::middle(rtcp::ntp(time))
                .wrapping_sub(reception.last_report)
                .wrapping_sub(reception.delay);
            // Clocks are not that exact: what is below zero is almost nothing.
            let units = if units > u32::MAX / 2 { 0 } else { units };
            self.counters.round_trip = Some(rtcp::short_time(units));
        }
    }
}

/// Counters of RTCP have 32 bits and wrap.
fn low_half(counter: u64) -> u32 {
    let [.., a, b, c, d] = counter.to_be_bytes();
    u32::from_be_bytes([a, b, c, d])
}

/// A bucket of bytes that fills with time.
#[derive(Debug)]
struct Allowance {
    bytes: u64,
    at: Option<Instant>,
}

impl Default for Allowance {
    fn default() -> Self {
        Self { bytes: RESEND_BURST, at: None }
    }
}

impl Allowance {
    fn take(&mut self, bytes: u64, now: Instant) -> bool {
        let since = now.saturating_duration_since(self.at.replace(now).unwrap_or(now));
        let earned =
            u64::try_from(since.as_micros()).unwrap_or(u64::MAX).saturating_mul(RESEND_RATE) / 1_000_000;
        self.bytes = self.bytes.saturating_add(earned).min(RESEND_BURST);
        if self.bytes < bytes {
            return false;
        }
        self.bytes -= bytes;
        true
    }
}
