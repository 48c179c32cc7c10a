//! What works and could be better, and what to try when it does not work, in words.

use super::{Found, Problem, profile};
use crate::{cameras::SourceSpec, discovery::makers};
use patchbay_media::{
    Codec, Kind,
    hub::{HealthFigures, Reason},
};
use std::time::Duration;

/// What works and could be better, or what to try.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Advice {
    /// What it is about.
    pub(crate) topic: Topic,
    /// The same in words, with what was measured.
    pub(crate) words: String,
}

/// What advice can be about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Topic {
    Unencrypted,
    Jpeg,
    NoSound,
    Loss,
    Damage,
    ClockJumps,
    RareKeyFrames,
    LoneKeyFrame,
    H265,
    Reordered,
    LargePicture,
    HighBitRate,
    Profile,
    Pauses,
    NotDecoded,
    MakersPaths,
}

impl Topic {
    /// Its word in the interface.
    pub(crate) const fn word(self) -> &'static str {
        match self {
            Self::Unencrypted => "UNENCRYPTED",
            Self::Jpeg => "JPEG",
            Self::NoSound => "NO_SOUND",
            Self::Loss => "LOSS",
            Self::Damage => "DAMAGE",
            Self::ClockJumps => "CLOCK_JUMPS",
            Self::RareKeyFrames => "RARE_KEY_FRAMES",
            Self::LoneKeyFrame => "LONE_KEY_FRAME",
            Self::H265 => "H265",
            Self::Reordered => "REORDERED",
            Self::LargePicture => "LARGE_PICTURE",
            Self::HighBitRate => "HIGH_BIT_RATE",
            Self::Profile => "PROFILE",
            Self::Pauses => "PAUSES",
            Self::NotDecoded => "NOT_DECODED",
            Self::MakersPaths => "MAKERS_PATHS",
        }
    }

    /// What to say about it.
    pub(super) fn advice(self, words: impl Into<String>) -> Advice {
        Advice { topic: self, words: words.into() }
    }
}

/// Viewers of the hub are shown a picture at once however far key frames are apart; others (MSE, recordings) and those who lose packets wait for one.
const KEY_FRAMES: Duration = Duration::from_secs(4);

/// Lines of a picture of 1080p.
const LINES: u16 = 1088;

/// Bits a second beyond which few home networks carry a handful of viewers.
const BITS: u64 = 8_000_000;

/// What could be better about the way to a source, and its kind.
pub(super) fn of_source(source: &SourceSpec) -> Vec<Advice> {
    let encoded = matches!(source, SourceSpec::Mjpeg(_)).then(|| {
        Topic::Jpeg.advice("the service encodes JPEG pictures to H264 itself, which costs some part of a core: where the camera speaks RTSP too, that is lighter")
    });
    login(source).into_iter().chain(encoded).collect()
}

/// A login that everybody on the way can read.
fn login(source: &SourceSpec) -> Option<Advice> {
    let url = source.address()?.shown_url()?;
    let secure = match url.scheme() {
        "rtsp" => "rtsps",
        "http" => "https",
        _ => return None,
    };
    source.login()?;
    Some(Topic::Unencrypted.advice(format!(
        "login and pictures go over an unencrypted connection: use {secure}:// where the camera has it, or keep the camera in a network of its own"
    )))
}

/// What could be better about tracks.
pub(super) fn on(tracks: &[Found], health: HealthFigures) -> Vec<Advice> {
    let mut advice = Vec::new();
    for track in tracks.iter().filter(|track| track.info.codec.kind() == Kind::Video) {
        pictures(track, &mut advice);
    }
    if !tracks.iter().any(|track| track.info.codec.kind() == Kind::Audio) {
        advice.push(Topic::NoSound.advice("it has no sound; many cameras have it switched off"));
    }
    let HealthFigures { lost, discarded, jumps } = health;
    if lost > 0 {
        advice.push(Topic::Loss.advice(format!(
            "{lost} packets were lost on the way: use the transport TCP, a cable instead of wireless, or a lower bit rate"
        )));
    }
    if discarded > 0 {
        advice.push(
            Topic::Damage.advice(format!("{discarded} pictures or sounds came damaged and were left out")),
        );
    }
    if jumps > 0 {
        advice.push(Topic::ClockJumps.advice(format!(
            "the source's clock jumped {jumps} times: set the camera's clock by NTP, and look for newer firmware"
        )));
    }
    advice
}

fn pictures(track: &Found, advice: &mut Vec<Advice>) {
    let (info, figures) = (&track.info, &track.figures);
    match figures.key_frame_interval {
        Some(apart) if apart > KEY_FRAMES => advice.push(Topic::RareKeyFrames.advice(format!(
            "key frames are {:.1} s apart: set the camera's key-frame interval (GOP, I-frame interval) to 2 s, so that pictures mend sooner after losses",
            apart.as_secs_f64()
        ))),
        Some(_) => {}
        None => advice.push(Topic::LoneKeyFrame.advice(
            "no second key frame came while it was looked at: set the camera's key-frame interval (GOP, I-frame interval) to 2 s",
        )),
    }
    if info.codec == Codec::H265 {
        advice.push(Topic::H265.advice("H265 is transcoded for most browsers, which costs a good part of a core while somebody looks: set the camera to H.264 if it can"));
    }
    if info.reordered && info.codec != Codec::H265 {
        advice.push(Topic::Reordered.advice("it has B-frames, which cost delay and a transcoder while somebody looks: switch them off in the camera, or set its profile to Baseline"));
    }
    if info.height.min(info.width) > LINES {
        advice.push(Topic::LargePicture.advice(format!(
            "{}x{} is more than most screens show: the camera's second stream is mostly enough, and lighter",
            info.width, info.height
        )));
    }
    if figures.bitrate > BITS {
        let rate = figures.bitrate / 1_000_000;
        advice
            .push(Topic::HighBitRate.advice(format!(
                "it sends {rate} Mbit a second to each viewer: 2 to 4 are enough for 1080p"
            )));
    }
    let is_odd = info.codec == Codec::H264
        && profile::sps(info).is_some_and(|sps| sps.chroma_format != 1 || sps.luma_bits > 8);
    if is_odd {
        advice.push(Topic::Profile.advice("browsers may not show H.264 of this profile: set the camera to High, Main or Baseline (8 bits, 4:2:0)"));
    }
}

/// What to try after a failure of a source of that kind.
pub(super) fn after(problem: &Problem, kind: &str) -> Vec<Advice> {
    if problem.reason != Reason::NotFound || kind != "rtsp" {
        return Vec::new();
    }
    let paths = makers::PATHS.iter().map(|maker| format!("{} {}", maker.name, maker.path));
    let paths = paths.collect::<Vec<_>>().join(", ");
    vec![
        Topic::MakersPaths
            .advice(format!("paths of well-known makers: {paths}; others stand in the camera's manual")),
    ]
}

#[cfg(test)]
#[path = "advice_tests.rs"]
mod tests;
