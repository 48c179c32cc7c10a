//! JPEGs of each camera for all who watch by MJPEG: one decoder a camera, one encoder a size, on a thread that lives as long as somebody watches.
//!
//! Nobody is waited for: a watcher finds the newest picture when it has sent the one before.

use crate::{
    cameras::{CameraName, stream_of},
    core::Core,
    snapshot::{Darkroom, Jpeg, Width},
};
use parking_lot::Mutex;
use patchbay_media::{
    hub::{Selected, Wanted},
    track::Track,
};
use std::{
    collections::HashMap,
    sync::{Arc, Weak, mpsc},
    time::Duration,
};
use tokio::{
    sync::{oneshot, watch},
    time::{MissedTickBehavior, interval},
};
use tokio_util::sync::{CancellationToken, DropGuard};

/// All cameras that somebody watches so.
pub(super) struct Reels {
    core: Arc<Core>,
    open: Mutex<HashMap<CameraName, Weak<Reel>>>,
}

/// One camera. Its task ends when the last watcher drops it.
struct Reel {
    /// By width, of which there are a few; those that nobody watches are cleared before each picture.
    sizes: Mutex<HashMap<Width, watch::Sender<Option<Jpeg>>>>,
    ended: CancellationToken,
    _stop: DropGuard,
}

/// What a watcher holds.
pub(super) struct Frames {
    reel: Arc<Reel>,
    newest: watch::Receiver<Option<Jpeg>>,
}

impl Frames {
    /// The next picture that was not given yet; `None` when no more will come. Cancel-safe.
    pub(super) async fn next(&mut self) -> Option<Jpeg> {
        let ended = self.reel.ended.clone();
        let changed = async {
            loop {
                self.newest.changed().await.ok()?;
                if let Some(jpeg) = self.newest.borrow_and_update().clone() {
                    return Some(jpeg);
                }
            }
        };
        ended.run_until_cancelled(changed).await.flatten()
    }
}

impl Reels {
    pub(super) fn new(core: &Arc<Core>) -> Self {
        Self { core: Arc::clone(core), open: Mutex::default() }
    }

    /// Watches a camera.
    pub(super) fn join(&self, camera: &CameraName, width: Width) -> Frames {
        let mut open = self.open.lock();
        let running = open.get(camera).and_then(Weak::upgrade).filter(|reel| !reel.ended.is_cancelled());
        let reel = running.unwrap_or_else(|| {
            open.retain(|_, reel| reel.strong_count() > 0);
            let reel = self.start(camera);
            open.insert(camera.clone(), Arc::downgrade(&reel));
            reel
        });
        let newest = reel.sizes.lock().entry(width).or_insert_with(|| watch::Sender::new(None)).subscribe();
        Frames { reel, newest }
    }

    fn start(&self, camera: &CameraName) -> Arc<Reel> {
        let (stop, ended) = (CancellationToken::new(), CancellationToken::new());
        let reel = Arc::new(Reel {
            sizes: Mutex::default(),
            ended: ended.clone(),
            _stop: stop.clone().drop_guard(),
        });
        let (core, camera, weak) = (Arc::clone(&self.core), camera.clone(), Arc::downgrade(&reel));
        let over = ended.drop_guard();
        drop(self.core.context.tasks.spawn("mjpeg", async move {
            stop.run_until_cancelled(shoot(core, camera, weak)).await;
            drop(over);
        }));
        reel
    }
}

/// Makes pictures until the camera is removed; as long as it cannot be decoded, none come.
async fn shoot(core: Arc<Core>, camera: CameraName, reel: Weak<Reel>) {
    let wanted = Wanted { audio: Vec::new(), ..Wanted::anything() };
    let Ok(mut subscription) = core.hub.subscribe(&stream_of(&camera), wanted) else { return };
    let Ok(mut selected) = subscription.tracks().await else { return };
    let Ok(room) = Room::open(core.config.mjpeg.quality) else { return };
    let mut ticks = interval(Duration::from_secs(1) / core.config.mjpeg.fps.max(1));
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        // Cancel-safe: neither loses anything.
        tokio::select! {
            next = subscription.tracks() => match next {
                Ok(next) => selected = next,
                Err(_) => return,
            },
            _ = ticks.tick() => {
                let Some(reel) = reel.upgrade() else { return };
                picture(&core, &room, &selected, &reel).await;
            }
        }
    }
}

async fn picture(core: &Core, room: &Room, selected: &Selected, reel: &Reel) {
    // What has ended may be of other settings, without the masks of now: who comes waits for what follows.
    let Some(track) = selected.video.as_ref().filter(|track| !track.ring().has_ended()) else { return };
    let widths: Vec<Width> = {
        let mut sizes = reel.sizes.lock();
        sizes.retain(|_, sender| sender.receiver_count() > 0);
        sizes.keys().copied().collect()
    };
    for (width, jpeg) in room.make(track, widths, core.context.clock.now_millis()).await {
        if let Some(sender) = reel.sizes.lock().get(&width) {
            sender.send_if_modified(|newest| {
                let is_new = newest.as_ref().is_none_or(|newest| newest.data != jpeg.data);
                if is_new {
                    *newest = Some(jpeg);
                }
                is_new
            });
        }
    }
}

/// The thread that decodes and encodes. It ends when this is dropped.
struct Room {
    /// One job at a time, for its result is waited for.
    jobs: mpsc::SyncSender<Job>,
}

struct Job {
    track: Arc<Track>,
    widths: Vec<Width>,
    now: u64,
    done: oneshot::Sender<Vec<(Width, Jpeg)>>,
}

impl Room {
    fn open(quality: u8) -> std::io::Result<Self> {
        let (jobs, todo) = mpsc::sync_channel(1);
        std::thread::Builder::new().name("mjpeg".to_owned()).spawn(move || work(&todo, quality))?;
        Ok(Self { jobs })
    }

    /// Makes the newest picture in these sizes; those that cannot be made are left out.
    async fn make(&self, track: &Arc<Track>, widths: Vec<Width>, now: u64) -> Vec<(Width, Jpeg)> {
        let (done, made) = oneshot::channel();
        let job = Job { track: Arc::clone(track), widths, now, done };
        if self.jobs.try_send(job).is_err() {
            return Vec::new();
        }
        made.await.unwrap_or_default()
    }
}

fn work(todo: &mpsc::Receiver<Job>, quality: u8) {
    let mut darkroom: Option<Darkroom> = None;
    while let Ok(Job { track, widths, now, done }) = todo.recv() {
        let kept = darkroom.take().filter(|room| room.is_for(&track));
        let opened = kept.map_or_else(|| Darkroom::open(track, quality), Ok);
        let mut room = match opened {
            Ok(room) => room,
            Err(error) => {
                tracing::debug!(%error, "a camera cannot be decoded");
                continue;
            }
        };
        let made =
            widths.into_iter().filter_map(|width| Some((width, room.make(width, now).ok()?))).collect();
        darkroom = Some(room);
        // Nobody waits any more when the last watcher has gone.
        drop(done.send(made));
    }
}
