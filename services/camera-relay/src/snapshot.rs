//! Single pictures: the newest one of a camera as a JPEG.
//!
//! Decoding begins at the newest key frame and goes on from where the picture before was taken, so that a thumbnail each second costs the pictures
//! of that second. It happens on a thread of its own, for a bounded time: what is not reached by then comes with the next picture.

mod darkroom;

use crate::{
    caller::Caller,
    cameras::{CameraName, stream_of},
    core::Core,
    error::Error,
};
use bytes::Bytes;
pub(crate) use darkroom::Darkroom;
use parking_lot::Mutex;
use patchbay_chassis::Span;
use patchbay_media::{
    Kind,
    hub::{Ended, NotStarted, SubscribeError, Subscription, Wanted},
    ring::Start,
    track::Track,
};
use std::{collections::HashMap, num::NonZeroU32, ops::RangeInclusive, sync::Arc, time::Duration};
use tokio::{
    sync::{OwnedMutexGuard, Semaphore, oneshot},
    time::{Instant, MissedTickBehavior, interval},
};
use tokio_util::sync::CancellationToken;

/// Widths that can be asked for.
const WIDTHS: RangeInclusive<u32> = 16..=3840;

/// Widths that are made. Anything between is rounded down: were each width made that somebody asks for, strangers could have as many pictures
/// encoded as they like, and of these, all who want one share it.
const MADE: [u32; 20] =
    [16, 32, 48, 64, 96, 128, 160, 192, 240, 320, 400, 480, 640, 800, 960, 1280, 1600, 1920, 2560, 3840];

/// How long decoders are kept of a camera of which nobody takes pictures.
const KEPT: Duration = Duration::from_secs(15);

/// Greatest width of a picture in pixels, one of a few; that of the camera when there is none.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Width(Option<NonZeroU32>);

impl Width {
    /// Reads a width, and rounds it down to one that is made; 0 is that of the camera.
    pub fn parse(pixels: u32) -> Result<Self, Error> {
        let made = MADE.into_iter().rev().find(|made| *made <= pixels);
        match made.and_then(NonZeroU32::new) {
            _ if pixels == 0 => Ok(Self(None)),
            Some(width) if WIDTHS.contains(&pixels) => Ok(Self(Some(width))),
            _ => Err(Error::bad("width", format!("must be from {} to {}", WIDTHS.start(), WIDTHS.end()))),
        }
    }

    /// The width, if one was asked for.
    pub fn pixels(self) -> Option<u32> {
        self.0.map(NonZeroU32::get)
    }
}

/// A picture.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Jpeg {
    /// JPEG (ISO/IEC 10918-1).
    pub data: Bytes,
    /// When it was taken, in milliseconds since 1970.
    pub time: u64,
    /// Pixels across.
    pub width: u32,
    /// Pixels down.
    pub height: u32,
}

/// Everything needed to take pictures; one for a replica.
pub struct Snapshots {
    rooms: Mutex<HashMap<CameraName, Room>>,
    /// Pictures that are made at the same time.
    places: Arc<Semaphore>,
}

struct Room {
    /// Taken by one picture at a time; others of the same camera wait, and mostly find it made.
    darkroom: Arc<tokio::sync::Mutex<Option<Darkroom>>>,
    used: Instant,
}

impl Snapshots {
    /// Nothing is taken yet.
    pub fn new(concurrent: usize) -> Self {
        Self { rooms: Mutex::default(), places: Arc::new(Semaphore::new(concurrent)) }
    }

    fn room(&self, camera: &CameraName) -> Arc<tokio::sync::Mutex<Option<Darkroom>>> {
        let mut rooms = self.rooms.lock();
        let new = || Room { darkroom: Arc::default(), used: Instant::now() };
        let room = rooms.entry(camera.clone()).or_insert_with(new);
        room.used = Instant::now();
        Arc::clone(&room.darkroom)
    }

    /// Lets go of what nobody has used for a while, until `stop`.
    pub(crate) async fn tidy(core: Arc<Core>, stop: CancellationToken) {
        let mut ticks = interval(KEPT / 3);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        while stop.run_until_cancelled(ticks.tick()).await.is_some() {
            core.snapshots.rooms.lock().retain(|_, room| room.used.elapsed() < KEPT);
        }
    }
}

