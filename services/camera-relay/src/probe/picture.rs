//! The first picture, as a viewer would see it.

use super::Place;
use crate::{
    core::Core,
    snapshot::{Darkroom, Width},
};
use bytes::Bytes;
use patchbay_media::track::Track;
use std::sync::Arc;
use tokio::{
    sync::oneshot,
    time::{Instant, timeout_at},
};

/// Pixels across at most.
const WIDTH: u32 = 640;

/// A JPEG of the newest picture; an error is advice for the user. Decoding happens on a thread of its own, for a bounded time, and keeps the place.
pub(super) async fn first(
    core: &Core,
    track: Arc<Track>,
    place: Place,
    deadline: Instant,
) -> Result<Bytes, String> {
    let (quality, now) = (core.config.snapshot.quality, core.context.clock.now_millis());
    let (done, made) = oneshot::channel();
    let work = move || {
        let width = Width::parse(WIDTH);
        let jpeg = width.and_then(|width| Darkroom::open(track, quality)?.make(width, now));
        drop(place);
        // Nobody waits any more when the caller has gone.
        drop(done.send(jpeg));
    };
    let not_made = |why: String| format!("pictures come, and none could be decoded here: {why}");
    std::thread::Builder::new()
        .name("probe-picture".to_owned())
        .spawn(work)
        .map_err(|error| not_made(error.to_string()))?;
    match timeout_at(deadline, made).await {
        Ok(Ok(Ok(jpeg))) => Ok(jpeg.data),
        Ok(Ok(Err(error))) => Err(not_made(error.to_string())),
        Ok(Err(_)) => Err(not_made("the decoder failed inside".to_owned())),
        Err(_) => Err(not_made("there was not enough time".to_owned())),
    }
}
