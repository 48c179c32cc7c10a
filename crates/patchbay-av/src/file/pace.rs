//! Writes each unit when it is due.

use super::{FileError, rounds::Rounds};
use crate::worker::Stop;
use patchbay_media::{
    AccessUnit, MediaTime,
    hub::Publisher,
    track::{KeyFrames, TrackWriter},
};
use std::{
    path::Path,
    sync::{
        Arc,
        mpsc::{Receiver, SyncSender, sync_channel},
    },
    thread,
    time::{Duration, Instant},
};

/// Units between the thread that reads and the one that writes: about half a second. When it is full, reading waits.
const QUEUE: usize = 32;
/// Later than this, the line of time is moved: the process stood still, and nobody wants what was missed in a burst.
const LATE: Duration = Duration::from_millis(500);

/// Plays a file until told to stop.
pub(super) fn play(path: &Path, publisher: &Publisher, stop: &Arc<Stop>) -> Result<(), FileError> {
    let rounds = Rounds::open(path, stop)?;
    let tracks = rounds.infos().into_iter().map(|info| (info, KeyFrames::AsTheyCome)).collect();
    let writers = publisher.publish(tracks)?;
    let (sender, units) = sync_channel(QUEUE);
    thread::scope(|scope| {
        let reader = thread::Builder::new().name("av-file-read".to_owned());
        let reader = reader.spawn_scoped(scope, move || read(rounds, &sender));
        let reader = reader.map_err(|error| FileError::Thread(error.kind()))?;
        write(units, writers, stop);
        reader.join().unwrap_or(Err(FileError::Inside))
    })
}

fn read(mut rounds: Rounds<'_>, units: &SyncSender<(usize, AccessUnit)>) -> Result<(), FileError> {
    while let Some(unit) = rounds.next()? {
        if units.send(unit).is_err() {
            // The writing thread was told to stop.
            return Ok(());
        }
    }
    Ok(())
}

/// Returns when told to stop, or when reading has ended. Drops the queue, which ends reading.
fn write(units: Receiver<(usize, AccessUnit)>, mut writers: Vec<TrackWriter>, stop: &Stop) {
    let mut pacer = Pacer::default();
    for (track, unit) in units {
        if stop.wait_until(pacer.due(unit.dts, Instant::now())) {
            return;
        }
        if let Some(writer) = writers.get_mut(track) {
            writer.write(unit);
        }
    }
}

/// The line of time laid upon the clock.
#[derive(Default)]
struct Pacer {
    /// A moment, and its place on the line.
    anchor: Option<(Instant, MediaTime)>,
}

impl Pacer {
    /// When a unit is due.
    fn due(&mut self, dts: MediaTime, now: Instant) -> Instant {
        let (moment, place) = *self.anchor.get_or_insert((now, dts));
        let due = if dts >= place {
            moment + dts.since(place)
        } else {
            moment.checked_sub(place.since(dts)).unwrap_or(moment)
        };
        if now.saturating_duration_since(due) <= LATE {
            return due;
        }
        self.anchor = Some((now, dts));
        now
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn units_are_due_by_the_clock_and_a_long_stop_moves_the_line() {
        let (mut pacer, start) = (Pacer::default(), Instant::now());
        let at = |ms: i64| MediaTime::from_nanos(ms * 1_000_000);
        let ms = Duration::from_millis;
        assert_eq!(pacer.due(at(1_000), start), start);
        assert_eq!(pacer.due(at(1_040), start + ms(3)), start + ms(40));
        assert_eq!(pacer.due(at(1_080), start + ms(200)), start + ms(80), "a little late: catches up");
        assert_eq!(pacer.due(at(990), start + ms(200)) + ms(10), start, "tracks may be a little apart");
        assert_eq!(pacer.due(at(1_120), start + ms(5_000)), start + ms(5_000));
        assert_eq!(pacer.due(at(1_160), start + ms(5_000)), start + ms(5_040));
    }
}
