//! Orders of an operator that concern connections on any replica. They travel on one channel that every replica hears.

use crate::{
    connection::{Connection, handle::Stage, session::expel},
    gateway::Gateway,
    protocol::{close::Close, ids::RoomId, reply::Unsubscribed},
    room::{
        Command, Subscribe,
        fanout::Wish,
        handle::Answer,
        state::{Listener, Subscriber},
    },
};
use patchbay_backplane::{Event, Name};
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// Orders that may wait; beyond, some are lost, and the operator repeats them.
const QUEUE: usize = 1024;

/// An order.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Order {
    /// Add all connections of a user to a room.
    Subscribe {
        /// The user.
        user: String,
        /// The room.
        room: String,
    },
    /// Remove all connections of a user from a room.
    Unsubscribe {
        /// The user.
        user: String,
        /// The room.
        room: String,
    },
    /// Close a user's connections, or one of them.
    Disconnect {
        /// The user.
        user: String,
        /// Only this connection.
        client: Option<String>,
        /// Whether it may come back.
        after: Afterwards,
    },
}

/// What a client that is sent away may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Afterwards {
    /// Reconnect.
    Reconnect,
    /// Stay away.
    StayAway,
}

/// The channel of orders.
pub fn channel() -> Name {
    Name::new("chat", "control", "all")
}

/// Carries orders out until the process stops.
pub async fn obey(gateway: Arc<Gateway>) {
    let hard = gateway.context.shutdown.hard();
    let mut orders = gateway.context.backplane.subscriber(QUEUE);
    // A subscription made while the backplane is away is made again when it is back.
    if let Err(error) = orders.subscribe(&channel()).await {
        tracing::warn!(%error, "could not listen for orders yet");
    }
    loop {
        tokio::select! {
            () = hard.cancelled() => return,
            event = orders.recv() => match event {
                None => return,
                Some(Event::Gap) => tracing::debug!("orders may have been missed"),
                Some(Event::Message(message)) => match serde_json::from_slice(&message.payload) {
                    Ok(order) => carry_out(&gateway, &order),
                    Err(error) => tracing::warn!(%error, "an order was not understood"),
                },
            },
        }
    }
}

fn carry_out(gateway: &Arc<Gateway>, order: &Order) {
    match order {
        Order::Subscribe { user, room } => {
            let Some(room) = RoomId::parse(room) else { return };
            for connection in of_user(gateway, user) {
                subscribe(gateway, &connection, &room);
            }
        }
        Order::Unsubscribe { user, room } => {
            let Some(room) = RoomId::parse(room) else { return };
            for connection in of_user(gateway, user) {
                expel(gateway, &connection, &room, Unsubscribed::BY_OPERATOR);
            }
        }
        Order::Disconnect { user, client, after } => {
            let close = match after {
                Afterwards::Reconnect => Close::ForceReconnect,
                Afterwards::StayAway => Close::ForceDisconnect,
            };
            for connection in of_user(gateway, user) {
                let person = connection.person();
                let is_meant =
                    |wanted: &String| person.is_some_and(|person| *person.profile.client == **wanted);
                if client.as_ref().is_none_or(is_meant) {
                    connection.end(close, gateway.seconds());
                }
            }
        }
    }
}

fn of_user(gateway: &Gateway, user: &str) -> Vec<Arc<Connection>> {
    gateway
        .connections
        .select(|connection| connection.person().is_some_and(|person| *person.profile.user == *user))
}

fn subscribe(gateway: &Arc<Gateway>, connection: &Arc<Connection>, room: &RoomId) {
    let Some(person) = connection.person().filter(|_| connection.stage() == Stage::Native) else { return };
    if connection.enter(room, gateway.config.limits.rooms).is_err() {
        return;
    }
    let subscriber = Subscriber {
        id: connection.id,
        profile: Some(person.profile),
        listener: Listener::Native { connection: connection.clone(), wish: Wish::NoPresence },
    };
    let subscribe = Subscribe { room: room.clone(), subscriber, recover: None, answer: Answer::Push };
    if gateway.rooms.try_send(room, Command::Subscribe(subscribe)).is_err() {
        connection.exit(room);
    }
}
