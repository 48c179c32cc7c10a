//! How replicas act as one: publish/subscribe, streams, key-value, records, presence, leases, counters, marks and the
//! node registry, as narrow traits with two implementations behind one conformance suite.
//!
//! [`memory`] serves one process and keeps what must survive a restart in a redb file; [`redis`] serves many.
//! Services name things by [`Name`] and never see a Redis key. This crate knows nothing of chat, calls or media.

mod clock;
mod config;
mod hub;
pub mod memory;
mod name;
mod records;
pub mod redis;
mod types;

pub use config::{BackplaneConfig, connect};
pub use memory::MemoryBackplane;
pub use name::Name;
pub use redis::RedisBackplane;
pub use types::*;

use bytes::Bytes;
use futures_util::future::BoxFuture;
use std::{sync::Arc, time::Duration};

/// Answer of every backplane call. The call is queued when the method is called, not when the future is first
/// polled, so that calls made in order by one caller take effect in that order. Dropping the future does not
/// undo the call.
pub type Answer<T> = BoxFuture<'static, Result<T, BackplaneError>>;

/// The backplane as services hold it.
pub type SharedBackplane = Arc<dyn Backplane>;

/// All the traits together.
pub trait Backplane:
    PubSub + Streams + KeyValue + Records + Presence + Leases + Counters + Marks + Nodes
{
    /// Returns `memory` or `redis`.
    fn kind(&self) -> &'static str;

    /// Tells whether the backplane answers now, and when that changes.
    fn health(&self) -> tokio::sync::watch::Receiver<Health>;

    /// Figures for metrics: commands, round trips, reconnects.
    fn figures(&self) -> Figures;
}

/// At most once delivery, in order for each channel.
pub trait PubSub: Send + Sync {
    /// Sends a payload to those who are subscribed now.
    fn publish(&self, channel: &Name, payload: Bytes) -> Answer<()>;

    /// Makes a subscriber with room for `capacity` events; when it is full, events are dropped and replaced by
    /// one [`Event::Gap`].
    fn subscriber(&self, capacity: usize) -> Subscriber;
}

/// Append-only logs with server-assigned offsets, from 1, under an epoch. Append and publish are one atomic step.
pub trait Streams: Send + Sync {
    /// Appends an entry, trims by the retention, and publishes the entry on the channel of the same name with its
    /// position. A repeated idempotency key returns the first position with `duplicate: true`.
    fn append(&self, append: Append) -> Answer<Appended>;

    /// Reads a page. An empty or missing stream answers no entries and its top.
    fn read(&self, stream: &Name, cursor: Cursor, limit: usize) -> Answer<Page>;

    /// Returns the tops of several streams, in the order asked.
    fn tops(&self, streams: &[Name]) -> Answer<Vec<Position>>;

    /// Deletes all entries and starts a new epoch.
    fn remove(&self, stream: &Name) -> Answer<()>;
}

/// Values with an expiry, written by compare-and-set where two writers may meet.
pub trait KeyValue: Send + Sync {
    /// Returns the value and its version.
    fn get(&self, key: &Name) -> Answer<Option<Versioned>>;

    /// Writes whatever stands there; `None` never expires.
    fn set(&self, key: &Name, value: Bytes, ttl: Option<Duration>) -> Answer<Version>;

    /// Writes only over `expected` (`None`: only where nothing stands); `Ok(None)` when something else stands there.
    fn compare_and_set(
        &self,
        key: &Name,
        expected: Option<Version>,
        value: Bytes,
        ttl: Option<Duration>,
    ) -> Answer<Option<Version>>;

    /// Deletes, and tells whether there was anything.
    fn delete(&self, key: &Name) -> Answer<bool>;
}

/// Tables of rows that must not be lost: changed together or not at all, read in order.
///
/// What is answered is on the disk: a read never shows what a crash could still take back, and a Redis that
/// answers before its disk does (`appendfsync` other than `always`) is refused with [`BackplaneError::Refused`].
pub trait Records: Send + Sync {
    /// Applies all changes in one step, or none: then the index of the first one whose expectation does not hold is
    /// told. All tables must have the same service and id (only the kind may differ), because Redis holds them in
    /// one slot. Afterwards each changed table's name is a channel on which a [`RecordsChanged`] is published.
    fn commit(&self, changes: Vec<Change>) -> Answer<Committed>;