/// Takes the newest picture of a camera, starting it if need be. Whether `caller` may look is asked before.
pub async fn take(
    core: &Arc<Core>,
    caller: &Caller,
    camera: &CameraName,
    width: Width,
) -> Result<Jpeg, Error> {
    let begun = Instant::now();
    core.cameras.get(camera)?;
    let config = &core.config.snapshot;
    let in_time = InTime { deadline: begun + config.timeout.duration(), patience: config.timeout };
    let room = core.snapshots.room(camera);
    let darkroom = in_time.limit(room.lock_owned()).await?;
    let lately = config.min_interval.duration();
    if let Some(jpeg) = darkroom.as_ref().and_then(|made| made.made_lately(width, lately)) {
        return Ok(jpeg);
    }
    // While the subscription is held, the camera runs.
    let (_subscription, track) = started(core, caller, camera, in_time).await?;
    let jpeg = develop(core, darkroom, track, width).await?;
    crate::metrics::observe(&core.metrics.snapshot_seconds, begun.elapsed());
    Ok(jpeg)
}

/// Until when a picture is waited for.
#[derive(Clone, Copy)]
struct InTime {
    deadline: Instant,
    patience: Span,
}

impl InTime {
    async fn limit<T>(self, waiting: impl Future<Output = T>) -> Result<T, Error> {
        let late = |_| Error::NoPicture(format!("it has brought none in {}", self.patience));
        tokio::time::timeout_at(self.deadline, waiting).await.map_err(late)
    }
}

/// A camera's pictures, once there are some.
async fn started(
    core: &Core,
    caller: &Caller,
    camera: &CameraName,
    in_time: InTime,
) -> Result<(Subscription, Arc<Track>), Error> {
    let wanted = Wanted { audio: Vec::new(), ..Wanted::anything() };
    let mut subscription = core.hub.subscribe(&stream_of(camera), wanted).map_err(|error| match error {
        SubscribeError::TooManyConsumers(_) => Error::Busy,
        SubscribeError::NotFound(_) => Error::NoCamera(camera.clone()),
        SubscribeError::Closed => stopping(),
    })?;
    let selected = in_time.limit(subscription.tracks_or_failure()).await?;
    let selected = selected.map_err(|error| match error {
        NotStarted::Failed(error) => Error::NoPicture(caller.told(camera, &error)),
        NotStarted::Ended(Ended::Removed) => Error::NoCamera(camera.clone()),
        NotStarted::Ended(Ended::Closed) => stopping(),
    })?;
    let track = selected.video.clone().ok_or_else(|| Error::NoPicture(selected.missing()))?;
    in_time.limit(first_picture(&track)).await?;
    Ok((subscription, track))
}

fn stopping() -> Error {
    Error::SourceFailed("the service is stopping: come back in a moment".to_owned())
}

/// Makes the picture on a thread of its own, which keeps its place and the darkroom to its end, whether or not somebody still waits.
async fn develop(
    core: &Core,
    mut darkroom: OwnedMutexGuard<Option<Darkroom>>,
    track: Arc<Track>,
    width: Width,
) -> Result<Jpeg, Error> {
    let place = Arc::clone(&core.snapshots.places).try_acquire_owned().map_err(|_| Error::Busy)?;
    let (quality, now) = (core.config.snapshot.quality, core.context.clock.now_millis());
    let (done, made) = oneshot::channel();
    let work = move || {
        let kept = darkroom.take().filter(|room| room.is_for(&track));
        let result = kept.map_or_else(|| Darkroom::open(track, quality), Ok).and_then(|mut room| {
            let jpeg = room.make(width, now);
            *darkroom = Some(room);
            jpeg
        });
        drop((place, darkroom));
        // Nobody waits any more when the request was dropped.
        drop(done.send(result));
    };
    std::thread::Builder::new().name("snapshot".to_owned()).spawn(work).map_err(Error::internal)?;
    made.await.map_err(|_| Error::internal("a picture could not be made: its thread has panicked"))?
}

/// Waits until there is something to begin decoding with.
async fn first_picture(track: &Arc<Track>) {
    debug_assert_eq!(track.info().codec.kind(), Kind::Video);
    if track.ring().newest_key().is_none() {
        track.request_key_frame();
        // An end of the track is seen by whoever reads it next.
        drop(track.reader(Start::NewestKey).next().await);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn widths_are_bounded() {
        assert_eq!(Width::parse(0).unwrap().pixels(), None);
        assert_eq!(Width::parse(16).unwrap().pixels(), Some(16));
        assert_eq!(Width::parse(3840).unwrap().pixels(), Some(3840));
        assert_eq!(Width::parse(3839).unwrap().pixels(), Some(2560));
        for pixels in [1, 15, 3841, u32::MAX] {
            assert!(matches!(Width::parse(pixels), Err(Error::BadRequest(_))), "{pixels}");
        }
    }

    #[test]
    fn however_many_widths_are_asked_for_only_a_few_are_made() {
        let all: std::collections::HashSet<_> =
            WIDTHS.chain([0]).map(|pixels| Width::parse(pixels).unwrap()).collect();
        assert_eq!(all.len(), MADE.len() + 1);
    }
}
