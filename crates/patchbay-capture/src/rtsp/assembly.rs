//! A session's packets in, the hub's tracks out: what is published, when it is published anew, and which units are written.

use super::{
    clocks::Clocks,
    lane::{Lane, Order, Shaped},
    offer::{Format, Taken},
    rate::Rate,
    reports,
    tunnel::{MediaPacket, PacketKind},
};
use crate::CaptureLimits;
use patchbay_media::{
    AccessUnit,
    hub::{Publisher, Reason, SourceError},
    track::{KeyFrames, TrackInfo, TrackWriter},
};
use std::{sync::Arc, time::Instant};

/// Units that are kept from the start of a session until it is known whether pictures come in another order, and their bytes.
const MAX_KEPT: usize = 64;
const MAX_KEPT_BYTES: usize = 8 * 1024 * 1024;
/// Pictures in order after which they are taken to be so always.
const PROVEN: u32 = 16;
/// How often tracks are published anew: more would keep every viewer busy with nothing else. Within two seconds twice as many are.
const REPUBLISHED_PER_SECOND: u64 = 4;

/// What has come so far, for those who wait for it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Seen {
    pub(super) packet: Option<Instant>,
    /// A unit of pictures, or of sound where there are no pictures.
    pub(super) unit: Option<Instant>,
    pub(super) published: bool,
}

/// Puts a session's tracks together.
pub(super) struct Assembly {
    lanes: Vec<Lane>,
    clocks: Clocks,
    publisher: Publisher,
    /// What was published last; empty before.
    published: Vec<TrackInfo>,
    writers: Vec<TrackWriter>,
    kept: Option<Kept>,
    units: Rate,
    republished: Rate,
    seen: Seen,
}

/// The pictures since the first key frame, to be written again if it turns out that they come in another order.
#[derive(Default)]
struct Kept {
    units: Vec<(Shaped, Instant)>,
    bytes: usize,
    in_order: u32,
}

impl Assembly {
    /// Publishes at once where the description tells enough.
    pub(super) fn new(
        taken: &[Taken],
        formats: Vec<Format>,
        publisher: Publisher,
        limits: &CaptureLimits,
    ) -> Result<Self, SourceError> {
        let (formats, now): (Arc<[Format]>, _) = (formats.into(), Instant::now());
        let lanes: Vec<Lane> = taken.iter().map(|taken| Lane::new(taken, Arc::clone(&formats))).collect();
        let mut assembly = Self {
            clocks: Clocks::new(now),
            lanes,
            publisher,
            published: Vec::new(),
            writers: Vec::new(),
            kept: None,
            units: Rate::new(limits.units_per_second, now),
            republished: Rate::new(REPUBLISHED_PER_SECOND, now),
            seen: Seen { packet: None, unit: None, published: false },
        };
        assembly.begin_clocks(now);
        assembly.publish_if_changed()?;
        Ok(assembly)
    }

    pub(super) fn seen(&self) -> Seen {
        self.seen
    }

    /// Takes a packet.
    pub(super) fn packet(&mut self, packet: &MediaPacket) -> Result<(), SourceError> {
        let Some(lane) = self.lanes.get_mut(packet.stream) else { return Ok(()) };
        match packet.kind {
            PacketKind::Garbage => self.publisher.health().discard(),
            PacketKind::Report => {
                let report = reports::sender_report(&packet.data);
                if let Some(report) = report.filter(|report| lane.ssrc() == Some(report.ssrc)) {
                    self.clocks.report(packet.stream, report);
                }
            }
            PacketKind::Media => {
                self.seen.packet = Some(packet.arrival);
                let pushed = lane.push(&packet.data, self.publisher.health());
                if pushed.restarted {
                    self.clocks.restart(packet.stream);
                }
                for unit in pushed.units {
                    self.unit(packet.stream, unit, packet.arrival)?;
                }
            }
        }
        Ok(())
    }

