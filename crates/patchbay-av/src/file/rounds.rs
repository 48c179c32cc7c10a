//! Plays a file round after round on one line of time without seams.

use super::{
    FileError,
    demux::{Demuxer, Raw},
};
use crate::worker::Stop;
use patchbay_media::{AccessUnit, Kind, MediaTime, TrackId, track::TrackInfo};
use std::{
    collections::{BTreeMap, VecDeque},
    path::Path,
    sync::Arc,
    time::Duration,
};

/// Units that are looked at before playing begins: whether pictures are reordered, where time begins, what ADTS says.
const AHEAD: usize = 48;
/// Time by which tracks may lie apart in the file and still come out in order: transport streams gather sound in portions.
const APART: Duration = Duration::from_millis(700);
/// Most units that wait to be put in order.
const APART_UNITS: usize = 256;
/// Where neither the file nor its packets tell how long one takes.
const NOMINAL: Duration = Duration::from_millis(33);
/// Going back by more than this, or forward by more than `FORWARD`, the file begins to count anew there: files that were put together from several.
const BACK: Duration = Duration::from_secs(1);
const FORWARD: Duration = Duration::from_mins(1);
/// A round is never shorter, or a file with next to nothing in it would be opened without end.
const SHORTEST: Duration = Duration::from_millis(100);

/// The rounds.
pub(super) struct Rounds<'a> {
    path: &'a Path,
    stop: Arc<Stop>,
    demuxer: Demuxer,
    ahead: VecDeque<Raw>,
    infos: Vec<TrackInfo>,
    /// The file's own time at which a round begins.
    origin: MediaTime,
    /// Where this round begins.
    begin: MediaTime,
    lines: Vec<Line>,
    /// Units read in this round.
    units: u64,
    /// The newest shift of any track; the others take it when they come to that place, so that sound and pictures stay together.
    shift: i64,
    /// Units by their time, and by when they were read.
    sorted: BTreeMap<(MediaTime, u64), (usize, AccessUnit)>,
    read: u64,
}

/// What was given out of a track.
#[derive(Clone, Copy, Default)]
struct Line {
    last: Option<MediaTime>,
    /// Where the last unit ends.
    end: MediaTime,
    /// Where it begins, or else the round: the file's times are expected near it. Not `end`: how long a unit takes is told by the file, and may be wrong.
    near: MediaTime,
    /// Nanoseconds that are added to its times in this round, because the file began to count anew.
    shift: i64,
}

impl<'a> Rounds<'a> {
    /// Opens the file and looks at its beginning.
    pub(super) fn open(path: &'a Path, stop: &Arc<Stop>) -> Result<Self, FileError> {
        let mut demuxer = Demuxer::open(path, stop)?;
        let mut ahead = VecDeque::new();
        while ahead.len() < AHEAD {
            let Some(raw) = demuxer.next()? else { break };
            ahead.push_back(raw);
        }
        let origin = ahead.iter().map(|raw| raw.dts).min().ok_or(FileError::Damaged("pictures or sound"))?;
        let mut infos = demuxer.infos();
        for (index, info) in infos.iter_mut().enumerate() {
            let times = ahead.iter().filter(|raw| raw.track == index).map(|raw| raw.pts);
            info.reordered |= info.codec.kind() == Kind::Video && !times.is_sorted();
        }
        let lines = vec![Line::default(); infos.len()];
        let (stop, begin) = (Arc::clone(stop), MediaTime::ZERO);
        Ok(Self {
            path,
            stop,
            demuxer,
            ahead,
            infos,
            origin,
            begin,
            lines,
            units: 0,
            shift: 0,
            sorted: BTreeMap::new(),
            read: 0,
        })
    }

    /// What the tracks are.
    pub(super) fn infos(&self) -> Vec<TrackInfo> {
        self.infos.clone()
    }

    /// The next unit of all tracks by time; nothing when the thread was told to stop.
    pub(super) fn next(&mut self) -> Result<Option<(usize, AccessUnit)>, FileError> {
        while self.span() < APART && self.sorted.len() < APART_UNITS {
            let Some((track, unit)) = self.next_read()? else { return Ok(None) };
            self.read += 1;
            self.sorted.insert((unit.dts, self.read), (track, unit));
        }
        Ok(self.sorted.pop_first().map(|(_, unit)| unit))
    }

