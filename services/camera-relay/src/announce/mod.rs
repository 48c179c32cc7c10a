//! What the suite is told of cameras: `camera.motion`, `camera.offline`, `camera.online`.
//!
//! Every replica on which a camera runs watches how it is on all of them together. What has been the same for a while is compared with what was told last, which stands on the backplane:
//! whoever first finds that it differs writes the new one and the event in one commit, and the others find it told. So nothing is told twice, whichever
//! replica captures the camera, and a camera that changes all the time is not told of at all.

mod outbox;
mod steady;

use crate::{
    cameras::{Camera, CameraName},
    core::Core,
    error::Error,
    motion::{Mark, MotionId},
    replicas::{CameraReport, Condition},
};
use patchbay_backplane::{Change, Committed, Expect, Name, Record, SharedBackplane};
use patchbay_events::EventType;
use patchbay_media::hub::State;
use serde::{Deserialize, Serialize};
use serde_json::json;
use std::{collections::BTreeMap, sync::Arc, time::Duration};
use steady::{Presence, Since, Steady};
use tokio::time::{Instant, MissedTickBehavior, interval};

/// How often it is looked how cameras are.
const LOOK_EVERY: Duration = Duration::from_millis(500);

/// How often what was told is read again, for when another replica has told something else meanwhile.
const READ_EVERY: Duration = Duration::from_secs(10);

/// Says that something moves; part of the commit that keeps the motion.
pub(crate) fn motion(camera: &CameraName, id: &MotionId, mark: &Mark) -> Change {
    let picture = mark.picture.then(|| format!("/v1/cameras/{camera}/motion/{id}/picture"));
    let data = json!({ "id": id, "zones": mark.zones, "score": mark.score, "picture": picture });
    outbox::event(EventType::CameraMotion, camera, id.as_str(), mark.began, data)
}

/// Spawns what watches and tells.
pub(crate) fn spawn(core: &Arc<Core>) {
    outbox::spawn(&core.context);
    let (stop, announcer) = (core.context.shutdown.hard(), Announcer::new(core));
    core.context.tasks.spawn_critical("announce", async move {
        stop.run_until_cancelled(announcer.run()).await;
    });
}

/// Forgets what was told of a camera that was removed.
pub(crate) async fn forget(core: &Core, camera: &CameraName) -> Result<(), Error> {
    let (key, expect) = (camera.to_string(), Expect::Anything);
    core.context.backplane.commit(vec![Change { table: table(), key, expect, value: None }]).await?;
    Ok(())
}

/// What was told of a camera.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Told {
    online: bool,
    /// Since when, in milliseconds since 1970.
    since: u64,
}

/// What there is to say of a camera.
struct News {
    camera: CameraName,
    since: Since,
    reason: String,
    words: String,
}

/// Watches the cameras that run on this replica.
struct Announcer {
    core: Arc<Core>,
    tables: Tables,
    after: Duration,
    watched: BTreeMap<CameraName, Watched>,
    read_at: Instant,
}

#[derive(Default)]
struct Watched {
    steady: Steady,
    /// What was found told.
    told: Option<Presence>,
}

impl Announcer {
    fn new(core: &Arc<Core>) -> Self {
        Self {
            tables: Tables(core.context.backplane.clone()),
            after: core.config.announce.after.duration(),
            core: Arc::clone(core),
            watched: BTreeMap::new(),
            read_at: Instant::now(),
        }
    }

