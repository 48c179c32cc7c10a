//! `GStreamer`'s RTSP server, as a process: needs the Debian packages `python3-gi`, `gir1.2-gst-rtsp-server-1.0`, `gstreamer1.0-plugins-good`, `-bad` and `-ugly`, `gstreamer1.0-libav`,
//! and `glib-networking` for TLS.

use crate::{
    process::{Launch, Process},
    wait::wait_for,
};
use anyhow::{Context, Result};
use std::{net::SocketAddr, path::Path, time::Duration};

/// Time that it has to start.
const START: Duration = Duration::from_secs(20);

/// A camera that is served on `/live`. Dropped, it is killed.
pub struct GstCamera {
    process: Process,
    address: SocketAddr,
}

impl GstCamera {
    /// Starts one with options of `gstreamer.py`, such as `["--video", "vp8", "--audio", "aac"]`; its log goes to the folder.
    pub async fn start(folder: &Path, options: &[&str]) -> Result<Self> {
        let script = folder.join("gstreamer.py");
        std::fs::write(&script, include_str!("gstreamer.py"))?;
        // Each start has a log of its own, since the port is read from it.
        let name = format!("gstreamer-{}", crate::ports::free_address().port());
        // Debian's Python has the bindings; one of another origin that stands before it in the path has not.
        let mut launch = Launch::program("/usr/bin/python3", &name, folder).arg(script);
        for option in options {
            launch = launch.arg(*option);
        }
        let process = launch.start()?;
        let port = async || {
            let log = process.log();
            log.lines().find_map(|line| line.strip_prefix("READY ")?.trim().parse::<u16>().ok())
        };
        let (port, _) =
            wait_for("GStreamer's RTSP server is ready", START, port).await.with_context(|| process.log())?;
        Ok(Self { process, address: SocketAddr::from(([127, 0, 0, 1], port)) })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Its process.
    pub fn process(&mut self) -> &mut Process {
        &mut self.process
    }
}
