//! Sources on the machine itself: video devices, and what `OpenCV` opens.

use super::{DeviceSpec, OpenCvSpec, sources::Unusable};
use patchbay_av::LiveSettings;
use patchbay_capture::{DevicePath, DeviceSettings, DeviceSource};
use patchbay_media::hub::{Reason, Source, SourceError};
use std::{path::PathBuf, sync::Arc, time::Duration};

/// What they need of the configuration.
#[derive(Clone)]
pub(super) struct Local {
    pub(super) stall_timeout: Duration,
    pub(super) key_frame_gap: Duration,
    #[cfg_attr(not(feature = "videocapture"), expect(dead_code, reason = "only OpenCV reads files here"))]
    pub(super) folder: Option<Arc<PathBuf>>,
    #[cfg(feature = "videocapture")]
    pub(super) guard: patchbay_egress::Guard,
}

impl Local {
    fn live(&self) -> LiveSettings {
        LiveSettings { key_frame_gap: self.key_frame_gap, ..LiveSettings::default() }
    }

    /// A video device; the configuration was asked before.
    pub(super) fn device(&self, spec: &DeviceSpec) -> Arc<dyn Source> {
        let path = match spec.path.parse::<DevicePath>() {
            Ok(path) => path,
            Err(error) => {
                let error = SourceError::permanent(error.to_string()).because(Reason::Device);
                return Arc::new(Unusable(error));
            }
        };
        let usual = DeviceSettings::new(path);
        let size = if spec.width == 0 { usual.size } else { (spec.width, spec.height) };
        let fps = if spec.fps == 0 { usual.fps } else { spec.fps };
        let (stall_timeout, live) = (self.stall_timeout, self.live());
        Arc::new(DeviceSource::new(DeviceSettings { size, fps, stall_timeout, live, ..usual }))
    }

    /// A capture of `OpenCV`; the configuration was asked before.
    #[cfg(feature = "videocapture")]
    pub(super) fn opencv(&self, spec: &OpenCvSpec) -> Arc<dyn Source> {
        Arc::new(Capture { local: self.clone(), input: spec.input.clone() })
    }

    /// Not in this build.
    #[cfg(not(feature = "videocapture"))]
    #[expect(clippy::unused_self, reason = "the builds with OpenCV use it")]
    pub(super) fn opencv(&self, _: &OpenCvSpec) -> Arc<dyn Source> {
        let words = "this build has no VideoCapture of OpenCV: build it with the feature `videocapture`";
        Arc::new(Unusable(SourceError::permanent(words)))
    }
}

/// A capture of `OpenCV`. Where a file really lies is looked at each time that it is opened: it may be a link, and links change.
#[cfg(feature = "videocapture")]
struct Capture {
    local: Local,
    input: String,
}

#[cfg(feature = "videocapture")]
impl Capture {
    fn input(&self) -> Result<patchbay_capture::OpenCvInput, SourceError> {
        use patchbay_capture::OpenCvInput;
        if let Ok(url) = self.input.parse::<url::Url>() {
            return Ok(OpenCvInput::Url { url, credentials: None, guard: self.local.guard.clone() });
        }
        let folder = self.local.folder.as_deref().ok_or(super::PathError::NoFolder);
        let path = folder.and_then(|folder| super::confined(folder, &self.input));
        let refused = |error| SourceError::permanent(format!("the file `{}` {error}", self.input));
        Ok(OpenCvInput::File(path.map_err(refused)?))
    }
}

#[cfg(feature = "videocapture")]
impl Source for Capture {
    fn run(
        self: Arc<Self>,
        publisher: patchbay_media::hub::Publisher,
        stop: tokio_util::sync::CancellationToken,
    ) -> futures_util::future::BoxFuture<'static, Result<(), SourceError>> {
        use patchbay_capture::{OpenCvSettings, OpenCvSource};
        Box::pin(async move {
            let live = self.local.live();
            let looked = tokio::task::spawn_blocking(move || self.input()).await;
            let input = looked.map_err(|_| SourceError::temporary("the file could not be looked at"))??;
            Arc::new(OpenCvSource::new(OpenCvSettings { live, ..OpenCvSettings::new(input) }))
                .run(publisher, stop)
                .await
        })
    }
}