    fn span(&self) -> Duration {
        let ends = self.sorted.first_key_value().zip(self.sorted.last_key_value());
        ends.map_or(Duration::ZERO, |(first, last)| last.0.0.since(first.0.0))
    }

    /// The next unit in the order of the file.
    fn next_read(&mut self) -> Result<Option<(usize, AccessUnit)>, FileError> {
        loop {
            if self.stop.is_told() {
                return Ok(None);
            }
            let raw = match self.ahead.pop_front() {
                Some(raw) => Some(raw),
                None => self.demuxer.next()?,
            };
            let Some(raw) = raw else {
                self.begin_anew()?;
                continue;
            };
            if let Some(unit) = self.place(raw) {
                self.units += 1;
                return Ok(Some(unit));
            }
        }
    }

    /// Opens the file again: not every container finds its first picture by seeking.
    fn begin_anew(&mut self) -> Result<(), FileError> {
        if self.stop.is_told() {
            return Ok(());
        }
        if self.units == 0 {
            return Err(FileError::Damaged("pictures or sound"));
        }
        self.units = 0;
        let end = self.lines.iter().map(|line| line.end).max().unwrap_or(self.begin);
        self.begin = end.max(self.begin + SHORTEST);
        self.shift = 0;
        for line in &mut self.lines {
            // However much shorter than the others it is, it begins with them.
            (line.shift, line.end, line.near) = (0, self.begin, self.begin);
        }
        let other = Demuxer::open(self.path, &self.stop)?;
        let codec = |info: &TrackInfo| info.codec;
        if !other.infos().iter().map(codec).eq(self.infos.iter().map(codec)) {
            // Somebody put another file in its place: run again, with its tracks.
            return Err(FileError::Changed);
        }
        self.demuxer = other;
        Ok(())
    }

    /// Puts a unit on the line of time; one that would go back within its track is left out.
    fn place(&mut self, raw: Raw) -> Option<(usize, AccessUnit)> {
        let by = self.begin.nanos().saturating_sub(self.origin.nanos());
        let line = self.lines.get_mut(raw.track)?;
        line.follow(raw.dts.nanos().saturating_add(by), &mut self.shift);
        let by = by.saturating_add(line.shift);
        let on_line = |time: MediaTime| MediaTime::from_nanos(time.nanos().saturating_add(by));
        let (dts, pts) = (on_line(raw.dts), on_line(raw.pts));
        let step = match line.last {
            Some(last) if dts <= last => return None,
            Some(last) => dts.since(last),
            None => NOMINAL,
        };
        // Only what is gone through at the end of a round is felt; a file that is wrong there shall not stand still for hours.
        let told = raw.duration.since(MediaTime::ZERO).min(FORWARD);
        // A hole before this unit says nothing about how long it takes.
        let duration = if told.is_zero() { step.min(Duration::from_secs(1)) } else { told };
        (line.last, line.end, line.near) = (Some(dts), dts + duration, dts);
        let track = TrackId(u8::try_from(raw.track).unwrap_or(u8::MAX));
        Some((raw.track, AccessUnit { track, dts, pts, key: raw.key, data: raw.data }))
    }
}

impl Line {
    /// Closes the jump to a time (before any shift), if it is one: by the newest shift of any track where that fits, or else by one of its own.
    fn follow(&mut self, nanos: i64, newest: &mut i64) {
        if self.last.is_none() || self.fits(nanos, self.shift) {
            return;
        }
        if !self.fits(nanos, *newest) {
            *newest = self.end.nanos().saturating_sub(nanos);
            tracing::debug!("a file begins to count anew");
        }
        self.shift = *newest;
    }
    fn fits(&self, nanos: i64, shift: i64) -> bool {
        let time = MediaTime::from_nanos(nanos.saturating_add(shift));
        self.near.since(time) <= BACK && time.since(self.near) <= FORWARD
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wrong_duration_moves_nothing() {
        let second = MediaTime::from_nanos(1_000_000_000);
        let end = second + Duration::from_hours(1);
        let mut line = Line { last: Some(second), end, near: second, shift: 0 };
        let mut newest = 0;
        line.follow(1_033_000_000, &mut newest);
        assert_eq!((line.shift, newest), (0, 0), "the next picture stays where the file has it");
    }
}
