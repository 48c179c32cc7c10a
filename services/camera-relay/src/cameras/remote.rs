//! Sources that are reached by an address, with their logins.

use super::{
    Address, CameraName, ClearPassword, LoginSpec, MjpegSpec, RtspSpec, RtspTransportSpec, SourceSpec,
    UrlSpec, fingerprint_bytes, secrets::Secrets,
};
use crate::config;
use futures_util::future::{BoxFuture, FutureExt};
use parking_lot::Mutex;
use patchbay_av::LiveSettings;
use patchbay_capture::{
    CaptureLimits, Credentials, HttpTarget, MjpegSettings, MjpegSource, RtspSettings, RtspSource,
    RtspTransport, Trust, UrlSource,
};
use patchbay_egress::Guard;
use patchbay_media::{
    Spawn,
    hub::{Publisher, Source, SourceError},
};
use std::{sync::Arc, time::Duration};
use tokio_util::sync::CancellationToken;
use url::Url;

/// What all such sources of a replica share.
pub(super) struct Reach {
    guard: Guard,
    limits: CaptureLimits,
    secrets: Secrets,
    spawn: Arc<dyn Spawn>,
    key_frame_gap: Duration,
}

impl Reach {
    pub(super) fn new(section: &config::Cameras, secrets: Secrets, spawn: Arc<dyn Spawn>) -> Self {
        let limits = CaptureLimits {
            connect_timeout: section.capture.connect_timeout.duration(),
            stall_timeout: section.capture.stall_timeout.duration(),
            bytes_per_second: section.capture.max_rate.0,
            // Before the hub gives up, so that the source says itself what is missing.
            start_timeout: section.start_timeout.duration() * 9 / 10,
            ..CaptureLimits::default()
        };
        let (guard, key_frame_gap) =
            (Guard::new(&section.egress, "cameras.egress"), section.key_frame_gap.duration());
        Self { guard, limits, secrets, spawn, key_frame_gap }
    }
}

/// A source with an address.
pub(super) struct Remote {
    reach: Arc<Reach>,
    camera: CameraName,
    spec: SourceSpec,
    /// Kept from one run to the next, as long as the login is the same: sources remember what has worked.
    made: Mutex<Option<Made>>,
}

struct Made {
    login: Option<Login>,
    source: Arc<dyn Source>,
}

type Login = (String, ClearPassword);

impl Remote {
    pub(super) fn new(reach: &Arc<Reach>, camera: &CameraName, spec: &SourceSpec) -> Self {
        let (reach, camera, spec) = (Arc::clone(reach), camera.clone(), spec.clone());
        Self { reach, camera, spec, made: Mutex::default() }
    }

    /// The source with the login as it is now. Reads files: blocks.
    fn source(&self) -> Result<Arc<dyn Source>, SourceError> {
        let opened = |login: &LoginSpec| self.reach.secrets.login(&self.camera, login);
        let login = self.spec.login().map(opened).transpose()?;
        let mut made = self.made.lock();
        if let Some(made) = made.as_ref().filter(|made| made.login == login) {
            return Ok(Arc::clone(&made.source));
        }
        let source = self.make(login.as_ref())?;
        *made = Some(Made { login, source: Arc::clone(&source) });
        Ok(source)
    }

    fn make(&self, login: Option<&Login>) -> Result<Arc<dyn Source>, SourceError> {
        let credentials = login.map(|(username, password)| Credentials {
            username: username.clone(),
            password: password.expose().into(),
        });
        let Reach { guard, limits, spawn, .. } = &*self.reach;
        match &self.spec {
            SourceSpec::Rtsp(spec) => {
                let settings = rtsp(spec, self.address(&spec.url)?, credentials, *limits);
                let source = RtspSource::new(settings, guard.clone(), Arc::clone(spawn));
                Ok(Arc::new(source.encoding(self.live())))
            }
            SourceSpec::Url(UrlSpec { url, certificate_fingerprint, .. }) => {
                let target = self.target(url, credentials, certificate_fingerprint.as_deref())?;
                Ok(Arc::new(UrlSource::new(target, self.live())?))
            }
            SourceSpec::Mjpeg(MjpegSpec { url, certificate_fingerprint, interval, .. }) => {
                let target = self.target(url, credentials, certificate_fingerprint.as_deref())?;
                let (every, live) = (interval.duration(), self.live());
                let settings = MjpegSettings { every, live, ..MjpegSettings::default() };
                Ok(Arc::new(MjpegSource::new(target, settings)?))
            }
            SourceSpec::Test(_) | SourceSpec::File(_) | SourceSpec::Device(_) | SourceSpec::OpenCv(_) => {
                Err(SourceError::permanent("the source has no address"))
            }
        }
    }

    fn target(
        &self,
        url: &Address,
        credentials: Option<Credentials>,
        fingerprint: Option<&str>,
    ) -> Result<HttpTarget, SourceError> {
        Ok(HttpTarget {
            url: self.address(url)?,
            credentials,
            trust: trust(fingerprint),
            limits: self.reach.limits,
            guard: self.reach.guard.clone(),
        })
    }

    fn address(&self, address: &Address) -> Result<Url, SourceError> {
        self.reach.secrets.address(&self.camera, address)
    }

    fn live(&self) -> LiveSettings {
        LiveSettings { key_frame_gap: self.reach.key_frame_gap, ..LiveSettings::default() }
    }
}

impl Source for Remote {
    fn run(
        self: Arc<Self>,
        publisher: Publisher,
        stop: CancellationToken,
    ) -> BoxFuture<'static, Result<(), SourceError>> {
        async move {
            let looked = tokio::task::spawn_blocking(move || self.source()).await;
            let source = looked.map_err(|_| SourceError::temporary("the source could not be prepared"))??;
            source.run(publisher, stop).await
        }
        .boxed()
    }
}

fn rtsp(spec: &RtspSpec, url: Url, credentials: Option<Credentials>, limits: CaptureLimits) -> RtspSettings {
    let transport = match spec.transport {
        RtspTransportSpec::Auto => RtspTransport::Auto,
        RtspTransportSpec::Tcp => RtspTransport::Tcp,
        RtspTransportSpec::Udp => RtspTransport::Udp,
    };
    let trust = trust(spec.certificate_fingerprint.as_deref());
    RtspSettings { url, credentials, transport, trust, limits }
}

fn trust(fingerprint: Option<&str>) -> Trust {
    fingerprint.and_then(fingerprint_bytes).map_or(Trust::Authorities, Trust::Fingerprint)
}
