//! Golden transcripts against the real binary: the native protocol out of its own document, and the classic door.

use anyhow::Result;
use integration_tests::{
    gateway::{Gateway, Settings},
    replay::{Order, replay},
    verdict::TestResult,
};
use patchbay_testkit::{
    binaries::workspace,
    chat::{ChatClient, Lines},
    keys::Keys,
    transcript::{fenced, parse},
};
use serde_json::{Value, json};
use std::fs;
use tempfile::TempDir;

async fn gateway() -> Result<(Gateway, TempDir)> {
    let folder = tempfile::tempdir()?;
    let keys = Keys::create(folder.path())?;
    let gateway = Gateway::start(folder.path(), "gateway", &keys, Settings::open()).await?;
    Ok((gateway, folder))
}

#[tokio::test]
async fn the_document_tells_the_truth() -> TestResult {
    let (gateway, _folder) = gateway().await?;
    let page = fs::read_to_string(workspace().join("docs/protocol/chat.md"))?;
    let steps = parse(fenced(&page, "transcript")?)?;
    replay(&steps, &gateway.url(), Some("patchbay.v1.json"), Order::Any).await?;
    Ok(())
}

#[tokio::test]
async fn the_classic_door_is_as_it_was() -> TestResult {
    let (gateway, _folder) = gateway().await?;
    let transcript = include_str!("../transcripts/classic.txt");
    replay(&parse(transcript)?, &gateway.classic_url(), None, Order::Strict).await?;
    Ok(())
}

#[tokio::test]
async fn both_doors_lead_into_one_room() -> TestResult {
    let (gateway, _folder) = gateway().await?;
    let mut native = gateway.guest("Ada").await?;
    native.call("subscribe", json!({"channel": "lobby", "join_leave": true})).await?;
    let mut classic = Lines::open(&gateway.classic_url(), None, Some("null")).await?;
    let welcome = next(&mut classic).await?;
    assert_eq!((&welcome["type"], &welcome["user_count"]), (&json!("welcome"), &json!(2)));
    assert_eq!(next(&mut classic).await?["users"].as_array().map(Vec::len), Some(2));
    push_about(&mut native, "join", &welcome["client_id"]).await?;

    native.call("publish", json!({"channel": "lobby", "data": "from the native side"})).await?;
    let chat = next(&mut classic).await?;
    assert_eq!((&chat["sender"], &chat["content"]), (&json!("Ada"), &json!("from the native side")));
    native.call("publish", json!({"channel": "lobby", "data": {"text": "rich", "more": 1}})).await?;
    assert_eq!(next(&mut classic).await?["content"], "rich");

    send(&mut classic, r#"{"type":"chat","content":"from the classic side"}"#).await?;
    let publication = loop {
        let publication = native.push_of("pub").await?;
        if publication["from"]["client"] == welcome["client_id"] {
            break publication;
        }
    };
    assert_eq!(
        (&publication["kind"], &publication["data"]),
        (&json!("message"), &json!("from the classic side"))
    );
    let history = native.call("history", json!({"channel": "lobby", "after": 0})).await?;
    assert_eq!(
        history["publications"].as_array().map(Vec::len),
        Some(3),
        "classic messages have offsets too"
    );

    classic.close().await;
    push_about(&mut native, "leave", &welcome["client_id"]).await?;
    Ok(())
}

/// Waits for a push about this client; others may come before.
async fn push_about(native: &mut ChatClient, kind: &str, client: &Value) -> Result<()> {
    while native.push_of(kind).await?["client"] != *client {}
    Ok(())
}

async fn next(lines: &mut Lines) -> Result<Value> {
    let line = lines.next().await.map_err(|closed| anyhow::anyhow!("{closed:?}"))?;
    Ok(serde_json::from_str(&line)?)
}

async fn send(lines: &mut Lines, text: &str) -> Result<()> {
    lines.send(text).await.map_err(|closed| anyhow::anyhow!("{closed:?}"))
}

#[tokio::test]
async fn several_commands_may_share_a_frame() -> TestResult {
    let (gateway, _folder) = gateway().await?;
    let mut client = ChatClient::guest(&gateway.url(), "Ada").await?;
    let frame = r#"{"id":51,"subscribe":{"channel":"a"}}
{"id":52,"subscribe":{"channel":"b"}}
{"id":53,"presence_stats":{"channel":"a"}}"#;
    client.send_line(frame).await?;
    let mut ids: Vec<Option<u64>> = Vec::new();
    while ids.len() < 3 {
        ids.push(client.read().await?["id"].as_u64());
    }
    ids.sort_unstable();
    assert_eq!(ids, [Some(51), Some(52), Some(53)]);
    Ok(())
}
