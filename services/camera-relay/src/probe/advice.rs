//! What works and could be better, and what to try when it does not work, in words.

use super::{Found, Problem, profile};
use crate::{cameras::SourceSpec, discovery::makers};
use patchbay_media::{
    Codec, Kind,
    hub::{HealthFigures, Reason},
};
use std::time::Duration;

/// Viewers of the hub are shown a picture at once however far key frames are apart; others (MSE, recordings) and those who lose packets wait for one.
const KEY_FRAMES: Duration = Duration::from_secs(4);

/// Lines of a picture of 1080p.
const LINES: u16 = 1088;

/// Bits a second beyond which few home networks carry a handful of viewers.
const BITS: u64 = 8_000_000;

/// What could be better about the way to a source, and its kind.
pub(super) fn of_source(source: &SourceSpec) -> Vec<String> {
    let encoded = matches!(source, SourceSpec::Mjpeg(_)).then(|| {
        "the service encodes JPEG pictures to H264 itself, which costs some part of a core: where the camera speaks RTSP too, that is lighter".to_owned()
    });
    login(source).into_iter().chain(encoded).collect()
}

/// A login that everybody on the way can read.
fn login(source: &SourceSpec) -> Option<String> {
    let url = source.address()?.url()?;
    let secure = match url.scheme() {
        "rtsp" => "rtsps",
        "http" => "https",
        _ => return None,
    };
    source.login()?;
    Some(format!(
        "login and pictures go over an unencrypted connection: use {secure}:// where the camera has it, or keep the camera in a network of its own"
    ))
}

/// What could be better about tracks.
pub(super) fn on(tracks: &[Found], health: HealthFigures) -> Vec<String> {
    let mut advice = Vec::new();
    for track in tracks.iter().filter(|track| track.info.codec.kind() == Kind::Video) {
        pictures(track, &mut advice);
    }
    if !tracks.iter().any(|track| track.info.codec.kind() == Kind::Audio) {
        advice.push("it has no sound; many cameras have it switched off".to_owned());
    }
    let HealthFigures { lost, discarded, jumps } = health;
    if lost > 0 {
        advice.push(format!(
            "{lost} packets were lost on the way: use the transport TCP, a cable instead of wireless, or a lower bit rate"
        ));
    }
    if discarded > 0 {
        advice.push(format!("{discarded} pictures or sounds came damaged and were left out"));
    }
    if jumps > 0 {
        advice.push(format!(
            "the source's clock jumped {jumps} times: set the camera's clock by NTP, and look for newer firmware"
        ));
    }
    advice
}

fn pictures(track: &Found, advice: &mut Vec<String>) {
    let (info, figures) = (&track.info, &track.figures);
    match figures.key_frame_interval {
        Some(apart) if apart > KEY_FRAMES => advice.push(format!(
            "key frames are {:.1} s apart: set the camera's key-frame interval (GOP, I-frame interval) to 2 s, so that pictures mend sooner after losses",
            apart.as_secs_f64()
        )),
        Some(_) => {}
        None => advice.push(
            "no second key frame came while it was looked at: set the camera's key-frame interval (GOP, I-frame interval) to 2 s"
                .to_owned(),
        ),
    }
    if info.codec == Codec::H265 {
        advice.push("H265 is transcoded for most browsers, which costs a good part of a core while somebody looks: set the camera to H.264 if it can".to_owned());
    }
    if info.reordered && info.codec != Codec::H265 {
        advice.push("it has B-frames, which cost delay and a transcoder while somebody looks: switch them off in the camera, or set its profile to Baseline".to_owned());
    }
    if info.height.min(info.width) > LINES {
        advice.push(format!(
            "{}x{} is more than most screens show: the camera's second stream is mostly enough, and lighter",
            info.width, info.height
        ));
    }
    if figures.bitrate > BITS {
        let rate = figures.bitrate / 1_000_000;
        advice.push(format!("it sends {rate} Mbit a second to each viewer: 2 to 4 are enough for 1080p"));
    }
    let is_odd = info.codec == Codec::H264
        && profile::sps(info).is_some_and(|sps| sps.chroma_format != 1 || sps.luma_bits > 8);
    if is_odd {
        advice.push("browsers may not show H.264 of this profile: set the camera to High, Main or Baseline (8 bits, 4:2:0)".to_owned());
    }
}

/// What to try after a failure of a source of that kind.
pub(super) fn after(problem: &Problem, kind: &str) -> Vec<String> {
    if problem.reason != Reason::NotFound || kind != "rtsp" {
        return Vec::new();
    }
    let paths = makers::PATHS.iter().map(|maker| format!("{} {}", maker.name, maker.path));
    let paths = paths.collect::<Vec<_>>().join(", ");
    vec![format!("paths of well-known makers: {paths}; others stand in the camera's manual")]
}

#[cfg(test)]
#[path = "advice_tests.rs"]
mod tests;
