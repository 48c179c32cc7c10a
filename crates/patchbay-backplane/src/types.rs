//! Plain values that the traits take and give.

use crate::{Answer, Name};
use bytes::Bytes;
use std::{collections::BTreeMap, fmt, sync::Arc, time::Duration};
use tokio::sync::mpsc;

/// How long a stream's epoch and top outlive its last entry, so that a reader that had everything is still told so.
pub(crate) const STREAM_META_GRACE: Duration = Duration::from_hours(24);

/// How long a caller of `take_dead` has a node for itself.
pub(crate) const CLAIM_TTL: Duration = Duration::from_secs(10);

/// Identity of a stream's numbering. Offsets of different epochs cannot be compared.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Epoch(pub Arc<str>);

impl fmt::Display for Epoch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A place in a stream: after the entry with this offset; 0 is before the first.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Position {
    /// Whose numbering it is.
    pub epoch: Epoch,
    /// Offset of the last entry passed.
    pub offset: u64,
}

/// How much of a stream is kept; both bounds hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Retention {
    /// Entries at most.
    pub max_len: usize,
    /// Age at most.
    pub max_age: Duration,
}

/// An entry to append.
#[derive(Clone, Debug)]
pub struct Append {
    /// Stream, and channel on which it is published.
    pub stream: Name,
    /// Content.
    pub payload: Bytes,
    /// Idempotency key and how long it is remembered.
    pub key: Option<(String, Duration)>,
    /// What the stream keeps afterwards.
    pub retention: Retention,
}

/// Where an entry stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Appended {
    /// Its position.
    pub position: Position,
    /// Whether the key was known and nothing was appended.
    pub duplicate: bool,
}

/// Where a read starts, and which way it goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cursor {
    /// Oldest first, entries with a greater offset.
    After(u64),
    /// Newest first, entries with a smaller offset; `u64::MAX` starts at the top.
    Before(u64),
}

/// One entry of a stream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Offset, from 1.
    pub offset: u64,
    /// Content.
    pub payload: Bytes,
}

/// A page of a stream, read in one atomic step with its top.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Page {
    /// Entries in the cursor's order.
    pub entries: Vec<Entry>,
    /// Top of the stream.
    pub top: Position,
    /// Whether more entries follow in that direction.
    pub more: bool,
}

impl Page {
    /// Tells whether an [`Cursor::After`] page holds everything between `since` and the top.
    pub fn is_whole_since(&self, since: u64) -> bool {
        if since > self.top.offset || self.more {
            return false;
        }
        let expected = self.top.offset - since;
        self.entries.len() as u64 == expected && self.entries.first().is_none_or(|e| e.offset == since + 1)
    }
}

/// Version of a key-value entry; changes with every write.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Version(pub u64);

/// A value and its version.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Versioned {
    /// Content.
    pub value: Bytes,
    /// What to expect in a compare-and-set.
    pub version: Version,
}

/// One change of a row, part of a commit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// Table.
    pub table: Name,
    /// Row.
    pub key: String,
    /// What must stand there.
    pub expect: Expect,
    /// What shall stand there; `None` deletes.
    pub value: Option<Bytes>,
}

/// What must stand in a row for a commit to be applied.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Expect {
    /// Whatever.
    Anything,
    /// Nothing.
    Absent,
    /// What was read at this [`Record::revision`].
    Revision(u64),
}

/// What became of a commit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Committed {
    /// It was applied; every row that it wrote has this revision.
    Done {
        /// See [`Record::revision`].
        revision: u64,
    },
    /// Nothing was changed.
    Conflict {
        /// The first change whose expectation does not hold.
        index: usize,
    },
}

/// A row of a table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// Its key.
    pub key: String,
    /// Content.
    pub value: Bytes,
    /// What to expect in a commit; a row that is deleted and made again never has an old one.
    pub revision: u64,
}

/// Which rows to read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Scan {
    /// What their keys start with; empty for all.
    pub prefix: String,
    /// Key after which the page begins, in the order's direction; `None` begins at the end of the order.
    pub after: Option<String>,
    /// Which way it goes.
    pub order: Order,
    /// Rows at most.
    pub limit: usize,
}

/// Direction of a scan.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Order {
    /// Smallest key first.
    #[default]
    Ascending,
    /// Greatest key first.
    Descending,
}