    fn unit(&mut self, stream: usize, unit: Shaped, arrival: Instant) -> Result<(), SourceError> {
        if !self.units.add(1, arrival) {
            let text = "the camera sends more pictures and sound than any camera does: lower its frame rate";
            return Err(SourceError::temporary(text).because(Reason::Protocol));
        }
        let is_video = self.lanes.get(stream).is_some_and(Lane::is_video);
        let leads = is_video || self.lanes.iter().all(|lane| !lane.is_video());
        if leads {
            self.seen.unit = Some(arrival);
        }
        if unit.bidirectional {
            return self.turn_around(stream, unit, arrival);
        }
        // Sound does not break pictures off: what is new of it is told with their next key frame, unless nobody could understand it until then.
        if unit.key && (leads || !self.is_as_published(stream)) {
            self.publish_if_changed()?;
        }
        if is_video {
            self.keep(stream, &unit, arrival);
        }
        self.write(stream, unit, arrival);
        Ok(())
    }

    /// Gives the tracks to the hub, where all are known and something is new.
    fn publish_if_changed(&mut self) -> Result<(), SourceError> {
        if !self.lanes.iter().all(Lane::is_known) {
            return Ok(());
        }
        if self.lanes.iter().map(Lane::info).eq(&self.published) {
            return Ok(());
        }
        let infos: Vec<TrackInfo> = self.lanes.iter().map(|lane| lane.info().clone()).collect();
        if !self.republished.add(1, Instant::now()) {
            let text = "the camera changes the form of its pictures all the time";
            return Err(SourceError::temporary(text).because(Reason::Protocol));
        }
        let tracks = infos.iter().cloned().map(|info| (info, KeyFrames::AsTheyCome)).collect();
        let is_first = self.published.is_empty();
        self.writers = self.publisher.publish(tracks)?;
        self.published = infos;
        self.seen.published = true;
        if !is_first {
            // Other pictures may come in another order.
            self.begin_clocks(Instant::now());
        }
        self.kept = self.lanes.iter().any(|lane| lane.order() == Order::Unsaid).then(Kept::default);
        Ok(())
    }

    fn begin_clocks(&mut self, begun: Instant) {
        self.clocks = Clocks::new(begun);
        for (stream, lane) in self.lanes.iter().enumerate() {
            self.clocks.track(lane.info().clock_rate, lane.nominal());
            if let Order::Changed(depth) = lane.order() {
                self.clocks.reorder(stream, depth);
            }
        }
    }

    /// Keeps a picture as long as the order of pictures is not known.
    fn keep(&mut self, stream: usize, unit: &Shaped, arrival: Instant) {
        let is_unsaid = self.lanes.get(stream).is_some_and(|lane| lane.order() == Order::Unsaid);
        let Some(kept) = self.kept.as_mut().filter(|_| is_unsaid) else { return };
        if unit.key {
            (kept.units, kept.bytes) = (Vec::new(), 0);
        }
        kept.in_order += 1;
        kept.bytes += unit.data.len();
        kept.units.push((unit.clone(), arrival));
        if kept.in_order > PROVEN || kept.units.len() > MAX_KEPT || kept.bytes > MAX_KEPT_BYTES {
            self.kept = None;
        }
    }

    /// The first picture has come that is shown before one in front of it: the track is another one than was published. What its viewers have
    /// seen of it so far is written once more, with the right times.
    fn turn_around(&mut self, stream: usize, unit: Shaped, arrival: Instant) -> Result<(), SourceError> {
        let kept = self.kept.take().unwrap_or_default();
        if let Some(lane) = self.lanes.get_mut(stream) {
            lane.is_reordered();
        }
        self.publish_if_changed()?;
        if let Some((_, first)) = kept.units.first() {
            self.begin_clocks(*first);
        }
        for (unit, arrival) in kept.units {
            self.write(stream, unit, arrival);
        }
        self.write(stream, unit, arrival);
        Ok(())
    }

    /// Whether a track's units are in the codec that its viewers know of.
    fn is_as_published(&self, stream: usize) -> bool {
        let published = self.published.get(stream).map(|info| info.codec);
        published == self.lanes.get(stream).map(|lane| lane.info().codec)
    }

    fn write(&mut self, stream: usize, unit: Shaped, arrival: Instant) {
        if !self.is_as_published(stream) {
            return;
        }
        let Some((info, writer)) = self.published.get(stream).zip(self.writers.get_mut(stream)) else {
            return;
        };
        let placed = self.clocks.place(stream, unit.timestamp, arrival);
        if placed.jumped {
            self.publisher.health().jump();
        }
        writer.write(AccessUnit {
            track: info.id,
            dts: placed.dts,
            pts: placed.pts,
            key: unit.key,
            data: unit.data,
        });
    }
}
