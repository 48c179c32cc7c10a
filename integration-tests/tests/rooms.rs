//! What people in a room see of each other, from one replica to another, and what the server does with those who
//! do not listen.

use anyhow::{Context, Result};
use integration_tests::{
    gateway::{Gateway, Settings},
    verdict::TestResult,
    world::World,
};
use patchbay_proto::chat::v1::{HistoryRemoveRequest, PresenceStatsRequest, PublishRequest, RoomsRequest};
use patchbay_testkit::{
    chat::{ChatClient, Lines, PATIENCE},
    http,
    redis::Persistence,
    wait::wait_until,
};
use serde_json::{Value, json};
use std::time::Duration;

async fn pair(settings: Settings) -> Result<(World, ChatClient, ChatClient)> {
    let world = World::start(2, Persistence::EverySecond, settings).await?;
    let (mut ada, mut bob) = (world.gateways[0].guest("Ada").await?, world.gateways[1].guest("Bob").await?);
    for client in [&mut ada, &mut bob] {
        client.call("subscribe", json!({"channel": "r"})).await?;
    }
    Ok((world, ada, bob))
}

#[tokio::test]
async fn typing_and_receipts_cross_replicas() -> TestResult {
    let (_world, mut ada, mut bob) = pair(Settings::open()).await?;
    ada.call("typing", json!({"channel": "r", "active": true})).await?;
    let typing = bob.push_of("typing").await?;
    assert_eq!((&typing["client"], &typing["active"]), (&ada.welcome["client"], &json!(true)));

    for number in 0..5 {
        ada.call("publish", json!({"channel": "r", "data": number})).await?;
    }
    let marks = bob.call("receipt", json!({"channel": "r", "delivered": 5, "read": 3})).await?;
    assert_eq!(marks, json!({"delivered": 5, "read": 3}));
    let seen = ada.push_of("receipt").await?;
    assert_eq!(seen, json!({"user": bob.welcome["user"], "delivered": 5, "read": 3}));
    let marks = bob.call("receipt", json!({"channel": "r", "delivered": 2, "read": 1})).await?;
    assert_eq!(marks, json!({"delivered": 5, "read": 3}), "marks never go back");
    let all = ada.call("receipts", json!({"channel": "r"})).await?;
    assert_eq!(all["marks"], json!([{"user": bob.welcome["user"], "delivered": 5, "read": 3}]));
    Ok(())
}

#[tokio::test]
async fn changes_to_a_message_cross_replicas_in_order() -> TestResult {
    let (_world, mut ada, mut bob) = pair(Settings::open()).await?;
    ada.call("publish", json!({"channel": "r", "data": "one"})).await?;
    bob.call("react", json!({"channel": "r", "ref": 1, "emoji": "👍"})).await?;
    ada.call("edit", json!({"channel": "r", "ref": 1, "data": "two"})).await?;
    bob.call("publish", json!({"channel": "r", "data": "reply", "reply_to": 1})).await?;
    ada.call("delete", json!({"channel": "r", "ref": 1})).await?;
    let expected = [("message", 1), ("reaction", 2), ("edit", 3), ("message", 4), ("delete", 5)];
    for client in [&mut ada, &mut bob] {
        for (kind, offset) in expected {
            let publication = client.push_of("pub").await?;
            assert_eq!((&publication["kind"], &publication["offset"]), (&json!(kind), &json!(offset)));
        }
    }
    Ok(())
}

