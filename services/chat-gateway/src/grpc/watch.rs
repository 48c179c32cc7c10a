//! `Watch`: a room's events as a stream.

use super::{
    admin::{member, publication},
    error::AdminError,
};
use crate::{
    gateway::Gateway,
    protocol::ids::RoomId,
    room::{
        Command, Subscribe, Watched,
        fanout::Item,
        handle::Answer,
        signal::Signal,
        state::{Listener, Subscriber},
    },
};
use patchbay_backplane::{Entry, Epoch, Position};
use patchbay_proto::chat::v1::{self as pb, watch_response::Event};
use std::sync::Arc;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::Status;

/// Events that may wait for a watcher; a slower one is ended.
const QUEUE: usize = 4096;

/// Begins a watch.
pub(super) fn start(
    gateway: &Arc<Gateway>,
    room: RoomId,
    since: Option<pb::StreamPosition>,
) -> ReceiverStream<Result<pb::WatchResponse, Status>> {
    let (events, mut watched) = mpsc::channel(QUEUE);
    let (out, stream) = mpsc::channel(16);
    let id = gateway.connections.next_id();
    let recover = since.map(|at| Position { epoch: Epoch(at.epoch.into()), offset: at.offset });
    let subscriber = Subscriber { id, profile: None, listener: Listener::Watch(events) };
    let subscribe = Subscribe { room: room.clone(), subscriber, recover, answer: Answer::Watch };
    let gateway = gateway.clone();
    gateway.context.tasks.clone().spawn_light(async move {
        gateway.rooms.send(&room, Command::Subscribe(subscribe)).await;
        let hard = gateway.context.shutdown.hard();
        loop {
            let next = tokio::select! {
                next = watched.recv() => next,
                () = out.closed() => break,
                () = hard.cancelled() => break,
            };
            let message = match next {
                // The room dropped the other end: its queue was full.
                None => Err(AdminError::SlowConsumer.into()),
                Some(Watched::Unavailable) => Err(AdminError::Unavailable.into()),
                Some(Watched::Unrecoverable) => Err(AdminError::Unrecoverable.into()),
                Some(event) => match response(event) {
                    Some(response) => Ok(response),
                    None => continue,
                },
            };
            let is_last = message.is_err();
            if out.send(message).await.is_err() || is_last {
                break;
            }
        }
        gateway.rooms.send(&room, Command::Leave { room: room.clone(), connection: id }).await;
    });
    ReceiverStream::new(stream)
}

fn response(event: Watched) -> Option<pb::WatchResponse> {
    let event = match event {
        Watched::Started(at) => {
            Event::Started(pb::StreamPosition { epoch: at.epoch.0.to_string(), offset: at.offset })
        }
        Watched::Item(Item::Publication { offset, payload }) => {
            Event::Publication(publication(&Entry { offset, payload })?)
        }
        Watched::Item(Item::Signal(Signal::Join(presence))) => Event::Joined(member(&presence.member)),
        Watched::Item(Item::Signal(Signal::Leave(presence))) => Event::Left(member(&presence.member)),
        Watched::Item(_) | Watched::Unavailable | Watched::Unrecoverable => return None,
    };
    Some(pb::WatchResponse { event: Some(event) })
}
