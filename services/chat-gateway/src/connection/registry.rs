//! All connections of a replica, and how many each address and user has.

use super::Connection;
use crate::protocol::ids::ConnectionId;
use parking_lot::Mutex;
use std::{
    collections::HashMap,
    hash::Hash,
    net::IpAddr,
    sync::{
        Arc,
        atomic::{AtomicU64, AtomicUsize, Ordering},
    },
};

/// Parts among which the map is divided, so that connects do not wait for each other or for the sweeper.
const PARTS: usize = 16;

/// All connections.
#[derive(Default)]
pub struct Connections {
    parts: [Mutex<HashMap<ConnectionId, Arc<Connection>>>; PARTS],
    open: AtomicUsize,
    last_id: AtomicU64,
    addresses: Tally<IpAddr>,
    users: Tally<Arc<str>>,
}

/// How many connections each of something has.
struct Tally<K>(Mutex<HashMap<K, u32>>);

impl<K> Default for Tally<K> {
    fn default() -> Self {
        Self(Mutex::default())
    }
}

impl<K: Hash + Eq> Tally<K> {
    fn claim(&self, key: K, limit: usize) -> bool {
        let mut counts = self.0.lock();
        let count = counts.entry(key).or_default();
        if usize::try_from(*count).unwrap_or(usize::MAX) >= limit {
            return false;
        }
        *count += 1;
        true
    }

    fn release(&self, key: &K) {
        let mut counts = self.0.lock();
        if let Some(count) = counts.get_mut(key) {
            *count -= 1;
            if *count == 0 {
                counts.remove(key);
            }
        }
    }
}

impl Connections {
    /// A new id.
    pub fn next_id(&self) -> ConnectionId {
        ConnectionId(self.last_id.fetch_add(1, Ordering::Relaxed) + 1)
    }

    /// How many are open.
    pub fn open(&self) -> usize {
        self.open.load(Ordering::Relaxed)
    }

    /// Adds one.
    pub fn add(&self, connection: &Arc<Connection>) {
        self.open.fetch_add(1, Ordering::Relaxed);
        self.part(connection.id).lock().insert(connection.id, connection.clone());
    }

    /// Removes one.
    pub fn remove(&self, id: ConnectionId) {
        if self.part(id).lock().remove(&id).is_some() {
            self.open.fetch_sub(1, Ordering::Relaxed);
        }
    }

    /// Claims a place for an address.
    pub fn claim_address(&self, address: IpAddr, limit: usize) -> bool {
        self.addresses.claim(address, limit)
    }

    /// Gives an address's place back.
    pub fn release_address(&self, address: IpAddr) {
        self.addresses.release(&address);
    }

    /// Claims a place for a user.
    pub fn claim_user(&self, user: &Arc<str>, limit: usize) -> bool {
        self.users.claim(user.clone(), limit)
    }

    /// Gives a user's place back.
    pub fn release_user(&self, user: &Arc<str>) {
        self.users.release(user);
    }

    /// Looks at every connection, a part of them at a time.
    pub fn for_each(&self, mut look: impl FnMut(&Arc<Connection>)) {
        for part in &self.parts {
            part.lock().values().for_each(&mut look);
        }
    }

    /// Collects those for which `wanted` holds.
    pub fn select(&self, mut wanted: impl FnMut(&Connection) -> bool) -> Vec<Arc<Connection>> {
        let mut selected = Vec::new();
        self.for_each(|connection| {
            if wanted(connection) {
                selected.push(connection.clone());
            }
        });
        selected
    }

    fn part(&self, id: ConnectionId) -> &Mutex<HashMap<ConnectionId, Arc<Connection>>> {
        let index = usize::try_from(id.0 % PARTS as u64).unwrap_or(0);
        &self.parts[index]
    }
}
