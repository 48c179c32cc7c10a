//! `WatchCameras`: the state of cameras as a stream.

use super::convert;
use crate::{
    caller::{Action, Caller},
    cameras::CameraName,
    core::Core,
    error::Error,
};
use patchbay_proto::camera::v1 as pb;
use std::{collections::BTreeMap, sync::Arc, time::Duration};
use tokio::{
    sync::mpsc,
    time::{MissedTickBehavior, interval},
};
use tokio_stream::wrappers::ReceiverStream;
use tonic::Status;

/// Changes that may wait for a watcher; a slower one is ended.
const QUEUE: usize = 1024;

/// How often it is looked whether something has changed, beside the moments when that is known: state that a hub changes by itself.
const LOOK_EVERY: Duration = Duration::from_millis(250);

/// Cameras as the watcher knows them.
type Known = BTreeMap<CameraName, pb::Camera>;

/// Begins a watch.
pub(super) fn start(
    core: &Arc<Core>,
    caller: Caller,
    names: Vec<CameraName>,
) -> ReceiverStream<Result<pb::WatchCamerasResponse, Status>> {
    // The last place is kept for the error that ends a slow watcher.
    let (out, stream) = mpsc::channel(QUEUE + 1);
    let watch = Watch { core: Arc::clone(core), caller, names, out };
    core.context.tasks.spawn_light(watch.run());
    ReceiverStream::new(stream)
}

struct Watch {
    core: Arc<Core>,
    caller: Caller,
    names: Vec<CameraName>,
    out: mpsc::Sender<Result<pb::WatchCamerasResponse, Status>>,
}

impl Watch {
    async fn run(self) {
        let hard = self.core.context.shutdown.hard();
        let (mut list, mut viewers) = (self.core.cameras.changes(), self.core.viewers.changes());
        let mut others = self.core.replicas.changes();
        let mut looks = interval(LOOK_EVERY);
        looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut known = self.now();
        loop {
            // Cancel-safe: each only says that it is time to look.
            tokio::select! {
                () = self.out.closed() => return,
                () = hard.cancelled() => return,
                _ = looks.tick() => {}
                _ = list.changed() => {}
                _ = viewers.changed() => {}
                _ = others.changed() => {}
            }
            let now = self.now();
            for change in changes(&known, &now) {
                if !self.send(change) {
                    return;
                }
            }
            known = now;
        }
    }

    fn now(&self) -> Known {
        let all = self.core.cameras.all().into_iter();
        let wanted = all.filter(|camera| {
            (self.names.is_empty() || self.names.contains(&camera.name))
                && self.caller.may(Action::Read, &camera.name)
        });
        wanted
            .map(|camera| (camera.name.clone(), convert::camera(&self.core, &self.caller, &camera)))
            .collect()
    }

    /// Tells whether the watch goes on.
    fn send(&self, change: pb::WatchCamerasResponse) -> bool {
        if self.out.capacity() > 1 {
            return self.out.try_send(Ok(change)).is_ok();
        }
        // The watcher may have gone in the meantime.
        drop(self.out.try_send(Err(Error::SlowConsumer.into())));
        false
    }
}

fn changes(known: &Known, now: &Known) -> Vec<pb::WatchCamerasResponse> {
    let gone = known.keys().filter(|name| !now.contains_key(*name)).map(|name| pb::WatchCamerasResponse {
        camera: Some(pb::Camera { name: name.to_string(), ..pb::Camera::default() }),
        removed: true,
    });
    let changed = now.iter().filter(|(name, camera)| {
        known.get(*name).is_none_or(|known| without_measures(known) != without_measures(camera))
    });
    let changed =
        changed.map(|(_, camera)| pb::WatchCamerasResponse { camera: Some(camera.clone()), removed: false });
    gone.chain(changed).collect()
}

/// A camera without what changes all the time by itself.
fn without_measures(camera: &pb::Camera) -> pb::Camera {
    let mut camera = camera.clone();
    let Some(status) = &mut camera.status else { return camera };
    status.since = None;
    for track in &mut status.tracks {
        (track.rate, track.bitrate, track.key_frame_interval) = (0.0, 0, None);
    }
    camera
}

#[cfg(test)]
mod tests {
    use super::*;

    fn camera(viewers: u32, rate: f64) -> pb::Camera {
        let track = pb::CameraTrack { rate, ..pb::CameraTrack::default() };
        let status = pb::CameraStatus { viewers, tracks: vec![track], ..pb::CameraStatus::default() };
        pb::Camera { name: "a".into(), status: Some(status), ..pb::Camera::default() }
    }

    #[test]
    fn only_what_somebody_waits_for_is_a_change() {
        let list = |camera: pb::Camera| Known::from([("a".parse().unwrap(), camera)]);
        let one = list(camera(1, 30.0));
        assert!(changes(&one, &list(camera(1, 29.5))).is_empty());
        let more = changes(&one, &list(camera(2, 30.0)));
        assert_eq!((more.len(), more[0].removed), (1, false));
        let gone = changes(&one, &Known::new());
        assert_eq!((gone.len(), gone[0].removed), (1, true));
        assert_eq!(gone[0].camera.as_ref().unwrap().status, None);
        assert_eq!(changes(&Known::new(), &one).len(), 1);
    }
}
