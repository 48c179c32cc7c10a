//! The viewers of this replica: who looks at what, and how well that works. Doors register them; calls list them and send them away.

mod figures;

pub use figures::{Figures, Measured, Sent, ViewerQuality};

use crate::{addresses::household, cameras::CameraName, config::Media};
use parking_lot::Mutex;
use patchbay_auth::{Authenticator, Identity};
use patchbay_chassis::{Clock, Context, Ids};
use serde::{Deserialize, Serialize};
use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    net::IpAddr,
    sync::{Arc, OnceLock},
};
use tokio::sync::watch;

/// Hexadecimal digits of the random part of an id: 128 bits, so that nobody guesses another's.
const RANDOM_DIGITS: usize = 32;

/// Id of a viewer: `<replica>.<random>`.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct ViewerId(Arc<str>);

impl ViewerId {
    fn new(node: &str, ids: &Ids) -> Self {
        Self(format!("{node}.{}", ids.random_hex(RANDOM_DIGITS)).into())
    }

    /// Reads an id; `None` for what cannot be one.
    pub fn parse(text: &str) -> Option<Self> {
        let (node, random) = text.rsplit_once('.')?;
        let is_random = random.len() == RANDOM_DIGITS && random.bytes().all(|byte| byte.is_ascii_hexdigit());
        (is_random && (1..=128).contains(&node.len())).then(|| Self(text.into()))
    }

    /// As text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The replica that serves the viewer.
    pub fn replica(&self) -> &str {
        self.0.rsplit_once('.').map_or("", |(node, _)| node)
    }
}

/// By which door a viewer came.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ViewerKind {
    /// WebRTC, negotiated over HTTP.
    Whep,
    /// WebRTC, negotiated over WebSocket.
    WebSocket,
    /// JPEG pictures one after the other.
    Mjpeg,
    /// Fragmented MP4 over WebSocket.
    Mse,
}

impl ViewerKind {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Whep, Self::WebSocket, Self::Mjpeg, Self::Mse];

    /// Its word in metrics.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Whep => "whep",
            Self::WebSocket => "websocket",
            Self::Mjpeg => "mjpeg",
            Self::Mse => "mse",
        }
    }
}

/// Why a viewer is sent away.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SentAway {
    /// An operator said so.
    Kicked,
    /// Its camera is no more.
    CameraRemoved,
    /// Its token was revoked.
    Revoked,
}

/// Somebody who wants to look.
#[derive(Clone, Debug)]
pub struct Newcomer {
    /// At what.
    pub camera: CameraName,
    /// Door.
    pub kind: ViewerKind,
    /// Who it is.
    pub identity: Arc<Identity>,
    /// From where.
    pub address: IpAddr,
}

/// Why somebody cannot look now.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NoRoom {
    /// The replica is full.
    #[error("this replica has {0} viewers, come back later")]
    Replica(usize),
    /// Too many come from there.
    #[error("there are {0} viewers from your address already")]
    Address(usize),
    /// Too many come by this door.
    #[error("there are {0} viewers by this door, come back later or use WHEP")]
    Door(usize),
}

/// A viewer as it is shown, to other replicas too.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ViewerShown {
    /// Its id.
    pub id: ViewerId,
    /// What it looks at.
    pub camera: CameraName,
    /// Door.
    pub kind: ViewerKind,
    /// Subject of its token; empty for a guest.
    pub user: String,
    /// Its address.
    pub address: IpAddr,
    /// Since when, in milliseconds since 1970.
    pub since: u64,
    /// What its connection measures.
    pub figures: Figures,
}

/// The table. Cheap to clone.
#[derive(Clone)]
pub struct ViewerTable {
    shared: Arc<Shared>,
}

struct Shared {
    node: Arc<str>,
    ids: Ids,
    clock: Clock,
    max: usize,
    max_per_address: usize,
    max_mjpeg: usize,
    inner: Mutex<Inner>,
    /// Counts arrivals and departures.
    changed: watch::Sender<u64>,
}

#[derive(Default)]
struct Inner {
    viewers: BTreeMap<ViewerId, Arc<Entry>>,
    /// The same, by what they look at.
    by_camera: HashMap<CameraName, BTreeSet<ViewerId>>,
    by_address: HashMap<IpAddr, usize>,
    /// What viewers that have gone were sent, of cameras that are still there.
    gone: HashMap<CameraName, Sent>,
    /// The same of cameras that are no more.
    gone_with_cameras: Sent,
}

struct Entry {
    newcomer: Newcomer,
    since: u64,
    measured: OnceLock<Arc<dyn Measured>>,
    /// What was measured at the end. Whoever adds up counts at that moment would find a connection that is gone, and the sums would go back.
    last: OnceLock<Figures>,
    sent_away: watch::Sender<Option<SentAway>>,
}

