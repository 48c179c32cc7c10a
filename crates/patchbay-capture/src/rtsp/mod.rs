//! Cameras that speak RTSP (RFC 2326), in plain or under TLS, over TCP or UDP.
//!
//! `retina` leads the session: it describes, sets up, plays and keeps alive, with all it knows of the quirks of cameras. The [`tunnel`] stands between it and the camera and bounds
//! everything; it also takes the media out of the connection, which then goes through our own depacketizers, so that a lost or damaged packet costs pictures until the next key frame
//! and not the session. H.264, H.265, AV1, VP8, VP9, AAC, Opus and G.711 pass through as they are; pictures of a
//! camera that has nothing but JPEG are encoded, and those of older codecs are read by libav.

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

pub(crate) use rate::Rate;

use crate::{CaptureLimits, Credentials, LibavRtspSource, Trust};
use futures_util::{FutureExt, future::BoxFuture};
use patchbay_av::LiveSettings;
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

/// A camera. What prints it leaves logins and tokens out.
#[derive(Clone)]
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

impl fmt::Debug for RtspSettings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (url, transport) = (crate::redacted(&self.url), self.transport);
        f.debug_struct("RtspSettings")
            .field("url", &url)
            .field("transport", &transport)
            .finish_non_exhaustive()
    }
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
    /// Its pictures were seen to be in a codec that libav has to read.
    needs_libav: AtomicBool,
    /// How pictures are encoded that do not pass through.
    live: LiveSettings,
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
        let [prefers_udp, needs_libav] = [false, false].map(AtomicBool::new);
        Self { settings, guard, spawn, prefers_udp, needs_libav, live: LiveSettings::default() }
    }

    /// The same, with pictures that do not pass through encoded like this.
    #[must_use]
    pub fn encoding(self, live: LiveSettings) -> Self {
        Self { live, ..self }
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
            live: &self.live,
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

    /// One session, by libav where the camera's pictures ask for it.
    async fn session(&self, parts: &Parts<'_>, lower: Lower) -> End {
        if !self.needs_libav.load(Ordering::Relaxed) {
            match session::run(parts, lower).await {
                End::ForLibav => self.needs_libav.store(true, Ordering::Relaxed),
                end => return end,
            }
        }
        let end = self.by_libav(parts, lower).await;
        if matches!(&end, End::Failed(_)) {
            // Next time it may have others.
            self.needs_libav.store(false, Ordering::Relaxed);
        }
        end
    }

    async fn by_libav(&self, parts: &Parts<'_>, lower: Lower) -> End {
        let (guard, spawn) = (self.guard.clone(), Arc::clone(&self.spawn));
        let transport = if lower == Lower::Udp { RtspTransport::Udp } else { RtspTransport::Tcp };
        let settings = RtspSettings { transport, ..self.settings.clone() };
        let source = LibavRtspSource::new(settings, self.live.clone(), guard, spawn);
        let played = Arc::new(source).run(parts.publisher.clone(), parts.stop.clone()).await;
        played.err().map_or(End::Stopped, End::Failed)
    }
}

impl From<End> for Result<(), SourceError> {
    fn from(end: End) -> Self {
        match end {
            End::Stopped => Ok(()),
            End::Failed(error) | End::Silent(error) => Err(error),
            End::ForLibav => Err(SourceError::temporary("the camera has changed what it sends")),
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_that_is_printed_has_a_login_or_a_token() {
        let settings = RtspSettings {
            url: Url::parse("rtsp://camera/live?token=s3cret").unwrap(),
            credentials: Some(Credentials { username: "admin".to_owned(), password: "s3cret".into() }),
            transport: RtspTransport::Auto,
            trust: Trust::Authorities,
            limits: CaptureLimits::default(),
        };
        let printed = format!("{settings:?} {:?}", settings.target());
        assert!(printed.contains("rtsp://camera/live") && !printed.contains("s3cret"), "{printed}");
        assert!(!printed.contains("admin"), "{printed}");
    }
}
