//! What a peer sends us: which packet belongs to which track, retransmissions, order, reports, and whole units out.

use crate::rtcp::{self, Missing, Reception, SenderInfo, Writer};
use bytes::Bytes;
use patchbay_media::{
    Codec, Kind,
    rtp::{
        depacketize::{Depacketizer, Incoming as Piece, Unit},
        header::Packet,
        reorder::{Limits, Reorder},
    },
};
use std::{
    collections::VecDeque,
    time::{Duration, Instant},
};

/// Tracks of a peer; layers of simulcast count. More are not taken up.
const MAX_TRACKS: usize = 16;

/// Least time between two requests for a key frame on one track.
const KEY_FRAME_GAP: Duration = Duration::from_millis(500);

/// Time between the words on how fast the peer may send.
const RATE_INTERVAL: Duration = Duration::from_secs(1);

/// Units that wait to be fetched, and their bytes. When it is full, units are dropped, up to a key frame, which is asked for.
const QUEUE: usize = 512;
const QUEUE_BYTES: usize = 32 * 1024 * 1024;

/// A media section in which the peer sends.
#[derive(Clone, Debug, Default)]
pub(crate) struct Section {
    pub(crate) mid: String,
    /// Payload type, its codec, clock rate and channels.
    pub(crate) formats: Vec<Format>,
    pub(crate) mid_extension: Option<u8>,
    pub(crate) rid_extension: Option<u8>,
    pub(crate) repaired_rid_extension: Option<u8>,
    pub(crate) ssrcs: Vec<u32>,
    /// SSRC of media and of its retransmission.
    pub(crate) rtx_ssrcs: Vec<(u32, u32)>,
}

/// A payload type that is taken.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Format {
    pub(crate) payload_type: u8,
    pub(crate) rtx: Option<u8>,
    pub(crate) codec: Codec,
    pub(crate) clock_rate: u32,
    pub(crate) channels: u8,
}

/// A track that a peer sends, by its number, from 0.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReceivedTrack {
    /// Number.
    pub track: usize,
    /// Section of the offer.
    pub mid: String,
    /// Layer of simulcast.
    pub rid: Option<String>,
    /// Coding.
    pub codec: Codec,
    /// Ticks a second of its time stamps.
    pub clock_rate: u32,
    /// Channels of sound.
    pub channels: u8,
}

/// What a peer sends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Received {
    /// A track begins: before its first unit.
    Track(ReceivedTrack),
    /// A unit of a track.
    Unit {
        /// Number of the track.
        track: usize,
        /// The unit.
        unit: Unit,
    },
    /// A track has ended.
    Ended {
        /// Number of the track.
        track: usize,
    },
}

/// All that a peer sends.
#[derive(Default)]
pub(crate) struct Incoming {
    sections: Vec<Section>,
    tracks: Vec<Track>,
    /// Bounded by `QUEUE` and `QUEUE_BYTES`; beginnings and ends of tracks, which `MAX_TRACKS` bounds, always find room.
    received: VecDeque<Received>,
    received_bytes: usize,
    /// Bits a second that the peer may send; 0 says nothing.
    bit_rate: u64,
    next_rate: Option<Instant>,
    /// SSRC under which we report.
    reporter: u32,
}

struct Track {
    ssrc: u32,
    rtx_ssrc: Option<u32>,
    rid: Option<String>,
    format: Format,
    section: usize,
    reorder: Reorder<Stored>,
    depacketizer: Depacketizer,
    arrival: Arrival,
    /// When a key frame may be asked for, the next time.
    may_ask_at: Instant,
    wants_key: Wanted,
    /// Units were dropped, because nobody fetched them.
    has_lost: bool,
    is_over: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Wanted {
    Nothing,
    KeyFrame,
}

struct Stored {
    timestamp: u32,
    marker: bool,
    payload: Bytes,
}

impl Incoming {
    pub(crate) fn new(sections: Vec<Section>, bit_rate: u64) -> Self {
        let reporter = rand::random::<u32>().max(1);
        Self { sections, bit_rate, reporter, ..Self::default() }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.sections.is_empty()
    }

    pub(crate) fn has_received(&self) -> bool {
        !self.received.is_empty()
    }

