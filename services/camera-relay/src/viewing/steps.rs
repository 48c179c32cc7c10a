//! What of a camera's pictures a viewer gets, as its way allows: the engine says what that is, and here the pictures are found.

use super::{Viewings, feeds::Held, shared_peer::SharedPeer};
use futures_util::{FutureExt, future::BoxFuture};
use patchbay_media::{Kind, hub::StreamName};
use patchbay_rtc::Quality;
use std::sync::Arc;

/// The pictures of one viewer.
pub(super) struct Steps {
    stream: StreamName,
    /// All pictures; none for a viewer who only listens.
    full: Option<Held>,
    /// Smaller ones on their way. Dropped, nobody waits for them.
    coming: Option<BoxFuture<'static, Found>>,
    /// The smaller ones that it gets, which may end while the camera goes on.
    low: Option<Held>,
}

/// Smaller pictures, or why there are none, and in which quality they are to be sent.
struct Found {
    quality: Quality,
    low: Result<Held, String>,
}

impl Steps {
    /// Everything, for a viewer of these feeds.
    pub(super) fn new(stream: StreamName, feeds: &[Held]) -> Self {
        let full = feeds.iter().find(|held| held.feed().kind() == Kind::Video).cloned();
        Self { stream, full, coming: None, low: None }
    }

    /// The way of the viewer carries this from now on.
    pub(super) fn order(&mut self, viewings: &Arc<Viewings>, peer: &SharedPeer, quality: Quality) {
        viewings.core.metrics.viewer_steps.inc();
        let Some(full) = self.full.clone() else { return };
        if quality == Quality::Full {
            (self.coming, self.low) = (None, None);
            return give(peer, full, quality);
        }
        let (viewings, stream) = (Arc::clone(viewings), self.stream.clone());
        let finding = async move {
            let low = viewings.feeds.join_low(&stream, full.feed()).await;
            Found { quality, low }
        };
        self.coming = Some(finding.boxed());
    }

    /// Waits for smaller pictures, or for their end, and gives the viewer what there is then. Cancel-safe: it only waits.
    pub(super) async fn change(&mut self, peer: &SharedPeer) {
        let Self { stream, full, coming, low } = self;
        let Some(full) = full else { return std::future::pending().await };
        // Cancel-safe: what is on its way stays where it is.
        tokio::select! {
            found = some(coming) => {
                *coming = None;
                match found.low {
                    Ok(found_low) => {
                        give(peer, found_low.clone(), found.quality);
                        *low = Some(found_low);
                    }
                    Err(why) => {
                        tracing::info!(%stream, why, "there is no smaller picture for a viewer with little bandwidth");
                        give(peer, full.clone(), Quality::KeyFrames);
                    }
                }
            }
            () = ended(low.as_ref()) => {
                *low = None;
                give(peer, full.clone(), Quality::KeyFrames);
            }
        }
    }
}

async fn some(coming: &mut Option<BoxFuture<'static, Found>>) -> Found {
    match coming {
        Some(coming) => coming.await,
        None => std::future::pending().await,
    }
}

async fn ended(low: Option<&Held>) {
    match low {
        Some(low) => low.ended().await,
        None => std::future::pending().await,
    }
}

/// The peer keeps hold of the feed until it is sent from another one.
fn give(peer: &SharedPeer, held: Held, quality: Quality) {
    let feed = Arc::clone(held.feed());
    if let Err(error) = peer.lock().change(&feed, quality, Arc::new(held)) {
        tracing::debug!(%error, "a viewer stays with what it gets");
    }
}
