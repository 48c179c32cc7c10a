//! The queue between the thread that reads and the one that writes.

use parking_lot::{Condvar, Mutex};
use patchbay_media::{
    AccessUnit,
    hub::SourceError,
    track::{KeyFrames, KeyRequests, TrackInfo},
};
use std::{collections::VecDeque, sync::Arc, time::Duration};

/// Units that wait: what a burst brings. When it is full, reading waits, and the connection holds back who sends.
const UNITS: usize = 600;
/// Bytes that wait.
const BYTES: usize = 32 << 20;
/// How often waiting is interrupted to look whether it shall go on.
const LOOK: Duration = Duration::from_millis(100);

/// What is read.
pub(super) enum Message {
    /// These are the tracks from here on, each after its number.
    Tracks(Vec<(usize, TrackInfo, KeyFrames)>),
    /// A unit of a track.
    Unit(usize, AccessUnit),
    /// The end, and why.
    End(SourceError),
}

/// The queue.
#[derive(Default)]
pub(super) struct Queue {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    waiting: VecDeque<Message>,
    bytes: usize,
    is_closed: bool,
    /// Requests for key frames of the tracks that are published, each after its number.
    requests: Vec<(usize, Arc<KeyRequests>)>,
}

impl Queue {
    /// Puts something in; waits while the queue is full. False when nobody takes any more.
    pub(super) fn put(&self, message: Message) -> bool {
        let mut state = self.state.lock();
        while !state.is_closed && (state.waiting.len() >= UNITS || state.bytes >= BYTES) {
            self.changed.wait_for(&mut state, LOOK);
        }
        if state.is_closed {
            return false;
        }
        state.bytes += size(&message);
        state.waiting.push_back(message);
        self.changed.notify_all();
        true
    }

    /// Takes something out; nothing where nothing came for a while.
    pub(super) fn take(&self) -> Option<Message> {
        let mut state = self.state.lock();
        if state.waiting.is_empty() {
            self.changed.wait_for(&mut state, LOOK);
        }
        let message = state.waiting.pop_front()?;
        state.bytes -= size(&message);
        self.changed.notify_all();
        Some(message)
    }

    /// Nobody takes any more.
    pub(super) fn close(&self) {
        self.state.lock().is_closed = true;
        self.changed.notify_all();
    }

    pub(super) fn set_requests(&self, requests: Vec<(usize, Arc<KeyRequests>)>) {
        self.state.lock().requests = requests;
    }

    /// Whether somebody asked for a key frame of a track since the last call.
    pub(super) fn is_asked(&self, track: usize) -> bool {
        self.state.lock().requests.iter().any(|(number, requests)| *number == track && requests.take())
    }
}

fn size(message: &Message) -> usize {
    match message {
        Message::Unit(_, unit) => unit.data.len(),
        Message::Tracks(_) | Message::End(_) => 0,
    }
}