impl Entry {
    fn figures(&self) -> Figures {
        self.last.get().cloned().unwrap_or_else(|| self.measure())
    }

    fn measure(&self) -> Figures {
        self.measured.get().map(|measured| measured.figures()).unwrap_or_default()
    }

    /// Measures for the last time.
    fn leave(&self) -> Figures {
        self.last.get_or_init(|| self.measure()).clone()
    }

    fn send_away(&self, why: SentAway) {
        self.sent_away.send_if_modified(|said| said.is_none() && said.replace(why).is_none());
    }
}

impl ViewerTable {
    /// An empty one.
    pub fn new(media: &Media, max_mjpeg: usize, context: &Context) -> Self {
        Self::with(Arc::clone(&context.node.0), context.ids.clone(), context.clock.clone(), media, max_mjpeg)
    }

    fn with(node: Arc<str>, ids: Ids, clock: Clock, media: &Media, max_mjpeg: usize) -> Self {
        let shared = Shared {
            node,
            ids,
            clock,
            max: media.max_viewers,
            max_per_address: media.max_viewers_per_address,
            max_mjpeg,
            inner: Mutex::default(),
            changed: watch::Sender::new(0),
        };
        Self { shared: Arc::new(shared) }
    }

    /// Takes a place, which is given back when the registration is dropped.
    pub fn register(&self, newcomer: Newcomer) -> Result<Registration, NoRoom> {
        let shared = &self.shared;
        let id = ViewerId::new(&shared.node, &shared.ids);
        let household = household(newcomer.address);
        let entry = Arc::new(Entry {
            newcomer,
            since: shared.clock.now_millis(),
            measured: OnceLock::new(),
            last: OnceLock::new(),
            sent_away: watch::Sender::new(None),
        });
        {
            let mut inner = shared.inner.lock();
            shared.check(&inner, &entry.newcomer, household)?;
            *inner.by_address.entry(household).or_default() += 1;
            inner.by_camera.entry(entry.newcomer.camera.clone()).or_default().insert(id.clone());
            inner.viewers.insert(id.clone(), Arc::clone(&entry));
        }
        shared.tell();
        Ok(Registration { table: self.clone(), id, entry })
    }

    /// Viewers of a camera, or of all, after an id, at most so many, ordered by id.
    pub fn list(
        &self,
        camera: Option<&CameraName>,
        after: Option<&ViewerId>,
        limit: usize,
    ) -> Vec<ViewerShown> {
        let wanted = |entry: &Entry| camera.is_none_or(|camera| entry.newcomer.camera == *camera);
        // Measured outside of the lock: it may take one of its own.
        let found: Vec<_> = {
            let inner = self.shared.inner.lock();
            let all = inner
                .viewers
                .iter()
                .filter(|(id, entry)| after.is_none_or(|after| *id > after) && wanted(entry));
            all.take(limit).map(|(id, entry)| (id.clone(), Arc::clone(entry))).collect()
        };
        found.into_iter().map(|(id, entry)| shown(id, &entry)).collect()
    }

    /// One viewer.
    pub fn find(&self, id: &ViewerId) -> Option<ViewerShown> {
        let entry = self.shared.inner.lock().viewers.get(id).cloned()?;
        Some(shown(id.clone(), &entry))
    }

    /// Sends one away; tells whether it was there.
    pub fn kick(&self, id: &ViewerId) -> bool {
        let entry = self.shared.inner.lock().viewers.get(id).cloned();
        entry.map(|entry| entry.send_away(SentAway::Kicked)).is_some()
    }

    /// Sends everybody away who looks at a camera that is no more.
    pub fn camera_removed(&self, camera: &CameraName) {
        self.send_away(SentAway::CameraRemoved, |entry| entry.newcomer.camera == *camera);
        let mut inner = self.shared.inner.lock();
        if let Some(sent) = inner.gone.remove(camera) {
            inner.gone_with_cameras.merge(sent);
        }
    }

    /// Sends away whose token was revoked; tells how many.
    pub fn revoked(&self, auth: &Authenticator) -> usize {
        self.send_away(SentAway::Revoked, |entry| auth.is_revoked(&entry.newcomer.identity))
    }

    fn send_away(&self, why: SentAway, is_meant: impl Fn(&Entry) -> bool) -> usize {
        let entries: Vec<_> = self.shared.inner.lock().viewers.values().cloned().collect();
        entries.iter().filter(|entry| is_meant(entry)).map(|entry| entry.send_away(why)).count()
    }

    /// How many there are.
    pub fn count(&self) -> usize {
        self.shared.inner.lock().viewers.len()
    }

    /// How many came by a door.
    pub fn count_of(&self, kind: ViewerKind) -> usize {
        self.shared.inner.lock().count_of(kind)
    }

