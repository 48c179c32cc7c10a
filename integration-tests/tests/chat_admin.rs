//! Every rpc of `ChatAdmin`, over two replicas, and who may not call it.

use anyhow::{Context, Result};
use integration_tests::{
    admin::{self, Admin, reason},
    gateway::Settings,
    verdict::TestResult,
    world::World,
};
use patchbay_proto::chat::v1::{
    DisconnectRequest, HistoryRemoveRequest, HistoryRequest, InfoRequest, PresenceRequest,
    PresenceStatsRequest, Publication, PublishRequest, RoomsRequest, Sender, StreamPosition,
    SubscribeRequest, UnsubscribeRequest, WatchRequest, WatchResponse, watch_response::Event,
};
use patchbay_testkit::{chat::ChatClient, redis::Persistence, wait::wait_until};
use serde_json::json;
use std::time::Duration;
use tonic::{Code, Status, Streaming};

const ROOM: &str = "ops";

/// Time for what goes from one replica to another.
const PATIENCE: Duration = Duration::from_secs(15);

async fn world() -> Result<World> {
    World::start(2, Persistence::EverySecond, Settings::open()).await
}

fn publish(data: &str, key: &str) -> PublishRequest {
    PublishRequest {
        room: ROOM.to_owned(),
        data_json: data.to_owned(),
        key: key.to_owned(),
        reply_to: 0,
        from: Some(Sender { user: "bot".to_owned(), name: "Bot".to_owned(), ..Sender::default() }),
    }
}

fn history(cursor: u64, reverse: bool) -> HistoryRequest {
    HistoryRequest { room: ROOM.to_owned(), cursor, limit: 2, reverse, ..HistoryRequest::default() }
}

/// Waits for a publication; people may come and go before it.
async fn next_publication(watch: &mut Streaming<WatchResponse>) -> Result<Publication> {
    loop {
        let message = watch.message().await?.context("the watch has ended")?;
        if let Some(Event::Publication(publication)) = message.event {
            return Ok(publication);
        }
    }
}

