//! Motions on the backplane, the same for all replicas.
//!
//! Three tables that are committed together: the motions, their pictures, and one head for each camera with what must be known to bound them. A
//! motion, its picture, its event and the removal of what is too much are one commit, under the revision of the head: replicas that write at the same time
//! take turns.
//!
//! A camera is captured by one replica, but while the backplane is away several may, and each sees the same motion. So a motion that begins on one replica while one of another
//! has not ended is the same motion: it goes on under the first one's id, and no second event is told.

use super::{
    mark::{Mark, MotionId, millis},
    trim::{Coming, Head, Limits, Plan, plan},
};
use crate::{cameras::CameraName, error::Error};
use bytes::Bytes;
use patchbay_backplane::{
    BackplaneError, Change, Committed, Expect, Name, Order, Record, RecordPage, Scan, SharedBackplane,
};
use patchbay_chassis::{Clock, Ids};
use serde::{Serialize, de::DeserializeOwned};
use std::time::Duration;
use tokio::time::sleep;

/// Times that a commit is tried when others change the same camera's motions.
const TRIES: usize = 8;

/// Milliseconds until it is tried again, at most.
const PAUSE: u64 = 30;

/// Rows that are looked at for removal when a motion comes.
const TRIM: usize = 8;

/// Rows read at once where many are removed or shown.
const PAGE: usize = 100;

/// How much later a replica may see the same motion begin than another does.
const SLACK: Duration = Duration::from_secs(2);

/// Motions among which one is looked for that is the same.
const SAME: usize = 4;

/// A motion, and its id.
pub(super) type Kept = (MotionId, Mark);

/// What became of a motion that has begun.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Begun {
    /// It is kept.
    New,
    /// Another replica has seen it too: it goes on under this id.
    Joined(MotionId),
}

/// The tables.
#[derive(Clone)]
pub(super) struct Store {
    backplane: SharedBackplane,
    clock: Clock,
    ids: Ids,
    limits: Limits,
}

impl Store {
    pub(super) fn new(backplane: SharedBackplane, clock: Clock, ids: Ids, limits: Limits) -> Self {
        Self { backplane, clock, ids, limits }
    }

    /// Keeps a motion with its picture, and the event that tells of it; all of it, or nothing. The same again changes nothing.
    pub(super) async fn begin(
        &self,
        camera: &CameraName,
        (id, mark): (&MotionId, &Mark),
        picture: &Bytes,
        event: impl Fn(&Mark) -> Change,
    ) -> Result<Begun, Error> {
        for _ in 0..TRIES {
            let around = self.around(camera, id, mark).await?;
            if around.is_known {
                return Ok(Begun::New);
            }
            if let Some((same, record)) = around.same {
                if self.join(&record, mark).await? {
                    return Ok(Begun::Joined(same));
                }
                continue;
            }
            let (head, expect) = around.head;
            let shown = self.limits.max_pictures > 0 && !picture.is_empty() && head.may_have_picture(id);
            let coming = if shown { Coming::WithPicture(id) } else { Coming::Bare };
            let mut plan = plan(head, &around.oldest, self.limits, self.now(), coming);
            if plan.needs_more() {
                let after = plan.head.bare.as_ref().map(|id| key(camera, id));
                let more = self.page(camera, Order::Ascending, after, PAGE).await?;
                plan.pictures_of(&kept_of(&more.records));
            }
            let shown = plan.keeps_coming();
            let mark = Mark { picture: shown, ..mark.clone() };
            let mut changes = plan.changes(camera, expect)?;
            changes.push(put(&motions(), key(camera, id), Expect::Absent, &mark)?);
            if shown {
                let (table, key) = (pictures(), key(camera, id));
                changes.push(Change { table, key, expect: Expect::Anything, value: Some(picture.clone()) });
            }
            changes.push(event(&mark));
            if self.is_done(changes).await? {
                return Ok(Begun::New);
            }
        }
        Err(Error::Unavailable)
    }

    /// Writes when a motion ended. One that was removed meanwhile stays away.
    pub(super) async fn end(&self, camera: &CameraName, id: &MotionId, at: u64) -> Result<(), Error> {
        self.change(camera, id, |mark| Mark {
            ended: Some(mark.ended.map_or(at, |before| before.max(at))),
            ..mark
        })
        .await
    }

    /// Writes that a motion goes on.
    pub(super) async fn is_seen(&self, camera: &CameraName, id: &MotionId) -> Result<(), Error> {
        let now = self.now();
        self.change(camera, id, |mark| Mark { seen: mark.seen.max(now), ..mark }).await
    }

