//! Replays a golden transcript against a running server.

use anyhow::{Context, Result};
use patchbay_testkit::{
    chat::{Lines, PATIENCE},
    transcript::{Action, Memory, Step},
};
use serde_json::Value;
use std::collections::{BTreeMap, btree_map::Entry};
use tokio::time::timeout;

/// Replays all steps; a connection is opened when it is first named.
pub async fn replay(steps: &[Step], url: &str, subprotocol: Option<&'static str>) -> Result<()> {
    let mut connections: BTreeMap<usize, Lines> = BTreeMap::new();
    let mut memory = Memory::default();
    for (number, step) in steps.iter().enumerate() {
        let lines = match connections.entry(step.connection) {
            Entry::Occupied(open) => open.into_mut(),
            Entry::Vacant(new) => new.insert(Lines::open(url, subprotocol, Some("null")).await?),
        };
        let outcome = match &step.action {
            Action::Send(text) => {
                lines.send(text.clone()).await.map_err(|closed| anyhow::anyhow!("{closed:?}"))
            }
            Action::Expect(expected) => expect(lines, expected, &mut memory).await,
            Action::Close => {
                if let Some(lines) = connections.remove(&step.connection) {
                    lines.close().await;
                }
                Ok(())
            }
        };
        outcome.with_context(|| format!("in step {} of the transcript: {step:?}", number + 1))?;
    }
    Ok(())
}

async fn expect(lines: &mut Lines, expected: &Value, memory: &mut Memory) -> Result<()> {
    let line = timeout(PATIENCE, lines.next()).await.context("nothing came")?;
    let line = line.map_err(|closed| anyhow::anyhow!("closed instead: {closed:?}"))?;
    memory.compare(expected, &serde_json::from_str(&line)?)
}