#[tokio::test]
async fn publish_history_and_watch() -> TestResult {
    let world = world().await?;
    let (mut here, mut there) = (world.admin(0).await?, world.admin(1).await?);
    let mut client = world.gateways[1].guest("Ada").await?;
    client.call("subscribe", json!({"channel": ROOM})).await?;
    let mut watch = there.watch(WatchRequest { room: ROOM.to_owned(), since: None }).await?.into_inner();
    let started = watch.message().await?.and_then(|message| message.event);
    assert!(matches!(started, Some(Event::Started(_))), "{started:?}");

    let first = here.publish(publish(r#"{"n":1}"#, "k1")).await?.into_inner();
    let position = first.position.context("no position")?;
    assert_eq!((position.offset, first.duplicate), (1, false));
    let again = here.publish(publish(r#"{"n":1}"#, "k1")).await?.into_inner();
    assert_eq!((again.position, again.duplicate), (Some(position.clone()), true));
    let seen = client.push_of("pub").await?;
    assert_eq!(
        (&seen["offset"], &seen["data"], &seen["from"]["user"]),
        (&json!(1), &json!({"n": 1}), &json!("bot"))
    );
    let publication = next_publication(&mut watch).await?;
    assert_eq!((publication.offset, publication.data_json.as_str()), (1, r#"{"n":1}"#));

    for number in 2..=5 {
        here.publish(publish(&number.to_string(), "")).await?;
    }
    let page = there.history(history(0, false)).await?.into_inner();
    assert_eq!(page.publications.iter().map(|p| p.offset).collect::<Vec<_>>(), [1, 2]);
    assert_eq!((page.more, page.top.map(|top| top.offset)), (true, Some(5)));
    let page = there.history(history(0, true)).await?.into_inner();
    assert_eq!(page.publications.iter().map(|p| p.offset).collect::<Vec<_>>(), [5, 4]);
    let page = there.history(history(2, true)).await?.into_inner();
    assert_eq!((page.publications.iter().map(|p| p.offset).collect::<Vec<_>>(), page.more), (vec![1], false));

    let since = Some(StreamPosition { epoch: position.epoch.clone(), offset: 4 });
    let mut late = here.watch(WatchRequest { room: ROOM.to_owned(), since }).await?.into_inner();
    assert_eq!(next_publication(&mut late).await?.offset, 5);

    here.history_remove(HistoryRemoveRequest { room: ROOM.to_owned() }).await?;
    let page = there.history(history(0, false)).await?.into_inner();
    assert_eq!(page.publications.len(), 0);
    assert_ne!(page.top.context("no top")?.epoch, position.epoch, "a new epoch");
    Ok(())
}

#[tokio::test]
async fn people_are_seen_and_moved_over_replicas() -> TestResult {
    let world = world().await?;
    let mut admin = world.admin(0).await?;
    let token = world.keys.token("ada", &["chat:subscribe:room/*", "chat:publish:room/*"])?;
    let mut here = ChatClient::with_token(&world.gateways[0].url(), &token).await?;
    let mut there = ChatClient::with_token(&world.gateways[1].url(), &token).await?;

    admin.subscribe(SubscribeRequest { user: "ada".to_owned(), room: ROOM.to_owned() }).await?;
    assert!(here.push_of("sub").await?["epoch"].is_string());
    assert!(there.push_of("sub").await?["epoch"].is_string());
    let stats = PresenceStatsRequest { room: ROOM.to_owned() };
    wait_until("both connections are present", PATIENCE, async || {
        let answer = admin.clone().presence_stats(stats.clone()).await.map(tonic::Response::into_inner);
        answer.is_ok_and(|stats| (stats.clients, stats.users) == (2, 1))
    })
    .await?;
    let present = admin.presence(PresenceRequest { room: ROOM.to_owned(), limit: 1 }).await?.into_inner();
    assert_eq!((present.members.len(), present.total), (1, 2));
    assert_eq!(present.members[0].user, "ada");
    wait_until("both connections are counted in the room", PATIENCE, async || {
        let answer = admin.clone().rooms(RoomsRequest { pattern: "o*".to_owned() }).await;
        answer.is_ok_and(|answer| {
            let rooms = answer.into_inner().rooms;
            rooms.len() == 1 && rooms[0].name == ROOM && rooms[0].clients == 2
        })
    })
    .await?;
    assert!(admin.rooms(RoomsRequest { pattern: "x*".to_owned() }).await?.into_inner().rooms.is_empty());

    admin.unsubscribe(UnsubscribeRequest { user: "ada".to_owned(), room: ROOM.to_owned() }).await?;
    for client in [&mut here, &mut there] {
        assert!(client.push_of("unsub").await?["code"].as_u64().is_some_and(|code| code < 2500), "for good");
    }

    let one = here.welcome["client"].as_str().context("no client")?.to_owned();
    admin.disconnect(DisconnectRequest { user: "ada".to_owned(), client: one, reconnect: true }).await?;
    assert_eq!(here.closed(PATIENCE).await?.code, 3011);
    there.call("subscribe", json!({"channel": "still-here"})).await?;
    admin.disconnect(DisconnectRequest { user: "ada".to_owned(), ..DisconnectRequest::default() }).await?;
    assert_eq!(there.closed(PATIENCE).await?.code, 3503);
    Ok(())
}

#[tokio::test]
async fn replicas_tell_of_themselves() -> TestResult {
    let world = world().await?;
    let admin = world.admin(0).await?;
    let _client = world.gateways[1].guest("Ada").await?;
    wait_until("both replicas and the connection are told of", PATIENCE, async || {
        let info = admin.clone().info(InfoRequest {}).await.map(tonic::Response::into_inner);
        info.is_ok_and(|info| {
            let connections: u64 = info.replicas.iter().map(|replica| replica.connections).sum();
            info.replicas.len() == 2 && connections == 1 && info.replicas.iter().all(|r| !r.draining)
        })
    })
    .await?;
    Ok(())
}

/// Calls every rpc with a client, and returns how each ended.
async fn all(mut admin: Admin, room: &str) -> Vec<(&'static str, Result<(), Status>)> {
    let room = || room.to_owned();
    let user = || "ada".to_owned();
    vec![
        ("Publish", admin.publish(PublishRequest { room: room(), ..publish("1", "") }).await.map(drop)),
        ("Subscribe", admin.subscribe(SubscribeRequest { user: user(), room: room() }).await.map(drop)),
        ("Unsubscribe", admin.unsubscribe(UnsubscribeRequest { user: user(), room: room() }).await.map(drop)),
        ("Presence", admin.presence(PresenceRequest { room: room(), limit: 0 }).await.map(drop)),
        ("PresenceStats", admin.presence_stats(PresenceStatsRequest { room: room() }).await.map(drop)),
        (
            "History",
            admin.history(HistoryRequest { room: room(), ..HistoryRequest::default() }).await.map(drop),
        ),
        ("HistoryRemove", admin.history_remove(HistoryRemoveRequest { room: room() }).await.map(drop)),
        ("Watch", admin.watch(WatchRequest { room: room(), since: None }).await.map(drop)),
        (
            "Disconnect",
            admin.disconnect(DisconnectRequest { user: user(), ..Default::default() }).await.map(drop),
        ),
        ("Rooms", admin.rooms(RoomsRequest::default()).await.map(drop)),
        ("Info", admin.info(InfoRequest {}).await.map(drop)),
    ]
}

/// Calls that name no room, and so need the scope for all.
const ROOMLESS: [&str; 3] = ["Disconnect", "Rooms", "Info"];

#[tokio::test]
async fn others_may_not_call() -> TestResult {
    let world = world().await?;
    let address = world.gateways[0].grpc;
    let refused = |result: Result<(), Status>| result.map_err(|s| (s.code(), reason(&s))).unwrap_err();

    for (rpc, result) in all(admin::connect(address, None).await?, ROOM).await {
        assert_eq!(refused(result), (Code::Unauthenticated, "TOKEN_MISSING".to_owned()), "{rpc}");
    }
    for scope in ["chat:publish:room/ops", "chat:subscribe:*", "console:admin:*"] {
        let token = world.keys.token("mallory", &[scope])?;
        for (rpc, result) in all(admin::connect(address, Some(&token)).await?, ROOM).await {
            assert_eq!(
                refused(result),
                (Code::PermissionDenied, "PERMISSION_DENIED".to_owned()),
                "{rpc} {scope}"
            );
        }
    }
    let token = world.keys.token("moderator", &["chat:admin:room/ops"])?;
    for (rpc, result) in all(admin::connect(address, Some(&token)).await?, ROOM).await {
        assert_eq!(result.is_ok(), !ROOMLESS.contains(&rpc), "{rpc} in the room that is allowed: {result:?}");
    }
    for (rpc, result) in all(admin::connect(address, Some(&token)).await?, "elsewhere").await {
        assert_eq!(refused(result).0, Code::PermissionDenied, "{rpc} in another room");
    }
    let token = world.keys.token("operator", &["chat:admin:*"])?;
    for (rpc, result) in all(admin::connect(address, Some(&token)).await?, "elsewhere").await {
        assert!(result.is_ok(), "{rpc} with the scope for all: {result:?}");
    }
    Ok(())
}

#[tokio::test]
async fn bad_requests_say_why() -> TestResult {
    let world = world().await?;
    let mut admin = world.admin(0).await?;
    let bad_room = admin.publish(PublishRequest { room: "not a room".to_owned(), ..publish("1", "") }).await;
    let bad_json = admin.publish(publish("{", "")).await;
    let long_key = admin.publish(publish("1", &"k".repeat(65))).await;
    let no_user =
        admin.subscribe(SubscribeRequest { room: ROOM.to_owned(), ..SubscribeRequest::default() }).await;
    for status in [bad_room.unwrap_err(), bad_json.unwrap_err(), long_key.unwrap_err(), no_user.unwrap_err()]
    {
        assert_eq!(
            (status.code(), reason(&status).as_str()),
            (Code::InvalidArgument, "BAD_REQUEST"),
            "{status:?}"
        );
    }
    let too_large = admin.publish(publish(&format!("\"{}\"", "x".repeat(40_000)), "")).await.unwrap_err();
    assert_eq!(reason(&too_large), "TOO_LARGE", "{too_large:?}");
    let since = Some(StreamPosition { epoch: "other".to_owned(), offset: 1 });
    let watch = admin.watch(WatchRequest { room: ROOM.to_owned(), since }).await;
    let status = match watch {
        Err(status) => status,
        Ok(stream) => stream.into_inner().message().await.unwrap_err(),
    };
    assert_eq!(reason(&status), "UNRECOVERABLE_POSITION", "{status:?}");
    Ok(())
}
