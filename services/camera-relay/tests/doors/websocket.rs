//! The WebSocket door, as the pages of the course use it.

use super::world::{OFFER, SOON, World, reason, with_guests};
use anyhow::{Context as _, Result, bail};
use futures_util::{SinkExt, StreamExt};
use patchbay_testkit::{
    transcript::{self, Action, Memory},
    wait::wait_until,
};
use serde_json::{Value, json};
use std::time::Duration;
use tokio::{net::TcpStream, time::timeout};
use tokio_tungstenite::{
    MaybeTlsStream, WebSocketStream, connect_async,
    tungstenite::{Error, Message, client::IntoClientRequest, protocol::CloseFrame},
};

type Page = WebSocketStream<MaybeTlsStream<TcpStream>>;

async fn open(world: &World, path: &str) -> Result<Page> {
    Ok(timeout(SOON, connect_async(format!("ws://{}{path}", world.http))).await??.0)
}

async fn next(page: &mut Page) -> Result<Message> {
    loop {
        match timeout(SOON, page.next())
            .await
            .context("nothing came in time")?
            .context("the connection is gone")??
        {
            Message::Ping(_) | Message::Pong(_) => {}
            other => return Ok(other),
        }
    }
}

async fn value(page: &mut Page) -> Result<Value> {
    match next(page).await? {
        Message::Text(text) => Ok(serde_json::from_str(&text)?),
        other => bail!("no text came: {other:?}"),
    }
}

async fn closed(page: &mut Page) -> Result<CloseFrame> {
    loop {
        // What was on its way before the end does not matter here.
        if let Message::Close(frame) = next(page).await? {
            return frame.context("closed without a code");
        }
    }
}

async fn send(page: &mut Page, message: &Value) -> Result<()> {
    Ok(page.send(Message::text(message.to_string())).await?)
}

fn offer() -> Value {
    json!({ "type": "offer", "sdp": OFFER })
}

#[tokio::test]
async fn the_transcript_holds() -> Result<()> {
    let world = World::start().await?;
    let mut page = open(&world, "/ws").await?;
    let mut memory = Memory::default();
    let quoted = serde_json::to_string(OFFER)?;
    for step in transcript::parse(include_str!("websocket.transcript"))? {
        match step.action {
            Action::Send(text) => page.send(Message::text(text.replace("\"OFFER\"", &quoted))).await?,
            Action::Expect(expected) => memory.compare(&expected, &value(&mut page).await?)?,
            Action::Close => page.close(None).await?,
        }
    }
    let took =
        wait_until("it has gone", SOON, async || world.viewers().await.is_ok_and(|all| all.is_empty()))
            .await?;
    println!("a page that had closed was gone after {took:?}");
    world.process.stop().await;
    Ok(())
}

#[tokio::test]
async fn the_answer_is_one_and_so_is_each_candidate() -> Result<()> {
    let world = World::start().await?;
    let mut page = open(&world, "/ws?camera=test").await?;
    send(&mut page, &offer()).await?;
    let answer = value(&mut page).await?;
    let sdp = answer["sdp"].as_str().unwrap_or_default().to_owned();
    assert!(answer["type"] == "answer" && sdp.contains("a=setup:passive"), "{answer}");
    let candidates: Vec<_> = sdp
        .lines()
        .filter_map(|line| line.strip_prefix("a="))
        .filter(|line| line.starts_with("candidate:"))
        .collect();
    assert!(!candidates.is_empty());
    for candidate in candidates {
        let told = value(&mut page).await?;
        assert_eq!(told["candidate"]["candidate"], candidate);
    }
    let viewers = world.viewers().await?;
    assert_eq!((viewers.len(), viewers[0]["kind"].as_str()), (1, Some("VIEWER_KIND_WEBSOCKET")));

    // The same connection asks again, and stays the same viewer; a new one takes its place.
    send(&mut page, &offer()).await?;
    let again = value(&mut page).await?;
    let ufrag = |sdp: &str| sdp.lines().find(|line| line.starts_with("a=ice-ufrag:")).map(str::to_owned);
    assert_eq!(ufrag(again["sdp"].as_str().unwrap_or_default()), ufrag(&sdp));
    let before = viewers[0]["id"].clone();
    assert_eq!(world.viewers().await?[0]["id"], before);
    let line = OFFER.lines().find(|line| line.starts_with("a=fingerprint:")).context("a fingerprint")?;
    let digits = line.rsplit_once(' ').context("a value")?.1;
    let other = OFFER.replace(digits, &digits.replace(|c: char| c.is_ascii_digit(), "1"));
    send(&mut page, &json!({ "type": "offer", "sdp": other })).await?;
    wait_until("another viewer is there", SOON, async || {
        world.viewers().await.is_ok_and(|all| all.len() == 1 && all[0]["id"] != before)
    })
    .await?;
    world.process.stop().await;
    Ok(())
}

