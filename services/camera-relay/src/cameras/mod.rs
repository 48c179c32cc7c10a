//! The list of cameras: those of the configuration and those that were added by calls, the same on all replicas. Every camera of the list is a
//! stream of this replica's hub, `camera/<name>`, which runs its source when somebody looks.

mod follow;
mod local;
mod name;
mod path;
mod remote;
mod secrets;
mod sources;
mod spec;
mod store;

pub use name::{CameraName, MAX_NAME, NameError};
pub use path::{PathError, confined};
pub use spec::{
    Address, CameraSpec, Capture, ClearPassword, CornerSpec, DeviceSpec, FileSpec, LoginSpec, MaskSpec,
    MaskStyleSpec, MjpegSpec, MotionSpec, OpenCvSpec, OverlaySpec, PointSpec, ProcessingSpec, RtspSpec,
    RtspTransportSpec, SourceSpec, TestSpec, UrlSpec, Violation, ZoneSpec,
};
pub(crate) use spec::{fingerprint_bytes, is_device};

use crate::{config, error::Error, motion::Motions, relay::Owners, viewers::ViewerTable};
use parking_lot::RwLock;
use patchbay_chassis::{Component, Context, StartError};
use patchbay_media::hub::{Hub, Source, StreamName};
use secrets::Secrets;
use sources::Sources;
use std::{collections::BTreeMap, sync::Arc};
use store::{Kept, Store};
use tokio::sync::watch;

/// Where a camera comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Origin {
    /// The configuration, which alone can change it.
    Configured,
    /// A call.
    Added {
        /// Counts changes.
        revision: u64,
    },
}

/// A camera of the list.
#[derive(Clone, Debug, PartialEq)]
pub struct Camera {
    /// Its name.
    pub name: CameraName,
    /// Its settings.
    pub spec: CameraSpec,
    /// Where it comes from.
    pub origin: Origin,
}

impl Camera {
    /// Its stream in the hub.
    pub fn stream(&self) -> StreamName {
        stream_of(&self.name)
    }
}

/// The stream of a camera.
pub fn stream_of(name: &CameraName) -> StreamName {
    // 7 and 64 characters at most, all of which streams may have, and no part is empty or a point alone.
    StreamName::parse(&format!("camera/{name}")).expect("the name of a camera is part of a stream's name")
}

/// The list. Cheap to clone.
#[derive(Clone)]
pub struct Cameras {
    shared: Arc<Shared>,
}

struct Shared {
    store: Store,
    hub: Hub,
    sources: Sources,
    secrets: Secrets,
    section: config::Cameras,
    viewers: ViewerTable,
    configured: BTreeMap<CameraName, CameraSpec>,
    /// Read by every request, written when something has changed; never held across a wait.
    list: RwLock<BTreeMap<CameraName, Arc<Camera>>>,
    /// Revision of the store that the list shows; held while the list is brought up to date.
    shown: tokio::sync::Mutex<Option<u64>>,
    /// Counts changes of the list.
    changed: watch::Sender<u64>,
    component: Component,
}

impl Cameras {
    /// The configured cameras; those that were added follow as soon as the store answers.
    pub fn open(
        section: &config::Cameras,
        context: &Context,
        hub: &Hub,
        viewers: &ViewerTable,
        owners: &Owners,
        motions: &Motions,
    ) -> Result<Self, StartError> {
        let secrets = Secrets::open(section, context)?;
        let configured = configured(section, &secrets)?;
        let shared = Shared {
            store: Store::new(context.backplane.clone(), secrets.clone()),
            hub: hub.clone(),
            sources: Sources::open(section, context, owners.clone(), secrets.clone(), motions.clone())
                .map_err(|error| StartError::failed("use cameras.media_folder", error))?,
            secrets,
            section: section.clone(),
            viewers: viewers.clone(),
            configured,
            list: RwLock::default(),
            shown: tokio::sync::Mutex::new(None),
            changed: watch::Sender::new(0),
            component: context.readiness.component("cameras"),
        };
        let cameras = Self { shared: Arc::new(shared) };
        cameras.show(BTreeMap::new());
        Ok(cameras)
    }

    /// One of them.
    pub fn get(&self, name: &CameraName) -> Result<Arc<Camera>, Error> {
        self.shared.list.read().get(name).cloned().ok_or_else(|| Error::NoCamera(name.clone()))
    }

    /// All of them, by name.
    pub fn all(&self) -> Vec<Arc<Camera>> {
        self.shared.list.read().values().cloned().collect()
    }

    /// Changes when the list does.
    pub fn changes(&self) -> watch::Receiver<u64> {
        self.shared.changed.subscribe()
    }

