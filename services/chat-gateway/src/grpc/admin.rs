//! The methods of `ChatAdmin`.

use super::{error::AdminError, watch};
use crate::{
    connection::publishing::{append, room_stream},
    control::{self, Afterwards, Order},
    gateway::Gateway,
    protocol::{
        ids::RoomId,
        publication::{Draft, Kind, Profile, Stored},
    },
    room::{
        shown,
        signal::{MemberShown, Signal},
        state::RoomCount,
    },
    sweeper::rooms_key,
};
use patchbay_auth::Identity;
use patchbay_backplane::{Cursor, Entry, NodeRecord, Position};
use patchbay_proto::chat::v1::{self as pb, chat_admin_server::ChatAdmin};
use serde_json::value::RawValue;
use std::{collections::BTreeMap, sync::Arc};
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Request, Response, Status};

/// Publications of a page when the caller does not say how many.
const PAGE: usize = 50;
/// Members when the caller does not say how many.
const MEMBERS: usize = 1000;

/// The server.
pub(crate) struct Admin {
    pub(super) gateway: Arc<Gateway>,
}

#[tonic::async_trait]
impl ChatAdmin for Admin {
    async fn publish(
        &self,
        request: Request<pb::PublishRequest>,
    ) -> Result<Response<pb::PublishResponse>, Status> {
        let identity = identity(&request)?;
        let request = request.into_inner();
        let room = allowed_room(&identity, &request.room)?;
        let data = self.payload(&request.data_json)?;
        let from = sender(&identity, request.from);
        let key = Some(request.key.as_str()).filter(|key| !key.is_empty());
        let limit = self.gateway.config.limits.key;
        if key.is_some_and(|key| key.len() > limit) {
            return Err(bad("key", format!("is longer than {limit} bytes")).into());
        }
        let draft = Draft {
            ts: self.gateway.context.clock.now_millis(),
            kind: Kind::Message,
            from: &from,
            data: Some(&data),
            key,
            reply_to: (request.reply_to != 0).then_some(request.reply_to),
            reference: None,
        };
        let appended =
            append(&self.gateway, &room, &from, key, draft.encode()).await.map_err(AdminError::from)?;
        if !appended.duplicate {
            self.gateway.metrics.published.inc();
        }
        let position = Some(position(&appended.position));
        Ok(Response::new(pb::PublishResponse { position, duplicate: appended.duplicate }))
    }

    async fn subscribe(
        &self,
        request: Request<pb::SubscribeRequest>,
    ) -> Result<Response<pb::SubscribeResponse>, Status> {
        let identity = identity(&request)?;
        let pb::SubscribeRequest { user, room } = request.into_inner();
        let room = allowed_room(&identity, &room)?.to_string();
        self.order(&Order::Subscribe { user: named(user)?, room }).await?;
        Ok(Response::new(pb::SubscribeResponse {}))
    }

    async fn unsubscribe(
        &self,
        request: Request<pb::UnsubscribeRequest>,
    ) -> Result<Response<pb::UnsubscribeResponse>, Status> {
        let identity = identity(&request)?;
        let pb::UnsubscribeRequest { user, room } = request.into_inner();
        let room = allowed_room(&identity, &room)?.to_string();
        self.order(&Order::Unsubscribe { user: named(user)?, room }).await?;
        Ok(Response::new(pb::UnsubscribeResponse {}))
    }

    async fn disconnect(
        &self,
        request: Request<pb::DisconnectRequest>,
    ) -> Result<Response<pb::DisconnectResponse>, Status> {
        allowed_everywhere(&identity(&request)?)?;
        let pb::DisconnectRequest { user, client, reconnect } = request.into_inner();
        let after = if reconnect { Afterwards::Reconnect } else { Afterwards::StayAway };
        let client = Some(client).filter(|client| !client.is_empty());
        self.order(&Order::Disconnect { user: named(user)?, client, after }).await?;
        Ok(Response::new(pb::DisconnectResponse {}))
    }

    async fn presence(
        &self,
        request: Request<pb::PresenceRequest>,
    ) -> Result<Response<pb::PresenceResponse>, Status> {
        let identity = identity(&request)?;
        let request = request.into_inner();
        let room = allowed_room(&identity, &request.room)?;
        let limit = page_size(request.limit, MEMBERS, self.gateway.config.limits.presence_page);
        let members = self.gateway.context.backplane.members(&room_stream(&room), limit).await;
        let members = members.map_err(AdminError::from)?;
        Ok(Response::new(pb::PresenceResponse {
            members: members.members.iter().map(|found| member(&shown(found))).collect(),
            total: members.total as u64,
        }))
    }

