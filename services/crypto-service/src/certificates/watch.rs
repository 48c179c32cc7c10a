//! Which replica watches, and when.

use super::{
    metrics::DaysLeft,
    probe::Probe,
    round::{Look, Monitor},
};
use crate::{core::Core, error::Error};
use patchbay_backplane::{FencingToken, Name, SharedBackplane};
use std::{collections::HashSet, sync::Arc, time::Duration};
use tokio::time::{MissedTickBehavior, interval};

/// Parts of the lease after which it is asked for or renewed, what is known is read, and what ends soon is told: two of them may fail before it is lost.
const PARTS: u32 = 3;

/// The lease of the replica that looks at hosts and tells.
fn lease() -> Name {
    Name::new("crypto", "lease", "certificates")
}

/// What goes on from tick to tick.
struct Watcher {
    monitor: Monitor,
    look: Box<dyn Look>,
    node: String,
    figures: DaysLeft,
    /// How long a replica that died is waited for before another watches.
    lease: Duration,
    /// Hosts that this replica has looked at since it has the lease: it begins with all of them.
    looked: HashSet<String>,
}

/// Spawns it.
pub(crate) fn spawn(core: &Arc<Core>) {
    let context = &core.context;
    let watcher = Watcher {
        monitor: Monitor::of(core),
        look: Box::new(Probe::of(core)),
        node: context.node.to_string(),
        figures: DaysLeft::register(&context.metrics, &context.clock),
        lease: core.config.certificates.lease.duration(),
        looked: HashSet::new(),
    };
    let stop = context.shutdown.hard();
    context.tasks.spawn_critical("certificates", async move {
        stop.run_until_cancelled(watcher.run()).await;
    });
}

impl Watcher {
    /// Never ends. What failed is tried again at the next tick.
    async fn run(mut self) {
        let mut ticks = interval(self.lease / PARTS);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            ticks.tick().await;
            if let Err(error) = self.turn().await {
                tracing::debug!(%error, "could not watch certificates");
            }
        }
    }

    /// The holder of the lease looks and tells; everybody keeps the figures.
    async fn turn(&mut self) -> Result<(), Error> {
        let backplane = self.monitor.store.backplane().clone();
        match backplane.acquire(&lease(), &self.node, self.lease).await? {
            Some(token) => {
                // Cancel-safe: a round that is dropped has told either nothing of a certificate or all of it, or leaves an event whose id is known.
                tokio::select! {
                    outcome = self.monitor.round(self.look.as_ref(), &mut self.looked) => outcome?,
                    () = keep_lease(&backplane, self.node.clone(), token, self.lease) => {
                        tracing::info!("another replica watches certificates now");
                    }
                }
            }
            None => self.looked.clear(),
        }
        self.figures.set(&self.monitor.gather().await?);
        Ok(())
    }
}

/// Extends the lease until it is lost. While the backplane does not answer nobody else gets it either.
async fn keep_lease(backplane: &SharedBackplane, node: String, token: FencingToken, ttl: Duration) {
    let mut ticks = interval(ttl / PARTS);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        if matches!(backplane.renew(&lease(), &node, token, ttl).await, Ok(false)) {
            return;
        }
    }
}
