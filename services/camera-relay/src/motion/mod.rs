//! What moves before cameras: the sinks that hear of it, the store that keeps it, and the task between them.
//!
//! A [`Sink`](MotionSink) is called on the thread that looks at a camera's pictures, and must not wait: it puts what it hears into a bounded queue. One task writes from there
//! to the backplane, as fast as that takes it: what has begun at once, signs of life while it goes on, and its end. Where the backplane is away the queue waits;
//! motions that find it full are dropped and counted, and no picture of any viewer waits for it.
//!
//! A replica that dies in the middle of a motion writes no end: the motion ended with its last sign of life, and is shown so once that is old.

mod keeper;
mod mark;
mod queue;
mod settings;
mod store;
mod trim;
mod work;

pub(crate) use keeper::keep;
pub use mark::{Mark, MotionId};
pub use work::WorkFigures;

use crate::{
    cameras::CameraName,
    config::{self, RelayConfig},
    error::Error,
};
use bytes::Bytes;
use parking_lot::Mutex;
use patchbay_chassis::{Clock, Context, Ids, Metrics};
use patchbay_vision::{MotionSeen, MotionSink};
use prometheus_client::metrics::counter::Counter;
use queue::{Kept, Queue};
use std::{collections::BTreeMap, sync::Arc, time::Duration};
use store::Store;
use trim::Limits;
use work::Works;

/// Bytes of a picture that are kept; a JPEG of 640 pixels across has a tenth.
const MAX_PICTURE: usize = 512 * 1024;

/// Motions of all cameras. Cheap to clone.
#[derive(Clone)]
pub struct Motions {
    shared: Arc<Shared>,
}

struct Shared {
    store: Store,
    queue: Queue,
    /// Motions that go on before cameras captured here; one at most for each run of a source.
    open: Mutex<BTreeMap<MotionId, CameraName>>,
    node: String,
    ids: Ids,
    figures: Figures,
    section: config::Motion,
    key_frame_gap: Duration,
    clock: Clock,
    works: Works,
}

/// What is counted.
#[derive(Clone)]
struct Figures {
    seen: Counter,
    dropped: Counter,
    blind: Counter,
}

impl Figures {
    fn register(metrics: &Metrics) -> Self {
        let counter = |name: &str, help: &str| metrics.register(name, help, Counter::default());
        Self {
            seen: counter("motions", "Motions that were seen before cameras captured here"),
            dropped: counter(
                "motions_dropped",
                "Motions, or pictures of motions, that were not kept because the store was away for too long",
            ),
            blind: counter("motion_blind", "Times that motion could not be looked for"),
        }
    }
}

impl Motions {
    /// Nothing moves yet.
    pub(crate) fn new(config: &RelayConfig, context: &Context) -> Self {
        let section = &config.motion;
        let limits = Limits {
            max_kept: section.max_kept,
            max_pictures: section.max_pictures,
            keep_for: section.keep_for.duration(),
        };
        let shared = Shared {
            store: Store::new(context.backplane.clone(), context.clock.clone(), context.ids.clone(), limits),
            queue: Queue::default(),
            open: Mutex::default(),
            node: context.node.to_string(),
            ids: context.ids.clone(),
            figures: Figures::register(&context.metrics),
            section: section.clone(),
            key_frame_gap: config.cameras.key_frame_gap.duration(),
            clock: context.clock.clone(),
            works: Works::default(),
        };
        Self { shared: Arc::new(shared) }
    }

    /// What hears of the motions of a camera.
    pub(crate) fn sink(&self, camera: &CameraName) -> Arc<dyn MotionSink> {
        Arc::new(Sink { motions: self.clone(), camera: camera.clone(), open: Mutex::default() })
    }

    /// Whether something moves now before a camera that is captured here.
    pub fn is_moving(&self, camera: &CameraName) -> bool {
        self.shared.open.lock().values().any(|moving| moving == camera)
    }

    /// A page of a camera's motions that began in a span of milliseconds since 1970, newest first, and whether more follow.
    pub async fn list(
        &self,
        camera: &CameraName,
        span: (u64, u64),
        after: Option<&MotionId>,
        limit: usize,
    ) -> Result<(Vec<(MotionId, Mark)>, bool), Error> {
        self.shared.store.list(camera, span, after, limit).await
    }

    /// The picture of a motion as a JPEG, and when it was taken.
    pub async fn picture(&self, camera: &CameraName, id: &MotionId) -> Result<Option<(Bytes, u64)>, Error> {
        self.shared.store.picture(camera, id).await
    }

    /// Removes everything that is kept of a camera's motions.
    pub async fn forget(&self, camera: &CameraName) -> Result<(), Error> {
        self.shared.store.forget(camera).await
    }
}

/// Hears of one camera.
struct Sink {
    motions: Motions,
    camera: CameraName,
    /// The motion that goes on, and what is kept of it.
    open: Mutex<Option<(MotionId, Kept)>>,
}

impl MotionSink for Sink {
    fn motion(&self, seen: MotionSeen) {
        match seen {
            MotionSeen::Began { at, zones, score, picture, .. } => self.begin(at, zones, score, picture),
            MotionSeen::Ended { at, .. } => self.end(Some(at)),
        }
    }

    fn blind(&self, why: &str) {
        self.motions.shared.figures.blind.inc();
        tracing::warn!(camera = %self.camera, why, "motion cannot be looked for");
    }
}

impl Sink {
    fn begin(&self, at: u64, zones: Vec<String>, score: f32, picture: Bytes) {
        // A run that has died has told no end.
        self.end(None);
        let shared = &self.motions.shared;
        let id = MotionId::new(at, &shared.ids.random_hex(MotionId::RANDOM));
        let mark = Mark {
            began: at,
            ended: None,
            seen: at,
            zones,
            score: f64::from(score).clamp(0.0, 1.0),
            picture: false,
            node: shared.node.clone(),
        };
        let picture = if picture.len() > MAX_PICTURE { Bytes::new() } else { picture };
        shared.figures.seen.inc();
        shared.open.lock().insert(id.clone(), self.camera.clone());
        let kept = shared.queue.begin(self.camera.clone(), id.clone(), mark, picture);
        if kept != Kept::Whole {
            shared.figures.dropped.inc();
        }
        *self.open.lock() = Some((id, kept));
    }

    /// Without a time the last sign of life is the end.
    fn end(&self, at: Option<u64>) {
        let Some((id, kept)) = self.open.lock().take() else { return };
        let shared = &self.motions.shared;
        shared.open.lock().remove(&id);
        // The end of one that was dropped would find no beginning to join, and the queue would grow by it.
        if let Some(at) = at
            && kept != Kept::Nothing
        {
            shared.queue.end(self.camera.clone(), id, at);
        }
    }
}

impl Drop for Sink {
    fn drop(&mut self) {
        self.end(None);
    }
}