    /// Adds a camera; the same again changes nothing.
    pub async fn add(&self, name: &CameraName, spec: CameraSpec) -> Result<Arc<Camera>, Error> {
        let spec = self.prepared(name, spec)?;
        if let Some(configured) = self.shared.configured.get(name) {
            let is_same = configured.source == spec.source;
            return if is_same { self.get(name) } else { Err(Error::AlreadyExists(name.clone())) };
        }
        // Replicas that add at the same time may go over the limit, each by one.
        self.refresh().await?;
        let (there, count) = {
            let list = self.shared.list.read();
            (list.contains_key(name), list.len())
        };
        if !there && count >= self.shared.section.max {
            return Err(Error::TooManyCameras(count));
        }
        self.shared.store.add(name, &spec).await?;
        self.refresh().await?;
        self.get(name)
    }

    /// Replaces a camera's settings; `expected` is the revision that the caller has read, or none for any.
    pub async fn update(
        &self,
        name: &CameraName,
        spec: CameraSpec,
        expected: Option<u64>,
    ) -> Result<Arc<Camera>, Error> {
        self.changeable(name)?;
        // What another replica has just kept is part of what this change stands on.
        self.refresh().await?;
        let spec = self.prepared(name, spec)?;
        self.shared.store.update(name, &spec, expected).await?;
        self.refresh().await?;
        self.get(name)
    }

    /// Removes a camera and sends its viewers away.
    pub async fn remove(&self, name: &CameraName) -> Result<(), Error> {
        self.changeable(name)?;
        self.shared.store.remove(name).await?;
        self.refresh().await
    }

    fn changeable(&self, name: &CameraName) -> Result<(), Error> {
        let is_configured = self.shared.configured.contains_key(name);
        if is_configured { Err(Error::Configured(name.clone())) } else { Ok(()) }
    }

    /// The source of settings that are no camera's yet, run by this replica alone: its pictures are as the camera gives them.
    pub(crate) fn source_of(&self, name: &CameraName, spec: CameraSpec) -> Result<Arc<dyn Source>, Error> {
        let spec = self.prepared(name, spec)?;
        Ok(self.shared.sources.own(name, &spec.source))
    }

    /// Checked settings in the form in which they are kept.
    fn prepared(&self, name: &CameraName, mut spec: CameraSpec) -> Result<CameraSpec, Error> {
        let before = self.shared.list.read().get(name).cloned();
        let before = before.as_ref().map(|camera| &camera.spec);
        secrets::uncover(&mut spec, before);
        self.check(&spec)?;
        let sealed = self.shared.secrets.seal_login(name, &mut spec, before);
        sealed.map_err(|violation| Error::camera(vec![violation]))?;
        self.shared.secrets.seal_address(name, &mut spec.source).map_err(Error::internal)?;
        Ok(spec)
    }

    fn check(&self, spec: &CameraSpec) -> Result<(), Error> {
        let mut violations = spec.violations();
        if let SourceSpec::File(file) = &spec.source
            && violations.is_empty()
            && let Err(problem) = self.shared.sources.check(file)
        {
            violations.push(Violation { field: "file.path", problem: problem.to_string() });
        }
        // A file without a folder was told of above.
        if !matches!(spec.source, SourceSpec::File(_))
            && let Some((field, problem)) = self.shared.section.refuses(&spec.source)
        {
            violations.push(Violation { field, problem });
        }
        if violations.is_empty() { Ok(()) } else { Err(Error::camera(violations)) }
    }

    /// Brings the list to what the store has.
    async fn refresh(&self) -> Result<(), Error> {
        let mut shown = self.shared.shown.lock().await;
        let revision = self.shared.store.revision().await?;
        if *shown == Some(revision) {
            return Ok(());
        }
        let kept = self.shared.store.all().await?;
        self.show(kept);
        *shown = Some(revision);
        Ok(())
    }

    /// Makes the list, and the hub's streams, what is configured and what is kept.
    fn show(&self, kept: BTreeMap<CameraName, Kept>) {
        let added = kept.into_iter().map(|(name, kept)| {
            let origin = Origin::Added { revision: kept.revision };
            (name.clone(), Arc::new(Camera { name, spec: kept.spec, origin }))
        });
        let mut wanted: BTreeMap<_, _> = added.collect();
        for (name, spec) in &self.shared.configured {
            let camera = Camera { name: name.clone(), spec: spec.clone(), origin: Origin::Configured };
            if wanted.insert(name.clone(), Arc::new(camera)).is_some() {
                tracing::warn!(camera = %name, "the configuration hides a camera of the same name that was added");
            }
        }
        let before = std::mem::replace(&mut *self.shared.list.write(), wanted.clone());
        if before == wanted {
            return;
        }
        self.apply(&before, &wanted);
        self.shared.changed.send_modify(|count| *count = count.wrapping_add(1));
    }
}

/// The cameras of the configuration in the form in which others are kept.
fn configured(
    section: &config::Cameras,
    secrets: &Secrets,
) -> Result<BTreeMap<CameraName, CameraSpec>, StartError> {
    let sealed = section.parsed().map(|(name, mut spec)| {
        secrets.seal_address(&name, &mut spec.source)?;
        Ok((name, spec))
    });
    let sealed: Result<_, patchbay_crypto::Error> = sealed.collect();
    sealed.map_err(|error| StartError::failed("seal the addresses of cameras.configured", error))
}
