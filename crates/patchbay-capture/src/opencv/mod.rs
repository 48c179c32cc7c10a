//! Whatever `cv::VideoCapture` of `OpenCV` opens: a file, a video device, an address. Only with the feature `videocapture`.
//!
//! `OpenCV` connects by itself. So an address is looked up and tried by the guard first, and handed over as the literal address that was reached; what its host then leads to (a redirect, a
//! playlist) cannot be prevented here, nor are certificates checked, which is why only `http` and `rtsp` are taken. Offer addresses only where an operator has said so; `RtspSource`,
//! `MjpegSource` and `UrlSource` have none of these gaps.
//!
//! A call of `OpenCV` may hang whatever its time-outs say: then its thread is left behind and counted, and at [`MOST_HUNG`] of them no other is begun.

mod beat;
mod read;
mod target;

pub use beat::{MOST_HUNG, hung_threads};
pub use target::OpenCvInput;

use beat::Beat;
use futures_util::{FutureExt, future::BoxFuture};
use patchbay_av::{LivePictures, LiveSettings};
use patchbay_media::hub::{Publisher, Reason, Source, SourceError};
use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    sync::Arc,
    thread,
    time::Duration,
};
use tokio::{sync::oneshot, time::interval};
use tokio_util::sync::CancellationToken;

/// How often it is looked whether a call hangs.
const LOOK: Duration = Duration::from_millis(200);
/// What a call may take beyond the time-out that `OpenCV` was told.
const GRACE: Duration = Duration::from_secs(2);

/// What to capture, and how long that may take.
#[derive(Clone, Debug)]
pub struct OpenCvSettings {
    /// What.
    pub input: OpenCvInput,
    /// Until it is open.
    pub open_timeout: Duration,
    /// Until the next picture.
    pub read_timeout: Duration,
    /// How pictures are encoded.
    pub live: LiveSettings,
}

impl OpenCvSettings {
    /// Five seconds for each.
    pub fn new(input: OpenCvInput) -> Self {
        let timeout = Duration::from_secs(5);
        Self { input, open_timeout: timeout, read_timeout: timeout, live: LiveSettings::default() }
    }
}

/// A capture of `OpenCV` as a source of the hub.
#[derive(Debug)]
pub struct OpenCvSource {
    settings: OpenCvSettings,
}

impl OpenCvSource {
    /// It is opened when the source runs. Whoever calls this has checked that the configuration allows it.
    pub fn new(settings: OpenCvSettings) -> Self {
        Self { settings }
    }

    async fn play(&self, publisher: Publisher, stop: &CancellationToken) -> Result<(), SourceError> {
        let target = target::resolve(&self.settings.input, self.settings.open_timeout).await?;
        let (sender, pictures) = LivePictures::new(self.settings.live.clone());
        let mut encoding = pictures.run(publisher.clone(), stop.clone());
        let beat = Beat::begin()?;
        let (done, mut ended) = oneshot::channel();
        let (settings, pulse) = (self.settings.clone(), beat.pulse());
        let body = move || {
            let read = AssertUnwindSafe(|| read::run(&target, &settings, &sender, &publisher, &pulse));
            let inside =
                || SourceError::temporary("OpenCV failed inside; the log of the service has the reason");
            let result = catch_unwind(read).unwrap_or_else(|_| Err(inside()));
            drop((sender, publisher));
            pulse.done();
            // Nobody waits any more: the source was dropped.
            drop(done.send(result));
        };
        let spawned = thread::Builder::new().name("opencv-capture".to_owned()).spawn(body);
        spawned.map_err(|error| {
            SourceError::temporary(format!("the machine gives no thread for the source: {error}"))
        })?;
        let (mut looks, mut is_encoded) = (interval(LOOK), false);
        loop {
            tokio::select! {
                result = &mut ended => {
                    if !is_encoded {
                        encoding.await?;
                    }
                    return result.unwrap_or(Ok(()));
                }
                encoded = &mut encoding, if !is_encoded => {
                    // Without an error there is nothing more to encode, and the thread is about to say why.
                    encoded?;
                    is_encoded = true;
                }
                _ = looks.tick() => {
                    if let Some(hung) = beat.hangs() {
                        return Err(hangs(hung));
                    }
                }
            }
        }
    }
}

fn hangs(time: Duration) -> SourceError {
    let text =
        format!("OpenCV has not come back for {} s: is the camera on, and does it send?", time.as_secs());
    SourceError::temporary(text).because(Reason::TimedOut)
}

impl Source for OpenCvSource {
    fn run(
        self: Arc<Self>,
        publisher: Publisher,
        stop: CancellationToken,
    ) -> BoxFuture<'static, Result<(), SourceError>> {
        async move {
            tokio::select! {
                result = self.play(publisher, &stop) => result,
                () = stop.cancelled() => Ok(()),
            }
        }
        .boxed()
    }
}

#[cfg(test)]
#[path = "opencv_tests.rs"]
mod tests;