    async fn presence_stats(
        &self,
        request: Request<pb::PresenceStatsRequest>,
    ) -> Result<Response<pb::PresenceStatsResponse>, Status> {
        let identity = identity(&request)?;
        let room = allowed_room(&identity, &request.into_inner().room)?;
        let stats =
            self.gateway.context.backplane.stats(&room_stream(&room)).await.map_err(AdminError::from)?;
        Ok(Response::new(pb::PresenceStatsResponse {
            clients: stats.clients as u64,
            users: stats.users as u64,
        }))
    }

    async fn history(
        &self,
        request: Request<pb::HistoryRequest>,
    ) -> Result<Response<pb::HistoryResponse>, Status> {
        let identity = identity(&request)?;
        let request = request.into_inner();
        let room = allowed_room(&identity, &request.room)?;
        let cursor = match (request.reverse, request.cursor) {
            (false, after) => Cursor::After(after),
            (true, 0) => Cursor::Before(u64::MAX),
            (true, before) => Cursor::Before(before),
        };
        let limit = page_size(request.limit, PAGE, self.gateway.config.limits.history_page);
        let page = self.gateway.context.backplane.read(&room_stream(&room), cursor, limit).await;
        let page = page.map_err(AdminError::from)?;
        if !request.epoch.is_empty() && *request.epoch != *page.top.epoch.0 {
            return Err(AdminError::Unrecoverable.into());
        }
        Ok(Response::new(pb::HistoryResponse {
            publications: page.entries.iter().filter_map(publication).collect(),
            top: Some(position(&page.top)),
            more: page.more,
        }))
    }

    async fn history_remove(
        &self,
        request: Request<pb::HistoryRemoveRequest>,
    ) -> Result<Response<pb::HistoryRemoveResponse>, Status> {
        let identity = identity(&request)?;
        let room = allowed_room(&identity, &request.into_inner().room)?;
        let backplane = &self.gateway.context.backplane;
        backplane.remove(&room_stream(&room)).await.map_err(AdminError::from)?;
        // Without this the replicas would find out at their next comparison of positions.
        backplane.publish(&room_stream(&room), Signal::Check.encode()).await.map_err(AdminError::from)?;
        Ok(Response::new(pb::HistoryRemoveResponse {}))
    }

    async fn rooms(&self, request: Request<pb::RoomsRequest>) -> Result<Response<pb::RoomsResponse>, Status> {
        allowed_everywhere(&identity(&request)?)?;
        let pattern = request.into_inner().pattern;
        let backplane = &self.gateway.context.backplane;
        let mut rooms: BTreeMap<Arc<str>, u64> = BTreeMap::new();
        for node in self.replicas().await? {
            let shown = if node.id == self.gateway.context.node {
                self.gateway.rooms.count().await
            } else {
                let stored = backplane.get(&rooms_key(&node.id.0)).await.map_err(AdminError::from)?;
                stored.and_then(|list| serde_json::from_slice(&list.value).ok()).unwrap_or_default()
            };
            for RoomCount { name, clients } in shown {
                *rooms.entry(name).or_default() += clients;
            }
        }
        let matching = |name: &str| pattern.is_empty() || crate::config::glob(&pattern, name);
        let rooms = rooms.into_iter().filter(|(name, _)| matching(name));
        let rooms = rooms.map(|(name, clients)| pb::Room { name: name.to_string(), clients }).collect();
        Ok(Response::new(pb::RoomsResponse { rooms }))
    }

    async fn info(&self, request: Request<pb::InfoRequest>) -> Result<Response<pb::InfoResponse>, Status> {
        allowed_everywhere(&identity(&request)?)?;
        let now = self.gateway.context.clock.now_millis();
        let replicas = self.replicas().await?.iter().filter_map(|node| replica(node, now)).collect();
        Ok(Response::new(pb::InfoResponse { replicas }))
    }

    type WatchStream = ReceiverStream<Result<pb::WatchResponse, Status>>;

    async fn watch(&self, request: Request<pb::WatchRequest>) -> Result<Response<Self::WatchStream>, Status> {
        let identity = identity(&request)?;
        let request = request.into_inner();
        let room = allowed_room(&identity, &request.room)?;
        Ok(Response::new(watch::start(&self.gateway, room, request.since)))
    }
}

impl Admin {
    async fn order(&self, order: &Order) -> Result<(), AdminError> {
        let text = serde_json::to_vec(order).expect("strings always encode");
        Ok(self.gateway.context.backplane.publish(&control::channel(), text.into()).await?)
    }

    async fn replicas(&self) -> Result<Vec<NodeRecord>, AdminError> {
        let mut nodes = self.gateway.context.backplane.nodes().await?;
        nodes.retain(|node| node.service == self.gateway.context.service);
        Ok(nodes)
    }

    fn payload(&self, json: &str) -> Result<Box<RawValue>, AdminError> {
        let limit = self.gateway.config.limits.payload.0;
        if json.len() as u64 > limit {
            return Err(AdminError::TooLarge { limit });
        }
        // Read and written again, so that no line break of the caller's ends up in a frame, where it would end the message.
        let value: serde_json::Value =
            serde_json::from_str(json).map_err(|error| bad("data_json", format!("is not JSON: {error}")))?;
        Ok(serde_json::value::to_raw_value(&value).expect("a value always encodes"))
    }
}

