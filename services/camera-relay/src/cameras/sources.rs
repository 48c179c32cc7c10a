//! From a camera's settings to the source that the hub runs.

use super::{
    Camera, CameraName, FileSpec, PathError, SourceSpec, TestSpec, confined,
    local::Local,
    remote::{Reach, Remote},
    secrets::Secrets,
};
use crate::{config, motion::Motions, relay, relay::Owners};
use futures_util::future::{BoxFuture, FutureExt};
use patchbay_av::{AvError, FileSource, PictureSize, Sound, TestSettings, TestSource};
use patchbay_chassis::{Clock, Context, Span};
use patchbay_media::{
    hub::{Publisher, Source, SourceError},
    track::KeyFrames,
};
use std::{
    fs, io,
    path::{Path, PathBuf},
    sync::Arc,
};
use tokio_util::sync::CancellationToken;

/// Makes sources.
pub(super) struct Sources {
    /// The real place of the media folder.
    folder: Option<Arc<PathBuf>>,
    key_frame_gap: Span,
    clock: Clock,
    owners: Owners,
    reach: Arc<Reach>,
    local: Local,
    motions: Motions,
}

impl Sources {
    /// The media folder is made where it is not there.
    pub(super) fn open(
        section: &config::Cameras,
        context: &Context,
        owners: Owners,
        secrets: Secrets,
        motions: Motions,
    ) -> io::Result<Self> {
        let folder = section.media_folder.as_deref().map(real_folder).transpose()?.map(Arc::new);
        let (key_frame_gap, clock) = (section.key_frame_gap, context.clock.clone());
        let reach = Arc::new(Reach::new(section, secrets, crate::core::spawner(context)));
        let local = Local {
            stall_timeout: section.capture.stall_timeout.duration(),
            key_frame_gap: key_frame_gap.duration(),
            folder: folder.clone(),
            #[cfg(feature = "videocapture")]
            guard: patchbay_egress::Guard::new(&section.egress, "cameras.egress"),
        };
        Ok(Self { folder, key_frame_gap, clock, owners, reach, local, motions })
    }

    /// Whether a file can be played, as far as its path tells.
    pub(super) fn check(&self, file: &FileSpec) -> Result<PathBuf, PathError> {
        confined(self.folder.as_deref().ok_or(PathError::NoFolder)?, &file.path)
    }

    /// The source of a camera, which is another replica where that one captures it. Opens nothing yet.
    pub(super) fn of(&self, camera: &Camera) -> Arc<dyn Source> {
        let own = self.own(&camera.name, &camera.spec.source);
        // Within the choice of a replica, so that only the one that captures works on the pictures. Where they cannot be worked on they are not shown: there may be masks.
        let worked = self.motions.work_on(camera, own);
        let worked = worked.unwrap_or_else(|error| Arc::new(Unusable(error)));
        relay::route(&self.owners, &camera.name, worked)
    }

    /// A source as this replica runs it.
    pub(super) fn own(&self, camera: &CameraName, source: &SourceSpec) -> Arc<dyn Source> {
        match source {
            SourceSpec::Test(test) => match self.test(camera, test) {
                Ok(source) => Arc::new(source),
                // The bounds of the settings are narrower than those of the encoder, so that this is a mistake of ours.
                Err(error) => Arc::new(Unusable(SourceError::permanent(error.to_string()))),
            },
            SourceSpec::File(file) => {
                Arc::new(ConfinedFile { folder: self.folder.clone(), path: file.path.clone() })
            }
            SourceSpec::Rtsp(_) | SourceSpec::Url(_) | SourceSpec::Mjpeg(_) => {
                Arc::new(Remote::new(&self.reach, camera, source))
            }
            SourceSpec::Device(device) => self.local.device(device),
            SourceSpec::OpenCv(opencv) => self.local.opencv(opencv),
        }
    }

    fn test(&self, camera: &CameraName, test: &TestSpec) -> Result<TestSource, AvError> {
        // The name and not the title, because pictures are drawn with letters of ASCII alone.
        let settings = TestSettings {
            fps: test.fps,
            bitrate: Some(test.bitrate),
            noise: u8::try_from(test.noise).unwrap_or(0),
            key_frame_interval: test.key_frame_interval.duration(),
            key_frame_gap: self.key_frame_gap.duration(),
            key_frames: if test.ignore_key_frame_requests {
                KeyFrames::AsTheyCome
            } else {
                KeyFrames::OnRequest
            },
            sound: if test.silent { Sound::None } else { Sound::Tone },
            ..TestSettings::new(camera.as_str(), PictureSize::new(test.width, test.height)?)
        };
        let clock = self.clock.clone();
        TestSource::new(settings, Arc::new(move || clock.now_millis()))
    }
}

fn real_folder(folder: &Path) -> io::Result<PathBuf> {
    if !folder.exists() {
        fs::create_dir_all(folder)?;
    }
    folder.canonicalize()
}

/// A file in the media folder. Where it really lies is looked at each time that it is opened: it may be a link, and links change.
struct ConfinedFile {
    folder: Option<Arc<PathBuf>>,
    path: String,
}

impl Source for ConfinedFile {
    fn run(
        self: Arc<Self>,
        publisher: Publisher,
        stop: CancellationToken,
    ) -> BoxFuture<'static, Result<(), SourceError>> {
        async move {
            let opening = Arc::clone(&self);
            let looked = tokio::task::spawn_blocking(move || opening.real_path());
            let path = looked.await.map_err(|_| SourceError::temporary("the file could not be looked at"))?;
            let path =
                path.map_err(|error| SourceError::permanent(format!("the file `{}` {error}", self.path)))?;
            Arc::new(FileSource::new(path)).run(publisher, stop).await
        }
        .boxed()
    }
}

impl ConfinedFile {
    fn real_path(&self) -> Result<PathBuf, PathError> {
        confined(self.folder.as_deref().ok_or(PathError::NoFolder)?, &self.path)
    }
}

/// A source that can only say what is wrong with it.
pub(super) struct Unusable(pub(super) SourceError);

impl Source for Unusable {
    fn run(
        self: Arc<Self>,
        _: Publisher,
        _: CancellationToken,
    ) -> BoxFuture<'static, Result<(), SourceError>> {
        async move { Err(self.0.clone()) }.boxed()
    }
}
