//! Which replicas are alive, on Redis time; see `scripts/nodes.lua`.

use super::{
    RedisBackplane,
    command::{ALIVE, Arg, BEAT, Command, DEAD, FORGET, Script, parse},
    keys,
};
use crate::{Answer, BackplaneError, Beat, NodeId, NodeRecord, Nodes, clock::millis, types::CLAIM_TTL};
use bytes::Bytes;
use std::time::Duration;

impl Nodes for RedisBackplane {
    fn heartbeat(&self, node: NodeRecord, ttl: Duration) -> Answer<Beat> {
        let ttl = millis(ttl);
        let record = [format!("{ttl}|{}|", node.service).as_bytes(), &node.info].concat();
        let command = on_nodes(&BEAT).arg(node.id.0.as_ref()).arg(ttl).arg(Bytes::from(record));
        let read = |reply| Ok(if parse::<bool>(reply)? { Beat::Known } else { Beat::Fresh });
        self.link.call(command, read)
    }

    fn nodes(&self) -> Answer<Vec<NodeRecord>> {
        self.link.call(on_nodes(&ALIVE), |reply| {
            let mut found = parse::<Vec<Bytes>>(reply)?.into_iter();
            let mut records = Vec::new();
            while let (Some(id), Some(record)) = (found.next(), found.next()) {
                records.push(read_record(&id, &record).ok_or_else(malformed)?);
            }
            records.sort_by(|a, b| (&a.service, &a.id).cmp(&(&b.service, &b.id)));
            Ok(records)
        })
    }

    fn forget(&self, node: &NodeId) -> Answer<()> {
        self.link.call(on_nodes(&FORGET).arg(node.0.as_ref()), |_| Ok(()))
    }

    fn take_dead(&self, service: &str) -> Answer<Vec<NodeId>> {
        let command = on_nodes(&DEAD).arg(service).arg(Arg::Since).arg(millis(CLAIM_TTL));
        self.link.call(command, |reply| {
            let mut taken: Vec<_> =
                parse::<Vec<String>>(reply)?.into_iter().map(|id| NodeId(id.into())).collect();
            taken.sort();
            Ok(taken)
        })
    }
}

fn on_nodes(script: &'static Script) -> Command {
    Command::script(script).keys(keys::node_keys())
}

fn read_record(id: &[u8], record: &Bytes) -> Option<NodeRecord> {
    let id = NodeId(std::str::from_utf8(id).ok()?.into());
    let service_start = record.iter().position(|byte| *byte == b'|')? + 1;
    let service_end = service_start + record[service_start..].iter().position(|byte| *byte == b'|')?;
    let service = String::from_utf8(record[service_start..service_end].to_vec()).ok()?;
    Some(NodeRecord { id, service, info: record.slice(service_end + 1..) })
}

fn malformed() -> BackplaneError {
    BackplaneError::Refused("a node in Redis is not from a backplane".into())
}
