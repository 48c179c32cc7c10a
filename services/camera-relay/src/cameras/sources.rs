//! From a camera's settings to the source that the hub runs.

use super::{Camera, FileSpec, PathError, SourceSpec, confined};
use crate::config;
use futures_util::future::{BoxFuture, FutureExt};
use patchbay_media::hub::{Publisher, Source, SourceError};
use std::{io, path::PathBuf, sync::Arc};
use tokio_util::sync::CancellationToken;

/// Makes sources.
pub(super) struct Sources {
    /// The real place of the media folder.
    folder: Option<Arc<PathBuf>>,
}

impl Sources {
    /// The media folder must be there.
    pub(super) fn open(section: &config::Cameras) -> io::Result<Self> {
        let folder = section.media_folder.as_ref().map(|folder| folder.canonicalize()).transpose()?;
        Ok(Self { folder: folder.map(Arc::new) })
    }

    /// Whether a file can be played, as far as its path tells.
    pub(super) fn check(&self, file: &FileSpec) -> Result<PathBuf, PathError> {
        confined(self.folder.as_deref().ok_or(PathError::NoFolder)?, &file.path)
    }

    /// The source of a camera. Opens nothing yet.
    pub(super) fn of(&self, camera: &Camera) -> Arc<dyn Source> {
        match &camera.spec.source {
            SourceSpec::Test(_) => Arc::new(Unopened),
            SourceSpec::File(_) => Arc::new(Unopened),
        }
    }
}

struct Unopened;

impl Source for Unopened {
    fn run(
        self: Arc<Self>,
        _: Publisher,
        _: CancellationToken,
    ) -> BoxFuture<'static, Result<(), SourceError>> {
        async { Err(SourceError::permanent("this build has no sources")) }.boxed()
    }
}
