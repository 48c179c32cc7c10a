//! `patchbay camera list` and `show`.

use super::{
    NamedArgs, RelayArgs, refused,
    words::{duration, harmless, kbit},
};
use anyhow::Context;
use patchbay_chassis::cli;
use patchbay_proto::camera::v1::{
    Camera, CameraStatus, CameraTrack, GetCameraRequest, ListCamerasRequest, Login, camera::Source,
};
use std::fmt::{self, Write as _};

/// Cameras asked for at once.
const PAGE: u32 = 500;

pub(super) async fn list(relay: &RelayArgs) -> anyhow::Result<()> {
    let mut client = relay.connect().await?;
    let (mut lines, mut page_token) = (Vec::new(), String::new());
    loop {
        let request = ListCamerasRequest { page_size: PAGE, page_token };
        let page = client.list_cameras(request).await.map_err(|status| refused(&status))?.into_inner();
        lines.extend(page.cameras.iter().map(line));
        page_token = page.next_page_token;
        if page_token.is_empty() {
            break;
        }
    }
    if lines.is_empty() {
        lines.push("there are no cameras; `patchbay camera add` adds one".to_owned());
    }
    Ok(cli::print(&lines.join("\n"))?)
}

pub(super) async fn one(args: &NamedArgs) -> anyhow::Result<()> {
    let request = GetCameraRequest { name: args.name.clone() };
    let answer = args.relay.connect().await?.get_camera(request).await.map_err(|status| refused(&status))?;
    let camera = answer.into_inner().camera.context("camera-relay said nothing of the camera")?;
    let mut text = String::new();
    whole(&mut text, &camera)?;
    Ok(cli::print(text.trim_end())?)
}

fn line(camera: &Camera) -> String {
    let status = camera.status.clone().unwrap_or_default();
    let (kind, _) = source(camera);
    let line = format!(
        "{:<24} {:<9} {kind:<7} {:>3} viewers  {}",
        camera.name,
        state(&status),
        status.viewers,
        if status.detail.is_empty() { &camera.title } else { &status.detail }
    );
    harmless(line.trim_end())
}

fn whole(text: &mut String, camera: &Camera) -> fmt::Result {
    let status = camera.status.clone().unwrap_or_default();
    let (kind, place) = source(camera);
    let title =
        if camera.title.is_empty() { String::new() } else { format!("  {}", harmless(&camera.title)) };
    writeln!(text, "{}{title}", camera.name)?;
    writeln!(text, "  source     {}", harmless(format!("{kind} {place}").trim_end()))?;
    let origin = if camera.configured { "the configuration of the service" } else { "a call" };
    let when = if camera.always_on || camera.motion.is_some() { "always" } else { "while somebody looks" };
    writeln!(text, "  added by   {origin}; captured {when}")?;
    if let Some(processing) = &camera.processing {
        writeln!(text, "  processing {}", processed(processing))?;
    }
    if let Some(motion) = &camera.motion {
        let now = if status.motion { "; something moves now" } else { "" };
        writeln!(text, "  motion     looked for in {} zones{now}", motion.zones.len())?;
    }
    write!(text, "  state      {}", state(&status))?;
    if !status.detail.is_empty() {
        write!(text, ": {} ({})", harmless(&status.detail), status.reason)?;
    }
    writeln!(text, "\n  viewers    {}", status.viewers)?;
    for track in &status.tracks {
        writeln!(text, "  carries    {}", carried(track))?;
    }
    Ok(())
}

fn processed(processing: &patchbay_proto::camera::v1::Processing) -> String {
    let mut parts = Vec::new();
    if processing.overlay.is_some() {
        parts.push("a clock".to_owned());
    }
    if processing.height != 0 {
        parts.push(format!("{} lines", processing.height));
    }
    if !processing.masks.is_empty() {
        parts.push(format!("{} masks", processing.masks.len()));
    }
    parts.join(", ")
}

fn carried(track: &CameraTrack) -> String {
    let size = if track.width == 0 { String::new() } else { format!(" {}x{}", track.width, track.height) };
    let mut parts =
        vec![format!("{}{size}", track.codec), format!("{:.1} a second", track.rate), kbit(track.bitrate)];
    if track.key_frame_interval.is_some() {
        parts.push(format!("key frame each {:.1} s", duration(track.key_frame_interval).as_secs_f64()));
    }
    if track.transcoded {
        parts.push(format!("transcoded: {}", track.why));
    }
    harmless(&parts.join(", "))
}

fn state(status: &CameraStatus) -> String {
    status.state().as_str_name().trim_start_matches("CAMERA_STATE_").to_lowercase()
}

/// Kind and place.
fn source(camera: &Camera) -> (&'static str, String) {
    let at = |url: &str, login: &Option<Login>| match login {
        Some(login) => format!("{url} as {}", login.username),
        None => url.to_owned(),
    };
    match &camera.source {
        Some(Source::Test(_)) => ("test", String::new()),
        Some(Source::File(file)) => ("file", file.path.clone()),
        Some(Source::Rtsp(rtsp)) => ("rtsp", at(&rtsp.url, &rtsp.login)),
        Some(Source::Url(url)) => ("url", at(&url.url, &url.login)),
        Some(Source::Mjpeg(mjpeg)) => ("mjpeg", at(&mjpeg.url, &mjpeg.login)),
        Some(Source::Device(device)) => ("device", device.path.clone()),
        Some(Source::Opencv(opencv)) => ("opencv", opencv.input.clone()),
        None => ("", String::new()),
    }
}
