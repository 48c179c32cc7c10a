//! A source inside of another: what it publishes, seen by the outer one.
//!
//! A source that works on what another gives (a clock over the picture, the search for what moves) runs that one itself, with a publisher of its own making:
//! [`Publisher::hidden`](super::Publisher::hidden) where nobody else shall see the tracks, [`Publisher::observed`](super::Publisher::observed) where everybody
//! does. Units are never copied: the outer source reads the tracks' rings like any consumer.

use crate::track::{Track, TrackWriter};
use std::sync::Arc;
use tokio::sync::watch;

type Tracks = Arc<[Arc<Track>]>;

/// The telling end; as many publishers have it as are cloned.
#[derive(Debug)]
pub(super) struct Told(watch::Sender<Option<Tracks>>);

impl Told {
    pub(super) fn tell(&self, writers: &[TrackWriter]) {
        let tracks = writers.iter().map(|writer| Arc::clone(writer.track())).collect();
        self.0.send_replace(Some(tracks));
    }
}

/// Sees the tracks that a source inside publishes.
#[derive(Debug)]
pub struct Observer(watch::Receiver<Option<Tracks>>);

pub(super) fn pair() -> (Told, Observer) {
    let (told, seen) = watch::channel(None);
    (Told(told), Observer(seen))
}

impl Observer {
    /// The tracks: waits for the first ones, then for those that take their place; of several changes at once, the newest. Nothing when the source inside can
    /// publish no more. Cancel safe.
    pub async fn tracks(&mut self) -> Option<Arc<[Arc<Track>]>> {
        self.0.changed().await.ok()?;
        self.0.borrow_and_update().clone()
    }
}

#[cfg(test)]
#[path = "observe_tests.rs"]
mod tests;
