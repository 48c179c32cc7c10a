//! Who captures which camera: claims, and what is held here.

use super::{
    RENEW, RelayFigures, address,
    record::{Away, News, Owner, Records, Written, channel},
};
use crate::cameras::CameraName;
use parking_lot::Mutex;
use patchbay_backplane::{Event, FencingToken, Health, Version};
use patchbay_chassis::Context;
use patchbay_media::hub::SourceError;
use std::{
    collections::HashMap,
    sync::{
        Arc,
        atomic::{AtomicU64, AtomicUsize, Ordering},
    },
};
use tokio::{
    sync::{Notify, watch},
    time::{MissedTickBehavior, interval},
};
use tokio_util::sync::CancellationToken;

/// Announcements that may wait; more become one gap, and any event means to look.
const QUEUE: usize = 256;

/// What a replica knows and holds. Cheap to clone.
#[derive(Clone)]
pub struct Owners {
    pub(super) shared: Arc<Shared>,
}

pub(super) struct Shared {
    pub(super) context: Context,
    pub(super) figures: RelayFigures,
    records: Records,
    node: String,
    address: String,
    /// Cameras that are captured here.
    held: Mutex<HashMap<CameraName, Arc<Held>>>,
    /// Owners that were found last, for when the backplane is away.
    known: Mutex<HashMap<CameraName, Owner>>,
}

/// What came of a claim.
pub(super) enum Claim {
    /// The camera is to be captured here, as long as this is kept.
    Ours(Holding),
    /// Another replica has it.
    Theirs(Owner),
    /// Another replica has it, and has not said yet where it is.
    Unsaid,
}

/// A camera that is captured here.
pub(super) struct Held {
    /// Fencing token; 0 while the backplane has not been asked.
    epoch: AtomicU64,
    /// Set once, when it is over.
    over: watch::Sender<Option<Over>>,
    /// Somebody says that the lease may be gone.
    doubt: Notify,
    /// Subscriptions of other replicas.
    pub(super) subscribers: AtomicUsize,
}

/// Why a camera is no longer captured here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Over {
    /// Another replica has it, nobody needs it here, or the replica stops.
    GivenUp,
    /// The source has failed.
    Failed(SourceError),
}

impl Owners {
    /// Holds nothing yet; `configured` is where other replicas reach this one.
    pub(crate) fn new(context: &Context, configured: Option<&str>, figures: RelayFigures) -> Self {
        let node = context.node.to_string();
        let shared = Shared {
            figures,
            records: Records::new(context.backplane.clone(), node.clone()),
            node,
            address: address::advertised(configured, context.grpc),
            held: Mutex::default(),
            known: Mutex::default(),
            context: context.clone(),
        };
        Self { shared: Arc::new(shared) }
    }

    /// Whether a camera is captured here.
    pub fn captures(&self, camera: &CameraName) -> bool {
        self.shared.held.lock().contains_key(camera)
    }

    /// How many are.
    pub fn count(&self) -> usize {
        self.shared.held.lock().len()
    }

    /// Whether this replica is about to stop.
    pub(super) fn is_stopping(&self) -> bool {
        self.shared.context.shutdown.soft().is_cancelled()
    }

    /// The camera as it is captured here under that epoch, 0 for any; none when it is not.
    pub(super) fn held(&self, camera: &CameraName, epoch: u64) -> Option<Arc<Held>> {
        let held = self.shared.held.lock().get(camera).cloned()?;
        let own = held.epoch();
        if epoch > own && own != 0 {
            held.doubt.notify_one();
        }
        (epoch == 0 || epoch == own).then_some(held)
    }

    /// Takes a camera, or tells who has it.
    pub(super) async fn claim(&self, camera: &CameraName) -> Claim {
        if let Ok(claim) = self.try_claim(camera).await {
            return claim;
        }
        let known = self.shared.known.lock().get(camera).cloned();
        known.map_or_else(|| Claim::Ours(self.hold(camera, None)), Claim::Theirs)
    }

    /// An owner was asked, and is none, or does not answer.
    pub(super) fn disbelieve(&self, camera: &CameraName, owner: &Owner) {
        let mut known = self.shared.known.lock();
        if known.get(camera) == Some(owner) {
            known.remove(camera);
        }
    }

    async fn try_claim(&self, camera: &CameraName) -> Result<Claim, Away> {
        let records = &self.shared.records;
        if let Some(token) = records.acquire(camera).await? {
            return Ok(Claim::Ours(self.hold(camera, Some(token))));
        }
        let Some(owner) = records.owner(camera).await? else { return Ok(Claim::Unsaid) };
        if self.is_predecessor(&owner) && records.bury(camera, &owner).await? {
            tracing::info!(%camera, dead = owner.node, "took over from this replica's own predecessor");
            return Ok(Claim::Unsaid);
        }
        self.shared.known.lock().insert(camera.clone(), owner.clone());
        Ok(Claim::Theirs(owner))
    }

    /// Whoever had this machine's name and listened where this replica does now is dead, and its lease need not expire.
    fn is_predecessor(&self, owner: &Owner) -> bool {
        let machine = |node: &str| node.rsplit_once('-').map(|(machine, _)| machine.to_owned());
        owner.node != self.shared.node
            && owner.address == self.shared.address
            && machine(&owner.node) == machine(&self.shared.node)
    }

