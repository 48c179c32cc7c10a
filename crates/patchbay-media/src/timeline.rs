//! Repairs the times of one source, so that all who read its tracks can rely on them.
//!
//! Clocks of sources wrap (RTP in 32 bits, MPEG in 33), jump (a file that starts again, an encoder that was restarted), stutter, and run faster or slower
//! than ours. What comes out begins near zero, never goes back within a track, and keeps pictures and sound of a source together.
//! Sans-IO: who calls it says when a unit has arrived.

mod drift;

use crate::MediaTime;
use drift::Drift;
use std::time::Duration;

/// A step forward beyond this is a jump of the source's clock, unless so much time has passed here as well.
pub const JUMP_FORWARD: Duration = Duration::from_secs(5);
/// A step back beyond this is a jump; a smaller one is a stutter, which is flattened.
pub const JUMP_BACK: Duration = Duration::from_millis(100);
/// Most time between the decoding and the showing of a picture; more is cut.
pub const MAX_COMPOSITION: Duration = Duration::from_secs(5);
/// Most tracks of a source.
pub const MAX_LINES: usize = super::hub::MAX_TRACKS;

/// A gap in the times of a track that is so near to the gap in the arrivals is a pause, not a jump.
const PAUSE_SLACK: i64 = 1_000_000_000;
/// Steps up to this are taken as the track's frame interval.
const LONGEST_FRAME: i64 = 1_000_000_000;

/// The group of the tracks whose clocks begin together.
const SHARED: usize = 0;

/// After how many bits a clock starts again at zero.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wrap {
    /// RTP (RFC 3550), RTMP.
    Bits32,
    /// MPEG systems (ISO/IEC 13818-1).
    Bits33,
    /// It does not.
    Never,
}

impl Wrap {
    fn bits(self) -> u32 {
        match self {
            Self::Bits32 => 32,
            Self::Bits33 => 33,
            Self::Never => 64,
        }
    }

    /// The way from one value of the clock to another, the shorter way round.
    fn difference(self, from: i64, to: i64) -> i64 {
        let unused = 64 - self.bits();
        // Sign-extends what is left after the clock's own bits were kept.
        to.wrapping_sub(from).wrapping_shl(unused).wrapping_shr(unused)
    }

    fn value(self, raw: i64) -> i64 {
        match self {
            Self::Never => raw,
            Self::Bits32 | Self::Bits33 => raw & ((1 << self.bits()) - 1),
        }
    }
}

/// Where a track's clock begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Origin {
    /// Where those of the source's other tracks do: RTMP, MPEG, files.
    Shared,
    /// Anywhere: RTP. The first unit is placed by its arrival.
    Own,
}

/// A track's clock.
#[derive(Clone, Copy, Debug)]
pub struct Clock {
    /// Ticks a second.
    pub rate: u32,
    /// Where it wraps.
    pub wrap: Wrap,
    /// Where it begins.
    pub origin: Origin,
    /// Time between two units, until it is known from the track itself.
    pub nominal: Duration,
}

/// Number of a track's clock in its time line.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct LineId(usize);

/// The repaired times of a unit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Placed {
    /// When it is decoded; not before the unit before it in its track.
    pub dts: MediaTime,
    /// When it is shown; not before it is decoded.
    pub pts: MediaTime,
    /// The source's clock has jumped here.
    pub jumped: bool,
}

/// The time line of one source.
#[derive(Debug, Default)]
pub struct TimeLine {
    begun: Option<Duration>,
    lines: Vec<Line>,
    /// Offsets that are in use, the newest of each group last; at most one more than there are tracks.
    epochs: Vec<Epoch>,
    epochs_made: u64,
    /// Newest time of any track.
    front: Option<i64>,
    drift: Drift,
    jumps: u64,
}

/// A track. Times are in nanoseconds.
#[derive(Debug)]
struct Line {
    clock: Clock,
    /// Tracks of one group share their offsets.
    group: usize,
    last: Option<Last>,
    interval: i64,
}

#[derive(Clone, Copy, Debug)]
struct Last {
    /// The clock, without its wraps, in ticks.
    ticks: i64,
    raw: i64,
    epoch: u64,
    /// Furthest place on the line, without the correction for drift.
    place: i64,
    dts: i64,
    arrival: Duration,
}

/// From a source's time to the line; a jump begins another one.
#[derive(Clone, Copy, Debug)]
struct Epoch {
    number: u64,
    group: usize,
    offset: i64,
}

impl TimeLine {
    /// A line without tracks.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a track; none when there are too many.
    pub fn track(&mut self, clock: Clock) -> Option<LineId> {
        if self.lines.len() >= MAX_LINES {
            return None;
        }
        let id = self.lines.len();
        let group = match clock.origin {
            Origin::Shared => SHARED,
            Origin::Own => id + 1,
        };
        self.lines.push(Line { clock, group, last: None, interval: nanos(clock.nominal).max(1) });
        Some(LineId(id))
    }

    /// Jumps of the source's clock that were closed.
    pub fn jumps(&self) -> u64 {
        self.jumps
    }