#[tokio::test]
async fn comings_and_goings_are_told_to_those_who_asked() -> TestResult {
    let (world, mut ada, _bob) = pair(Settings::open()).await?;
    ada.call("unsubscribe", json!({"channel": "r"})).await?;
    ada.call("subscribe", json!({"channel": "r", "join_leave": true})).await?;
    let mut cleo = world.gateways[1].guest("Cleo").await?;
    cleo.call("subscribe", json!({"channel": "r"})).await?;
    let who = cleo.welcome["client"].clone();
    while ada.push_of("join").await?["client"] != who {}
    let present = ada.call("presence", json!({"channel": "r"})).await?;
    let names: Vec<&Value> =
        present["members"].as_array().into_iter().flatten().map(|m| &m["name"]).collect();
    assert!(names.contains(&&json!("Cleo")) && names.contains(&&json!("Bob")), "{present}");
    cleo.close().await;
    while ada.push_of("leave").await?["client"] != who {}
    Ok(())
}

#[tokio::test]
async fn a_room_whose_history_is_removed_starts_anew() -> TestResult {
    let (world, mut ada, mut bob) = pair(Settings::open()).await?;
    let first = ada.call("publish", json!({"channel": "r", "data": 1})).await?;
    bob.push_of("pub").await?;
    world.admin(1).await?.history_remove(HistoryRemoveRequest { room: "r".to_owned() }).await?;
    for client in [&mut ada, &mut bob] {
        let unsub = client.push_of("unsub").await?;
        assert!(unsub["code"].as_u64().is_some_and(|code| code >= 2500), "{unsub}");
        let recover = json!({"epoch": first["epoch"], "offset": 1});
        let answer = client.call("subscribe", json!({"channel": "r", "recover": recover})).await?;
        assert_eq!((&answer["recovered"], &answer["offset"]), (&json!(false), &json!(1)));
        assert_ne!(answer["epoch"], first["epoch"]);
    }
    let second = ada.call("publish", json!({"channel": "r", "data": 2})).await?;
    assert_eq!(second["offset"], 2, "offsets go on, under another epoch");
    assert_eq!(bob.push_of("pub").await?["data"], 2);
    Ok(())
}

