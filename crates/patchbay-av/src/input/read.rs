//! Reads an input and puts its units into the queue.

use super::{
    InputSettings,
    error::InputError,
    open::{Open, open},
    queue::{Message, Queue},
    tracks::{Made, Track, choose},
};
use crate::worker::Stop;
use ffmpeg_next::{self as av, Packet};
use patchbay_media::{
    AccessUnit, Kind, MediaTime,
    hub::{Health, SourceError},
    timeline::TimeLine,
};
use std::{
    sync::Arc,
    time::{Duration, Instant},
};

/// Units that are looked at before the tracks are published: whether pictures are reordered, what their configuration is.
const AHEAD: usize = 24;
/// Longest time in which they are waited for, once one has come.
const AHEAD_TIME: Duration = Duration::from_millis(400);
/// Longest time until the first key frame.
const KEY_FRAME_TIME: Duration = Duration::from_secs(20);

/// Reads until the end, which is always an error.
pub(super) fn read(
    mut settings: InputSettings,
    queue: &Queue,
    health: &Health,
    stop: &Arc<Stop>,
) -> SourceError {
    let result =
        open(&mut settings, stop).and_then(|opened| Reading::new(opened, settings, queue, health)?.run());
    result.err().unwrap_or_else(|| InputError::Ended.into())
}

struct Reading<'a> {
    open: Open,
    settings: InputSettings,
    queue: &'a Queue,
    health: &'a Health,
    tracks: Vec<Track>,
    times: TimeLine,
    /// The newest time of any track.
    front: MediaTime,
    ahead: Ahead,
    /// When something came last that can be used, not counting the time in which the queue was full.
    last_unit: Instant,
    opened: Instant,
    has_key: bool,
}

/// Units before the tracks are published.
#[derive(Default)]
struct Ahead {
    is_published: bool,
    units: Vec<(usize, AccessUnit)>,
    since: Option<Instant>,
    /// Some picture was shown before one that came earlier.
    is_reordered: bool,
}

impl<'a> Reading<'a> {
    fn new(
        mut open: Open,
        settings: InputSettings,
        queue: &'a Queue,
        health: &'a Health,
    ) -> Result<Self, SourceError> {
        let mut times = TimeLine::new();
        let chosen = choose(&mut open.input, &mut times, &settings.live);
        // Where something could not be fetched, that says more than what is missing because of it.
        let tracks = chosen.map_err(|error| open.network.watch.failure().unwrap_or(error))?;
        let (front, ahead, now) = (MediaTime::ZERO, Ahead::default(), Instant::now());
        Ok(Self {
            open,
            settings,
            queue,
            health,
            tracks,
            times,
            front,
            ahead,
            last_unit: now,
            opened: now,
            has_key: false,
        })
    }

    /// Ends without an error when nobody takes the units any more.
    fn run(mut self) -> Result<(), SourceError> {
        loop {
            self.open.network.watch.allow(self.settings.stall_timeout);
            let mut packet = Packet::empty();
            match packet.read(&mut self.open.input) {
                Ok(()) => drop(self.open.network.watch.failure()),
                // Transport streams with holes in them, and the like.
                Err(av::Error::InvalidData) if !self.is_stalled() => {
                    self.health.discard();
                    continue;
                }
                Err(error) => return Err(self.end(error)),
            }
            let found = self.tracks.iter().position(|track| track.stream == packet.stream());
            if let Some(index) = found
                && !self.take(index, &packet)?
            {
                return Ok(());
            }
            if self.is_stalled() {
                return Err(InputError::Stalled(self.settings.stall_timeout.as_secs()).into());
            }
        }
    }

    fn is_stalled(&self) -> bool {
        self.last_unit.elapsed() > self.settings.stall_timeout
    }

    fn end(&self, error: av::Error) -> SourceError {
        let watch = &self.open.network.watch;
        if let Some(failure) = watch.failure() {
            return failure;
        }
        match error {
            _ if watch.is_over() && !watch.is_told() => {
                InputError::Stalled(self.settings.stall_timeout.as_secs())
            }
            _ if !self.ahead.is_published && self.ahead.units.is_empty() => InputError::Unknown,
            _ => InputError::Ended,
        }
        .into()
    }

    /// False when nobody takes the units any more.
    fn take(&mut self, index: usize, packet: &Packet) -> Result<bool, SourceError> {
        let Some(track) = self.tracks.get_mut(index) else { return Ok(true) };
        if !track.is_same(&self.open.input) {
            return Err(InputError::Changed.into());
        }
        if self.queue.is_asked(index) {
            track.ask_key_frame();
        }
        let made = track.take(packet, &mut self.times, &mut self.front)?;
        self.count(&made);
        if made.is_anew && self.ahead.is_published && !self.publish() {
            return Ok(false);
        }
        for unit in made.units {
            self.last_unit = Instant::now();
            if !self.give(index, unit)? {
                return Ok(false);
            }
        }
        Ok(true)
    }

    fn count(&self, made: &Made) {
        if made.is_discarded {
            self.health.discard();
        }
        if made.has_jumped {
            self.health.jump();
        }
    }

    fn give(&mut self, index: usize, unit: AccessUnit) -> Result<bool, SourceError> {
        self.watch_key_frames(index, &unit)?;
        if self.ahead.is_published {
            let is_taken = self.queue.put(Message::Unit(index, unit));
            self.last_unit = Instant::now();
            return Ok(is_taken);
        }
        let since = *self.ahead.since.get_or_insert_with(Instant::now);
        let last = self.ahead.units.iter().rev().find(|(track, _)| *track == index);
        self.ahead.is_reordered |= self.is_video(index) && last.is_some_and(|(_, last)| unit.pts < last.pts);
        self.ahead.units.push((index, unit));
        let is_known = self.tracks.iter().all(|track| track.info().is_some());
        let is_enough = self.ahead.units.len() >= AHEAD || since.elapsed() > AHEAD_TIME;
        let is_too_much = self.ahead.units.len() >= 10 * AHEAD;
        if (is_known && is_enough) || is_too_much { Ok(self.begin()) } else { Ok(true) }
    }

    /// Publishes the tracks and gives what was read ahead.
    fn begin(&mut self) -> bool {
        let units = std::mem::take(&mut self.ahead.units);
        self.ahead.is_published = true;
        self.publish() && units.into_iter().all(|(index, unit)| self.queue.put(Message::Unit(index, unit)))
    }

    /// Tracks of which nothing is known by now are published as soon as that has changed.
    fn publish(&self) -> bool {
        let infos = self.tracks.iter().enumerate().filter_map(|(index, track)| {
            let mut info = track.info()?;
            info.reordered |= self.ahead.is_reordered && track.kind == Kind::Video;
            Some((index, info, track.key_frames()))
        });
        self.queue.put(Message::Tracks(infos.collect()))
    }

    fn is_video(&self, index: usize) -> bool {
        self.tracks.get(index).is_some_and(|track| track.kind == Kind::Video)
    }

    fn watch_key_frames(&mut self, index: usize, unit: &AccessUnit) -> Result<(), SourceError> {
        self.has_key |= unit.key && self.is_video(index);
        if self.is_video(index) && !self.has_key && self.opened.elapsed() > KEY_FRAME_TIME {
            return Err(InputError::NoKeyFrame(KEY_FRAME_TIME.as_secs()).into());
        }
        Ok(())
    }
}
