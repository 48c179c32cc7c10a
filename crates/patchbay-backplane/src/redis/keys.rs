//! What things are called in Redis: `pb:{shard}:<service>:<kind>:<id>`. The shard, CRC16 of the id modulo 128, is
//! the hash tag, so that all keys of one id lie in one slot and the number of slots in use has a bound.
//! An [`Ending`] of the kind tells the parts of one thing apart; kinds have no dots.

use crate::{Name, NodeId};

/// How many shards there are; part of the stored format.
pub(super) const SHARDS: u16 = 128;

/// Which part of a thing a key holds.
#[derive(Clone, Copy, Debug)]
pub(super) enum Ending {
    Channel,
    Meta,
    Entries,
    IdempotencyKey,
    Value,
    Members,
    MembersByExpiry,
    MembersInOrder,
    Users,
    Lease,
    Counter,
    Marks,
    Rows,
    RowsInOrder,
    Revision,
}

impl Ending {
    pub(super) fn text(self) -> &'static str {
        match self {
            Self::Channel => "",
            Self::Meta => ".meta",
            Self::Entries => ".entries",
            Self::IdempotencyKey => ".once",
            Self::Value => ".value",
            Self::Members => ".members",
            Self::MembersByExpiry => ".expiry",
            Self::MembersInOrder => ".order",
            Self::Users => ".users",
            Self::Lease => ".lease",
            Self::Counter => ".counter",
            Self::Marks => ".marks",
            Self::Rows => ".rows",
            Self::RowsInOrder => ".sorted",
            Self::Revision => ".revision",
        }
    }
}

/// The key of one part of a thing.
pub(super) fn key(name: &Name, ending: Ending) -> String {
    let (shard, ending) = (shard(name.id()), ending.text());
    format!("pb:{{{shard}}}:{}:{}{ending}:{}", name.service(), name.kind(), name.id())
}

/// The key of an idempotency key. The length keeps ids and keys with colons apart.
pub(super) fn once_key(name: &Name, once: &str) -> String {
    let (shard, ending, id) = (shard(name.id()), Ending::IdempotencyKey.text(), name.id());
    format!("pb:{{{shard}}}:{}:{}{ending}:{}:{id}:{once}", name.service(), name.kind(), id.len())
}

/// What all keys of a shard begin with.
pub(super) fn prefix(shard: u16) -> String {
    format!("pb:{{{shard}}}:")
}

/// The last fencing token given in the shard of a lease.
pub(super) fn fence_key(lease: &Name) -> String {
    format!("pb:{{{}}}:backplane:fence:all", shard(lease.id()))
}

/// The last revision given in the tables that have a table's service and id.
pub(super) fn last_revision_key(table: &Name) -> String {
    format!("pb:{{{}}}:{}:tables.last:{}", shard(table.id()), table.service(), table.id())
}

/// The groups in a shard that have members of a node.
pub(super) fn seats_key(shard: u16, node: &NodeId) -> String {
    format!("pb:{{{shard}}}:backplane:seats:{node}")
}

/// The keys of the node registry, in the order its scripts take them.
pub(super) fn node_keys() -> [String; 3] {
    let shard = shard("nodes");
    ["expiry", "records", "claims"].map(|part| format!("pb:{{{shard}}}:backplane:nodes.{part}:nodes"))
}

/// The shard of an id.
pub(super) fn shard(id: &str) -> u16 {
    crc16(id.as_bytes()) % SHARDS
}

/// CRC16/XMODEM, as Redis Cluster has it.
fn crc16(bytes: &[u8]) -> u16 {
    bytes.iter().fold(0, |crc, byte| {
        (0..8).fold(crc ^ (u16::from(*byte) << 8), |crc, _| {
            if crc & 0x8000 == 0 { crc << 1 } else { (crc << 1) ^ 0x1021 }
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn crc16_is_the_one_of_redis_cluster() {
        assert_eq!(crc16(b"123456789"), 0x31C3);
    }

    #[test]
    fn keys_have_the_documented_form() {
        let name = Name::new("chat", "room", "123456789");
        assert_eq!(shard("123456789"), 0x31C3 % 128);
        assert_eq!(key(&name, Ending::Channel), "pb:{67}:chat:room:123456789");
        assert_eq!(key(&name, Ending::Meta), "pb:{67}:chat:room.meta:123456789");
    }

    #[test]
    fn idempotency_keys_of_different_ids_never_meet() {
        let (short, long) = (Name::new("chat", "room", "a"), Name::new("chat", "room", "a:b"));
        assert_ne!(once_key(&short, "b:c"), once_key(&long, "c"));
    }
}
