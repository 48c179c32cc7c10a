//! Bad input gets its documented error, and the connection lives on unless the close code says otherwise.

use anyhow::{Context, Result};
use integration_tests::{
    gateway::{Gateway, Settings},
    verdict::TestResult,
};
use patchbay_testkit::{
    chat::{ChatClient, Closed, Lines, PATIENCE},
    http,
    keys::Keys,
};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio_tungstenite::tungstenite::{
    Message,
    protocol::frame::{
        Frame,
        coding::{Data, OpCode},
    },
};

async fn gateway(settings: Settings) -> Result<(Gateway, Keys, TempDir)> {
    let folder = tempfile::tempdir()?;
    let keys = Keys::create(folder.path())?;
    let gateway = Gateway::start(folder.path(), "gateway", &keys, settings).await?;
    Ok((gateway, keys, folder))
}

fn closed(closed: &Closed) -> anyhow::Error {
    anyhow::anyhow!("{closed:?}")
}

#[tokio::test]
async fn each_mistake_has_its_error_and_the_connection_lives() -> TestResult {
    let (gateway, _keys, _folder) = gateway(Settings::open()).await?;
    let mut client = gateway.guest("Ada").await?;
    client.call("subscribe", json!({"channel": "r"})).await?;
    let long = "x".repeat(33_000);
    let room = "x".repeat(129);
    for (verb, fields, code) in [
        ("dance", json!({}), 104),
        ("publish", json!({"channel": "elsewhere", "data": 1}), 103),
        ("subscribe", json!({"channel": "r"}), 105),
        ("subscribe", json!({"channel": "not a room"}), 102),
        ("subscribe", json!({"channel": "$events"}), 102),
        ("subscribe", json!({"channel": room}), 102),
        ("subscribe", json!({"channel": ""}), 102),
        ("subscribe", json!({"channel": 7}), 107),
        ("subscribe", json!({}), 107),
        ("subscribe", json!([]), 107),
        ("publish", json!({"channel": "r"}), 107),
        ("publish", json!({"channel": "r", "data": long}), 106),
        ("publish", json!({"channel": "r", "data": 1, "key": "k".repeat(65)}), 106),
        ("publish", json!({"channel": "r", "data": 1, "key": 5}), 107),
        ("publish", json!({"channel": "r", "data": 1, "reply_to": "first"}), 107),
        ("edit", json!({"channel": "r", "ref": 99, "data": 1}), 108),
        ("delete", json!({"channel": "r", "ref": 0}), 108),
        ("react", json!({"channel": "r", "ref": 1, "emoji": ""}), 106),
        ("history", json!({"channel": "r", "after": 0, "epoch": "another"}), 112),
        ("history", json!({"channel": "r", "after": -1}), 107),
        ("receipt", json!({"channel": "r"}), 107),
        ("unsubscribe", json!({"channel": "elsewhere"}), 103),
        ("connect", json!({}), 107),
    ] {
        let refused = client.refused(verb, fields.clone()).await?;
        let shown: String = fields.to_string().chars().take(60).collect();
        assert_eq!(refused.code, code, "{verb} {shown}: {}", refused.message);
        assert!(!refused.temporary, "{verb} {shown}");
        assert!(refused.message.len() < 300 && !refused.message.contains(".rs"), "{}", refused.message);
        // A good command ends the row of errors that would close the connection.
        client.call("presence_stats", json!({"channel": "r"})).await?;
    }
    Ok(())
}