fn identity<T>(request: &Request<T>) -> Result<Arc<Identity>, Status> {
    let identity = request.extensions().get::<Arc<Identity>>().cloned();
    identity.ok_or_else(|| Status::unauthenticated("the call came without an identity"))
}

fn allowed_room(identity: &Identity, name: &str) -> Result<RoomId, AdminError> {
    let room = RoomId::parse(name)
        .ok_or_else(|| bad("room", "must be 1 to 128 bytes of A-Z a-z 0-9 . _ - : / @".to_owned()))?;
    let resource = room.resource();
    if identity.allows("chat", "admin", &resource) { Ok(room) } else { Err(AdminError::Denied(resource)) }
}

/// Requires a scope that covers every room.
fn allowed_everywhere(identity: &Arc<Identity>) -> Result<(), AdminError> {
    if identity.allows("chat", "admin", "*") { Ok(()) } else { Err(AdminError::Denied("*".to_owned())) }
}

fn bad(field: &'static str, problem: String) -> AdminError {
    AdminError::BadField { field, problem }
}

fn named(user: String) -> Result<String, AdminError> {
    if user.is_empty() { Err(bad("user", "must not be empty".to_owned())) } else { Ok(user) }
}

fn page_size(asked: u32, default: usize, limit: usize) -> usize {
    match usize::try_from(asked).unwrap_or(limit) {
        0 => default.min(limit),
        asked => asked.min(limit),
    }
}

fn sender(identity: &Identity, from: Option<pb::Sender>) -> Profile {
    let from = from.unwrap_or_default();
    let subject = identity.subject.as_ref();
    let user = if from.user.is_empty() { subject } else { &from.user };
    let name = if from.name.is_empty() { user } else { &from.name };
    Profile { client: from.client.into(), user: user.into(), name: name.into(), avatar: from.avatar.into() }
}

fn position(position: &Position) -> pb::StreamPosition {
    pb::StreamPosition { epoch: position.epoch.0.to_string(), offset: position.offset }
}

pub(super) fn member(member: &MemberShown) -> pb::Member {
    pb::Member {
        client: member.client.to_string(),
        user: member.user.to_string(),
        name: member.name.to_string(),
        avatar: member.avatar.to_string(),
    }
}

/// A stream entry as a message; `None` when something else wrote it.
pub(super) fn publication(entry: &Entry) -> Option<pb::Publication> {
    let stored = Stored::parse(&entry.payload)?;
    let kind = match stored.kind {
        Kind::Message => pb::PublicationKind::Message,
        Kind::Edit => pb::PublicationKind::Edit,
        Kind::Delete => pb::PublicationKind::Delete,
        Kind::Reaction => pb::PublicationKind::Reaction,
    };
    Some(pb::Publication {
        offset: entry.offset,
        time: Some(timestamp(stored.ts)),
        from: Some(pb::Sender {
            user: stored.from.user.into_owned(),
            client: stored.from.client.into_owned(),
            name: stored.from.name.into_owned(),
            avatar: stored.from.avatar.into_owned(),
        }),
        kind: kind.into(),
        data_json: stored.data.map(|data| data.get().to_owned()).unwrap_or_default(),
        r#ref: stored.reference.unwrap_or(0),
        reply_to: stored.reply_to.unwrap_or(0),
        key: stored.key.map(std::borrow::Cow::into_owned).unwrap_or_default(),
    })
}

fn timestamp(unix_millis: u64) -> prost_types::Timestamp {
    prost_types::Timestamp {
        seconds: i64::try_from(unix_millis / 1000).unwrap_or(i64::MAX),
        nanos: i32::try_from(unix_millis % 1000).unwrap_or(0) * 1_000_000,
    }
}

/// A replica of the registry; `None` for one whose version tells of itself in another way.
fn replica(node: &NodeRecord, now_millis: u64) -> Option<pb::Replica> {
    let info: patchbay_chassis::NodeInfo = serde_json::from_slice(&node.info).ok()?;
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "figures are counts")]
    let figure = |name: &str| info.figures.get(name).copied().unwrap_or(0.0) as u64;
    let uptime_millis = now_millis.saturating_sub(info.started_at);
    Some(pb::Replica {
        id: node.id.to_string(),
        uptime: Some(prost_types::Duration {
            seconds: i64::try_from(uptime_millis / 1000).unwrap_or(i64::MAX),
            nanos: i32::try_from(uptime_millis % 1000).unwrap_or(0) * 1_000_000,
        }),
        connections: figure("connections"),
        rooms: figure("rooms"),
        published: figure("publications_total"),
        delivered: figure("deliveries_total"),
        draining: info.state == patchbay_chassis::NodeState::NotReady,
        version: info.version,
    })
}
