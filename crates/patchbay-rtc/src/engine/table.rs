//! Who is who: peers by their user name fragments and by the paths on which they come.

use super::PeerEvent;
use crate::{
    connection::{Closed, Connection, Received},
    path::Path,
    sdp::Transport,
};
use parking_lot::{Mutex, RwLock};
use std::{
    collections::HashMap,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};
use tokio::sync::{Notify, mpsc};

/// Events that wait for whoever holds a peer. There are few; when it does not look, the oldest stay and later ones are lost, but for the end, which shows
/// by the channel's own end.
const EVENTS: usize = 32;

/// Units of a peer on their way to whoever holds it. When it is full, they wait with the connection.
const UNITS: usize = 64;

/// Paths that a peer may open: its addresses times ours, and some.
const MAX_PATHS: usize = 32;

/// Connections over TCP that a peer may have; with more, the oldest is closed. There are few for all peers together.
const MAX_TCP: usize = 8;

/// A peer's state, and the way to whoever holds the peer.
pub(super) struct Cell {
    pub(super) id: u64,
    pub(super) connection: Mutex<Connection>,
    /// When the connection wants to hear of the time, in nanoseconds since the engine's start.
    pub(super) deadline: AtomicU64,
    events: Mutex<Option<mpsc::Sender<PeerEvent>>>,
    /// Gone with the end of the connection.
    received: Mutex<Option<mpsc::Sender<Received>>>,
    /// There may be news of data channels.
    pub(super) channels: Notify,
    /// Nothing once it has been removed: a name that is given to it after that would never go again.
    names: Mutex<Option<Names>>,
}

/// Under which a peer is found.
#[derive(Default)]
struct Names {
    ufrags: Vec<String>,
    paths: Vec<Path>,
}

impl Names {
    /// Takes out the path that has to go for a new one, if there are too many.
    fn oldest_for(&mut self, transport: Transport) -> Option<Path> {
        let is_tcp = |path: &Path| path.transport == Transport::Tcp;
        let oldest = if transport == Transport::Tcp
            && self.paths.iter().filter(|path| is_tcp(path)).count() >= MAX_TCP
        {
            self.paths.iter().position(is_tcp)
        } else {
            (self.paths.len() >= MAX_PATHS).then_some(0)
        };
        oldest.map(|index| self.paths.remove(index))
    }
}

impl Cell {
    pub(super) fn new(
        connection: Connection,
    ) -> (Arc<Self>, mpsc::Receiver<PeerEvent>, mpsc::Receiver<Received>) {
        static NEXT: AtomicU64 = AtomicU64::new(1);
        let (events, news) = mpsc::channel(EVENTS);
        let (received, units) = mpsc::channel(UNITS);
        let cell = Arc::new(Self {
            id: NEXT.fetch_add(1, Ordering::Relaxed),
            connection: Mutex::new(connection),
            deadline: AtomicU64::new(u64::MAX),
            events: Mutex::new(Some(events)),
            received: Mutex::new(Some(received)),
            channels: Notify::new(),
            names: Mutex::new(Some(Names::default())),
        });
        (cell, news, units)
    }

    /// Hands on what the peer sends, as far as there is room; the rest stays with the connection, which bounds it.
    pub(super) fn hand_over(&self, connection: &mut Connection) {
        if !connection.incoming.has_received() {
            return;
        }
        let received = self.received.lock();
        while let Some(Ok(place)) = received.as_ref().map(mpsc::Sender::try_reserve)
            && let Some(received) = connection.incoming.poll()
        {
            place.send(received);
        }
    }

    /// Has the connection do something with what came from outside. All peers share the tasks that do this, so that a mistake that one of them finds in a
    /// protocol stack must end that one alone.
    pub(super) fn act(&self, act: impl FnOnce(&mut Connection)) {
        let acted = catch_unwind(AssertUnwindSafe(|| act(&mut self.connection.lock())));
        if acted.is_err() {
            tracing::error!(peer = self.id, "a peer was ended because of a panic");
            self.connection.lock().end(Closed::Failed("an internal error".to_owned()));
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
            *self.received.lock() = None;
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

    /// One more name, after an ICE restart; checks with the old one are on their way for a while. A peer that has ended gets none.
    pub(super) fn add_ufrag(&self, ufrag: &str, cell: &Arc<Cell>) {
        let mut names = cell.names.lock();
        let Some(names) = names.as_mut() else { return };
        names.ufrags.push(ufrag.to_owned());
        self.ufrags.write().insert(ufrag.to_owned(), Arc::clone(cell));
    }

    /// Forgets the names of earlier descriptions but for the newest `keep`.
    pub(super) fn forget_ufrags(&self, cell: &Cell, keep: usize) {
        let mut names = cell.names.lock();
        let Some(names) = names.as_mut() else { return };
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

    /// A check has come on this path and was believed: what else comes on it is the peer's. Returns a path that it has lost for that.
    pub(super) fn open_path(&self, path: Path, cell: &Arc<Cell>) -> Option<Path> {
        if self.paths.read().get(&path).is_some_and(|known| known.id == cell.id) {
            return None;
        }
        let mut names = cell.names.lock();
        let names = names.as_mut()?;
        let mut paths = self.paths.write();
        // It may have been this peer's before another one came from there.
        names.paths.retain(|known| *known != path);
        let oldest = names.oldest_for(path.transport);
        names.paths.push(path);
        paths.insert(path, Arc::clone(cell));
        let oldest = oldest.filter(|oldest| paths.get(oldest).is_some_and(|known| known.id == cell.id))?;
        paths.remove(&oldest);
        Some(oldest)
    }

    pub(super) fn remove(&self, cell: &Cell) {
        self.cells.write().remove(&cell.id);
        let Some(names) = cell.names.lock().take() else { return };
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

#[cfg(test)]
impl Table {
    /// Peers, user name fragments and paths.
    pub(super) fn sizes(&self) -> [usize; 3] {
        [self.cells.read().len(), self.ufrags.read().len(), self.paths.read().len()]
    }
}