    /// Never ends. What cannot be told is found again at the next look.
    async fn run(mut self) {
        let mut looks = interval(LOOK_EVERY);
        looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            looks.tick().await;
            let news = self.look();
            match self.tables.tell(&news).await {
                Ok(()) => self.is_told(&news),
                Err(error) => tracing::debug!(%error, "could not tell how cameras are"),
            }
        }
    }

    /// What has been the same for long enough, and was not told as far as is known here.
    fn look(&mut self) -> Vec<News> {
        let (now, millis) = (Instant::now(), self.core.context.clock.now_millis());
        if now.saturating_duration_since(self.read_at) >= READ_EVERY {
            self.read_at = now;
            self.watched.values_mut().for_each(|watched| watched.told = None);
        }
        let cameras = self.core.cameras.all();
        self.watched.retain(|name, _| cameras.iter().any(|camera| camera.name == *name));
        let mut news = Vec::new();
        for camera in cameras {
            let report = self.report(&camera);
            let watched = self.watched.entry(camera.name.clone()).or_default();
            let Some(since) = watched.steady.see(report.condition, (now, millis), self.after) else {
                watched.told = None;
                continue;
            };
            if watched.told != Some(since.presence) {
                let CameraReport { reason, detail: words, .. } = report;
                news.push(News { camera: camera.name.clone(), since, reason, words });
            }
        }
        news
    }

    /// How a camera is on all replicas, where it runs on this one.
    fn report(&self, camera: &Camera) -> CameraReport {
        let own = self.core.hub.state(&camera.stream());
        if own.is_none_or(|own| own.state == State::Idle) {
            return CameraReport::default();
        }
        let (report, _) = self.core.report_of(camera);
        match report {
            // Nobody captures it at the moment: that a replica takes it over says nothing of the camera.
            CameraReport { condition: Condition::Stalled, captures: 0, .. } => {
                CameraReport { condition: Condition::Starting, ..report }
            }
            report => report,
        }
    }

    fn is_told(&mut self, news: &[News]) {
        for news in news {
            if let Some(watched) = self.watched.get_mut(&news.camera) {
                watched.told = Some(news.since.presence);
            }
        }
    }
}

/// Rows on the backplane.
struct Tables(SharedBackplane);

fn table() -> Name {
    Name::new("camera", "announced", "store")
}

impl Tables {
    /// Tells of what differs from what was told last.
    async fn tell(&self, news: &[News]) -> Result<(), Error> {
        if news.is_empty() {
            return Ok(());
        }
        let names = news.iter().map(|news| news.camera.to_string()).collect();
        let told = self.0.records(&table(), names).await?;
        for (news, record) in news.iter().zip(told) {
            self.tell_one(news, record).await?;
        }
        Ok(())
    }

    /// Of a camera that nobody has been told of only that it is away is news. Where another replica tells at the same time, its word stands.
    async fn tell_one(&self, news: &News, record: Option<Record>) -> Result<(), Error> {
        let told = record.as_ref().and_then(|record| serde_json::from_slice::<Told>(&record.value).ok());
        let online = news.since.presence == Presence::Online;
        if told.as_ref().is_some_and(|told| told.online == online) {
            return Ok(());
        }
        let row = serde_json::to_vec(&Told { online, since: news.since.millis }).map_err(Error::internal)?;
        let mut changes = vec![Change {
            table: table(),
            key: news.camera.to_string(),
            expect: record.map_or(Expect::Absent, |record| Expect::Revision(record.revision)),
            value: Some(row.into()),
        }];
        if told.is_some() || !online {
            changes.push(news.event(told));
        }
        if let Committed::Done { .. } = self.0.commit(changes).await? {
            let camera = &news.camera;
            tracing::info!(%camera, online, reason = news.reason, "a camera has changed");
        }
        Ok(())
    }
}

impl News {
    fn event(&self, before: Option<Told>) -> Change {
        let (kind, data) = match self.since.presence {
            Presence::Offline => {
                (EventType::CameraOffline, json!({ "reason": self.reason, "words": self.words }))
            }
            Presence::Online => {
                let away = before.map(|told| self.since.millis.saturating_sub(told.since) / 1000);
                (EventType::CameraOnline, json!({ "away_seconds": away }))
            }
        };
        let millis = self.since.millis;
        outbox::event(kind, &self.camera, &millis.to_string(), millis, data)
    }
}

#[cfg(test)]
#[path = "announce_tests.rs"]
mod tests;