    /// Reads rows, in the order asked.
    fn records(&self, table: &Name, keys: Vec<String>) -> Answer<Vec<Option<Record>>>;

    /// Reads a page of the rows whose key starts with a prefix, ordered by key, byte by byte.
    fn scan(&self, table: &Name, scan: Scan) -> Answer<RecordPage>;

    /// Returns the table's revision: it rises with every commit that changed it. 0 is a table nobody wrote to.
    fn revision(&self, table: &Name) -> Answer<u64>;
}

/// Who is in a group. Members belong to a node and go with it, or when nobody renews them.
pub trait Presence: Send + Sync {
    /// Adds members, or renews them where they are known (same group and member id): a node repeats all its
    /// joins every third of `ttl`, and at once after [`Event::Gap`] or a fresh [`Beat`].
    fn join(&self, node: &NodeId, joins: Vec<(Name, Member)>, ttl: Duration) -> Answer<()>;

    /// Removes a member; tells whether it was there.
    fn leave(&self, group: &Name, member: &str) -> Answer<bool>;

    /// Lists members ordered by id, `limit` at most, with the total.
    fn members(&self, group: &Name, limit: usize) -> Answer<Members>;

    /// Counts members and distinct users.
    fn stats(&self, group: &Name) -> Answer<PresenceStats>;

    /// Removes every member that belongs to a node and returns them.
    fn reap(&self, node: &NodeId) -> Answer<Vec<(Name, Member)>>;
}

/// Exclusive claims that end by themselves. Fencing tokens never go back, whatever happens to the holder.
pub trait Leases: Send + Sync {
    /// Claims; `None` when somebody else holds it. The holder itself gets its lease extended, token unchanged.
    fn acquire(&self, lease: &Name, holder: &str, ttl: Duration) -> Answer<Option<FencingToken>>;

    /// Extends; false when the lease is no longer the holder's under that token.
    fn renew(&self, lease: &Name, holder: &str, token: FencingToken, ttl: Duration) -> Answer<bool>;

    /// Gives up; false when the lease was not the holder's.
    fn release(&self, lease: &Name, holder: &str, token: FencingToken) -> Answer<bool>;
}

/// Counts over fixed windows, for limits that hold over all replicas.
pub trait Counters: Send + Sync {
    /// Adds to the counter's current window, which begins with its first addition, and returns the sum.
    fn add(&self, counter: &Name, amount: u64, window: Duration) -> Answer<u64>;
}

/// Fields of one map of marks, at most: whoever can make up names could fill it otherwise.
pub const MAX_MARKS: usize = 20_000;

/// Maps of numbers that only rise, such as read receipts.
pub trait Marks: Send + Sync {
    /// Raises a field, unless it is already as high; returns what stands there afterwards. A map that holds
    /// [`MAX_MARKS`] fields takes no new one: 0 stands there.
    fn raise(&self, map: &Name, field: &str, value: u64, ttl: Duration) -> Answer<Raised>;

    /// Returns fields and values ordered by field, `limit` at most.
    fn marks(&self, map: &Name, limit: usize) -> Answer<Vec<(String, u64)>>;
}

/// Which replicas are alive.
pub trait Nodes: Send + Sync {
    /// Says that a node lives; it is dead when it has not said so for `ttl`.
    fn heartbeat(&self, node: NodeRecord, ttl: Duration) -> Answer<Beat>;

    /// Lists the nodes that are alive, ordered by service and id.
    fn nodes(&self) -> Answer<Vec<NodeRecord>>;

    /// Removes a node that stops in an orderly way; its members must have been removed before.
    fn forget(&self, node: &NodeId) -> Answer<()>;

    /// Takes nodes of a service that died, each given to one caller only; the caller reaps them and then calls
    /// `forget`. A caller that dies in between loses its claim after 10 s, and another gets the node. After an outage of the
    /// backplane nobody is declared dead for one `ttl`.
    fn take_dead(&self, service: &str) -> Answer<Vec<NodeId>>;
}