    /// A page of motions that began in a span, newest first; beginning after `after`, if given. Tells whether more follow. Those that are too old are left out, whether or not they
    /// have been removed.
    pub(super) async fn list(
        &self,
        camera: &CameraName,
        (from, until): (u64, u64),
        after: Option<&MotionId>,
        limit: usize,
    ) -> Result<(Vec<Kept>, bool), Error> {
        let from = from.max(self.now().saturating_sub(millis(self.limits.keep_for)));
        let end = below(camera, until.saturating_add(1));
        let mut after = Some(after.map_or(end.clone(), |id| key(camera, id).min(end)));
        let bare = self.head(camera).await?.0.bare;
        let mut found = Vec::new();
        loop {
            let page = self
                .page(camera, Order::Descending, after.clone(), limit.saturating_add(1).min(PAGE))
                .await?;
            after = page.records.last().map(|record| record.key.clone());
            for (id, mark) in kept_of(&page.records) {
                if mark.began < from {
                    return Ok((found, false));
                }
                if found.len() == limit {
                    return Ok((found, true));
                }
                let picture = mark.picture && bare.as_ref().is_none_or(|bare| id > *bare);
                found.push((id, Mark { picture, ..mark }));
            }
            if !page.more {
                return Ok((found, false));
            }
        }
    }

    /// The picture of a motion, and when it was taken; none where there is none, or none any more.
    pub(super) async fn picture(
        &self,
        camera: &CameraName,
        id: &MotionId,
    ) -> Result<Option<(Bytes, u64)>, Error> {
        let key = key(camera, id);
        let (motion, picture) = (self.row(&motions(), &key).await?, self.row(&pictures(), &key).await?);
        let oldest = self.now().saturating_sub(millis(self.limits.keep_for));
        let Some((_, mark)) = motion.as_ref().and_then(kept) else { return Ok(None) };
        Ok(picture.filter(|_| mark.began >= oldest).map(|picture| (picture.value, mark.began)))
    }

    /// Removes of all cameras what is too much or too old, also of those where nothing moves any more.
    pub(super) async fn trim(&self) -> Result<(), Error> {
        let mut after = None;
        loop {
            let scan = Scan { prefix: String::new(), after, order: Order::Ascending, limit: PAGE };
            let page = self.backplane.scan(&heads(), scan).await?;
            after = page.records.last().map(|record| record.key.clone());
            for camera in page.records.iter().filter_map(|head| head.key.parse().ok()) {
                while self.trim_one(&camera, self.limits).await? {}
            }
            if !page.more {
                return Ok(());
            }
        }
    }

    /// Removes everything of a camera.
    pub(super) async fn forget(&self, camera: &CameraName) -> Result<(), Error> {
        let nothing = Limits { max_kept: 0, max_pictures: 0, keep_for: Duration::ZERO };
        while self.trim_one(camera, nothing).await? {}
        Ok(())
    }

    /// Removes a page of rows at most, and tells whether to look again. Nothing is removed where another replica does so at the same time.
    async fn trim_one(&self, camera: &CameraName, limits: Limits) -> Result<bool, Error> {
        let (head, expect) = self.head(camera).await?;
        let page = self.page(camera, Order::Ascending, None, PAGE).await?;
        let mut plan = plan(head.clone(), &kept_of(&page.records), limits, self.now(), Coming::Nothing);
        if plan.needs_more() {
            let after = plan.head.bare.as_ref().map(|id| key(camera, id));
            let more = self.page(camera, Order::Ascending, after, PAGE).await?;
            plan.pictures_of(&kept_of(&more.records));
        }
        if plan.head == head && plan.removed.is_empty() {
            return Ok(false);
        }
        let is_empty = page.records.len() == plan.removed.len() && !page.more;
        let mut changes = plan.changes(camera, expect)?;
        if is_empty && let Some(head) = changes.first_mut() {
            head.value = None;
        }
        Ok(self.is_done(changes).await? && !is_empty)
    }

    /// What has to be known when a motion comes. The head is read first: a commit that finds it unchanged finds what was read after it unchanged too.
    async fn around(&self, camera: &CameraName, id: &MotionId, mark: &Mark) -> Result<Around, Error> {
        let latest = below(camera, mark.began.saturating_add(millis(SLACK)));
        let (table, own) = (motions(), key(camera, id));
        let head = self.head(camera).await?;
        let (known, oldest, newest) = tokio::try_join!(
            self.row(&table, &own),
            self.page(camera, Order::Ascending, None, TRIM),
            self.page(camera, Order::Descending, Some(latest), SAME),
        )?;
        let same = newest.records.into_iter().find_map(|record| {
            let (id, found) = kept(&record)?;
            let is_same = found.node != mark.node && found.may_last_until() >= mark.began;
            is_same.then_some((id, record))
        });
        Ok(Around { is_known: known.is_some(), head, oldest: kept_of(&oldest.records), same })
    }

