//! What tests of sources share: a hub with one camera in it.

use patchbay_media::{
    Codec, Spawn, Task,
    hub::{
        Hub, HubConfig, Mode, NotStarted, Reordering, Selected, Source, SourceError, StreamName,
        Subscription, Wanted,
    },
    track::Track,
};
use std::{
    sync::Arc,
    time::{Duration, Instant},
};

/// Tasks of tests run where they run.
pub(crate) struct OnRuntime;

impl Spawn for OnRuntime {
    fn spawn(&self, _: &'static str, task: Task) {
        drop(tokio::runtime::Handle::current().spawn(task));
    }
}

/// A camera with one viewer.
pub(crate) struct Camera {
    /// Keeps the source.
    _hub: Hub,
    subscription: tokio::sync::Mutex<Subscription>,
}

/// How a source failed.
pub(crate) struct Outcome {
    pub(crate) error: SourceError,
    pub(crate) took: Duration,
}

/// Puts a source into a hub, with one viewer.
pub(crate) fn camera(source: Arc<dyn Source>) -> Camera {
    let hub =
        Hub::new(HubConfig { linger: Duration::from_millis(1), ..HubConfig::default() }, Arc::new(OnRuntime));
    let name = StreamName::parse("camera/one").unwrap();
    hub.add(name.clone(), source, Mode::OnDemand).unwrap();
    let video = vec![Codec::H264, Codec::H265, Codec::Vp8, Codec::Vp9, Codec::Av1];
    let audio = vec![Codec::Aac, Codec::Opus];
    let wanted = Wanted { video, audio, reordered: Reordering::Allowed, limit: None };
    let subscription = tokio::sync::Mutex::new(hub.subscribe(&name, wanted).unwrap());
    Camera { _hub: hub, subscription }
}

impl Camera {
    /// The tracks, or why there are none.
    pub(crate) async fn starts(&self) -> Result<Selected, SourceError> {
        let mut subscription = self.subscription.lock().await;
        let started = tokio::time::timeout(Duration::from_secs(15), subscription.tracks_or_failure()).await;
        started.expect("starts or fails in time").map_err(|failure| match failure {
            NotStarted::Failed(error) => error,
            NotStarted::Ended(ended) => panic!("{ended}"),
        })
    }

    /// The pictures.
    pub(crate) async fn video(&self) -> Arc<Track> {
        self.starts().await.unwrap().video.expect("pictures")
    }
}

/// Runs a source until it fails for the first time.
pub(crate) async fn run_until_failure(source: Arc<dyn Source>) -> Outcome {
    let (camera, started) = (camera(source), Instant::now());
    let error = camera.starts().await.expect_err("fails");
    Outcome { error, took: started.elapsed() }
}
