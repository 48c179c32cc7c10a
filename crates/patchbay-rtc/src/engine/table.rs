//! Who is who: peers by their user name fragments and by the paths on which they come.

use super::PeerEvent;
use crate::{
    connection::{Connection, Received},
    path::Path,
};
use parking_lot::{Mutex, RwLock};
use std::{
    collections::HashMap,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};
use tokio::sync::{Notify, mpsc};

/// Events that wait for whoever holds a peer. There are few; when it does not look, the oldest stay and later ones are lost, but for the end, which shows
/// by the channel's own end.
const EVENTS: usize = 32;

/// Units of a peer that wait for whoever holds it: some seconds of pictures and sound.
const UNITS: usize = 512;

/// Paths that a peer may open: its addresses times ours, and some.
const MAX_PATHS: usize = 32;

/// A peer's state, and the way to whoever holds the peer.
pub(super) struct Cell {
    pub(super) id: u64,
    pub(super) connection: Mutex<Connection>,
    /// When the connection wants to hear of the time, in nanoseconds since the engine's start.
    pub(super) deadline: AtomicU64,
    events: Mutex<Option<mpsc::Sender<PeerEvent>>>,
    received: mpsc::Sender<Received>,
    /// There may be news of data channels.
    pub(super) channels: Notify,
    names: Mutex<Names>,
}

/// Under which a peer is found.
#[derive(Default)]
struct Names {
    ufrags: Vec<String>,
    paths: Vec<Path>,
}

impl Cell {
    pub(super) fn new(connection: Connection) -> (Arc<Self>, mpsc::Receiver<PeerEvent>, mpsc::Receiver<Received>) {
        static NEXT: AtomicU64 = AtomicU64::new(1);
        let (events, receiver) = mpsc::channel(EVENTS);
        let (received, units) = mpsc::channel(UNITS);
        let cell = Arc::new(Self {
            id: NEXT.fetch_add(1, Ordering::Relaxed),
            connection: Mutex::new(connection),
            deadline: AtomicU64::new(u64::MAX),
            events: Mutex::new(Some(events)),
            received,
            channels: Notify::new(),
            names: Mutex::default(),
        });
        (cell, receiver, units)
    }

    /// Hands on what the peer sends. When whoever holds the peer does not keep up, units are lost up to a key frame, which is asked for.
    pub(super) fn hand_over(&self, received: Received, connection: &mut Connection) {
        if let Err(mpsc::error::TrySendError::Full(Received::Unit { track, .. })) = self.received.try_send(received) {
            connection.incoming.request_key_frame(track);
        }
    }

    /// Tells of an event; after the end nothing more is told.
    pub(super) fn tell(&self, event: PeerEvent) {
        let mut events = self.events.lock();
        let is_end = matches!(event, PeerEvent::Closed(_));
        if let Some(sender) = events.as_ref()
            && sender.try_send(event).is_err()
        {
            tracing::debug!(peer = self.id, "an event was not looked at");
        }
        if is_end {
            *events = None;
            self.channels.notify_one();
        }
    }
}

pub(super) struct Table {
    limit: usize,
    cells: RwLock<HashMap<u64, Arc<Cell>>>,
    ufrags: RwLock<HashMap<String, Arc<Cell>>>,
    paths: RwLock<HashMap<Path, Arc<Cell>>>,
}

impl Table {
    pub(super) fn new(limit: usize) -> Self {
        Self { limit, cells: RwLock::default(), ufrags: RwLock::default(), paths: RwLock::default() }
    }

    pub(super) fn len(&self) -> usize {
        self.cells.read().len()
    }

    /// False when there are too many.
    pub(super) fn insert(&self, ufrag: &str, cell: &Arc<Cell>) -> bool {
        let mut cells = self.cells.write();
        if cells.len() >= self.limit {
            return false;
        }
        cells.insert(cell.id, Arc::clone(cell));
        drop(cells);
        self.add_ufrag(ufrag, cell);
        true
    }

    /// One more name, after an ICE restart; checks with the old one are on their way for a while.
    pub(super) fn add_ufrag(&self, ufrag: &str, cell: &Arc<Cell>) {
        cell.names.lock().ufrags.push(ufrag.to_owned());
        self.ufrags.write().insert(ufrag.to_owned(), Arc::clone(cell));
    }

    /// Forgets the names of earlier descriptions but for the newest `keep`.
    pub(super) fn forget_ufrags(&self, cell: &Cell, keep: usize) {
        let mut names = cell.names.lock();
        let old = names.ufrags.len().saturating_sub(keep);
        let mut ufrags = self.ufrags.write();
        for ufrag in names.ufrags.drain(..old) {
            ufrags.remove(&ufrag);
        }
    }

    pub(super) fn by_ufrag(&self, ufrag: &str) -> Option<Arc<Cell>> {
        self.ufrags.read().get(ufrag).cloned()
    }

    pub(super) fn by_path(&self, path: &Path) -> Option<Arc<Cell>> {
        self.paths.read().get(path).cloned()
    }

    /// A check has come on this path and was believed: what else comes on it is the peer's.
    pub(super) fn open_path(&self, path: Path, cell: &Arc<Cell>) {
        if self.paths.read().get(&path).is_some_and(|known| known.id == cell.id) {
            return;
        }
        let mut names = cell.names.lock();
        let mut paths = self.paths.write();
        if names.paths.len() >= MAX_PATHS {
            let oldest = names.paths.remove(0);
            if paths.get(&oldest).is_some_and(|known| known.id == cell.id) {
                paths.remove(&oldest);
            }
        }
        names.paths.push(path);
        paths.insert(path, Arc::clone(cell));
    }

    pub(super) fn remove(&self, cell: &Cell) {
        self.cells.write().remove(&cell.id);
        let names = std::mem::take(&mut *cell.names.lock());
        let mut ufrags = self.ufrags.write();
        for ufrag in &names.ufrags {
            ufrags.remove(ufrag);
        }
        drop(ufrags);
        let mut paths = self.paths.write();
        for path in &names.paths {
            if paths.get(path).is_some_and(|known| known.id == cell.id) {
                paths.remove(path);
            }
        }
    }

    /// Those whose time has come, in nanoseconds since the engine's start.
    pub(super) fn due(&self, now: u64) -> Vec<Arc<Cell>> {
        let cells = self.cells.read();
        cells.values().filter(|cell| cell.deadline.load(Ordering::Acquire) <= now).cloned().collect()
    }
}