    /// Lets a motion go on that another replica has seen begin; false when its row was changed meanwhile.
    async fn join(&self, record: &Record, mark: &Mark) -> Result<bool, Error> {
        let Some((_, found)) = kept(record) else { return Ok(false) };
        let joined = Mark {
            ended: mark.ended.map(|at| found.ended.map_or(at, |before| before.max(at))),
            seen: found.seen.max(mark.seen),
            node: mark.node.clone(),
            ..found
        };
        let changes = vec![put(&motions(), record.key.clone(), Expect::Revision(record.revision), &joined)?];
        self.is_done(changes).await
    }

    async fn change(
        &self,
        camera: &CameraName,
        id: &MotionId,
        change: impl Fn(Mark) -> Mark,
    ) -> Result<(), Error> {
        for _ in 0..TRIES {
            let Some(record) = self.row(&motions(), &key(camera, id)).await? else { return Ok(()) };
            let Some((_, mark)) = kept(&record) else { return Ok(()) };
            let expect = Expect::Revision(record.revision);
            if self.is_done(vec![put(&motions(), record.key, expect, &change(mark))?]).await? {
                return Ok(());
            }
        }
        Err(Error::Unavailable)
    }

    async fn head(&self, camera: &CameraName) -> Result<(Head, Expect), BackplaneError> {
        let Some(record) = self.row(&heads(), camera.as_str()).await? else {
            return Ok((Head::default(), Expect::Absent));
        };
        Ok((read(&record).unwrap_or_default(), Expect::Revision(record.revision)))
    }

    async fn row(&self, table: &Name, key: &str) -> Result<Option<Record>, BackplaneError> {
        let mut rows = self.backplane.records(table, vec![key.to_owned()]).await?;
        Ok(rows.pop().flatten())
    }

    async fn page(
        &self,
        camera: &CameraName,
        order: Order,
        after: Option<String>,
        limit: usize,
    ) -> Result<RecordPage, BackplaneError> {
        let scan = Scan { prefix: format!("{camera}/"), after, order, limit };
        self.backplane.scan(&motions(), scan).await
    }

    /// Commits, and tells whether everything was as expected. Otherwise a while of random length has passed, so that two do not meet again and again.
    async fn is_done(&self, changes: Vec<Change>) -> Result<bool, Error> {
        if let Committed::Done { .. } = self.backplane.commit(changes).await? {
            return Ok(true);
        }
        sleep(Duration::from_millis(self.ids.random_u64() % PAUSE)).await;
        Ok(false)
    }

    fn now(&self) -> u64 {
        self.clock.now_millis()
    }
}

/// What has to be known when a motion comes.
struct Around {
    /// The motion itself stands there already: an answer was lost.
    is_known: bool,
    head: (Head, Expect),
    oldest: Vec<Kept>,
    /// A motion of another replica that is the same.
    same: Option<(MotionId, Record)>,
}

impl Plan {
    /// The head first, and then what is removed.
    fn changes(&self, camera: &CameraName, expect: Expect) -> Result<Vec<Change>, Error> {
        let remove = |table: Name, id: &MotionId| Change {
            table,
            key: key(camera, id),
            expect: Expect::Anything,
            value: None,
        };
        let mut changes = vec![put(&heads(), camera.as_str().to_owned(), expect, &self.head)?];
        changes.extend(self.removed.iter().map(|id| remove(motions(), id)));
        changes.extend(self.without_picture.iter().map(|id| remove(pictures(), id)));
        Ok(changes)
    }
}

fn motions() -> Name {
    Name::new("camera", "motions", "store")
}

fn pictures() -> Name {
    Name::new("camera", "motion-pictures", "store")
}

fn heads() -> Name {
    Name::new("camera", "motion-heads", "store")
}

/// Names of cameras have no slash, so that no camera's rows are among another's.
fn key(camera: &CameraName, id: &MotionId) -> String {
    format!("{camera}/{id}")
}

/// A key after all motions that began before then, and before all that began later.
fn below(camera: &CameraName, millis: u64) -> String {
    format!("{camera}/{}", MotionId::before(millis))
}

fn put(table: &Name, key: String, expect: Expect, value: &impl Serialize) -> Result<Change, Error> {
    let value = serde_json::to_vec(value).map_err(Error::internal)?;
    Ok(Change { table: table.clone(), key, expect, value: Some(value.into()) })
}

fn kept_of(records: &[Record]) -> Vec<Kept> {
    records.iter().filter_map(kept).collect()
}

/// Rows that this version cannot read are left out.
fn kept(record: &Record) -> Option<Kept> {
    let (_, id) = record.key.split_once('/')?;
    Some((id.parse().ok()?, read(record)?))
}

fn read<T: DeserializeOwned>(record: &Record) -> Option<T> {
    let read = serde_json::from_slice(&record.value);
    if let Err(error) = &read {
        tracing::debug!(key = record.key, %error, "a row about motions was kept in a form that this version cannot read");
    }
    read.ok()
}

#[cfg(test)]
#[path = "store_tests.rs"]
mod tests;