    pub(crate) fn poll(&mut self) -> Option<Received> {
        let received = self.received.pop_front();
        if let Some(Received::Unit { unit, .. }) = &received {
            self.received_bytes -= unit.data.len();
        }
        received
    }

    /// A packet, already believed.
    pub(crate) fn packet(&mut self, bytes: &Bytes, now: Instant) {
        let Ok(packet) = Packet::parse(bytes) else { return };
        let Some((track, rtx)) = self.find(&packet, now) else { return };
        let Some(track) = self.tracks.get_mut(track) else { return };
        let payload = bytes.slice(packet.payload_range());
        let header = packet.header;
        if rtx == Carries::Media {
            track.arrival.packet(header.sequence, header.timestamp, track.format.clock_rate, now);
            let stored = Stored { timestamp: header.timestamp, marker: header.marker, payload };
            track.reorder.insert(header.sequence, stored, now);
        } else if let Some((original, _)) = payload.split_first_chunk::<2>() {
            // RFC 4588, section 4: the original number stands in front of the payload.
            let original = u16::from_be_bytes(*original);
            let stored =
                Stored { timestamp: header.timestamp, marker: header.marker, payload: payload.slice(2..) };
            track.reorder.insert(original, stored, now);
        }
        self.drain(now);
    }

    /// Hands units on, in order.
    fn drain(&mut self, now: Instant) {
        let mut units = Vec::new();
        for (number, track) in self.tracks.iter_mut().enumerate() {
            while let Some((sequence, stored)) = track.reorder.pop(now) {
                if stored.payload.is_empty() {
                    // Padding, with which senders probe the network.
                    continue;
                }
                let piece = Piece {
                    sequence,
                    timestamp: stored.timestamp,
                    marker: stored.marker,
                    payload: &stored.payload,
                };
                if let Err(error) = track.depacketizer.push(piece, &mut units) {
                    tracing::debug!(%error, "a packet of a peer was not used");
                }
            }
            if track.depacketizer.needs_key() {
                track.wants_key = Wanted::KeyFrame;
            }
            for mut unit in units.drain(..) {
                let is_full =
                    self.received.len() >= QUEUE || self.received_bytes + unit.data.len() > QUEUE_BYTES;
                if is_full || track.has_lost && track.is_video() && !unit.key {
                    track.has_lost = true;
                    track.wants_key = if track.is_video() { Wanted::KeyFrame } else { Wanted::Nothing };
                    continue;
                }
                unit.after_loss |= std::mem::take(&mut track.has_lost);
                self.received_bytes += unit.data.len();
                self.received.push_back(Received::Unit { track: number, unit });
            }
        }
    }

    /// The track of a packet, which may begin with it.
    fn find(&mut self, packet: &Packet<'_>, now: Instant) -> Option<(usize, Carries)> {
        let ssrc = packet.header.ssrc;
        if let Some((known, track)) = self.tracks.iter().enumerate().find(|(_, track)| track.ssrc == ssrc) {
            // Whatever else shares its numbers, tones or comfort noise, was not agreed to.
            let is_media = packet.header.payload_type == track.format.payload_type;
            return is_media.then_some((known, Carries::Media));
        }
        if let Some(known) = self.tracks.iter().position(|track| track.rtx_ssrc == Some(ssrc)) {
            return Some((known, Carries::Retransmission));
        }
        let section = self.section_of(packet)?;
        let spec = self.sections.get(section)?;
        let number = packet.header.payload_type;
        if let Some(format) = spec.formats.iter().find(|format| format.payload_type == number).copied() {
            return self.begin(section, format, packet, now).map(|track| (track, Carries::Media));
        }
        let format = spec.formats.iter().find(|format| format.rtx == Some(number))?;
        let repaired = text(packet, spec.repaired_rid_extension);
        let payload_type = format.payload_type;
        let known = self.tracks.iter().position(|track| {
            track.section == section && track.format.payload_type == payload_type && track.rid == repaired
        })?;
        self.tracks.get_mut(known)?.rtx_ssrc = Some(ssrc);
        Some((known, Carries::Retransmission))
    }

