//! What all parts of a replica share.

use crate::{
    announce,
    cameras::Cameras,
    config::RelayConfig,
    discovery::Searches,
    metrics::{self, RelayMetrics},
    motion::{self, Motions},
    probe::Probes,
    relay::{Owners, RelayFigures},
    replicas::{Replicas, SessionKeeper},
    snapshot::Snapshots,
    viewers::ViewerTable,
};
use patchbay_av::{AvTranscoders, TranscodeSettings};
use patchbay_chassis::{Context, StartError, Tasks};
use patchbay_media::{
    Spawn, Task,
    hub::{Hub, HubConfig},
    ring::Caps,
};
use std::sync::{Arc, OnceLock};
use tokio::time::Instant;

/// A running replica.
pub struct Core {
    /// Its configuration.
    pub config: RelayConfig,
    /// Its process.
    pub context: Context,
    /// Streams of cameras, and their sources.
    pub hub: Hub,
    /// The list of cameras.
    pub cameras: Cameras,
    /// What moves before them.
    pub motions: Motions,
    /// Who looks here.
    pub viewers: ViewerTable,
    /// Which cameras are captured here, and where the others are.
    pub owners: Owners,
    /// The other replicas.
    pub replicas: Replicas,
    /// Who has the sessions of WHEP; nobody until the doors are open.
    pub(crate) sessions: OnceLock<Box<dyn SessionKeeper>>,
    /// What takes single pictures.
    pub snapshots: Snapshots,
    /// What looks at sources that are no cameras yet.
    pub(crate) probes: Probes,
    /// What looks for cameras.
    pub(crate) searches: Searches,
    /// Its figures.
    pub metrics: RelayMetrics,
    /// When it began, by both clocks; by the wall clock in milliseconds since 1970.
    pub(crate) began: (Instant, u64),
}

impl Core {
    /// Puts the parts together and shows what is configured.
    pub async fn open(config: RelayConfig, context: Context) -> Result<Arc<Self>, StartError> {
        let began = (Instant::now(), context.clock.now_millis());
        let hub = Hub::new(hub_config(&config), spawner(&context));
        let transcoders = AvTranscoders::new(transcoding(&config));
        hub.transcode_with(Arc::new(
            transcoders.map_err(|error| StartError::failed("prepare encoders", error))?,
        ));
        let viewers = ViewerTable::new(&config.media, config.mjpeg.max_viewers, &context);
        let address = config.replicas.address.as_deref();
        let owners = Owners::new(&context, address, RelayFigures::register(&context.metrics));
        let motions = Motions::new(&config, &context);
        let cameras = Cameras::open(&config.cameras, &context, &hub, &viewers, &owners, &motions)?;
        // A first look, so that a replica is not ready before it knows its cameras; without the store it starts all the same.
        cameras.look().await;
        let replicas = Replicas::new(&context);
        let metrics = RelayMetrics::register(&context.metrics);
        let snapshots = Snapshots::new(config.snapshot.concurrent);
        let probes = Probes::new(config.probe.concurrent);
        let core = Arc::new(Self {
            config,
            context,
            hub,
            cameras,
            motions,
            viewers,
            owners,
            replicas,
            sessions: OnceLock::new(),
            snapshots,
            probes,
            searches: Searches::new(),
            metrics,
            began,
        });
        metrics::watch(&core);
        Ok(core)
    }

    /// Spawns what goes on in the background.
    pub fn spawn_tasks(self: &Arc<Self>) {
        let tasks = &self.context.tasks;
        let hard = self.context.shutdown.hard();
        tasks.spawn_critical("cameras", self.cameras.clone().follow(hard.clone()));
        tasks.spawn_critical("owners", self.owners.clone().listen(hard.clone()));
        tasks.spawn_critical("replicas", Arc::clone(self).exchange(hard.clone()));
        tasks.spawn_critical("snapshots", Snapshots::tidy(Arc::clone(self), hard.clone()));
        tasks.spawn_critical("motions", motion::keep(self.motions.clone(), hard.clone()));
        announce::spawn(self);
        let hub = self.hub.clone();
        tasks.spawn("close-hub", async move {
            hard.cancelled().await;
            hub.close();
        });
    }
}

/// Runs tasks for libraries under the service's name.
struct Spawner(Tasks);

impl Spawn for Spawner {
    fn spawn(&self, name: &'static str, task: Task) {
        // The tasks end by themselves; nobody aborts them.
        drop(self.0.spawn(name, task));
    }
}

/// What libraries spawn their tasks with.
pub fn spawner(context: &Context) -> Arc<dyn Spawn> {
    Arc::new(Spawner(context.tasks.clone()))
}

fn transcoding(config: &RelayConfig) -> TranscodeSettings {
    TranscodeSettings {
        key_frame_gap: config.cameras.key_frame_gap.duration(),
        ..TranscodeSettings::default()
    }
}

fn hub_config(config: &RelayConfig) -> HubConfig {
    let cameras = &config.cameras;
    let caps = Caps {
        bytes: cameras.cache.bytes.as_usize(),
        time: cameras.cache.time.duration(),
        ..Caps::default()
    };
    HubConfig {
        linger: cameras.linger.duration(),
        start_timeout: cameras.start_timeout.duration(),
        retry: cameras.retry.iter().map(|span| span.duration()).collect(),
        retry_watched: cameras.retry_watched.duration(),
        caps,
        // The list has the bound. Where replicas add at the same time, it may be passed by one, and no camera of the list may be without its stream.
        max_streams: usize::MAX,
        max_consumers: config.media.max_viewers + config.mjpeg.max_viewers + config.snapshot.concurrent,
        ..HubConfig::default()
    }
}
