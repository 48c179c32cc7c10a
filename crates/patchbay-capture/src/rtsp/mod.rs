//! Cameras that speak RTSP (RFC 2326), in plain or under TLS, over TCP or UDP.
//!
//! `retina` leads the session: it describes, sets up, plays and keeps alive, with all it knows of the quirks of cameras. The [`tunnel`] stands between it and the camera and bounds
//! everything; it also takes the media out of the connection, which then goes through our own depacketizers, so that a lost or damaged packet costs pictures until the next key frame
//! and not the session. H.264, H.265, AV1, VP8, VP9, AAC, Opus and G.711 pass through as they are; a camera that has nothing but
//! JPEG is encoded.

mod assembly;
mod clocks;
mod jpeg;
mod lane;
mod message;
mod offer;
mod rate;
mod reports;
mod session;
pub mod tunnel;

use crate::{CaptureLimits, Credentials, Trust};
use futures_util::{FutureExt, future::BoxFuture};
use patchbay_egress::Guard;
use patchbay_media::{
    Spawn,
    hub::{Publisher, Source, SourceError},
};
use session::{End, Parts};
use std::{
    fmt,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};
use tokio_util::sync::CancellationToken;
use tunnel::{Lower, Target};
use url::Url;

/// How long media is waited for over TCP before UDP is tried, where either is welcome: a camera that sends begins within some hundred milliseconds.
const AUTO_PATIENCE: Duration = Duration::from_secs(3);

/// How media comes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum RtspTransport {
    /// Over TCP, and over UDP where the camera does not do that and its address is not `rtsps://`, since datagrams are not encrypted.
    #[default]
    Auto,
    /// In the connection.
    Tcp,
    /// In datagrams.
    Udp,
}

/// A camera.
#[derive(Clone, Debug)]
pub struct RtspSettings {
    /// `rtsp://` or `rtsps://`, without a login.
    pub url: Url,
    /// Login.
    pub credentials: Option<Credentials>,
    /// How media comes.
    pub transport: RtspTransport,
    /// How it proves who it is, with `rtsps://`.
    pub trust: Trust,
    /// Bounds.
    pub limits: CaptureLimits,
}

impl RtspSettings {
    fn target(&self) -> Target {
        Target {
            url: self.url.clone(),
            credentials: self.credentials.clone(),
            trust: self.trust,
            limits: self.limits,
        }
    }
}

/// A camera as a source of the hub. Track 0 has its pictures, track 1 its sound, where it has them.
pub struct RtspSource {
    settings: RtspSettings,
    guard: Guard,
    spawn: Arc<dyn Spawn>,
    /// With [`RtspTransport::Auto`]: it was seen to work over UDP alone.
    prefers_udp: AtomicBool,
    /// It was seen to have no other pictures than JPEG.
    is_jpeg: AtomicBool,
}

impl fmt::Debug for RtspSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let url = crate::redacted(&self.settings.url);
        f.debug_struct("RtspSource").field("url", &url).finish_non_exhaustive()
    }
}

impl RtspSource {
    /// A camera that is reached by `guard`; `spawn` runs one task for each session.
    pub fn new(settings: RtspSettings, guard: Guard, spawn: Arc<dyn Spawn>) -> Self {
        let [prefers_udp, is_jpeg] = [false, false].map(AtomicBool::new);
        Self { settings, guard, spawn, prefers_udp, is_jpeg }
    }

    async fn work(&self, publisher: Publisher, stop: CancellationToken) -> Result<(), SourceError> {
        let is_tls = self.settings.url.scheme() == "rtsps";
        if is_tls && self.settings.transport == RtspTransport::Udp {
            let text = "over UDP pictures would come unencrypted: set the transport to TCP, or the address to rtsp://";
            return Err(SourceError::permanent(text));
        }
        let limits = self.settings.limits;
        let mut parts = Parts {
            settings: &self.settings,
            guard: &self.guard,
            spawn: &*self.spawn,
            publisher: &publisher,
            stop: &stop,
            patience: limits.stall_timeout,
        };
        let mut lower = self.lower();
        if self.settings.transport == RtspTransport::Auto && lower == Lower::Tcp && !is_tls {
            parts.patience = AUTO_PATIENCE.min(limits.stall_timeout);
            match self.session(&parts, lower).await {
                End::Silent(error) => tracing::info!(%error, "a camera sends nothing over TCP; trying UDP"),
                end => return end.into(),
            }
            self.prefers_udp.store(true, Ordering::Relaxed);
            (lower, parts.patience) = (Lower::Udp, limits.stall_timeout);
        }
        let end = self.session(&parts, lower).await;
        if matches!(end, End::Silent(_)) {
            // Next time both ways are open again.
            self.prefers_udp.store(false, Ordering::Relaxed);
        }
        end.into()
    }

    fn lower(&self) -> Lower {
        match self.settings.transport {
            RtspTransport::Udp => Lower::Udp,
            RtspTransport::Auto if self.prefers_udp.load(Ordering::Relaxed) => Lower::Udp,
            RtspTransport::Auto | RtspTransport::Tcp => Lower::Tcp,
        }
    }

    /// One session, of the kind that the camera has pictures for.
    async fn session(&self, parts: &Parts<'_>, lower: Lower) -> End {
        if !self.is_jpeg.load(Ordering::Relaxed) {
            match session::run(parts, lower).await {
                End::OnlyJpeg => self.is_jpeg.store(true, Ordering::Relaxed),
                end => return end,
            }
        }
        let end = jpeg::run(parts, lower).await;
        if matches!(&end, End::Failed(_)) {
            // Next time it may have others again.
            self.is_jpeg.store(false, Ordering::Relaxed);
        }
        end
    }
}

impl From<End> for Result<(), SourceError> {
    fn from(end: End) -> Self {
        match end {
            End::Stopped => Ok(()),
            End::Failed(error) | End::Silent(error) => Err(error),
            End::OnlyJpeg => Err(SourceError::temporary("the camera has changed what it sends")),
        }
    }
}

impl Source for RtspSource {
    fn run(
        self: Arc<Self>,
        publisher: Publisher,
        stop: CancellationToken,
    ) -> BoxFuture<'static, Result<(), SourceError>> {
        async move { self.work(publisher, stop).await }.boxed()
    }
}
