//! Waits on a thread for what a source inside publishes.

use patchbay_media::{
    AccessUnit,
    hub::Observer,
    ring::{Read, Reader},
    track::Track,
};
use std::{sync::Arc, time::Duration};
use tokio::{runtime::Handle, time::timeout};
use tokio_util::sync::CancellationToken;

/// Longest wait without an answer.
const LOOK: Duration = Duration::from_millis(500);

/// Tracks as they are published, and the units of the one that is read.
pub(super) struct Units {
    runtime: Handle,
    ended: CancellationToken,
    /// Nothing when no more tracks can come.
    observer: Option<Observer>,
    reader: Option<Reader<AccessUnit>>,
}

/// What has come.
pub(super) enum Next {
    /// Other tracks.
    Tracks(Arc<[Arc<Track>]>),
    /// A unit of the track that is read.
    Unit(Read<AccessUnit>),
    /// Nothing for half a second.
    Nothing,
    /// There will be nothing more, or the thread shall end.
    Over,
}

impl Units {
    pub(super) fn new(observer: Observer, ended: CancellationToken) -> Self {
        Self { runtime: Handle::current(), ended, observer: Some(observer), reader: None }
    }

    /// Reads this from now on.
    pub(super) fn read(&mut self, reader: Option<Reader<AccessUnit>>) {
        self.reader = reader;
    }

    /// Waits. Must be called on a thread that no runtime needs.
    pub(super) fn next(&mut self) -> Next {
        let Self { runtime, ended, observer, reader } = self;
        loop {
            if observer.is_none() && reader.is_none() {
                return Next::Over;
            }
            let next = async {
                tokio::select! {
                    biased;
                    () = ended.cancelled() => Some(Next::Over),
                    tracks = tracks(observer) => tracks.map(Next::Tracks),
                    unit = unit(reader) => unit.map(Next::Unit),
                }
            };
            match runtime.block_on(async { timeout(LOOK, next).await }) {
                Ok(Some(next)) => return next,
                // The source inside, or the track, has ended.
                Ok(None) => {}
                Err(_) => return Next::Nothing,
            }
        }
    }
}

/// Other tracks; nothing, once, when there can be none any more.
async fn tracks(observer: &mut Option<Observer>) -> Option<Arc<[Arc<Track>]>> {
    let Some(observing) = observer else { return std::future::pending().await };
    let tracks = observing.tracks().await;
    if tracks.is_none() {
        *observer = None;
    }
    tracks
}

/// The next unit; nothing, once, when the track has ended.
async fn unit(reader: &mut Option<Reader<AccessUnit>>) -> Option<Read<AccessUnit>> {
    let Some(reading) = reader else { return std::future::pending().await };
    let read = reading.next().await.ok();
    if read.is_none() {
        *reader = None;
    }
    read
}
