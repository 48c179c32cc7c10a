//! The task that writes motions to the store.

use super::{
    Motions,
    mark::{BELIEVED, MotionId},
    queue::Job,
    store::Begun,
};
use crate::{announce, error::Error};
use std::{collections::HashMap, time::Duration};
use tokio::time::{MissedTickBehavior, interval, sleep, timeout};
use tokio_util::sync::CancellationToken;

/// How often motions that go on give a sign of life.
const SIGN: Duration = Duration::from_secs(BELIEVED.as_secs() / 3);

/// How often it is looked for what is too old.
const SWEEP: Duration = Duration::from_mins(10);

/// Time until a store that did not answer is asked again.
const PAUSE: Duration = Duration::from_secs(1);

/// Time for what is left when the replica stops.
const FAREWELL: Duration = Duration::from_secs(1);

/// Motions that go on under the id of another replica's, by their own. One at most for each camera.
type Joined = HashMap<MotionId, MotionId>;

/// Writes until `stop`, and then what is left, for a short time.
pub(crate) async fn keep(motions: Motions, stop: CancellationToken) {
    let mut keeper = Keeper { motions, joined: Joined::new(), has_complained: false };
    let (mut signs, mut sweeps) = (interval(SIGN), interval(SWEEP));
    signs.set_missed_tick_behavior(MissedTickBehavior::Delay);
    sweeps.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        let motions = keeper.motions.clone();
        // Cancel-safe: a job is taken only when it is given; what is done with it is not part of what is selected.
        tokio::select! {
            () = stop.cancelled() => break,
            job = motions.shared.queue.next() => {
                if !keeper.take(job).await {
                    stop.run_until_cancelled(sleep(PAUSE)).await;
                }
            }
            _ = signs.tick() => keeper.give_signs().await,
            _ = sweeps.tick() => keeper.sweep().await,
        }
    }
    // Sources stop at the same time, and end their motions.
    if timeout(FAREWELL, keeper.finish()).await.is_err() {
        tracing::info!(left = keeper.motions.shared.queue.len(), "motions are left unwritten");
    }
}

struct Keeper {
    motions: Motions,
    joined: Joined,
    has_complained: bool,
}

impl Keeper {
    /// Does a job, or puts it back; tells which.
    async fn take(&mut self, job: Job) -> bool {
        match self.write(&job).await {
            Ok(()) => {
                self.has_complained = false;
                true
            }
            Err(error) => {
                if !std::mem::replace(&mut self.has_complained, true) {
                    tracing::warn!(%error, "motions cannot be written; they wait");
                }
                self.motions.shared.queue.put_back(job);
                false
            }
        }
    }

    async fn write(&mut self, job: &Job) -> Result<(), Error> {
        let shared = &self.motions.shared;
        match job {
            Job::Begin { camera, id, mark, picture } => {
                let event = |mark: &_| announce::motion(camera, id, mark);
                if let Begun::Joined(same) = shared.store.begin(camera, (id, mark), picture, event).await?
                    && mark.ended.is_none()
                {
                    self.joined.insert(id.clone(), same);
                }
                Ok(())
            }
            Job::End { camera, id, at } => {
                shared.store.end(camera, self.joined.get(id).unwrap_or(id), *at).await?;
                self.joined.remove(id);
                Ok(())
            }
        }
    }

    /// Says of all motions that go on that they do. What fails is said again next time.
    async fn give_signs(&mut self) {
        let shared = &self.motions.shared;
        let open = shared.open.lock().clone();
        for (id, camera) in &open {
            if let Err(error) = shared.store.is_seen(camera, self.joined.get(id).unwrap_or(id)).await {
                tracing::debug!(%error, "could not say that a motion goes on");
                return;
            }
        }
    }

    async fn sweep(&mut self) {
        if let Err(error) = self.motions.shared.store.trim().await {
            tracing::debug!(%error, "could not remove old motions");
        }
    }

    /// Writes until nothing moves here and nothing waits.
    async fn finish(&mut self) {
        let motions = self.motions.clone();
        loop {
            let is_still = motions.shared.open.lock().is_empty();
            if is_still && motions.shared.queue.len() == 0 {
                return;
            }
            let job = motions.shared.queue.next().await;
            if !self.take(job).await {
                return;
            }
        }
    }
}

#[cfg(test)]
#[path = "keeper_tests.rs"]
mod tests;
