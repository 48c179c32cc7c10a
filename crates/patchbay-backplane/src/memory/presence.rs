//! Who is in a group. A member costs its own text once (shared with the caller) and
//! 130 to 240 bytes here, as the tree and the table of users are full or not.

use super::{Inner, MemoryBackplane, ready};
use crate::{Answer, Member, Members, Name, NodeId, Presence, PresenceStats, clock::millis};
use bytes::Bytes;
use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
    time::Duration,
};

#[derive(Default)]
pub(super) struct Group {
    members: BTreeMap<Arc<str>, Seat>,
    users: HashMap<Arc<str>, u32>,
    /// No member expires before this.
    next_expiry: u64,
}

struct Seat {
    user: Arc<str>,
    info: Bytes,
    node: NodeId,
    expires: u64,
}

impl Presence for MemoryBackplane {
    fn join(&self, node: &NodeId, joins: Vec<(Name, Member)>, ttl: Duration) -> Answer<()> {
        let expires = self.now() + millis(ttl);
        let mut groups = self.0.presence.lock();
        for (name, member) in joins {
            groups.entry(name).or_default().join(node, member, expires);
        }
        ready(())
    }

    fn leave(&self, group: &Name, member: &str) -> Answer<bool> {
        let now = self.now();
        let mut groups = self.0.presence.lock();
        let Some(found) = groups.get_mut(group) else { return ready(false) };
        let left = found.remove(member).is_some_and(|seat| seat.expires > now);
        if found.members.is_empty() {
            groups.remove(group);
        }
        ready(left)
    }

    fn members(&self, group: &Name, limit: usize) -> Answer<Members> {
        let mut groups = self.0.presence.lock();
        let Some(found) = groups.get_mut(group) else {
            return ready(Members { members: Vec::new(), total: 0 });
        };
        found.drop_expired(self.now());
        let members = found.members.iter().take(limit).map(|(id, seat)| seat.member(id.clone())).collect();
        ready(Members { members, total: found.members.len() })
    }

    fn stats(&self, group: &Name) -> Answer<PresenceStats> {
        let mut groups = self.0.presence.lock();
        let Some(found) = groups.get_mut(group) else { return ready(PresenceStats::default()) };
        found.drop_expired(self.now());
        ready(PresenceStats { clients: found.members.len(), users: found.users.len() })
    }

    fn reap(&self, node: &NodeId) -> Answer<Vec<(Name, Member)>> {
        let now = self.now();
        let mut reaped = Vec::new();
        self.0.presence.lock().retain(|name, group| {
            let gone = group.take(|seat| seat.node == *node);
            let alive = gone.into_iter().filter(|(_, seat)| seat.expires > now);
            reaped.extend(alive.map(|(id, seat)| (name.clone(), seat.member(id))));
            !group.members.is_empty()
        });
        ready(reaped)
    }
}

impl Group {
    fn join(&mut self, node: &NodeId, member: Member, expires: u64) {
        // A renewal keeps the id that is there; any other change replaces the seat.
        let Member { id, user, info } = member;
        self.next_expiry = if self.members.is_empty() { expires } else { self.next_expiry.min(expires) };
        if let Some(seat) = self.members.get_mut(&id).filter(|seat| seat.user == user) {
            seat.info = info;
            seat.expires = expires;
            seat.node = node.clone();
            return;
        }
        *self.users.entry(user.clone()).or_default() += 1;
        if let Some(before) = self.members.insert(id, Seat { user, info, node: node.clone(), expires }) {
            self.release_user(&before.user);
        }
    }

    fn remove(&mut self, member: &str) -> Option<Seat> {
        let seat = self.members.remove(member)?;
        self.release_user(&seat.user);
        Some(seat)
    }

    fn release_user(&mut self, user: &str) {
        let Some(seats) = self.users.get_mut(user) else { return };
        *seats -= 1;
        if *seats == 0 {
            self.users.remove(user);
        }
    }

    fn take(&mut self, mut goes: impl FnMut(&Seat) -> bool) -> Vec<(Arc<str>, Seat)> {
        let gone: Vec<_> = self.members.extract_if(.., |_, seat| goes(seat)).collect();
        for (_, seat) in &gone {
            self.release_user(&seat.user);
        }
        gone
    }

    fn drop_expired(&mut self, now: u64) {
        if now < self.next_expiry {
            return;
        }
        self.take(|seat| seat.expires <= now);
        self.next_expiry = self.members.values().map(|seat| seat.expires).min().unwrap_or(u64::MAX);
    }
}

impl Seat {
    fn member(&self, id: Arc<str>) -> Member {
        Member { id, user: self.user.clone(), info: self.info.clone() }
    }
}

pub(super) fn sweep(inner: &Inner, now: u64) {
    inner.presence.lock().retain(|_, group| {
        group.drop_expired(now);
        !group.members.is_empty()
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_member_costs_little_beside_its_text() {
        // B-tree leaves are at least half full, and hash tables at least 7/16.
        let seat = 2 * size_of::<(Arc<str>, Seat)>();
        let user = (size_of::<(Arc<str>, u32)>() + 1) * 16 / 7;
        assert!(seat + user < 300, "{seat} + {user}");
    }
}