    fn hold(&self, camera: &CameraName, token: Option<FencingToken>) -> Holding {
        let held = Arc::new(Held {
            epoch: AtomicU64::new(token.map_or(0, |token| token.0)),
            over: watch::Sender::new(None),
            doubt: Notify::new(),
            subscribers: AtomicUsize::new(0),
        });
        self.shared.known.lock().remove(camera);
        self.shared.held.lock().insert(camera.clone(), Arc::clone(&held));
        Holding { owners: self.clone(), camera: camera.clone(), held, token, version: None }
    }

    /// Listens for other replicas that take cameras, until `stop`.
    pub(crate) async fn listen(self, stop: CancellationToken) {
        let mut heard = self.shared.context.backplane.subscriber(QUEUE);
        // A subscription made while the backplane is away is made again when it is back.
        if let Err(error) = heard.subscribe(&channel()).await {
            tracing::debug!(%error, "could not listen for owners of cameras yet");
        }
        while let Some(Some(event)) = stop.run_until_cancelled(heard.recv()).await {
            match event {
                Event::Gap => self.doubt_all(),
                Event::Message(message) => match serde_json::from_slice::<News>(&message.payload) {
                    Ok(news) => self.heard(&news),
                    Err(error) => tracing::debug!(%error, "an announcement of another version"),
                },
            }
        }
    }

    fn heard(&self, news: &News) {
        if news.owner.node == self.shared.node {
            return;
        }
        if let Some(held) = self.shared.held.lock().get(&news.camera) {
            held.doubt.notify_one();
        }
    }

    fn doubt_all(&self) {
        self.shared.held.lock().values().for_each(|held| held.doubt.notify_one());
    }
}

impl Held {
    pub(super) fn epoch(&self) -> u64 {
        self.epoch.load(Ordering::Acquire)
    }

    /// Tells when it is over, and why.
    pub(super) fn over(&self) -> watch::Receiver<Option<Over>> {
        self.over.subscribe()
    }
}

/// The right to capture a camera. Dropping it gives the lease up.
pub(super) struct Holding {
    owners: Owners,
    camera: CameraName,
    held: Arc<Held>,
    /// None while the backplane has not been asked, and once another replica has the lease.
    token: Option<FencingToken>,
    /// What was last written.
    version: Option<Version>,
}

/// What a look at the lease has shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Seen {
    Ours,
    Lost,
}

impl Holding {
    /// Keeps the lease; returns when another replica has it, or shall have it because this one stops.
    pub(super) async fn keep(&mut self) {
        let context = self.owners.shared.context.clone();
        let (mut health, soft) = (context.backplane.health(), context.shutdown.soft());
        let mut ticks = interval(RENEW);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let held = Arc::clone(&self.held);
        loop {
            // Cancel-safe: each only says that it is time to look.
            tokio::select! {
                _ = ticks.tick() => {}
                () = held.doubt.notified() => {}
                () = is_up(&mut health) => {}
                () = soft.cancelled(), if held.subscribers.load(Ordering::Relaxed) > 0 => return,
            }
            if self.look().await == Seen::Lost {
                self.token = None;
                self.owners.shared.figures.lost.inc();
                tracing::warn!(camera = %self.camera, "another replica has taken the camera over");
                return;
            }
        }
    }

    /// No new subscribers, and those that are there are told why.
    pub(super) fn end(&self, over: Over) {
        let mut all = self.owners.shared.held.lock();
        if all.get(&self.camera).is_some_and(|held| Arc::ptr_eq(held, &self.held)) {
            all.remove(&self.camera);
        }
        drop(all);
        self.held.over.send_if_modified(|before| {
            let is_first = before.is_none();
            if is_first {
                *before = Some(over);
            }
            is_first
        });
    }

    /// Looks whether the lease is ours. While the backplane is away it is.
    async fn look(&mut self) -> Seen {
        match self.try_look().await {
            Ok(seen) => seen,
            Err(Away) => Seen::Ours,
        }
    }

    async fn try_look(&mut self) -> Result<Seen, Away> {
        let records = self.owners.shared.records.clone();
        let is_ours = match self.token {
            Some(token) => records.renew(&self.camera, token).await?,
            None => false,
        };
        if !is_ours {
            // It has expired, or was never asked for; it is still ours if nobody else has taken it.
            let Some(token) = records.acquire(&self.camera).await? else { return Ok(Seen::Lost) };
            self.token = Some(token);
            self.held.epoch.store(token.0, Ordering::Release);
            self.version = None;
        }
        self.tell(&records).await
    }

    async fn tell(&mut self, records: &Records) -> Result<Seen, Away> {
        let Shared { node, address, .. } = &*self.owners.shared;
        let owner = Owner { node: node.clone(), address: address.clone(), epoch: self.held.epoch() };
        let is_new = self.version.is_none();
        match records.write(&self.camera, &owner).await? {
            Written::Done(version) => self.version = Some(version),
            Written::Disturbed => {}
            Written::Newer => return Ok(Seen::Lost),
        }
        if is_new {
            records.announce(&self.camera, &owner);
        }
        Ok(Seen::Ours)
    }
}

impl Drop for Holding {
    fn drop(&mut self) {
        self.end(Over::GivenUp);
        if let Some(token) = self.token {
            self.owners.shared.records.give_up(&self.camera, token, self.version);
        }
    }
}

/// Waits until the backplane answers again.
async fn is_up(health: &mut watch::Receiver<Health>) {
    loop {
        if health.changed().await.is_err() {
            return std::future::pending().await;
        }
        if *health.borrow_and_update() == Health::Up {
            return;
        }
    }
}