    /// How many look at a camera, and what was sent for it since this replica began. Measures nobody else.
    pub fn of_camera(&self, camera: &CameraName) -> (usize, Sent) {
        let (entries, mut sent): (Vec<_>, _) = {
            let inner = self.shared.inner.lock();
            let ids = inner.by_camera.get(camera).into_iter().flatten();
            let entries = ids.filter_map(|id| inner.viewers.get(id).cloned()).collect();
            (entries, inner.gone.get(camera).copied().unwrap_or_default())
        };
        for entry in &entries {
            sent.add(&entry.figures());
        }
        (entries.len(), sent)
    }

    /// What was sent since this replica began.
    pub fn sent(&self) -> Sent {
        let (entries, mut all): (Vec<_>, _) = {
            let inner = self.shared.inner.lock();
            let mut all = inner.gone_with_cameras;
            for sent in inner.gone.values() {
                all.merge(*sent);
            }
            (inner.viewers.values().cloned().collect(), all)
        };
        for entry in entries {
            all.add(&entry.figures());
        }
        all
    }

    /// Changes when somebody comes or goes.
    pub fn changes(&self) -> watch::Receiver<u64> {
        self.shared.changed.subscribe()
    }
}

impl Inner {
    fn remove(&mut self, id: &ViewerId, Newcomer { camera, address, .. }: &Newcomer) {
        self.viewers.remove(id);
        if let Some(ids) = self.by_camera.get_mut(camera) {
            ids.remove(id);
            if ids.is_empty() {
                self.by_camera.remove(camera);
            }
        }
        let household = household(*address);
        if let Some(count) = self.by_address.get_mut(&household) {
            *count -= 1;
            if *count == 0 {
                self.by_address.remove(&household);
            }
        }
    }

    fn count_of(&self, kind: ViewerKind) -> usize {
        self.viewers.values().filter(|entry| entry.newcomer.kind == kind).count()
    }
}

impl Shared {
    fn check(&self, inner: &Inner, newcomer: &Newcomer, household: IpAddr) -> Result<(), NoRoom> {
        if inner.viewers.len() >= self.max {
            return Err(NoRoom::Replica(self.max));
        }
        let from_there = inner.by_address.get(&household).copied().unwrap_or_default();
        if from_there >= self.max_per_address {
            return Err(NoRoom::Address(from_there));
        }
        if newcomer.kind == ViewerKind::Mjpeg && inner.count_of(ViewerKind::Mjpeg) >= self.max_mjpeg {
            return Err(NoRoom::Door(self.max_mjpeg));
        }
        Ok(())
    }

    fn tell(&self) {
        self.changed.send_modify(|count| *count = count.wrapping_add(1));
    }
}

/// A viewer's place in the table; dropped, the viewer has gone.
pub struct Registration {
    table: ViewerTable,
    id: ViewerId,
    entry: Arc<Entry>,
}

impl Registration {
    /// The viewer's id.
    pub fn id(&self) -> &ViewerId {
        &self.id
    }

    /// What it looks at.
    pub fn camera(&self) -> &CameraName {
        &self.entry.newcomer.camera
    }

    /// Who it is.
    pub fn identity(&self) -> &Arc<Identity> {
        &self.entry.newcomer.identity
    }

    /// Says how its connection is measured; once.
    pub fn measure(&self, measured: Arc<dyn Measured>) {
        // A second one would be a mistake of ours, and the first is as good.
        drop(self.entry.measured.set(measured));
    }

    /// Waits until the viewer is sent away. Cancel-safe.
    pub async fn sent_away(&self) -> SentAway {
        let mut said = self.entry.sent_away.subscribe();
        let said = said.wait_for(Option::is_some).await.ok().and_then(|why| *why);
        // The sender is in the entry, which is ours.
        said.unwrap_or(SentAway::Kicked)
    }
}

impl Drop for Registration {
    fn drop(&mut self) {
        let figures = self.entry.leave();
        let newcomer = &self.entry.newcomer;
        {
            let mut inner = self.table.shared.inner.lock();
            inner.remove(&self.id, newcomer);
            if *self.entry.sent_away.borrow() == Some(SentAway::CameraRemoved) {
                inner.gone_with_cameras.add(&figures);
            } else {
                inner.gone.entry(newcomer.camera.clone()).or_default().add(&figures);
            }
        }
        self.table.shared.tell();
    }
}

fn shown(id: ViewerId, entry: &Entry) -> ViewerShown {
    let Newcomer { camera, kind, identity, address } = &entry.newcomer;
    let is_guest = identity.kind == patchbay_auth::IdentityKind::Guest;
    ViewerShown {
        id,
        camera: camera.clone(),
        kind: *kind,
        user: if is_guest { String::new() } else { identity.subject.to_string() },
        address: *address,
        since: entry.since,
        figures: entry.figures(),
    }
}

#[cfg(test)]
#[path = "viewers_tests.rs"]
mod tests;
