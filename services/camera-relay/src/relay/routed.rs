//! The source of a camera as a hub runs it: its own where this replica captures it, the owner's stream where another does.

use super::{
    arriving::{self, End},
    owners::{Claim, Holding, Over, Owners},
    record::Owner,
};
use crate::cameras::{CameraName, stream_of};
use futures_util::future::{BoxFuture, FutureExt};
use patchbay_media::{
    hub::{Publisher, Source, SourceError},
    relay::Incoming,
};
use std::{sync::Arc, time::Duration};
use tokio::time::{Instant, sleep, timeout};
use tokio_util::sync::CancellationToken;

/// Time between two looks for an owner.
const PAUSE: Duration = Duration::from_millis(250);

/// How long a replica that stops leaves a camera to the others before it takes it again.
const HANDOVER: Duration = Duration::from_secs(1);

/// Time for a capture to end.
const STOP: Duration = Duration::from_secs(2);

/// Time without a stream after which it is said in the log, once.
const LONG: Duration = Duration::from_secs(5);

/// Puts the choice of a replica in front of a camera's source.
pub(crate) fn route(owners: &Owners, camera: &CameraName, source: Arc<dyn Source>) -> Arc<dyn Source> {
    Arc::new(Routed { owners: owners.clone(), camera: camera.clone(), source })
}

struct Routed {
    owners: Owners,
    camera: CameraName,
    source: Arc<dyn Source>,
}

/// How a turn at capturing ended.
enum Captured {
    /// The hub does not want it any more.
    Stopped,
    /// Another replica has the camera, or shall have it.
    Lost,
    /// The source has ended by itself.
    Finished(Result<(), SourceError>),
}

impl Source for Routed {
    fn run(
        self: Arc<Self>,
        publisher: Publisher,
        stop: CancellationToken,
    ) -> BoxFuture<'static, Result<(), SourceError>> {
        async move { self.turns(&publisher, &stop).await }.boxed()
    }
}

impl Routed {
    /// Captures and subscribes in turn, as the owner of the camera changes.
    async fn turns(&self, publisher: &Publisher, stop: &CancellationToken) -> Result<(), SourceError> {
        // Kept from one owner to the next, so that readers of its tracks see no end before there are others.
        let mut incoming = None;
        let mut patience = Patience::new();
        while !stop.is_cancelled() {
            match self.owners.claim(&self.camera).await {
                Claim::Ours(holding) => {
                    incoming = None;
                    match self.capture(holding, publisher.clone(), stop).await {
                        Captured::Stopped => return Ok(()),
                        Captured::Finished(result) => return result,
                        Captured::Lost => self.leave_to_others(stop).await,
                    }
                    patience = Patience::new();
                }
                Claim::Theirs(owner) => {
                    let incoming = incoming.get_or_insert_with(|| Incoming::new(publisher.clone()));
                    let following = self.follow(&owner, incoming, &mut patience);
                    match stop.run_until_cancelled(following).await {
                        None => return Ok(()),
                        Some(result) => result?,
                    }
                }
                Claim::Unsaid => {}
            }
            patience.pause(stop).await;
        }
        Ok(())
    }

    /// Publishes an owner's stream until that ends; fails when the camera cannot be captured there.
    async fn follow(
        &self,
        owner: &Owner,
        incoming: &mut Incoming,
        patience: &mut Patience,
    ) -> Result<(), SourceError> {
        match arriving::follow(&self.owners, stream_of(&self.camera), owner, incoming).await {
            End::Failed(error) => Err(error),
            End::Broken { why, has_begun } => {
                self.owners.disbelieve(&self.camera, owner);
                if has_begun {
                    *patience = Patience::new();
                }
                tracing::debug!(camera = %self.camera, owner = owner.node, why, "the stream of another replica ended");
                patience.lose(&self.camera, &owner.node, &why);
                Ok(())
            }
        }
    }

    async fn capture(
        &self,
        mut holding: Holding,
        publisher: Publisher,
        stop: &CancellationToken,
    ) -> Captured {
        let own_stop = CancellationToken::new();
        // Tells threads of the source to end even when this is dropped.
        let guard = own_stop.clone().drop_guard();
        let mut run = Arc::clone(&self.source).run(publisher, own_stop);
        // Cancel-safe: a look at the lease that is dropped is made again at the next turn, and the run is waited for below.
        let captured = tokio::select! {
            biased;
            result = &mut run => Captured::Finished(result),
            () = stop.cancelled() => Captured::Stopped,
            () = holding.keep() => Captured::Lost,
        };
        holding.end(match &captured {
            Captured::Finished(Err(error)) => Over::Failed(error.clone()),
            Captured::Finished(Ok(())) => Over::Failed(SourceError::ended()),
            Captured::Stopped | Captured::Lost => Over::GivenUp,
        });
        drop(guard);
        // The lease is given up only when nothing is captured any more.
        if !matches!(captured, Captured::Finished(_)) && timeout(STOP, run).await.is_err() {
            tracing::warn!(camera = %self.camera, "a source did not stop in time and was dropped");
        }
        captured
    }

    /// A replica that stops does not take back at once what it has just given up.
    async fn leave_to_others(&self, stop: &CancellationToken) {
        if self.owners.is_stopping() {
            stop.run_until_cancelled(sleep(HANDOVER)).await;
        }
    }
}

/// How long there has been no stream.
struct Patience {
    since: Instant,
    has_complained: bool,
    has_lost: bool,
}

impl Patience {
    fn new() -> Self {
        Self { since: Instant::now(), has_complained: false, has_lost: false }
    }

    fn lose(&mut self, camera: &CameraName, owner: &str, why: &str) {
        if self.since.elapsed() > LONG && !self.has_complained {
            self.has_complained = true;
            tracing::warn!(%camera, owner, why, "the replica that captures the camera does not give its stream; is `replicas.address` right there?");
        }
    }

    /// Waits a little, but not before the first try after an owner was lost: it may have given the camera up.
    async fn pause(&mut self, stop: &CancellationToken) {
        if std::mem::replace(&mut self.has_lost, true) {
            stop.run_until_cancelled(sleep(PAUSE)).await;
        }
    }
}
