//! Exclusive claims. One counter gives the fencing tokens of all leases, and it follows the clock, so that they
//! rise over restarts even where there is no file.

use super::{Inner, MemoryBackplane, failed, ready, store::Write};
use crate::{Answer, FencingToken, Leases, Name, clock::millis};
use std::{collections::HashMap, time::Duration};

pub(super) struct LeaseTable {
    held: HashMap<Name, Held>,
    last_token: u64,
}

struct Held {
    holder: String,
    token: FencingToken,
    until: u64,
}

impl LeaseTable {
    pub(super) fn restore(last_token: u64) -> Self {
        Self { held: HashMap::new(), last_token }
    }

    fn held_by(&mut self, lease: &Name, holder: &str, token: FencingToken, now: u64) -> Option<&mut Held> {
        self.held
            .get_mut(lease)
            .filter(|held| held.holder == holder && held.token == token && held.until > now)
    }
}

impl Leases for MemoryBackplane {
    fn acquire(&self, lease: &Name, holder: &str, ttl: Duration) -> Answer<Option<FencingToken>> {
        let now = self.now();
        let until = now + millis(ttl);
        let mut table = self.0.leases.lock();
        if let Some(held) = table.held.get_mut(lease).filter(|held| held.until > now) {
            if held.holder != holder {
                return ready(None);
            }
            held.until = until;
            return ready(Some(held.token));
        }
        let slot = match self.0.journal.reserve() {
            Ok(slot) => slot,
            Err(error) => return failed(error),
        };
        table.last_token = now.max(table.last_token + 1);
        let token = FencingToken(table.last_token);
        table.held.insert(lease.clone(), Held { holder: holder.to_owned(), token, until });
        slot.commit(|| Write::Fence(token.0), Some(token))
    }

    fn renew(&self, lease: &Name, holder: &str, token: FencingToken, ttl: Duration) -> Answer<bool> {
        let now = self.now();
        let mut table = self.0.leases.lock();
        let held = table.held_by(lease, holder, token, now);
        ready(held.map(|held| held.until = now + millis(ttl)).is_some())
    }

    fn release(&self, lease: &Name, holder: &str, token: FencingToken) -> Answer<bool> {
        let now = self.now();
        let mut table = self.0.leases.lock();
        let is_holder = table.held_by(lease, holder, token, now).is_some();
        if is_holder {
            table.held.remove(lease);
        }
        ready(is_holder)
    }
}

pub(super) fn sweep(inner: &Inner, now: u64) {
    inner.leases.lock().held.retain(|_, held| held.until > now);
}
