//! camera-relay on bad networks and beside bad neighbours, seen by viewers on another stack: lost packets, viewers that stand still, viewers that ask
//! for key frames, and viewers that come and go for a while. What needs a browser is in `browser/media.test.mjs`.

mod key_frames;
mod limits;
mod loss;
mod soak;
mod stopped;

use anyhow::{Result, ensure};
use integration_tests::{camera::Relay, gateway::Settings};
use patchbay_testkit::{
    http,
    keys::Keys,
    webrtc::{Swarm, Wants},
};
use std::env;
use tempfile::TempDir;

/// Cameras: `asked` makes key frames when asked and else once a minute, `deaf` makes them once a minute whoever asks.
const CAMERAS: &str = r#"[
  { name = "test", test = {} },
  { name = "asked", test = { width = 320, height = 240, bitrate = 300000, key_frame_interval = "60s" } },
  { name = "deaf", test = { width = 320, height = 240, key_frame_interval = "60s", ignore_key_frame_requests = true } },
  { name = "busy", test = { bitrate = 4000000 } }
]"#;

async fn relay(settings: Settings) -> Result<(Relay, TempDir)> {
    let folder = tempfile::tempdir()?;
    let keys = Keys::create(folder.path())?;
    let settings = settings.set("cameras.configured", CAMERAS);
    Ok((Relay::start(folder.path(), "relay", &keys, settings).await?, folder))
}

/// Sum of a figure of the metrics over its labels.
async fn metric(relay: &Relay, name: &str) -> Result<f64> {
    let name = format!("patchbay_camera_relay_{name}");
    let text = http::get(relay.ops, "/metrics", &[]).await?.body;
    let values = text.lines().filter_map(|line| {
        let rest = line.strip_prefix(&name)?;
        rest.starts_with([' ', '{']).then(|| rest.rsplit(' ').next()?.parse::<f64>().ok())?
    });
    let values: Vec<f64> = values.collect();
    ensure!(!values.is_empty(), "there is no metric {name}");
    Ok(values.iter().sum())
}

/// A variable that says how a test runs.
fn variable(name: &str) -> Option<String> {
    env::var_os(name)?.into_string().ok()
}

/// Adds viewers of a camera.
async fn add(swarm: &mut Swarm, relay: &Relay, camera: &str, viewers: usize) -> Result<()> {
    for _ in 0..viewers {
        swarm.add(relay.viewer(camera, Wants::Video).await?.0)?;
    }
    Ok(())
}
