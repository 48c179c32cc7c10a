//! The times of a camera's tracks on one line.
//!
//! Each track has an RTP clock of its own. Its first unit is placed by its arrival; sender reports then tell how the clocks stand to each other, and the sound is moved towards its
//! place beside the pictures, slowly. Wraps, jumps and drift are the work of [`TimeLine`]. Pictures that come in another order than they are shown in get the times at which they are decoded.

use super::reports::SenderReport;
use patchbay_media::{
    MediaTime,
    timeline::{Clock, LineId, Origin, Placed, TimeLine, Wrap},
};
use std::time::{Duration, Instant};

/// The track to which others are moved.
const REFERENCE: usize = 0;
/// A difference beyond this is of clocks that have nothing to do with each other.
const MOST_SKEW: i64 = 2_000_000_000;
/// A difference below this is not heard.
const LEAST_SKEW: i64 = 1_000_000;
/// Others are moved by one part in so many.
const SLEW: i64 = 20;

/// The clocks of one session.
#[derive(Debug)]
pub(super) struct Clocks {
    line: TimeLine,
    begun: Instant,
    tracks: Vec<TrackClock>,
}

#[derive(Debug)]
struct TrackClock {
    line: Option<LineId>,
    rate: u32,
    /// The newest time stamp, and the same without its wraps.
    newest: Option<(u32, i64)>,
    /// What was added to its times so that it stands right beside the reference, in nanoseconds.
    correction: i64,
    /// How far the line is ahead of the track's own time, in nanoseconds, at the newest unit.
    offset: Option<i64>,
    /// How far the camera's clock is ahead of the track's own time.
    camera: Option<i64>,
    order: Option<DecodingOrder>,
}

impl Clocks {
    /// Clocks that begin now.
    pub(super) fn new(begun: Instant) -> Self {
        Self { line: TimeLine::new(), begun, tracks: Vec::new() }
    }

    /// Adds a track with so many ticks a second.
    pub(super) fn track(&mut self, rate: u32, nominal: Duration) {
        let rate = rate.max(1);
        // Times are given in nanoseconds, so that corrections need not be whole ticks.
        let clock = Clock { rate: 1_000_000_000, wrap: Wrap::Never, origin: Origin::Own, nominal };
        let line = self.line.track(clock);
        self.tracks.push(TrackClock {
            line,
            rate,
            newest: None,
            correction: 0,
            offset: None,
            camera: None,
            order: None,
        });
    }

    /// The pictures of a track come in another order; at most so many are decoded ahead of one that is shown before them.
    pub(super) fn reorder(&mut self, track: usize, depth: usize) {
        if let Some(track) = self.tracks.get_mut(track) {
            track.order = Some(DecodingOrder::new(depth));
        }
    }

    /// The sender of a track has begun anew: what was known of its clock is void.
    pub(super) fn restart(&mut self, track: usize) {
        if let Some(track) = self.tracks.get_mut(track) {
            (track.camera, track.newest) = (None, None);
            track.order = track.order.as_ref().map(|order| DecodingOrder::new(order.depth));
        }
    }

    /// A sender report has come.
    pub(super) fn report(&mut self, track: usize, report: SenderReport) {
        let Some(track) = self.tracks.get_mut(track) else { return };
        if track.newest.is_some() {
            track.camera = Some(report.nanos.saturating_sub(track.nanos(report.timestamp)));
        }
    }

    /// The times of a unit.
    pub(super) fn place(&mut self, track: usize, timestamp: u32, arrival: Instant) -> Placed {
        let wanted = self.skew(track);
        let nowhere = Placed { dts: MediaTime::ZERO, pts: MediaTime::ZERO, jumped: false };
        let Some(clock) = self.tracks.get_mut(track) else { return nowhere };
        let Some(line) = clock.line else { return nowhere };
        let before = clock.newest.map(|(_, ticks)| ticks);
        let ticks = clock.advance(timestamp);
        let progress = before.map_or(0, |before| clock.scale(ticks.saturating_sub(before))).max(0);
        let most = progress / SLEW;
        clock.correction = clock.correction.saturating_add(wanted.clamp(-most, most));
        let own = clock.scale(ticks);
        let shown = own.saturating_add(clock.correction);
        let decoded = match &mut clock.order {
            Some(order) => order.decode_time(shown),
            None => shown,
        };
        let placed = self.line.place(line, decoded, shown, arrival.saturating_duration_since(self.begun));
        if placed.jumped {
            (clock.camera, clock.offset) = (None, None);
            clock.order = clock.order.as_ref().map(|order| DecodingOrder::new(order.depth));
        }
        clock.offset = Some(placed.pts.nanos().saturating_sub(own));
        placed
    }

    /// How far a track is to be moved.
    fn skew(&self, track: usize) -> i64 {
        let ahead = |track: usize| {
            let track = self.tracks.get(track)?;
            Some(track.offset?.saturating_sub(track.camera?))
        };
        let (Some(ours), Some(reference)) = (ahead(track), ahead(REFERENCE)) else { return 0 };
        let skew = reference.saturating_sub(ours);
        if (LEAST_SKEW..=MOST_SKEW).contains(&skew.saturating_abs()) { skew } else { 0 }
    }
}

impl TrackClock {
    /// Ticks without wraps.
    fn advance(&mut self, timestamp: u32) -> i64 {
        let ticks = self.extend(timestamp);
        self.newest = Some((timestamp, ticks));
        ticks
    }

    fn extend(&self, timestamp: u32) -> i64 {
        match self.newest {
            None => i64::from(timestamp),
            Some((newest, ticks)) => ticks.saturating_add(difference(newest, timestamp)),
        }
    }

    fn nanos(&self, timestamp: u32) -> i64 {
        self.scale(self.extend(timestamp))
    }

    fn scale(&self, ticks: i64) -> i64 {
        MediaTime::from_ticks(ticks, self.rate).nanos()
    }
}

/// From one time stamp to another, the shorter way round.
fn difference(from: u32, to: u32) -> i64 {
    i64::from(to.wrapping_sub(from).cast_signed())
}

/// Makes times of decoding for pictures whose times of showing jump to and fro: each is the least of the newest few times of showing, which never goes back.
#[derive(Debug)]
struct DecodingOrder {
    depth: usize,
    /// Sorted; at most one more than the depth.
    newest: Vec<i64>,
    last: Option<i64>,
}

impl DecodingOrder {
    fn new(depth: usize) -> Self {
        Self { depth: depth.clamp(1, 16), newest: Vec::new(), last: None }
    }

    fn decode_time(&mut self, shown: i64) -> i64 {
        let at = self.newest.partition_point(|time| *time <= shown);
        self.newest.insert(at, shown);
        if self.newest.len() > self.depth + 1 {
            self.newest.remove(0);
        }
        let least = self.newest.first().copied().unwrap_or(shown);
        let decoded = self.last.map_or(least, |last| least.max(last)).min(shown);
        self.last = Some(decoded);
        decoded
    }
}

#[cfg(test)]
#[path = "clocks_tests.rs"]
mod tests;
