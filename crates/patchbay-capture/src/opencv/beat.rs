//! Watches a thread that may hang in a call of somebody else's.

use super::GRACE;
use parking_lot::Mutex;
use patchbay_media::hub::SourceError;
use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

/// Most threads that may be left behind in calls that do not come back.
pub const MOST_HUNG: usize = 4;

/// Threads that were left behind and have not come back.
static HUNG: AtomicUsize = AtomicUsize::new(0);

/// How many threads of this process were left behind in calls that have not come back.
pub fn hung_threads() -> usize {
    HUNG.load(Ordering::Relaxed)
}

/// The watching end; when it is dropped, the thread shall end, and is left behind if it does not.
pub(super) struct Beat(Arc<Mutex<State>>);

/// The thread's end.
pub(super) struct Pulse(Arc<Mutex<State>>);

struct State {
    /// When the call that is under way must have come back, told `OpenCV`'s own limit.
    due: Instant,
    limit: Duration,
    is_told_to_end: bool,
    is_done: bool,
    is_left_behind: bool,
}

impl Beat {
    /// Refuses when too many threads hang already.
    pub(super) fn begin() -> Result<Self, SourceError> {
        if hung_threads() >= MOST_HUNG {
            let text =
                format!("{MOST_HUNG} captures of OpenCV hang, and no other is begun: start the service anew");
            return Err(SourceError::temporary(text));
        }
        let (due, limit) = (Instant::now() + GRACE, GRACE);
        let state = State { due, limit, is_told_to_end: false, is_done: false, is_left_behind: false };
        Ok(Self(Arc::new(Mutex::new(state))))
    }

    pub(super) fn pulse(&self) -> Pulse {
        Pulse(Arc::clone(&self.0))
    }

    /// How long the thread hangs in its call, if it does.
    pub(super) fn hangs(&self) -> Option<Duration> {
        let state = self.0.lock();
        (!state.is_done && Instant::now() > state.due).then_some(state.limit)
    }
}

impl Drop for Beat {
    fn drop(&mut self) {
        let mut state = self.0.lock();
        state.is_told_to_end = true;
        if !state.is_done {
            // Most come back within a picture, and are counted no more then.
            state.is_left_behind = true;
            HUNG.fetch_add(1, Ordering::Relaxed);
        }
    }
}

impl Pulse {
    /// A call begins that shall take so long at most; false when the thread shall end.
    pub(super) fn begins(&self, limit: Duration) -> bool {
        let mut state = self.0.lock();
        (state.due, state.limit) = (Instant::now() + limit + GRACE, limit);
        !state.is_told_to_end
    }

    /// The thread is at its end.
    pub(super) fn done(&self) {
        let mut state = self.0.lock();
        state.is_done = true;
        if std::mem::take(&mut state.is_left_behind) {
            HUNG.fetch_sub(1, Ordering::Relaxed);
        }
    }
}
