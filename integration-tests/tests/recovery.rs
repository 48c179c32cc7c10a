//! Recovery over a room's window: everything, or clearly nothing, with either backplane.

use anyhow::Result;
use integration_tests::{
    gateway::{Gateway, Settings},
    world::World,
};
use patchbay_testkit::{keys::Keys, redis::Persistence};
use serde_json::{Value, json};

/// A room that keeps little.
const WINDOW: usize = 20;

fn settings() -> Settings {
    Settings::open().set("rooms.default.history", &WINDOW)
}

#[tokio::test]
async fn in_one_process() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let keys = Keys::create(folder.path())?;
    let gateway = Gateway::start(folder.path(), "gateway", &keys, settings()).await?;
    missing_less_and_more_than_the_window(&gateway, &gateway).await
}

#[tokio::test]
async fn from_one_replica_to_another() -> Result<()> {
    let world = World::start(2, Persistence::EverySecond, settings()).await?;
    missing_less_and_more_than_the_window(&world.gateways[0], &world.gateways[1]).await
}

async fn missing_less_and_more_than_the_window(first: &Gateway, second: &Gateway) -> Result<()> {
    let mut writer = first.guest("writer").await?;
    writer.call("subscribe", json!({"channel": "r"})).await?;
    let start = publish(first, 3).await?;

    let whole = publish(first, WINDOW).await?;
    let answer = recover(second, &start["epoch"], 3).await?;
    assert_eq!(
        (&answer["recovered"], &answer["offset"]),
        (&json!(true), &whole["offset"]),
        "exactly the window"
    );
    let offsets: Vec<u64> =
        answer["publications"].as_array().into_iter().flatten().filter_map(offset).collect();
    assert_eq!(offsets, (4..=3 + WINDOW as u64).collect::<Vec<_>>());

    publish(first, 1).await?;
    let answer = recover(second, &start["epoch"], 3).await?;
    assert_eq!((&answer["recovered"], &answer["publications"]), (&json!(false), &json!([])), "one too many");

    let answer = recover(second, &start["epoch"], 4 + WINDOW as u64).await?;
    assert_eq!(
        (&answer["recovered"], &answer["publications"]),
        (&json!(true), &json!([])),
        "nothing was missed"
    );
    let answer = recover(second, &json!("another"), 4 + WINDOW as u64).await?;
    assert_eq!((&answer["recovered"], &answer["publications"]), (&json!(false), &json!([])), "another epoch");
    let answer = recover(second, &start["epoch"], 1_000_000).await?;
    assert_eq!(answer["recovered"], json!(false), "a position that was never given out");
    Ok(())
}

async fn publish(gateway: &Gateway, count: usize) -> Result<Value> {
    let mut client = gateway.guest("writer").await?;
    client.call("subscribe", json!({"channel": "r"})).await?;
    let mut last = Value::Null;
    for number in 0..count {
        last = client.call("publish", json!({"channel": "r", "data": number})).await?;
    }
    client.close().await;
    Ok(last)
}

async fn recover(gateway: &Gateway, epoch: &Value, offset: u64) -> Result<Value> {
    let mut client = gateway.guest("reader").await?;
    let recover = json!({"epoch": epoch, "offset": offset});
    let answer = client.call("subscribe", json!({"channel": "r", "recover": recover})).await?;
    client.close().await;
    Ok(answer)
}

fn offset(publication: &Value) -> Option<u64> {
    publication["offset"].as_u64()
}
