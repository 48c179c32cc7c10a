//! What rooms, the sweeper and operators hold of a connection.

use super::outbound::Outbound;
use crate::{
    limits::Bucket,
    protocol::{
        close::Close,
        error::{CommandError, ErrorCode},
        ids::{ConnectionId, RoomId},
        publication::Profile,
    },
};
use parking_lot::Mutex;
use patchbay_auth::Identity;
use smallvec::SmallVec;
use std::{
    net::IpAddr,
    sync::{
        Arc,
        atomic::{AtomicU8, AtomicU32, Ordering},
    },
};

/// One client of this replica.
pub struct Connection {
    /// Its id in this process.
    pub id: ConnectionId,
    /// What waits to be written to it.
    pub outbound: Outbound,
    /// The other end of its socket.
    peer: IpAddr,
    /// Seconds since the gateway's start, as all times here.
    opened: u32,
    last_heard: AtomicU32,
    /// When the unanswered ping was sent, or the close frame; 0 is neither.
    waiting_since: AtomicU32,
    stage: AtomicU8,
    /// Commands whose answers are being worked out.
    in_flight: AtomicU8,
    state: Mutex<State>,
}

/// How far a connection has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub enum Stage {
    /// No `connect` yet.
    Greeting,
    /// The native protocol.
    Native,
    /// The classic protocol.
    Classic,
    /// A close frame is on its way.
    Ending,
}

/// Who the client is; there once it has connected.
#[derive(Clone)]
pub struct Person {
    /// What it may do.
    pub identity: Arc<Identity>,
    /// How others see it.
    pub profile: Arc<Profile>,
}

struct State {
    person: Option<Person>,
    claimed: Option<IpAddr>,
    rooms: SmallVec<[RoomId; 1]>,
    rate: Bucket,
}

impl Connection {
    /// Wraps a fresh socket.
    pub fn new(id: ConnectionId, outbound: Outbound, address: IpAddr, now: u32) -> Self {
        Self {
            id,
            outbound,
            peer: address,
            opened: now,
            last_heard: AtomicU32::new(now),
            waiting_since: AtomicU32::new(0),
            stage: AtomicU8::new(Stage::Greeting as u8),
            in_flight: AtomicU8::new(0),
            state: Mutex::new(State {
                person: None,
                claimed: None,
                rooms: SmallVec::new(),
                rate: Bucket::default(),
            }),
        }
    }

    /// Where the client comes from, through trusted proxies.
    pub fn address(&self) -> IpAddr {
        self.state.lock().claimed.unwrap_or(self.peer)
    }

    /// Notes the client's address, as a trusted proxy told it, and that it counts towards that address's limit.
    pub fn claimed(&self, address: IpAddr) {
        self.state.lock().claimed = Some(address);
    }

    /// Whether it counts towards its address's limit.
    pub fn has_claim(&self) -> bool {
        self.state.lock().claimed.is_some()
    }

    /// When it was opened.
    pub fn opened(&self) -> u32 {
        self.opened
    }

    /// How far it has come.
    pub fn stage(&self) -> Stage {
        match self.stage.load(Ordering::Relaxed) {
            0 => Stage::Greeting,
            1 => Stage::Native,
            2 => Stage::Classic,
            _ => Stage::Ending,
        }
    }

    /// Notes that something arrived.
    pub fn heard(&self, now: u32) {
        self.last_heard.store(now, Ordering::Relaxed);
        if self.stage() != Stage::Ending {
            self.waiting_since.store(0, Ordering::Relaxed);
        }
    }

    /// When something last arrived.
    pub fn last_heard(&self) -> u32 {
        self.last_heard.load(Ordering::Relaxed)
    }

    /// When the unanswered ping, or the close frame, was sent.
    pub fn waiting_since(&self) -> Option<u32> {
        Some(self.waiting_since.load(Ordering::Relaxed)).filter(|&since| since != 0)
    }

    /// Notes that a ping was sent.
    pub fn pinged(&self, now: u32) {
        self.waiting_since.store(now.max(1), Ordering::Relaxed);
    }

    /// Ends the connection with a code of the protocol.
    pub fn end(&self, close: Close, now: u32) {
        self.ending(now);
        self.outbound.close(close);
    }

    /// Notes that a close frame is on its way; the sweeper waits a little for the client's own.
    pub fn ending(&self, now: u32) {
        self.stage.store(Stage::Ending as u8, Ordering::Relaxed);
        self.waiting_since.store(now.max(1), Ordering::Relaxed);
    }

    /// Notes who it is. A connection that has ended meanwhile stays ended.
    pub fn introduce(&self, person: Person, stage: Stage) {
        self.state.lock().person = Some(person);
        let greeting = Stage::Greeting as u8;
        let moved = self.stage.compare_exchange(greeting, stage as u8, Ordering::Relaxed, Ordering::Relaxed);
        if moved.is_err() {
            tracing::debug!(client.address = %self.address(), "gone before it was introduced");
        }
    }

    /// Replaces the identity after a refresh, or the profile after a change of name.
    pub fn replace_person(&self, person: Person) {
        self.state.lock().person = Some(person);
    }

    /// Who it is, once it has connected.
    pub fn person(&self) -> Option<Person> {
        self.state.lock().person.clone()
    }

    /// When its token expires, in Unix seconds.
    pub fn expires_at(&self) -> Option<u64> {
        self.state.lock().person.as_ref().and_then(|person| person.identity.expires_at)
    }

    /// Whether it is subscribed to a room, or is about to be.
    pub fn is_in(&self, room: &RoomId) -> bool {
        self.state.lock().rooms.contains(room)
    }

    /// The rooms it is in.
    pub fn rooms(&self) -> SmallVec<[RoomId; 1]> {
        self.state.lock().rooms.clone()
    }

    /// Notes a subscription that begins.
    pub fn enter(&self, room: &RoomId, limit: usize) -> Result<(), CommandError> {
        let mut state = self.state.lock();
        if state.rooms.contains(room) {
            return Err(CommandError::new(
                ErrorCode::AlreadySubscribed,
                "already subscribed to this channel",
            ));
        }
        if state.rooms.len() >= limit {
            return Err(CommandError::new(ErrorCode::LimitExceeded, format!("at most {limit} channels")));
        }
        state.rooms.push(room.clone());
        Ok(())
    }

    /// Notes a subscription that ended; tells whether there was one.
    pub fn exit(&self, room: &RoomId) -> bool {
        let mut state = self.state.lock();
        let before = state.rooms.len();
        state.rooms.retain(|entered| entered != room);
        state.rooms.len() < before
    }

    /// Runs `f` on the connection's own rate.
    pub fn with_rate<T>(&self, f: impl FnOnce(&mut Bucket) -> T) -> T {
        f(&mut self.state.lock().rate)
    }

    /// Claims one of `limit` places for a command whose answer takes time.
    pub fn begin(self: &Arc<Self>, limit: u8) -> Option<InFlight> {
        let claim = |count: u8| (count < limit).then_some(count + 1);
        self.in_flight.fetch_update(Ordering::Relaxed, Ordering::Relaxed, claim).ok()?;
        Some(InFlight(self.clone()))
    }
}

/// A command in progress; its place is free again when this is dropped.
pub struct InFlight(Arc<Connection>);

impl std::ops::Deref for InFlight {
    type Target = Arc<Connection>;

    fn deref(&self) -> &Self::Target {
        &self.0
    }
}

impl Drop for InFlight {
    fn drop(&mut self) {
        self.0.in_flight.fetch_sub(1, Ordering::Relaxed);
    }
}