    /// The section of a packet with an SSRC that is new: by the identification it carries, by what the offer announced, or by its payload type (RFC 9143,
    /// section 9.2).
    fn section_of(&self, packet: &Packet<'_>) -> Option<usize> {
        let by = |holds: &dyn Fn(&Section) -> bool| self.sections.iter().position(holds);
        let (ssrc, number) = (packet.header.ssrc, packet.header.payload_type);
        by(&|section| text(packet, section.mid_extension).is_some_and(|mid| mid == section.mid))
            .or_else(|| by(&|section| section.ssrcs.contains(&ssrc)))
            .or_else(|| {
                by(&|section| {
                    section
                        .formats
                        .iter()
                        .any(|format| format.payload_type == number || format.rtx == Some(number))
                })
            })
    }

    fn begin(&mut self, section: usize, format: Format, packet: &Packet<'_>, now: Instant) -> Option<usize> {
        if self.tracks.len() >= MAX_TRACKS {
            return None;
        }
        let spec = self.sections.get(section)?;
        let ssrc = packet.header.ssrc;
        let track = self.tracks.len();
        let rid = text(packet, spec.rid_extension);
        self.received.push_back(Received::Track(ReceivedTrack {
            track,
            mid: spec.mid.clone(),
            rid: rid.clone(),
            codec: format.codec,
            clock_rate: format.clock_rate,
            channels: format.channels,
        }));
        self.tracks.push(Track {
            ssrc,
            rtx_ssrc: spec.rtx_ssrcs.iter().find(|(media, _)| *media == ssrc).map(|(_, rtx)| *rtx),
            rid,
            format,
            section,
            reorder: Reorder::new(Limits::default()),
            depacketizer: Depacketizer::new(format.codec),
            arrival: Arrival::default(),
            may_ask_at: now,
            wants_key: Wanted::Nothing,
            has_lost: false,
            is_over: false,
        });
        Some(track)
    }

    /// Asks for a key frame of a track.
    pub(crate) fn request_key_frame(&mut self, track: usize) {
        if let Some(track) = self.tracks.get_mut(track).filter(|track| track.is_video()) {
            track.wants_key = Wanted::KeyFrame;
        }
    }

    pub(crate) fn set_round_trip(&mut self, round_trip: Duration) {
        for track in &mut self.tracks {
            track.reorder.set_round_trip(round_trip);
        }
    }

    pub(crate) fn sender_report(&mut self, info: &SenderInfo, now: Instant) {
        if let Some(track) = self.tracks.iter_mut().find(|track| track.ssrc == info.ssrc) {
            track.arrival.last_report = Some((rtcp::middle(info.ntp), now));
        }
    }

    pub(crate) fn goodbye(&mut self, ssrc: u32) {
        if let Some(track) = self.tracks.iter().position(|track| track.ssrc == ssrc && !track.is_over) {
            self.tracks[track].is_over = true;
            self.received.push_back(Received::Ended { track });
        }
    }

    /// Who reports, and what.
    pub(crate) fn reports(&mut self, now: Instant) -> (u32, Vec<Reception>) {
        let tracks = self.tracks.iter_mut().filter(|track| !track.is_over);
        (self.reporter, tracks.filter_map(|track| track.arrival.report(track.ssrc, now)).collect())
    }

    /// What is to be asked for now.
    pub(crate) fn feedback(&mut self, now: Instant, writer: &mut Writer<'_>) {
        if self.tracks.is_empty() {
            return;
        }
        self.drain(now);
        let mut numbers = Vec::new();
        for track in &mut self.tracks {
            numbers.clear();
            track.reorder.missing(now, &mut numbers);
            if !numbers.is_empty() {
                writer.missing(self.reporter, track.ssrc, &gather(&numbers));
            }
            if track.wants_key == Wanted::KeyFrame && now >= track.may_ask_at && !track.is_over {
                track.wants_key = Wanted::Nothing;
                track.may_ask_at = now + KEY_FRAME_GAP;
                writer.picture_loss(self.reporter, track.ssrc);
            }
        }
        if self.bit_rate > 0 && self.next_rate.is_none_or(|at| now >= at) {
            self.next_rate = Some(now + RATE_INTERVAL);
            let video = self.tracks.iter().filter(|track| track.format.codec.kind() == Kind::Video);
            writer.bit_rate(self.reporter, self.bit_rate, &video.map(|track| track.ssrc).collect::<Vec<_>>());
        }
    }