#[tokio::test]
async fn whoever_does_not_answer_pings_is_closed() -> TestResult {
    let settings =
        Settings::open().set("connections.ping_interval", "1s").set("connections.pong_timeout", "1s");
    let world = World::start(1, Persistence::None, settings).await?;
    let mut answering = world.gateways[0].guest("Ada").await?;
    let mut deaf = Lines::open(&world.gateways[0].url(), None, None).await?;
    deaf.send(r#"{"id":1,"connect":{}}"#).await.map_err(|closed| anyhow::anyhow!("{closed:?}"))?;
    // The one answers while it waits for a push that never comes, the other never does.
    let (closed, quiet) = tokio::join!(deaf.closed(PATIENCE), answering.push());
    assert_eq!(closed?.code, 3012);
    assert!(quiet.is_err_and(|error| error.to_string().contains("no push in time")));
    answering.call("subscribe", json!({"channel": "r"})).await?;
    Ok(())
}

#[tokio::test]
async fn whoever_never_reads_is_closed_and_others_do_not_notice() -> TestResult {
    const LARGE: usize = 30_000;
    // The gateway's system takes some 4 MB for the connection, and the gateway itself 1 MiB.
    const MESSAGES: u64 = 300;
    let world = World::start(1, Persistence::None, Settings::open()).await?;
    let gateway = &world.gateways[0];
    let mut reader = gateway.guest("reader").await?;
    reader.call("subscribe", json!({"channel": "r"})).await?;
    let mut sleeper = Lines::open_narrow(&gateway.url(), 16 * 1024).await?;
    for command in [json!({"id": 1, "connect": {}}), json!({"id": 2, "subscribe": {"channel": "r"}})] {
        sleeper.send(command.to_string()).await.map_err(|closed| anyhow::anyhow!("{closed:?}"))?;
        sleeper.next().await.map_err(|closed| anyhow::anyhow!("{closed:?}"))?;
    }
    let mut admin = world.admin(0).await?;
    let data_json = json!("x".repeat(LARGE)).to_string();
    for offset in 1..=MESSAGES {
        let request =
            PublishRequest { room: "r".to_owned(), data_json: data_json.clone(), ..Default::default() };
        admin.publish(request).await?;
        assert_eq!(reader.push_of("pub").await?["offset"], json!(offset));
    }
    assert_eq!(sleeper.closed(Duration::from_secs(30)).await?.code, 3008);
    wait_until("it is gone, and counted", PATIENCE, async || {
        let (slow, open) =
            (figure(gateway, "slow_consumers_total").await, figure(gateway, "connections").await);
        slow.is_ok_and(|slow| slow == 1) && open.is_ok_and(|open| open == 1)
    })
    .await?;
    Ok(())
}

/// One of the gateway's metrics.
async fn figure(gateway: &Gateway, name: &str) -> Result<u64> {
    let metrics = http::get(gateway.ops, "/metrics", &[]).await?.body;
    let beginning = format!("patchbay_chat_gateway_{name} ");
    let value = metrics.lines().find_map(|line| line.strip_prefix(&beginning));
    Ok(value.with_context(|| format!("no metric {name}"))?.parse()?)
}

#[tokio::test]
async fn without_redis_a_gateway_says_so_serves_what_it_can_and_heals() -> TestResult {
    let (mut world, mut ada, mut bob) = pair(Settings::open()).await?;
    let ops = world.gateways[0].ops;
    world.redis.kill()?;
    wait_until("the gateway says that Redis is away", Duration::from_secs(30), async || {
        let answer = http::get(ops, "/readyz", &[]).await;
        answer.is_ok_and(|answer| answer.status == 200 && answer.body.contains("degraded"))
    })
    .await?;
    let refused = ada.refused("publish", json!({"channel": "r", "data": 1, "key": "k"})).await?;
    assert_eq!((refused.code, refused.temporary), (114, true));
    world.redis.restart().await?;
    let healed = wait_until("publishing works again", Duration::from_secs(15), async || {
        ada.ask("publish", json!({"channel": "r", "data": 1, "key": "k"}))
            .await
            .is_ok_and(|answer| answer.is_ok())
    })
    .await?;
    integration_tests::report::measured("redis away", "publishing works", healed, Duration::from_secs(5));
    loop {
        let push = bob.push().await?;
        if push["pub"]["key"] == "k" {
            break;
        }
        if push["unsub"].is_object() {
            bob.call("subscribe", json!({"channel": "r"})).await?;
            break;
        }
    }
    wait_until("the gateway is ready", Duration::from_secs(15), async || {
        http::get(ops, "/readyz", &[]).await.is_ok_and(|answer| !answer.body.contains("degraded"))
    })
    .await?;
    Ok(())
}

/// Whoever goes while the classic door still welcomes it is not listed as present for ever.
#[tokio::test]
async fn a_classic_client_that_goes_at_once_leaves_nobody_behind() -> TestResult {
    let world = World::start(1, Persistence::None, Settings::open()).await?;
    let gateway = &world.gateways[0];
    for _ in 0..50 {
        let mut socket = tokio::net::TcpStream::connect(gateway.http).await?;
        let request = "GET / HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
                       Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";
        tokio::io::AsyncWriteExt::write_all(&mut socket, request.as_bytes()).await?;
    }
    let mut admin = world.admin(0).await?;
    wait_until("nobody is left", PATIENCE, async || {
        let request = PresenceStatsRequest { room: "lobby".to_owned() };
        let stats = admin.clone().presence_stats(request).await;
        let closed = figure(gateway, "connections").await.is_ok_and(|open| open == 0);
        closed && stats.is_ok_and(|stats| stats.into_inner().clients == 0)
    })
    .await?;
    admin
        .publish(PublishRequest { room: "lobby".into(), data_json: "1".into(), ..Default::default() })
        .await?;
    let rooms = admin.rooms(RoomsRequest::default()).await?.into_inner().rooms;
    assert!(rooms.iter().all(|room| room.clients == 0), "{rooms:?}");
    Ok(())
}