#[tokio::test]
async fn lines_that_are_no_commands_are_answered_under_zero() -> TestResult {
    let (gateway, _keys, _folder) = gateway(Settings::open()).await?;
    let mut client = gateway.guest("Ada").await?;
    let deep =
        format!(r#"{{"id":5,"publish":{{"channel":"r","data":{}1{}}}}}"#, "[".repeat(40), "]".repeat(40));
    for line in
        ["hello", "[]", "null", "{\"id\":1", "{\"id\":\"x\",\"subscribe\":{}}", "{\"subscribe\":{}}", &deep]
    {
        client.send_line(line).await?;
        let answer = client.read().await?;
        assert_eq!((&answer["id"], &answer["error"]["code"]), (&json!(0), &json!(107)), "{line}");
    }
    client.call("subscribe", json!({"channel": "r"})).await?;
    Ok(())
}

#[tokio::test]
async fn a_row_of_errors_ends_the_connection() -> TestResult {
    let (gateway, _keys, _folder) = gateway(Settings::open()).await?;
    let mut client = gateway.guest("Ada").await?;
    for _ in 0..20 {
        if client.send_line("hello").await.is_err() {
            break;
        }
    }
    assert_eq!(client.closed(PATIENCE).await?.code, 3509);
    Ok(())
}

#[tokio::test]
async fn the_first_command_must_be_connect() -> TestResult {
    let (gateway, _keys, _folder) = gateway(Settings::open()).await?;
    for first in [r#"{"id":1,"subscribe":{"channel":"r"}}"#, "hello", r#"{"id":1,"connect":7}"#] {
        let mut lines = Lines::open(&gateway.url(), None, None).await?;
        lines.send(first).await.map_err(|end| closed(&end))?;
        assert_eq!(lines.closed(PATIENCE).await?.code, 3501, "{first}");
    }
    Ok(())
}

#[tokio::test]
async fn frames_that_cannot_be_text_are_refused_by_their_code() -> TestResult {
    let (gateway, _keys, _folder) = gateway(Settings::open()).await?;
    let not_utf8 = Frame::message(vec![0xc3, 0x28], OpCode::Data(Data::Text), true);
    for (message, code) in [
        (Message::binary(vec![1, 2, 3]), 1003),
        (Message::Frame(not_utf8), 1007),
        (Message::text("x".repeat(70_000)), 1009),
    ] {
        for url in [gateway.url(), gateway.classic_url()] {
            let mut lines = Lines::open(&url, None, None).await?;
            // The server may close before it has read everything.
            drop(lines.send_message(message.clone()).await);
            assert_eq!(lines.closed(PATIENCE).await?.code, code, "{url}");
        }
    }
    Ok(())
}

#[tokio::test]
async fn a_repeated_key_returns_the_first_answer() -> TestResult {
    let (gateway, keys, _folder) = gateway(Settings::open()).await?;
    let token = keys.token("ada", &["chat:subscribe:*", "chat:publish:*", "chat:history:*"])?;
    let publish = json!({"channel": "r", "data": "once", "key": "k1"});
    let mut first = ChatClient::with_token(&gateway.url(), &token).await?;
    first.call("subscribe", json!({"channel": "r"})).await?;
    let answer = first.call("publish", publish.clone()).await?;
    first.close().await;
    let mut second = ChatClient::with_token(&gateway.url(), &token).await?;
    second.call("subscribe", json!({"channel": "r"})).await?;
    let again = second.call("publish", publish.clone()).await?;
    assert_eq!((&again["offset"], &again["epoch"]), (&answer["offset"], &answer["epoch"]));
    assert_eq!(again["duplicate"], json!(true));
    let other = keys.token("bob", &["chat:subscribe:*", "chat:publish:*"])?;
    let mut bob = ChatClient::with_token(&gateway.url(), &other).await?;
    bob.call("subscribe", json!({"channel": "r"})).await?;
    let answer = bob.call("publish", publish).await?;
    assert_eq!(
        (&answer["duplicate"], &answer["offset"]),
        (&Value::Null, &json!(2)),
        "keys are each user's own"
    );
    let history = second.call("history", json!({"channel": "r", "after": 0})).await?;
    assert_eq!(history["publications"].as_array().map(Vec::len), Some(2));
    Ok(())
}

#[tokio::test]
async fn whoever_acts_too_fast_is_told_how_long_to_wait() -> TestResult {
    let settings = Settings::open().set("rates.connection.per_second", &5).set("rates.connection.burst", &10);
    let (gateway, _keys, _folder) = gateway(settings).await?;
    let mut client = gateway.guest("Ada").await?;
    client.call("subscribe", json!({"channel": "r"})).await?;
    let refused = loop {
        match client.ask("presence_stats", json!({"channel": "r"})).await? {
            Ok(_) => {}
            Err(refused) => break refused,
        }
    };
    assert_eq!((refused.code, refused.temporary), (111, true));
    let wait = refused.retry_after_ms.context("no `retry_after_ms`")?;
    assert!((1..=2000).contains(&wait), "{wait}");
    tokio::time::sleep(std::time::Duration::from_millis(wait)).await;
    client.call("presence_stats", json!({"channel": "r"})).await?;
    Ok(())
}

#[tokio::test]
async fn a_connection_has_so_many_rooms() -> TestResult {
    let (gateway, _keys, _folder) = gateway(Settings::open().set("limits.rooms", &3)).await?;
    let mut client = gateway.guest("Ada").await?;
    for room in ["a", "b", "c"] {
        client.call("subscribe", json!({"channel": room})).await?;
    }
    assert_eq!(client.refused("subscribe", json!({"channel": "d"})).await?.code, 106);
    client.call("unsubscribe", json!({"channel": "a"})).await?;
    client.call("subscribe", json!({"channel": "d"})).await?;
    Ok(())
}

#[tokio::test]
async fn only_allowed_origins_may_use_tokens() -> TestResult {
    let settings = Settings::open().set("listen.allowed_origins", r#"["https://chat.example.org"]"#);
    let (gateway, keys, _folder) = gateway(settings).await?;
    let token = keys.token("ada", &["chat:subscribe:*"])?;
    for (origin, with_token, lets_in) in [
        (Some("https://evil.example"), true, false),
        (Some("null"), true, false),
        (Some("https://chat.example.org"), true, true),
        (None, true, true),
        (Some("https://evil.example"), false, true),
        (Some("null"), false, true),
    ] {
        let mut lines = Lines::open(&gateway.url(), None, origin).await?;
        let fields = if with_token { json!({"token": token}) } else { json!({}) };
        let command = json!({"id": 1, "connect": fields}).to_string();
        lines.send(command).await.map_err(|end| closed(&end))?;
        let answer: Value = match lines.next().await {
            Ok(line) => serde_json::from_str(&line)?,
            Err(_) => Value::Null,
        };
        assert_eq!(answer["result"].is_object(), lets_in, "{origin:?}, token {with_token}: {answer}");
    }
    Ok(())
}

#[tokio::test]
async fn what_is_no_handshake_gets_its_status() -> TestResult {
    let (gateway, _keys, _folder) = gateway(Settings::open().set("connections.max", &2)).await?;
    let upgrade = [
        ("Connection", "Upgrade"),
        ("Upgrade", "websocket"),
        ("Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ=="),
    ];
    let old = [upgrade.as_slice(), &[("Sec-WebSocket-Version", "8")]].concat();
    let good = [upgrade.as_slice(), &[("Sec-WebSocket-Version", "13")]].concat();
    assert_eq!(http::get(gateway.http, "/ws", &[]).await?.status, 426);
    let keyless = [upgrade[0], upgrade[1], ("Sec-WebSocket-Version", "13")];
    assert_eq!(http::get(gateway.http, "/ws", &keyless).await?.status, 400);
    assert_eq!(http::get(gateway.http, "/nowhere", &good).await?.status, 404);
    let answer = http::get(gateway.http, "/ws", &old).await?;
    assert_eq!(answer.status, 426);
    assert!(answer.head.to_ascii_lowercase().contains("sec-websocket-version: 13"), "{}", answer.head);
    let long = "x".repeat(40_000);
    assert_eq!(http::get(gateway.http, "/ws", &[("X-Long", &long)]).await?.status, 431);

    let _one = gateway.guest("Ada").await?;
    let _two = gateway.guest("Bob").await?;
    let answer = http::get(gateway.http, "/ws", &good).await?;
    assert_eq!(answer.status, 503);
    assert!(answer.head.to_ascii_lowercase().contains("retry-after:"), "{}", answer.head);
    Ok(())
}