    pub(crate) fn deadline(&self) -> Option<Instant> {
        let asks = self.tracks.iter().filter(|track| track.wants_key == Wanted::KeyFrame && !track.is_over);
        let asks = asks.map(|track| track.may_ask_at);
        let reorders = self.tracks.iter().filter_map(|track| track.reorder.deadline());
        let rate = self.next_rate.filter(|_| self.bit_rate > 0);
        asks.chain(reorders).chain(rate).min()
    }
}

impl Track {
    fn is_video(&self) -> bool {
        self.format.codec.kind() == Kind::Video
    }
}

/// What a packet carries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Carries {
    Media,
    Retransmission,
}

/// The text of a header extension.
fn text(packet: &Packet<'_>, id: Option<u8>) -> Option<String> {
    String::from_utf8(packet.extension(id?)?.to_vec()).ok()
}

/// Numbers in order, in the form of RFC 4585: one, and a mask for the 16 that follow it.
fn gather(numbers: &[u16]) -> Vec<Missing> {
    let mut gathered: Vec<Missing> = Vec::new();
    for number in numbers {
        if let Some(last) = gathered.last_mut() {
            let after = number.wrapping_sub(last.first);
            if (1..=16).contains(&after) {
                last.following |= 1 << (after - 1);
                continue;
            }
        }
        gathered.push(Missing { first: *number, following: 0 });
    }
    gathered
}

/// How the packets of a track arrive (RFC 3550, appendices A.3 and A.8).
#[derive(Default)]
struct Arrival {
    first: Option<u32>,
    highest: u32,
    received: u32,
    reported: (u32, u32),
    transit: Option<i64>,
    /// In sixteenths of a tick.
    jitter: i64,
    begun: Option<Instant>,
    last_report: Option<(u32, Instant)>,
}

impl Arrival {
    fn packet(&mut self, sequence: u16, timestamp: u32, rate: u32, now: Instant) {
        let begun = *self.begun.get_or_insert(now);
        if self.first.is_none() {
            self.first = Some(u32::from(sequence));
            self.highest = u32::from(sequence);
        }
        let [.., high, low] = self.highest.to_be_bytes();
        let ahead = sequence.wrapping_sub(u16::from_be_bytes([high, low]));
        if ahead < 0x8000 {
            self.highest = self.highest.wrapping_add(u32::from(ahead));
        }
        self.received = self.received.wrapping_add(1);
        let ticks = now.saturating_duration_since(begun).as_nanos() * u128::from(rate) / 1_000_000_000;
        // Only differences count, on a clock of 32 bits.
        let [.., a, b, c, d] = ticks.to_be_bytes();
        let transit = i64::from(u32::from_be_bytes([a, b, c, d]).wrapping_sub(timestamp).cast_signed());
        if let Some(before) = self.transit.replace(transit) {
            let difference = (transit - before).abs();
            // A jump of the time stamps is no jitter.
            if difference < i64::from(rate) * 5 {
                self.jitter += difference - ((self.jitter + 8) >> 4);
            }
        }
    }

    fn report(&mut self, ssrc: u32, now: Instant) -> Option<Reception> {
        let expected = self.highest.wrapping_sub(self.first?).wrapping_add(1);
        let (expected_before, received_before) =
            std::mem::replace(&mut self.reported, (expected, self.received));
        let (expected_now, received_now) =
            (expected.wrapping_sub(expected_before), self.received.wrapping_sub(received_before));
        let lost_now = expected_now.saturating_sub(received_now);
        let fraction = (u64::from(lost_now) << 8) / u64::from(expected_now.max(1));
        let (last_report, at) = self.last_report.map_or((0, now), |(report, at)| (report, at));
        let delay = now.saturating_duration_since(at).as_micros() * 65_536 / 1_000_000;
        Some(Reception {
            ssrc,
            fraction_lost: u8::try_from(fraction).unwrap_or(u8::MAX),
            lost: expected.wrapping_sub(self.received).cast_signed(),
            highest: self.highest,
            jitter: u32::try_from(self.jitter >> 4).unwrap_or(0),
            last_report,
            delay: if last_report == 0 { 0 } else { u32::try_from(delay).unwrap_or(u32::MAX) },
        })
    }
}

#[cfg(test)]
#[path = "receiver_tests.rs"]
mod tests;
