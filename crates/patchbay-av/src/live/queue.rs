//! The queue between whoever receives pictures and the thread that encodes them.

use crate::Picture;
use bytes::Bytes;
use parking_lot::{Condvar, Mutex};
use patchbay_media::MediaTime;
use std::{
    collections::VecDeque,
    sync::Arc,
    time::{Duration, Instant},
};

/// Pictures that wait. When another one comes, the oldest is dropped: a picture that is late is worth nothing.
const QUEUE: usize = 2;

/// A picture on its way to the encoder.
#[derive(Clone)]
pub enum Shot {
    /// Decoded.
    Picture(Picture),
    /// A JPEG file.
    Jpeg(Bytes),
}

/// What became of the pictures so far.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct LiveFigures {
    /// Put in.
    pub taken: u64,
    /// Encoded.
    pub encoded: u64,
    /// Dropped because newer ones came before the encoder was ready.
    pub dropped: u64,
    /// Left out because they were not newer than the one before, or because their size changes all the time.
    pub late: u64,
    /// JPEGs that could not be decoded.
    pub undecodable: u64,
    /// Pictures a second, measured over the last ones; 0 until it is known.
    pub rate: f64,
}

/// The end that takes pictures; when it is dropped, the encoding ends.
pub struct PictureSender {
    shared: Arc<Shared>,
    started: Instant,
}

impl PictureSender {
    pub(super) fn new(shared: Arc<Shared>) -> Self {
        Self { shared, started: Instant::now() }
    }

    /// Puts a picture in that has arrived just now; never waits. False when nobody encodes any more.
    pub fn send(&self, shot: Shot) -> bool {
        let arrived = i64::try_from(self.started.elapsed().as_nanos()).unwrap_or(i64::MAX);
        self.send_at(shot, MediaTime::from_nanos(arrived))
    }

    /// The same with a time on the line of the source, for those that have other tracks as well.
    pub fn send_at(&self, shot: Shot, at: MediaTime) -> bool {
        self.shared.push(shot, at)
    }

    /// What became of the pictures so far.
    pub fn figures(&self) -> LiveFigures {
        self.shared.state.lock().figures
    }
}

impl Drop for PictureSender {
    fn drop(&mut self) {
        self.shared.end();
    }
}

/// What the two ends share.
#[derive(Default)]
pub(super) struct Shared {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    shots: VecDeque<(Shot, MediaTime)>,
    figures: LiveFigures,
    /// One of the two ends is gone.
    ended: bool,
}

/// What the thread finds.
pub(super) enum Waiting {
    Shot(Shot, MediaTime),
    Nothing,
    Gone,
}

impl Shared {
    fn push(&self, shot: Shot, at: MediaTime) -> bool {
        let mut state = self.state.lock();
        if state.ended {
            return false;
        }
        state.figures.taken += 1;
        if state.shots.len() >= QUEUE {
            state.shots.pop_front();
            state.figures.dropped += 1;
        }
        state.shots.push_back((shot, at));
        self.changed.notify_one();
        true
    }

    /// The oldest picture; waits for one so long.
    pub(super) fn next(&self, within: Duration) -> Waiting {
        let mut state = self.state.lock();
        if state.shots.is_empty() && !state.ended {
            self.changed.wait_for(&mut state, within);
        }
        match state.shots.pop_front() {
            Some((shot, at)) => Waiting::Shot(shot, at),
            None if state.ended => Waiting::Gone,
            None => Waiting::Nothing,
        }
    }

    pub(super) fn late(&self) {
        self.state.lock().figures.late += 1;
    }

    /// How many so far.
    pub(super) fn undecodable(&self) -> u64 {
        let mut state = self.state.lock();
        state.figures.undecodable += 1;
        state.figures.undecodable
    }

    pub(super) fn encoded(&self, rate: f64) {
        let mut state = self.state.lock();
        state.figures.encoded += 1;
        state.figures.rate = rate;
    }

    pub(super) fn end(&self) {
        self.state.lock().ended = true;
        self.changed.notify_all();
    }
}