    /// Places a unit. `dts` and `pts` are what the source says, in ticks of the track's clock; `arrival` is read from a clock of ours that does not go back.
    pub fn place(&mut self, id: LineId, dts: i64, pts: i64, arrival: Duration) -> Placed {
        let Some(line) = self.lines.get(id.0) else {
            // Only a number from another time line leads here.
            return Placed { dts: MediaTime::ZERO, pts: MediaTime::ZERO, jumped: false };
        };
        let (clock, last, group, interval) = (line.clock, line.last, line.group, line.interval);
        let begun = *self.begun.get_or_insert(arrival);
        let arrival = arrival.saturating_sub(begun);
        let ticks = match &last {
            None => clock.wrap.value(dts),
            Some(last) => last.ticks.saturating_add(clock.wrap.difference(last.raw, dts)),
        };
        let time = MediaTime::from_ticks(ticks, clock.rate).nanos();
        let jumps = self.jumps;
        let (epoch, place) = match &last {
            None => self.first(group, time, arrival),
            Some(last) => self.next(group, interval, last, time, arrival),
        };
        let corrected = self.correct(place);
        let out = last.map_or(corrected, |last| corrected.max(last.dts));
        self.drift.measure(arrival, out);
        if let Some(line) = self.lines.get_mut(id.0) {
            let before = last.map_or(place, |last| last.place);
            let step = place.saturating_sub(before);
            if (1..=LONGEST_FRAME).contains(&step) && self.jumps == jumps {
                line.interval = step;
            }
            line.last = Some(Last { ticks, raw: dts, epoch, place: place.max(before), dts: out, arrival });
        }
        self.forget();
        let composition = MediaTime::from_ticks(clock.wrap.difference(dts, pts), clock.rate).nanos();
        let composition = composition.clamp(0, nanos(MAX_COMPOSITION));
        let pts = corrected.saturating_add(composition).max(out);
        Placed {
            dts: MediaTime::from_nanos(out),
            pts: MediaTime::from_nanos(pts),
            jumped: self.jumps != jumps,
        }
    }

    /// The first unit of a track: near those of the tracks that share its clock, or else where it arrived.
    fn first(&mut self, group: usize, time: i64, arrival: Duration) -> (u64, i64) {
        if let Some(epoch) = self.newest(group) {
            let place = time.saturating_add(epoch.offset);
            let front = self.front.unwrap_or_default();
            if place.abs_diff(front) <= JUMP_FORWARD.as_nanos().try_into().unwrap_or(u64::MAX) {
                return (epoch.number, place);
            }
        }
        let place = self.arrived(arrival);
        (self.begin(group, place.saturating_sub(time)), place)
    }

    /// Where a unit is placed by its arrival.
    fn arrived(&self, arrival: Duration) -> i64 {
        nanos(arrival).saturating_sub(self.drift.correction())
    }

    /// Any other unit: where its epoch has it, unless that is a jump.
    fn next(&mut self, group: usize, interval: i64, last: &Last, time: i64, arrival: Duration) -> (u64, i64) {
        let offset = self.epochs.iter().find(|epoch| epoch.number == last.epoch).map(|epoch| epoch.offset);
        let place = time.saturating_add(offset.unwrap_or_default());
        let step = place.saturating_sub(last.place);
        let passed = nanos(arrival.saturating_sub(last.arrival));
        let is_pause = step > 0 && step.abs_diff(passed) <= PAUSE_SLACK.unsigned_abs();
        if is_steady(step) || is_pause {
            return (last.epoch, place);
        }
        let mut wanted = last.place.saturating_add(interval);
        if group != SHARED {
            // Nothing but its arrival tells where it belongs among the other tracks.
            wanted = wanted.max(self.arrived(arrival));
        }
        if let Some(joined) = self.follow(group, last, time, wanted) {
            return joined;
        }
        self.jumps += 1;
        (self.begin(group, wanted.saturating_sub(time)), wanted)
    }

    /// Joins the epoch that another track of the group has begun with the same jump, so that they stay together.
    fn follow(&mut self, group: usize, last: &Last, time: i64, wanted: i64) -> Option<(u64, i64)> {
        let newest = self.newest(group).filter(|epoch| epoch.number > last.epoch)?;
        let place = time.saturating_add(newest.offset);
        let step = place.saturating_sub(last.place);
        if is_steady(step) {
            return Some((newest.number, place));
        }
        if step > 0 || step < -nanos(JUMP_FORWARD) {
            return None;
        }
        // The other one was earlier at its end: it waits for this one.
        let missing = wanted.saturating_sub(place);
        let epoch = self.epochs.iter_mut().find(|epoch| epoch.number == newest.number)?;
        epoch.offset = epoch.offset.saturating_add(missing);
        Some((newest.number, wanted))
    }

    /// Adds what the drift asks for, in proportion to how far the line has gone on.
    fn correct(&mut self, place: i64) -> i64 {
        let front = self.front.unwrap_or(place);
        let progress = place.saturating_sub(front).max(0);
        self.front = Some(front.max(place));
        self.drift.advance(progress);
        place.saturating_add(self.drift.correction())
    }

    fn newest(&self, group: usize) -> Option<Epoch> {
        self.epochs.iter().rfind(|epoch| epoch.group == group).copied()
    }

    fn begin(&mut self, group: usize, offset: i64) -> u64 {
        self.epochs_made += 1;
        self.epochs.push(Epoch { number: self.epochs_made, group, offset });
        self.epochs_made
    }

    /// Lets go of epochs in which no track is any more, but for the newest.
    fn forget(&mut self) {
        let lines = &self.lines;
        let is_used = |number| lines.iter().any(|line| line.last.is_some_and(|last| last.epoch == number));
        self.epochs.retain(|epoch| is_used(epoch.number));
    }
}

/// Neither a jump nor a pause.
fn is_steady(step: i64) -> bool {
    (-nanos(JUMP_BACK)..=nanos(JUMP_FORWARD)).contains(&step)
}

fn nanos(duration: Duration) -> i64 {
    i64::try_from(duration.as_nanos()).unwrap_or(i64::MAX)
}

#[cfg(test)]
#[path = "timeline_tests.rs"]
mod tests;
