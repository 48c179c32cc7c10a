//! Replays a golden transcript against a running server.

use anyhow::{Context, Result, anyhow};
use patchbay_testkit::{
    chat::{Lines, PATIENCE},
    transcript::{Action, Memory, Step},
};
use serde_json::Value;
use std::collections::{BTreeMap, btree_map::Entry};
use tokio::time::timeout;

/// Whether what a connection is sent between two of its own lines must come in the order written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Order {
    /// As written.
    Strict,
    /// In any order: an answer may overtake a push.
    Any,
}

/// Replays all steps; a connection is opened when it is first named.
pub async fn replay(
    steps: &[Step],
    url: &str,
    subprotocol: Option<&'static str>,
    order: Order,
) -> Result<()> {
    let mut connections: BTreeMap<usize, Replayed> = BTreeMap::new();
    let mut memory = Memory::default();
    for (number, step) in steps.iter().enumerate() {
        let connection = match connections.entry(step.connection) {
            Entry::Occupied(open) => open.into_mut(),
            Entry::Vacant(new) => new.insert(Replayed::open(url, subprotocol).await?),
        };
        let outcome = match &step.action {
            Action::Send(text) => connection.send(text).await,
            Action::Expect(expected) => connection.expect(expected, &mut memory, order).await,
            Action::Close => {
                if let Some(connection) = connections.remove(&step.connection) {
                    connection.lines.close().await;
                }
                Ok(())
            }
        };
        outcome.with_context(|| format!("in step {} of the transcript", number + 1))?;
    }
    Ok(())
}

/// A connection, and what came on it before it was expected.
struct Replayed {
    lines: Lines,
    early: Vec<Value>,
}

impl Replayed {
    async fn open(url: &str, subprotocol: Option<&'static str>) -> Result<Self> {
        Ok(Self { lines: Lines::open(url, subprotocol, Some("null")).await?, early: Vec::new() })
    }

    async fn send(&mut self, text: &str) -> Result<()> {
        anyhow::ensure!(self.early.is_empty(), "nobody expected {:?}", self.early);
        self.lines.send(text).await.map_err(|closed| anyhow!("{closed:?}"))
    }

    async fn expect(&mut self, expected: &Value, memory: &mut Memory, order: Order) -> Result<()> {
        if let Some(place) =
            self.early.iter().position(|value| memory.clone().compare(expected, value).is_ok())
        {
            return memory.compare(expected, &self.early.remove(place));
        }
        loop {
            let line = timeout(PATIENCE, self.lines.next()).await;
            let line = line.with_context(|| format!("instead of {expected} came {:?}", self.early))?;
            let line = line.map_err(|closed| anyhow!("instead of {expected} came {closed:?}"))?;
            let value = serde_json::from_str(&line)?;
            match memory.compare(expected, &value) {
                Err(_) if order == Order::Any => self.early.push(value),
                outcome => return outcome,
            }
        }
    }
}