/// A page of rows.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RecordPage {
    /// The rows, in the order asked.
    pub records: Vec<Record>,
    /// Whether more follow.
    pub more: bool,
}

/// What is published when a table has changed, as JSON.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct RecordsChanged {
    /// The table's revision since then.
    pub revision: u64,
    /// Rows that were written or deleted.
    pub keys: Vec<String>,
}

impl RecordsChanged {
    /// Reads a published payload.
    pub fn parse(payload: &[u8]) -> Option<Self> {
        serde_json::from_slice(payload).ok()
    }
}

/// A replica's instance id.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct NodeId(pub Arc<str>);

impl fmt::Display for NodeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Somebody present in a group.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Member {
    /// Unique in the group, such as a connection id.
    pub id: Arc<str>,
    /// Whose connection it is; several members may share it.
    pub user: Arc<str>,
    /// What the service wants to show of it.
    pub info: Bytes,
}

/// Members of a group.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Members {
    /// Those asked for.
    pub members: Vec<Member>,
    /// How many there are.
    pub total: usize,
}

/// Counts of a group.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PresenceStats {
    /// Members.
    pub clients: usize,
    /// Distinct users.
    pub users: usize,
}

/// Rises with every change of a lease's holder; storage refuses writers with an older one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct FencingToken(pub u64);

/// What became of a raise.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Raised {
    /// What stands there now.
    pub value: u64,
    /// Whether this call raised it.
    pub raised: bool,
}

/// A living replica.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NodeRecord {
    /// Instance id.
    pub id: NodeId,
    /// Service name.
    pub service: String,
    /// What the service tells of itself, as JSON.
    pub info: Bytes,
}

/// Answer to a heartbeat.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Beat {
    /// The node was known.
    Known,
    /// The node was not known: it is new, or was declared dead, or the registry lost its data. What the node
    /// keeps on the backplane must be written again.
    Fresh,
}

/// Whether the backplane answers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Health {
    /// It does.
    Up,
    /// It does not, for this reason.
    Down(String),
}

/// Named figures for metrics.
pub type Figures = BTreeMap<&'static str, u64>;

/// What a subscriber gets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// A payload.
    Message(Message),
    /// Events may have been missed on any channel: compare positions.
    Gap,
}

/// A payload that was published.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    /// Channel.
    pub channel: Name,
    /// Content.
    pub payload: Bytes,
    /// Where it stands, when it is a stream's entry.
    pub position: Option<Position>,
}

/// A set of subscribed channels and the events that arrive on them.
pub struct Subscriber {
    pub(crate) events: mpsc::Receiver<Event>,
    pub(crate) control: Arc<dyn SubscriptionControl>,
}

impl Subscriber {
    /// Waits for the next event; `None` once the backplane has been closed. Cancel-safe.
    pub async fn recv(&mut self) -> Option<Event> {
        self.events.recv().await
    }

    /// Takes an event that is already there.
    pub fn try_recv(&mut self) -> Option<Event> {
        self.events.try_recv().ok()
    }

    /// Adds a channel; once answered, everything published from then on arrives, or a gap is told.
    pub fn subscribe(&self, channel: &Name) -> Answer<()> {
        self.control.subscribe(channel)
    }

    /// Removes a channel; events already on their way may still arrive.
    pub fn unsubscribe(&self, channel: &Name) -> Answer<()> {
        self.control.unsubscribe(channel)
    }
}

/// How an implementation changes a subscriber's channels; dropped with its subscriber, it removes them all.
pub(crate) trait SubscriptionControl: Send + Sync {
    fn subscribe(&self, channel: &Name) -> Answer<()>;
    fn unsubscribe(&self, channel: &Name) -> Answer<()>;
}

/// Why a call failed.
#[derive(Clone, Debug, thiserror::Error)]
pub enum BackplaneError {
    /// The backplane is away, or did not answer in time; the call may or may not have taken effect.
    #[error("the backplane does not answer: {0}")]
    Unavailable(String),
    /// The backplane answered with an error, or with something that was not expected.
    #[error("the backplane refused the call: {0}")]
    Refused(String),
    /// The local store failed.
    #[error("the local store failed: {0}")]
    Store(String),
}
