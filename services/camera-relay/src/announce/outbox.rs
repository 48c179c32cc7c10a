//! Events of cameras on their way from a commit to the stream of events.

use crate::cameras::CameraName;
use patchbay_backplane::{Change, Name};
use patchbay_chassis::Context;
use patchbay_events::{EventType, Events, Outbox, Told, Untold};
use prometheus_client::metrics::counter::Counter;
use serde_json::Value;

/// An event as part of a commit; `once` is what tells it from others of its kind and camera.
pub(super) fn event(kind: EventType, camera: &CameraName, once: &str, millis: u64, data: Value) -> Change {
    let id = format!("{kind}-{camera}-{once}");
    outbox().change(&Untold::new(kind, &id, camera.as_str(), millis, data), &id)
}

/// Spawns what tells them.
pub(super) fn spawn(context: &Context) {
    let told: Counter = context.metrics.register(
        "events",
        "Events of cameras that this replica has appended to the stream of events",
        Counter::default(),
    );
    let (stop, events) = (context.shutdown.hard(), Events::new(context));
    context.tasks.spawn_critical("outbox", async move {
        let count = |done: Told| {
            told.inc_by(done.new);
        };
        stop.run_until_cancelled(outbox().run(&events, count)).await;
    });
}

/// It has the service and the id of the tables of motions and of what was told, because it is committed with them.
fn outbox() -> Outbox {
    Outbox::new(Name::new("camera", "outbox", "store"), "")
}

#[cfg(test)]
#[path = "outbox_tests.rs"]
mod tests;