#[tokio::test]
async fn it_opens_for_those_who_may_look() -> Result<()> {
    let world = World::start().await?;
    let (all, other) = (world.token(&["media:view:*"])?, world.token(&["media:view:other"])?);
    let refused = async |path: &str, origin: Option<&str>| -> Result<u16> {
        let mut request = format!("ws://{}{path}", world.http).into_client_request()?;
        if let Some(origin) = origin {
            request.headers_mut().insert("origin", origin.parse()?);
        }
        match connect_async(request).await {
            Ok(_) => Ok(101),
            Err(Error::Http(response)) => Ok(response.status().as_u16()),
            Err(error) => Err(error.into()),
        }
    };
    for (path, origin, status) in [
        ("/ws".to_owned(), Some("null"), 101),
        ("/ws".to_owned(), Some("https://elsewhere.example"), 101),
        ("/ws?camera=other".to_owned(), None, 401),
        ("/ws?camera=a/b".to_owned(), None, 404),
        (format!("/ws?access_token={all}"), None, 101),
        (format!("/ws?access_token={all}"), Some("https://elsewhere.example"), 403),
        (format!("/ws?access_token={all}&camera=none"), None, 404),
        (format!("/ws?access_token={other}"), None, 403),
        ("/ws?access_token=nonsense".to_owned(), None, 401),
    ] {
        assert_eq!(refused(&path, origin).await?, status, "{path} from {origin:?}");
    }
    let plain = world.get("/ws").await?;
    assert_eq!((plain.status, reason(&plain).as_str()), (426, "UPGRADE_REQUIRED"));
    world.process.stop().await;
    Ok(())
}

#[tokio::test]
async fn it_ends_with_1000_when_the_connection_does() -> Result<()> {
    let world =
        World::start_with(|flags| with_guests(flags).set("camera-relay.media.connect_timeout", "300ms"))
            .await?;
    let mut page = open(&world, "/ws").await?;
    send(&mut page, &offer()).await?;
    let frame = closed(&mut page).await?;
    assert_eq!((u16::from(frame.code), frame.reason.as_str()), (1000, "the connection has ended"));
    world.process.stop().await;
    Ok(())
}

#[tokio::test]
async fn who_is_sent_away_is_told_why() -> Result<()> {
    let world = World::start().await?;
    let mut page = open(&world, "/ws").await?;
    send(&mut page, &offer()).await?;
    assert_eq!(value(&mut page).await?["type"], "answer");
    let id = world.viewers().await?[0]["id"].as_str().unwrap_or_default().to_owned();
    let token = format!("Bearer {}", world.token(&["admin"])?);
    assert_eq!(
        world.ask("DELETE", &format!("/v1/viewers/{id}"), &[("authorization", &token)], "").await?.status,
        200
    );
    let why = loop {
        let message = value(&mut page).await?;
        if message["type"] == "error" {
            break message["message"].clone();
        }
    };
    assert_eq!(why, "an operator has ended the connection");
    assert_eq!(u16::from(closed(&mut page).await?.code), 1000);
    world.process.stop().await;
    Ok(())
}

#[tokio::test]
async fn it_ends_with_1001_when_the_service_stops() -> Result<()> {
    let world = World::start().await?;
    let (mut idle, mut looking) = (open(&world, "/ws").await?, open(&world, "/ws").await?);
    send(&mut looking, &offer()).await?;
    assert_eq!(value(&mut looking).await?["type"], "answer");
    let begun = std::time::Instant::now();
    let (idle, looking, ()) = tokio::join!(closed(&mut idle), closed(&mut looking), world.process.stop());
    println!("the stop took {:?}", begun.elapsed());
    assert_eq!((u16::from(idle?.code), u16::from(looking?.code)), (1001, 1001));
    Ok(())
}

#[tokio::test]
async fn what_breaks_the_protocol_is_closed_with_its_code() -> Result<()> {
    let world = World::start().await?;
    let mut page = open(&world, "/ws").await?;
    page.send(Message::binary(vec![1, 2, 3])).await?;
    assert_eq!(u16::from(closed(&mut page).await?.code), 1003);
    let mut page = open(&world, "/ws").await?;
    page.send(Message::text("x".repeat(200_000))).await?;
    assert_eq!(u16::from(closed(&mut page).await?.code), 1009);
    let mut page = open(&world, "/ws").await?;
    page.send(Message::Ping(vec![7].into())).await?;
    let pong = timeout(Duration::from_secs(5), page.next()).await?.context("gone")??;
    assert!(matches!(&pong, Message::Pong(payload) if payload[..] == [7]) || pong.is_ping(), "{pong:?}");
    world.process.stop().await;
    Ok(())
}

#[tokio::test]
async fn pages_that_only_stand_there_are_bounded_too() -> Result<()> {
    let few = |flags| with_guests(flags).set("camera-relay.media.max_viewers_per_address", 2);
    let world = World::start_with(few).await?;
    let (one, _two) = (open(&world, "/ws").await?, open(&world, "/ws").await?);
    let Err(Error::Http(refusal)) = connect_async(format!("ws://{}/ws", world.http)).await else {
        bail!("a third one came in");
    };
    assert_eq!(refusal.status(), 503);
    drop(one);
    let took = wait_until("its place is free", SOON, async || open(&world, "/ws").await.is_ok()).await?;
    println!("the place of a page that has gone was free after {took:?}");
    world.process.stop().await;
    Ok(())
}
