//! What is told of commits to everybody who listens: that a key has a new version.

use crate::{core::Core, store::Table};
use patchbay_backplane::Change;
use patchbay_events::{EventType, Events, Outbox, Untold};
use serde_json::json;
use std::sync::Arc;

/// Says that a key has a new version; part of the commit that makes it. Tells names and numbers, never material.
pub(crate) fn key_rotated(key: &str, key_id: &str, version: u32, millis: u64) -> Change {
    let (id, data) = (format!("key.rotated-{key_id}-{version}"), json!({ "key": key, "version": version }));
    let untold = Untold::new(EventType::KeyRotated, id, key, millis, data);
    // At one time by version, as numbers.
    outbox().change(&untold, &format!("{key_id}-{version:010}"))
}

/// Spawns what tells them.
pub(crate) fn spawn(core: &Arc<Core>) {
    let (stop, events) = (core.context.shutdown.hard(), Events::new(&core.context));
    core.context.tasks.spawn_critical("outbox", async move {
        stop.run_until_cancelled(outbox().run(&events, |_| {})).await;
    });
}

/// Where they wait.
pub(crate) fn outbox() -> Outbox {
    Outbox::new(Table::Events.name(), "outbox/")
}

#[cfg(test)]
#[path = "outbox_tests.rs"]
mod tests;
