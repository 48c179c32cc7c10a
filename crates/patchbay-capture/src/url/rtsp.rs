//! RTSP read by libav, for cameras that `RtspSource` cannot read: those that send MPEG-4 part 2, MPEG-2 or H.263, or that `retina` does not understand.
//!
//! libav connects to the door of a [`Tunnel`] on 127.0.0.1 and to nothing else: the guard, TLS, logins and bounds are the tunnel's.

use crate::{
    RtspSettings, RtspTransport,
    rtsp::tunnel::{Deliver, Lower, Target, Tunnel},
};
use futures_util::{FutureExt, future::BoxFuture};
use patchbay_av::{InputSettings, LiveSettings, Via, play_input};
use patchbay_egress::Guard;
use patchbay_media::{
    Spawn,
    hub::{Publisher, Source, SourceError},
};
use std::{fmt, sync::Arc};
use tokio_util::sync::CancellationToken;

/// A camera that speaks RTSP, read by libav, as a source of the hub. Its media comes over TCP, unless the settings say UDP.
pub struct LibavRtspSource {
    settings: RtspSettings,
    live: LiveSettings,
    guard: Guard,
    spawn: Arc<dyn Spawn>,
}

impl fmt::Debug for LibavRtspSource {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let url = crate::redacted(&self.settings.url);
        out.debug_struct("LibavRtspSource").field("url", &url).finish_non_exhaustive()
    }
}

impl LibavRtspSource {
    /// A camera that is reached by `guard`; `spawn` runs one task for each session. Pictures in codecs that the hub does not carry are encoded by `live`.
    pub fn new(settings: RtspSettings, live: LiveSettings, guard: Guard, spawn: Arc<dyn Spawn>) -> Self {
        Self { settings, live, guard, spawn }
    }

    async fn play(&self, publisher: Publisher, stop: &CancellationToken) -> Result<(), SourceError> {
        let RtspSettings { url, credentials, trust, limits, transport } = self.settings.clone();
        let lower = if transport == RtspTransport::Udp { Lower::Udp } else { Lower::Tcp };
        let target = Target { url, credentials, trust, limits };
        let opening = Tunnel::open(target, lower, Deliver::Client, &self.guard, &*self.spawn);
        let tunnel = tokio::select! {
            opened = opening => opened?,
            () = stop.cancelled() => return Ok(()),
        };
        let settings = InputSettings {
            address: tunnel.url().to_string(),
            format: None,
            via: Via::LoopbackRtsp,
            open_timeout: limits.start_timeout,
            stall_timeout: limits.stall_timeout,
            live: self.live.clone(),
        };
        let played = play_input(settings, publisher, stop.clone()).await;
        // What went wrong on the way to the camera says more than that the door was shut.
        played.map_err(|error| tunnel.failure().unwrap_or(error))
    }
}

impl Source for LibavRtspSource {
    fn run(
        self: Arc<Self>,
        publisher: Publisher,
        stop: CancellationToken,
    ) -> BoxFuture<'static, Result<(), SourceError>> {
        async move { self.play(publisher, &stop).await }.boxed()
    }
}

#[cfg(test)]
#[path = "rtsp_tests.rs"]
mod tests;
