//! One track on its way to one peer: numbers, headers, retransmission, reports.

use crate::{
    feed::{Feed, Packets},
    path::Batch,
    rtcp::{self, Missing, Reception, SenderInfo},
    srtp::Srtp,
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
    /// Number of the header extension for the playout delay.
    pub(crate) playout_delay: Option<u8>,
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
    pub(crate) feed: Arc<Feed>,
    negotiated: Negotiated,
    pub(crate) progress: Progress,
    /// Number of the next packet, with the count of wraps above its 16 bits.
    sequence: u64,
    rtx_sequence: u64,
    spans: VecDeque<Span>,
    /// Time stamp of the newest unit sent, and when it came.
    newest: Option<(u32, Instant)>,
    resend: Allowance,
    pub(crate) counters: Counters,
}

/// The packets of a unit, as this peer knows them.
#[derive(Clone, Copy, Debug)]
struct Span {
    first: u64,
    position: u64,
    count: u32,
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
    pub(crate) fraction_lost: u8,
    pub(crate) jitter: Duration,
    pub(crate) round_trip: Option<Duration>,
}

impl Sender {
    pub(crate) fn new(feed: Arc<Feed>, negotiated: Negotiated) -> Self {
        Self {
            feed,
            negotiated,
            progress: Progress::Idle,
            // Below the half, so that the first wrap is far (RFC 3711, section 3.3.1).
            sequence: u64::from(rand::random::<u16>() >> 1),
            rtx_sequence: u64::from(rand::random::<u16>() >> 1),
            spans: VecDeque::new(),
            newest: None,
            resend: Allowance::default(),
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

    /// A live unit: sends it, and what stands between the last one and it.
    pub(crate) fn deliver(
        &mut self,
        entry: &Entry<Packets>,
        srtp: &mut Srtp,
        batch: &mut Batch,
    ) -> Result<(), Error> {
        match self.progress {
            Progress::Idle | Progress::CatchingUp { .. } => return Ok(()),
            Progress::WaitingForKey if !entry.item.key => return Ok(()),
            Progress::Live { next } if entry.position < next => return Ok(()),
            Progress::Live { next } => {
                for position in next..entry.position {
                    let Some(missed) = self.feed.at(position) else {
                        return self.fall_behind(entry, srtp, batch);
                    };
                    self.send(&missed, srtp, batch)?;
                }
            }
            Progress::WaitingForKey => {}
        }
        self.send(entry, srtp, batch)?;
        self.progress = Progress::Live { next: entry.position + 1 };
        Ok(())
    }

    /// The peer has missed units that are gone: it goes on at a key frame.
    fn fall_behind(
        &mut self,
        entry: &Entry<Packets>,
        srtp: &mut Srtp,
        batch: &mut Batch,
    ) -> Result<(), Error> {
        self.wait_for_key();
        if entry.item.key { self.deliver(entry, srtp, batch) } else { Ok(()) }
    }

    /// What was sent did not reach the peer, and nothing will until the next key frame.
    pub(crate) fn wait_for_key(&mut self) {
        self.progress = Progress::WaitingForKey;
        self.counters.skips += 1;
        self.feed.request_key_frame();
    }

    /// Sends a unit.
    pub(crate) fn send(
        &mut self,
        entry: &Entry<Packets>,
        srtp: &mut Srtp,
        batch: &mut Batch,
    ) -> Result<(), Error> {
        let unit = &entry.item;
        let count = unit.payloads.len();
        self.remember(entry.position, count);
        for (index, payload) in unit.payloads.iter().enumerate() {
            self.header(self.sequence, unit, index).write(&[payload], srtp, batch)?;
            self.sequence += 1;
            self.counters.packets += 1;
            self.counters.bytes += payload.len() as u64;
        }
        self.newest = Some((unit.timestamp, unit.at));
        Ok(())
    }

    /// A packet without payload in front of the first one: when the first is lost, the gap is seen, and it is asked for again.
    pub(crate) fn send_padding(
        &mut self,
        timestamp: u32,
        srtp: &mut Srtp,
        batch: &mut Batch,
    ) -> Result<(), Error> {
        self.bare_header(self.sequence, timestamp).write_padding(srtp, batch)?;
        self.sequence += 1;
        Ok(())
    }

    fn bare_header(&self, sequence: u64, timestamp: u32) -> Header {
        let Negotiated { ssrc, payload_type, playout_delay, .. } = self.negotiated;
        Header { payload_type, marker: false, sequence, timestamp, ssrc, playout_delay }
    }

    /// Of the packet at `index` of a unit.
    fn header(&self, sequence: u64, unit: &Packets, index: usize) -> Header {
        let timestamp = unit.timestamp.wrapping_add(unit.payloads.timestamp_offset(index));
        Header { marker: unit.payloads.marker(index), ..self.bare_header(sequence, timestamp) }
    }

    fn remember(&mut self, position: u64, count: usize) {
        let oldest = self.feed.ring().oldest();
        while self.spans.front().is_some_and(|span| span.position < oldest || self.spans.len() >= MAX_SPANS) {
            self.spans.pop_front();
        }
        let count = u32::try_from(count).unwrap_or(u32::MAX);
        self.spans.push_back(Span { first: self.sequence, position, count });
    }

    /// Sends again what the peer misses, as far as it is kept and allowed.
    pub(crate) fn resend(
        &mut self,
        missing: Missing,
        now: Instant,
        srtp: &mut Srtp,
        batch: &mut Batch,
    ) -> Result<(), Error> {
        for sequence in missing.sequences() {
            if self.resend_one(sequence, now, srtp, batch)?.is_none() {
                self.counters.not_resent += 1;
            }
        }
        Ok(())
    }

    fn resend_one(
        &mut self,
        sequence: u16,
        now: Instant,
        srtp: &mut Srtp,
        batch: &mut Batch,
    ) -> Result<Option<()>, Error> {
        let Some((sequence, entry, index)) = self.find(sequence) else { return Ok(None) };
        let unit = &entry.item;
        let Some(payload) = unit.payloads.payload(index) else { return Ok(None) };
        if !self.resend.take(payload.len() as u64, now) {
            return Ok(None);
        }
        let original = self.header(sequence, unit, index);
        match self.negotiated.rtx {
            Some((ssrc, payload_type)) => {
                // RFC 4588, section 4: the original number in front of the payload, in a stream of its own.
                let [.., high, low] = sequence.to_be_bytes();
                let header = Header { payload_type, ssrc, sequence: self.rtx_sequence, ..original };
                header.write(&[&[high, low], payload], srtp, batch)?;
                self.rtx_sequence += 1;
            }
            // The same packet once more.
            None => original.write(&[payload], srtp, batch)?,
        }
        self.counters.resent += 1;
        self.counters.resent_bytes += payload.len() as u64;
        Ok(Some(()))
    }

    /// The unit and the packet within it that had this number.
    fn find(&self, sequence: u16) -> Option<(u64, Arc<Entry<Packets>>, usize)> {
        let [.., high, low] = self.sequence.to_be_bytes();
        let back = u16::from_be_bytes([high, low]).wrapping_sub(sequence);
        let sequence = self.sequence.checked_sub(u64::from(back))?;
        let after = self.spans.partition_point(|span| span.first <= sequence);
        let span = self.spans.get(after.checked_sub(1)?)?;
        let index = sequence - span.first;
        if index >= u64::from(span.count) {
            return None;
        }
        Some((sequence, self.feed.at(span.position)?, usize::try_from(index).ok()?))
    }

    /// What a sender report says now (RFC 3550, section 6.4.1); nothing before the first packet.
    pub(crate) fn report(&self, now: Instant, time: SystemTime) -> Option<SenderInfo> {
        let (timestamp, at) = self.newest?;
        let since = now.saturating_duration_since(at);
        let ticks = since.as_nanos() * u128::from(self.feed.clock_rate()) / 1_000_000_000;
        let ticks = u32::try_from(ticks & u128::from(u32::MAX)).unwrap_or(0);
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
        let nanos = u64::from(reception.jitter) * 1_000_000_000 / u64::from(self.feed.clock_rate().max(1));
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

#[derive(Clone, Copy)]
struct Header {
    payload_type: u8,
    marker: bool,
    sequence: u64,
    timestamp: u32,
    ssrc: u32,
    playout_delay: Option<u8>,
}

/// First byte of RTP: version 2, with an extension, with padding.
const VERSION: u8 = 0x80;
const EXTENSION: u8 = 0x10;
const PADDING: u8 = 0x20;

/// Bytes of a packet of padding, the last of which counts them (RFC 3550, section 5.1).
const PADDING_BYTES: [u8; 4] = [0, 0, 0, 4];

impl Header {
    fn write(self, payload: &[&[u8]], srtp: &mut Srtp, batch: &mut Batch) -> Result<(), Error> {
        self.write_with(VERSION, payload, srtp, batch)
    }

    fn write_padding(self, srtp: &mut Srtp, batch: &mut Batch) -> Result<(), Error> {
        self.write_with(VERSION | PADDING, &[&PADDING_BYTES], srtp, batch)
    }

    fn write_with(
        self,
        first: u8,
        payload: &[&[u8]],
        srtp: &mut Srtp,
        batch: &mut Batch,
    ) -> Result<(), Error> {
        let buffer = &mut batch.buffer;
        let start = buffer.len();
        let extension = if self.playout_delay.is_some() { EXTENSION } else { 0 };
        let [.., high, low] = self.sequence.to_be_bytes();
        buffer.extend_from_slice(&[
            first | extension,
            self.payload_type | (u8::from(self.marker) << 7),
            high,
            low,
        ]);
        buffer.extend_from_slice(&self.timestamp.to_be_bytes());
        buffer.extend_from_slice(&self.ssrc.to_be_bytes());
        if let Some(id) = self.playout_delay {
            // RFC 8285, section 4.2: one element of three bytes; least and greatest delay are both zero.
            buffer.extend_from_slice(&[0xbe, 0xde, 0, 1, (id << 4) | 2, 0, 0, 0]);
        }
        let header = buffer.len() - start;
        for part in payload {
            buffer.extend_from_slice(part);
        }
        srtp.seal(buffer, start, header, self.ssrc, self.sequence)?;
        batch.finish_packet();
        Ok(())
    }
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
