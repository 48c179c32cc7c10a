//! Recovery over a room's window: everything, or clearly nothing, with either backplane.

use anyhow::{Context, Result};
use integration_tests::{
    gateway::{Gateway, Settings},
    verdict::TestResult,
    world::World,
};
use patchbay_testkit::{chat::ChatClient, keys::Keys, redis::Persistence};
use serde_json::{Value, json};

/// A room that keeps little.
const WINDOW: usize = 20;

fn settings() -> Settings {
    Settings::open().set("rooms.default.history", &WINDOW)
}

#[tokio::test]
async fn in_one_process() -> TestResult {
    let folder = tempfile::tempdir()?;
    let keys = Keys::create(folder.path())?;
    let gateway = Gateway::start(folder.path(), "gateway", &keys, settings()).await?;
    missing_less_and_more_than_the_window(&gateway, &gateway).await?;
    Ok(())
}

#[tokio::test]
async fn from_one_replica_to_another() -> TestResult {
    let world = World::start(2, Persistence::EverySecond, settings()).await?;
    missing_less_and_more_than_the_window(&world.gateways[0], &world.gateways[1]).await?;
    Ok(())
}

async fn missing_less_and_more_than_the_window(first: &Gateway, second: &Gateway) -> Result<()> {
    let mut writer = Writer::start(first, second).await?;
    let epoch = writer.publish(3).await?;

    writer.publish(WINDOW).await?;
    let answer = recover(second, &epoch, 3).await?;
    assert_eq!(
        (&answer["recovered"], &answer["offset"]),
        (&json!(true), &json!(writer.offset)),
        "the window"
    );
    let offsets: Vec<u64> =
        answer["publications"].as_array().into_iter().flatten().filter_map(offset).collect();
    assert_eq!(offsets, (4..=writer.offset).collect::<Vec<_>>());

    writer.publish(1).await?;
    let answer = recover(second, &epoch, 3).await?;
    assert_eq!((&answer["recovered"], &answer["publications"]), (&json!(false), &json!([])), "one too many");

    let answer = recover(second, &epoch, writer.offset).await?;
    assert_eq!(
        (&answer["recovered"], &answer["publications"]),
        (&json!(true), &json!([])),
        "nothing was missed"
    );
    let answer = recover(second, &json!("another"), writer.offset).await?;
    assert_eq!((&answer["recovered"], &answer["publications"]), (&json!(false), &json!([])), "another epoch");
    let answer = recover(second, &epoch, 1_000_000).await?;
    assert_eq!(answer["recovered"], json!(false), "a position that was never given out");
    Ok(())
}

/// Publishes on one gateway, and waits each time until the other has delivered it.
struct Writer {
    author: ChatClient,
    witness: ChatClient,
    offset: u64,
}

impl Writer {
    async fn start(first: &Gateway, second: &Gateway) -> Result<Self> {
        let (mut author, mut witness) = (first.guest("writer").await?, second.guest("witness").await?);
        author.call("subscribe", json!({"channel": "r"})).await?;
        witness.call("subscribe", json!({"channel": "r"})).await?;
        Ok(Self { author, witness, offset: 0 })
    }

    /// Returns the epoch.
    async fn publish(&mut self, count: usize) -> Result<Value> {
        let mut last = Value::Null;
        for number in 0..count {
            last = self.author.call("publish", json!({"channel": "r", "data": number})).await?;
        }
        self.offset = offset(&last).context("no offset")?;
        while self.witness.push_of("pub").await?["offset"] != last["offset"] {}
        Ok(last["epoch"].take())
    }
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
