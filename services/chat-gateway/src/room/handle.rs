//! How the rest of the gateway reaches rooms: commands to the shard that owns the room.

use super::{
    fanout::Item,
    shard::Shard,
    state::{RoomCount, Subscriber},
};
use crate::{
    gateway::Gateway,
    protocol::ids::{ConnectionId, RoomId},
};
use patchbay_backplane::Position;
use std::{
    hash::{DefaultHasher, Hash, Hasher},
    sync::Arc,
};
use tokio::sync::{mpsc, oneshot};

/// Commands that may wait for a shard. When it is full, subscriptions are refused as temporarily unavailable; what must
/// not be lost waits for room.
const MAILBOX: usize = 16 * 1024;

/// A request to a shard.
pub enum Command {
    /// Somebody wants to listen.
    Subscribe(Subscribe),
    /// Somebody stops.
    Leave {
        /// The room.
        room: RoomId,
        /// Who.
        connection: ConnectionId,
    },
    /// Somebody's profile has changed.
    Renamed {
        /// The room.
        room: RoomId,
        /// Who, with the new profile.
        subscriber: Subscriber,
    },
    /// Lists rooms with a subscriber.
    Count(oneshot::Sender<Vec<RoomCount>>),
    /// Writes everybody's presence again.
    RenewPresence,
}

/// A wish to listen.
pub struct Subscribe {
    /// The room.
    pub room: RoomId,
    /// Who.
    pub subscriber: Subscriber,
    /// The last position the client has seen.
    pub recover: Option<Position>,
    /// How to answer.
    pub answer: Answer,
}

/// How the outcome of a subscription is told.
#[derive(Debug)]
pub enum Answer {
    /// As the result of a command.
    Command(u64),
    /// As a push, for subscriptions that an operator made.
    Push,
    /// Over a channel, for the classic door.
    Channel(oneshot::Sender<bool>),
    /// As the first event of a watch.
    Watch,
}

/// What a watcher gets.
#[derive(Debug)]
pub enum Watched {
    /// The watch begins after this position.
    Started(Position),
    /// The position from which to watch is not to be had.
    Unrecoverable,
    /// The backplane is away.
    Unavailable,
    /// Something happened.
    Item(Item),
}

/// All shards of this replica.
#[derive(Clone)]
pub struct Rooms {
    shards: Arc<[mpsc::Sender<Command>]>,
}

impl Rooms {
    /// Makes `count` mailboxes; [`Rooms::start`] gives each its shard.
    pub fn new(count: usize) -> (Self, Vec<mpsc::Receiver<Command>>) {
        let (senders, receivers): (Vec<_>, Vec<_>) = (0..count).map(|_| mpsc::channel(MAILBOX)).unzip();
        (Self { shards: senders.into() }, receivers)
    }

    /// Starts the shards.
    pub fn start(gateway: &Arc<Gateway>, mailboxes: Vec<mpsc::Receiver<Command>>) {
        for mailbox in mailboxes {
            let shard = Shard::new(gateway.clone(), mailbox);
            gateway.context.tasks.spawn_critical("room-shard", shard.run());
        }
    }

    /// Hands a command over, unless the shard is too busy.
    pub fn try_send(&self, room: &RoomId, command: Command) -> Result<(), Command> {
        self.shard(room).try_send(command).map_err(|error| match error {
            mpsc::error::TrySendError::Full(command) | mpsc::error::TrySendError::Closed(command) => command,
        })
    }

    /// Hands a command over, waiting for room.
    pub async fn send(&self, room: &RoomId, command: Command) {
        // Closed only when the process stops.
        drop(self.shard(room).send(command).await);
    }

    /// Asks every shard to write everybody's presence again.
    pub async fn renew_presence(&self) {
        for shard in self.shards.iter() {
            drop(shard.send(Command::RenewPresence).await);
        }
    }

    /// Lists rooms with a subscriber on this replica.
    pub async fn count(&self) -> Vec<RoomCount> {
        let mut rooms = Vec::new();
        for shard in self.shards.iter() {
            let (sender, receiver) = oneshot::channel();
            if shard.send(Command::Count(sender)).await.is_ok() {
                rooms.extend(receiver.await.unwrap_or_default());
            }
        }
        rooms
    }

    fn shard(&self, room: &RoomId) -> &mpsc::Sender<Command> {
        let mut hasher = DefaultHasher::new();
        room.hash(&mut hasher);
        let index = usize::try_from(hasher.finish() % self.shards.len() as u64).unwrap_or(0);
        &self.shards[index]
    }
}
