//! Keeps the list and the hub at what the store has, whichever replica has changed it.

use super::{Camera, CameraName, Cameras, Capture};
use patchbay_backplane::Event;
use patchbay_media::hub::Mode;
use std::{collections::BTreeMap, sync::Arc, time::Duration};
use tokio::time::{MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;

/// How often the store is asked whether something has changed, for when its events are lost.
const LOOK_EVERY: Duration = Duration::from_secs(2);

/// Events that may wait; more become one gap, and any event means to look.
const QUEUE: usize = 16;

type List = BTreeMap<CameraName, Arc<Camera>>;

impl Cameras {
    /// Follows the store until `stop`.
    pub async fn follow(self, stop: CancellationToken) {
        let (mut events, table) = self.shared.store.subscriber(QUEUE);
        // A subscription made while the backplane is away is made again when it is back.
        if let Err(error) = events.subscribe(table).await {
            tracing::debug!(%error, "could not listen for changes of cameras yet");
        }
        let mut looks = interval(LOOK_EVERY);
        looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            // Cancel-safe: neither a tick nor an event is used, both only say that it is time to look.
            tokio::select! {
                () = stop.cancelled() => return,
                _ = looks.tick() => {}
                event = events.recv() => match event {
                    None => return,
                    Some(Event::Message(_) | Event::Gap) => {}
                },
            }
            self.look().await;
        }
    }

    /// Looks once. Without the store the cameras that are known stay, and the replica says what it lacks.
    pub(crate) async fn look(&self) {
        match self.refresh().await {
            Ok(()) => self.shared.component.ready(),
            Err(error) => {
                tracing::debug!(%error, "could not read the cameras");
                self.shared
                    .component
                    .degraded("cameras cannot be read or changed: the store does not answer");
            }
        }
    }

    /// Brings the hub from one list to another. A camera whose source stays is not touched, whatever else has changed.
    pub(super) fn apply(&self, before: &List, wanted: &List) {
        let hub = &self.shared.hub;
        for (name, gone) in before.iter().filter(|(name, _)| !wanted.contains_key(*name)) {
            hub.remove(&gone.stream());
            self.shared.viewers.camera_removed(name);
        }
        for (name, camera) in wanted {
            let (source, mode) = (self.shared.sources.of(camera), mode(camera.spec.captured()));
            match before.get(name) {
                None => tell(name, hub.add(camera.stream(), source, mode)),
                Some(old) if !old.spec.runs_as(&camera.spec) => {
                    tell(name, hub.replace(&camera.stream(), source, mode));
                }
                // Saved again: perhaps because the camera itself was mended.
                Some(old) if old.origin != camera.origin => hub.hasten(&camera.stream()),
                Some(_) => {}
            }
        }
    }
}

fn tell<T, E: std::error::Error>(name: &CameraName, done: Result<T, E>) {
    if let Err(error) = done {
        tracing::error!(camera = %name, %error, "a camera could not be brought into the hub");
    }
}

fn mode(capture: Capture) -> Mode {
    match capture {
        Capture::OnDemand => Mode::OnDemand,
        Capture::Always => Mode::AlwaysOn,
    }
}
