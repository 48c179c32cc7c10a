//! Which nodes are alive; in one process, the services of the all-in-one.

use super::{MemoryBackplane, ready};
use crate::{Answer, Beat, NodeId, NodeRecord, Nodes, clock::millis, types::CLAIM_TTL};
use std::time::Duration;

pub(super) struct Node {
    record: NodeRecord,
    expires: u64,
    claimed_until: u64,
}

impl Nodes for MemoryBackplane {
    fn heartbeat(&self, node: NodeRecord, ttl: Duration) -> Answer<Beat> {
        let now = self.now();
        let id = node.id.clone();
        let alive = Node { record: node, expires: now + millis(ttl), claimed_until: 0 };
        let before = self.0.nodes.lock().insert(id, alive);
        ready(match before {
            Some(before) if before.claimed_until == 0 => Beat::Known,
            _ => Beat::Fresh,
        })
    }

    fn nodes(&self) -> Answer<Vec<NodeRecord>> {
        let now = self.now();
        let nodes = self.0.nodes.lock();
        let alive = nodes.values().filter(|node| node.expires > now);
        let mut records: Vec<_> = alive.map(|node| node.record.clone()).collect();
        records.sort_by(|a, b| (&a.service, &a.id).cmp(&(&b.service, &b.id)));
        ready(records)
    }

    fn forget(&self, node: &NodeId) -> Answer<()> {
        self.0.nodes.lock().remove(node);
        ready(())
    }

    fn take_dead(&self, service: &str) -> Answer<Vec<NodeId>> {
        let now = self.now();
        let mut taken = Vec::new();
        for (id, node) in self.0.nodes.lock().iter_mut() {
            if node.record.service == service && node.expires <= now && node.claimed_until <= now {
                node.claimed_until = now + millis(CLAIM_TTL);
                taken.push(id.clone());
            }
        }
        taken.sort();
        ready(taken)
    }
}
