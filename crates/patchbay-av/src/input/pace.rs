//! Writes each unit when it is due.

use super::{
    InputSettings,
    error::InputError,
    queue::{Message, Queue},
    read::read,
};
use crate::{changes::Changes, worker::Stop};
use patchbay_media::{
    AccessUnit, MediaTime,
    hub::{Publisher, SourceError},
    track::{KeyFrames, TrackInfo, TrackWriter},
};
use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    sync::Arc,
    thread,
    time::{Duration, Instant},
};

/// Later than this, the line of time is moved: what is fetched piece by piece comes late once, and is so much behind from then on.
const LATE: Duration = Duration::from_millis(50);
/// Longest wait for one unit: a step in the times that the time line has let pass.
const LONGEST: Duration = Duration::from_secs(6);

/// Plays until told to stop, or until the input ends.
pub(super) fn play(
    settings: InputSettings,
    publisher: &Publisher,
    stop: &Arc<Stop>,
) -> Result<(), SourceError> {
    let queue = Queue::default();
    thread::scope(|scope| {
        let reader = thread::Builder::new().name("av-input-read".to_owned());
        let reading = || {
            let read = AssertUnwindSafe(|| read(settings, &queue, publisher.health(), stop));
            let end = catch_unwind(read).unwrap_or_else(|_| InputError::Inside.into());
            queue.put(Message::End(end));
        };
        reader.spawn_scoped(scope, reading).map_err(|error| InputError::Thread(error.kind()))?;
        let mut writing = Writing {
            publisher,
            queue: &queue,
            writers: Vec::new(),
            pacer: Pacer::default(),
            changes: Changes::new(Instant::now()),
        };
        let result = writing.run(stop);
        // The reader ends with its next unit, or with its deadline, which `stop` has brought forward.
        queue.close();
        result
    })
}

struct Writing<'a> {
    publisher: &'a Publisher,
    queue: &'a Queue,
    writers: Vec<(usize, TrackWriter)>,
    pacer: Pacer,
    changes: Changes,
}

impl Writing<'_> {
    fn run(&mut self, stop: &Stop) -> Result<(), SourceError> {
        while !stop.is_told() {
            match self.queue.take() {
                Some(Message::Tracks(tracks)) => self.publish(tracks)?,
                Some(Message::Unit(track, unit)) => {
                    if stop.wait_until(self.pacer.due(unit.dts, Instant::now())) {
                        return Ok(());
                    }
                    self.write(track, unit);
                }
                Some(Message::End(_)) if stop.is_told() => return Ok(()),
                Some(Message::End(error)) => return Err(error),
                None => {}
            }
        }
        Ok(())
    }

    fn publish(&mut self, tracks: Vec<(usize, TrackInfo, KeyFrames)>) -> Result<(), SourceError> {
        self.changes.add(Instant::now())?;
        let numbers: Vec<usize> = tracks.iter().map(|(number, ..)| *number).collect();
        let infos = tracks.into_iter().map(|(_, info, key_frames)| (info, key_frames)).collect();
        let writers = self.publisher.publish(infos)?;
        self.writers = numbers.into_iter().zip(writers).collect();
        let requests = self.writers.iter().map(|(number, writer)| (*number, writer.track().key_requests()));
        self.queue.set_requests(requests.collect());
        Ok(())
    }

    fn write(&mut self, track: usize, unit: AccessUnit) {
        if let Some((_, writer)) = self.writers.iter_mut().find(|(number, _)| *number == track) {
            writer.write(unit);
        }
    }
}

/// The line of time laid upon the clock.
#[derive(Default)]
struct Pacer {
    /// A moment, and its place on the line.
    anchor: Option<(Instant, MediaTime)>,
    /// Newest time of any track.
    front: Option<MediaTime>,
}

impl Pacer {
    /// When a unit is due. One behind the newest is so at once, and moves nothing: tracks may come apart.
    fn due(&mut self, dts: MediaTime, now: Instant) -> Instant {
        if self.front.is_some_and(|front| dts <= front) {
            return now;
        }
        self.front = Some(dts);
        let (moment, place) = *self.anchor.get_or_insert((now, dts));
        let due = moment + dts.since(place);
        let is_late = now.saturating_duration_since(due) > LATE;
        let is_far = due.saturating_duration_since(now) > LONGEST;
        if is_late || is_far {
            self.anchor = Some((now, dts));
            return now;
        }
        due
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn units_are_due_by_the_clock_and_what_comes_late_moves_the_line() {
        let (mut pacer, start) = (Pacer::default(), Instant::now());
        let at = |ms: i64| MediaTime::from_nanos(ms * 1_000_000);
        let ms = Duration::from_millis;
        assert_eq!(pacer.due(at(1_000), start), start);
        assert_eq!(pacer.due(at(1_040), start + ms(3)), start + ms(40));
        assert_eq!(pacer.due(at(500), start + ms(40)), start + ms(40), "sound that comes late moves nothing");
        assert_eq!(pacer.due(at(1_080), start + ms(100)), start + ms(80), "a little late: catches up");
        assert_eq!(
            pacer.due(at(1_120), start + ms(1_000)),
            start + ms(1_000),
            "late: so much behind from now on"
        );
        assert_eq!(pacer.due(at(1_160), start + ms(1_000)), start + ms(1_040));
        assert_eq!(pacer.due(at(100_000), start + ms(1_040)), start + ms(1_040), "never waits for minutes");
    }
}
