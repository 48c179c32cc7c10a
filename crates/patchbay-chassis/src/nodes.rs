//! Tells the other replicas that this one lives, and clears what dead replicas of the same service left.

use crate::{
    readiness::{Condition, Readiness},
    service::{FiguresHook, ReapedHook},
};
use patchbay_backplane::{BackplaneError, Beat, NodeId, NodeRecord, SharedBackplane};
use serde::{Deserialize, Serialize};
use std::{
    collections::BTreeMap,
    sync::{Arc, OnceLock},
    time::Duration,
};
use tokio::{sync::Notify, time::MissedTickBehavior};
use tokio_util::sync::CancellationToken;

/// How often a replica says that it lives.
const BEAT: Duration = Duration::from_secs(3);

/// How long it is believed.
const TTL: Duration = Duration::from_secs(10);

/// What a replica tells of itself in the node registry, as JSON.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct NodeInfo {
    /// Version of the binary.
    pub version: String,
    /// When it started, in milliseconds since 1970.
    pub started_at: u64,
    /// Whether it takes clients.
    pub state: NodeState,
    /// What is wrong, in words; empty when nothing is.
    #[serde(default)]
    pub detail: String,
    /// Figures of the service.
    #[serde(default)]
    pub figures: BTreeMap<String, f64>,
}

/// Whether a replica takes clients.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum NodeState {
    /// It does.
    Ready,
    /// It does, with something away.
    Degraded,
    /// It starts, or is about to stop.
    #[default]
    NotReady,
}

/// One service's entry in the node registry.
pub(crate) struct Node {
    pub(crate) id: NodeId,
    pub(crate) service: &'static str,
    pub(crate) started_at: u64,
    pub(crate) backplane: SharedBackplane,
    pub(crate) readiness: Readiness,
    pub(crate) fresh: Arc<Notify>,
    /// Set once the service has started.
    pub(crate) hooks: OnceLock<Hooks>,
}

/// What a service contributes.
pub(crate) struct Hooks {
    pub(crate) figures: Option<FiguresHook>,
    pub(crate) on_reaped: Option<ReapedHook>,
}

impl Node {
    /// Beats until `stop`. The first beat was made before the service started, so a fresh one means that the
    /// registry forgot us.
    pub(crate) async fn run(self: Arc<Self>, stop: CancellationToken) {
        let mut changes = self.readiness.changes();
        let mut ticks = tokio::time::interval(BEAT);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            // Cancel-safe: neither an interval's tick nor a watch loses anything when dropped.
            tokio::select! {
                () = stop.cancelled() => return,
                _ = ticks.tick() => {}
                _ = changes.changed() => {}
            }
            match self.beat().await {
                Ok(Beat::Fresh) => self.fresh.notify_one(),
                Ok(Beat::Known) => {}
                Err(error) => tracing::debug!(service = self.service, %error, "no heartbeat"),
            }
        }
    }

    /// Says once that this replica lives.
    pub(crate) async fn beat(&self) -> Result<Beat, BackplaneError> {
        // A struct of strings and numbers always serializes; figures that are no numbers become null.
        let info = serde_json::to_vec(&self.info()).unwrap_or_default();
        let record = NodeRecord { id: self.id.clone(), service: self.service.to_owned(), info: info.into() };
        self.backplane.heartbeat(record, TTL).await
    }

    /// Clears what dead replicas of the same service left, until `stop`. It is the backplane that waits one TTL
    /// after an outage before it declares anyone dead.
    pub(crate) async fn reap(self: Arc<Self>, stop: CancellationToken) {
        let mut ticks = tokio::time::interval(BEAT);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        while stop.run_until_cancelled(ticks.tick()).await.is_some() {
            if let Err(error) = self.reap_dead().await {
                tracing::debug!(service = self.service, %error, "could not look for dead replicas");
            }
        }
    }

    /// Gives up this replica's entry: what it kept was removed by the drain, and what was not is removed here.
    pub(crate) async fn leave(&self) -> Result<(), BackplaneError> {
        self.backplane.reap(&self.id).await?;
        self.backplane.forget(&self.id).await
    }

    async fn reap_dead(&self) -> Result<(), BackplaneError> {
        for dead in self.backplane.take_dead(self.service).await? {
            let left = self.backplane.reap(&dead).await?;
            tracing::warn!(service = self.service, node = %dead, members = left.len(), "cleared a dead replica");
            if let Some(on_reaped) = self.hooks.get().and_then(|hooks| hooks.on_reaped.as_ref()) {
                on_reaped(left).await;
            }
            self.backplane.forget(&dead).await?;
        }
        Ok(())
    }

    fn info(&self) -> NodeInfo {
        let condition = self.readiness.condition();
        let state = match condition {
            Condition::Ready => NodeState::Ready,
            Condition::Degraded(_) => NodeState::Degraded,
            Condition::NotReady(_) => NodeState::NotReady,
        };
        let figures = self.hooks.get().and_then(|hooks| hooks.figures.as_ref()).map(|figures| figures());
        NodeInfo {
            version: crate::VERSION.to_owned(),
            started_at: self.started_at,
            state,
            detail: condition.reason().to_owned(),
            figures: figures.unwrap_or_default(),
        }
    }
}

/// Makes a replica's id: readable, and new at every start, so that a replica is never mistaken for the one before.
pub(crate) fn new_id(service: &str, ids: &crate::Ids) -> NodeId {
    let host = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    let host = host.trim().split('.').next().unwrap_or_default();
    NodeId(format!("{service}-{host}-{}", ids.random_hex(8)).into())
}
