//! `patchbay camera probe`.

use super::{
    Client, RelayArgs, refused,
    source::{self, Opening, Origin},
    words::{duration, harmless, kbit},
};
use anyhow::{Context, bail};
use clap::Args;
use patchbay_chassis::cli;
use patchbay_proto::camera::v1::{
    Camera, GetCameraRequest, ProbeSourceRequest, ProbeSourceResponse, ProbeStep, ProbeTrack,
};
use serde_json::{Value, json};
use std::{
    fmt::{self, Write as _},
    fs,
    path::PathBuf,
    time::Duration,
};

/// Name of what is no camera yet, for the scope that the call needs.
const NAME: &str = "probe";

#[derive(Args)]
#[command(
    after_help = "ADDRESS may be the name of a camera that is there: its password need not be given again then.\nExit code 1 when no pictures came."
)]
pub(crate) struct ProbeArgs {
    #[command(flatten)]
    origin: Origin,
    #[command(flatten)]
    opening: Opening,
    /// Seconds that it may take.
    #[arg(long, value_name = "SECONDS", default_value_t = 15, value_parser = clap::value_parser!(u32).range(2..=60))]
    timeout: u32,
    /// Saves the first picture as a JPEG.
    #[arg(long, value_name = "FILE")]
    picture: Option<PathBuf>,
    /// Writes JSON instead of text.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    relay: RelayArgs,
}

pub(super) async fn run(args: ProbeArgs) -> anyhow::Result<()> {
    let time = Duration::from_secs(args.timeout.into());
    let named = args.origin.camera().map(str::to_owned);
    // Asked for before anything is connected to, so that nothing waits for the one who types.
    let given = match &named {
        None => Some(source::camera(NAME, args.origin.source(args.opening)?)),
        Some(_) => None,
    };
    let mut client = args.relay.connect_for(time).await?;
    let camera = match (given, named) {
        (Some(camera), _) => camera,
        (None, name) => read(&mut client, name.unwrap_or_default()).await?,
    };
    let request = ProbeSourceRequest {
        camera: Some(camera),
        timeout: Some(prost_types::Duration { seconds: args.timeout.into(), nanos: 0 }),
    };
    let found = client.probe_source(request).await.map_err(|status| refused(&status))?.into_inner();
    if let Some(path) = args.picture.filter(|_| !found.picture.is_empty()) {
        fs::write(&path, &found.picture).with_context(|| format!("could not write {}", path.display()))?;
    }
    if args.json {
        let text = format!("{:#}", in_json(&found));
        // Line by line: the ends of lines are ours.
        cli::print(&text.lines().map(harmless).collect::<Vec<_>>().join("\n"))?;
    } else {
        let mut text = String::new();
        in_words(&mut text, &found)?;
        cli::print(text.trim_end())?;
    }
    if found.ok { Ok(()) } else { bail!("{} ({})", harmless(&found.detail), found.reason) }
}

async fn read(client: &mut Client, name: String) -> anyhow::Result<Camera> {
    let answer = client.get_camera(GetCameraRequest { name: name.clone() }).await;
    let hint = || format!("`{name}` is no camera here; an address begins with rtsp:// or http://");
    let camera = answer.map_err(|status| refused(&status)).with_context(hint)?.into_inner().camera;
    camera.with_context(|| format!("camera-relay said nothing of {name}"))
}

fn in_words(text: &mut String, found: &ProbeSourceResponse) -> fmt::Result {
    for ProbeStep { name, ok, took, detail } in &found.steps {
        let sign = if *ok { "ok    " } else { "failed" };
        let took = duration(*took).as_secs_f64();
        writeln!(text, "{sign}  {name:<9} {took:>6.2} s  {}", harmless(detail))?;
    }
    for (index, track) in found.tracks.iter().enumerate() {
        if index == 0 {
            writeln!(text)?;
        }
        writeln!(text, "{}", line(track))?;
        writeln!(text, "  {}", track.delivery)?;
    }
    for (index, advice) in found.advice.iter().enumerate() {
        if index == 0 {
            writeln!(text)?;
        }
        writeln!(text, "- {}", harmless(advice))?;
    }
    Ok(())
}

/// `H264 1280x720 (H.264 High@3.1), 25.0 a second, 2048 kbit/s, key frame each 2.0 s`
fn line(track: &ProbeTrack) -> String {
    let of = track.track.clone().unwrap_or_default();
    let what = match (of.width, of.channels) {
        (0, 0) => of.codec,
        (0, 1) => format!("{} 1 channel", of.codec),
        (0, channels) => format!("{} {channels} channels", of.codec),
        (width, _) => format!("{} {width}x{}", of.codec, of.height),
    };
    let profile = if track.profile.is_empty() { String::new() } else { format!(" ({})", track.profile) };
    let mut parts = vec![format!("{what}{profile}")];
    parts.push(format!("{:.1} a second", of.rate));
    parts.push(kbit(of.bitrate));
    if of.key_frame_interval.is_some() {
        parts.push(format!("key frame each {:.1} s", duration(of.key_frame_interval).as_secs_f64()));
    }
    parts.join(", ")
}

/// Fields as in the REST interface, without the picture.
fn in_json(found: &ProbeSourceResponse) -> Value {
    let seconds = |time| duration(time).as_secs_f64();
    let steps = found.steps.iter().map(
        |step| json!({ "name": step.name, "ok": step.ok, "took": seconds(step.took), "detail": step.detail }),
    );
    let tracks = found.tracks.iter().map(|track| {
        let of = track.track.clone().unwrap_or_default();
        json!({
            "codec": of.codec,
            "profile": track.profile,
            "width": of.width,
            "height": of.height,
            "channels": of.channels,
            "rate": of.rate,
            "bitrate": of.bitrate,
            "keyFrameInterval": of.key_frame_interval.map(|interval| seconds(Some(interval))),
            "reordered": of.reordered,
            "passesThrough": track.passes_through,
            "delivery": track.delivery,
        })
    });
    json!({
        "ok": found.ok,
        "reason": found.reason,
        "detail": found.detail,
        "steps": steps.collect::<Vec<_>>(),
        "tracks": tracks.collect::<Vec<_>>(),
        "advice": found.advice,
        "adviceCodes": found.advice_codes,
    })
}
