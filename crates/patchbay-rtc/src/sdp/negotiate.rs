//! Which of an offer's payload types a track is sent in, and which codecs an offer speaks of.

use super::h264::Profile;
use super::{Direction, Media, Offer, Payload, Purpose};
use patchbay_media::{Codec, Kind};

impl Direction {
    /// The same, seen from the other side.
    #[must_use]
    pub fn reversed(self) -> Self {
        match self {
            Self::SendOnly => Self::ReceiveOnly,
            Self::ReceiveOnly => Self::SendOnly,
            same => same,
        }
    }

    /// The one whose view it is sends.
    pub fn sends(self) -> bool {
        matches!(self, Self::SendReceive | Self::SendOnly)
    }

    /// The one whose view it is receives.
    pub fn receives(self) -> bool {
        matches!(self, Self::SendReceive | Self::ReceiveOnly)
    }
}

impl Offer {
    /// Codecs of pictures that the offerer wants to receive, the best first.
    pub fn video_codecs(&self) -> Vec<Codec> {
        self.codecs(Kind::Video, Direction::receives)
    }

    /// Codecs of sound that the offerer wants to receive, the best first.
    pub fn audio_codecs(&self) -> Vec<Codec> {
        self.codecs(Kind::Audio, Direction::receives)
    }

    /// Codecs of pictures that the offerer wants to send, the best first.
    pub fn published_video_codecs(&self) -> Vec<Codec> {
        self.codecs(Kind::Video, Direction::sends)
    }

    /// Codecs of sound that the offerer wants to send, the best first.
    pub fn published_audio_codecs(&self) -> Vec<Codec> {
        self.codecs(Kind::Audio, Direction::sends)
    }

    fn codecs(&self, kind: Kind, way: fn(Direction) -> bool) -> Vec<Codec> {
        let mut codecs = Vec::new();
        let sections = self.media.iter().filter(|media| media.purpose == Purpose::Media(kind));
        for media in sections.filter(|media| !media.rejected && way(media.direction)) {
            for codec in media.payloads.iter().filter_map(|payload| payload.codec) {
                if !codecs.contains(&codec) && media.choose(codec, None).is_some() {
                    codecs.push(codec);
                }
            }
        }
        codecs
    }
}

impl Media {
    /// The payload type for a codec: with the stream's profile, or the nearest that will do.
    ///
    /// `profile` is what the codec's own format parameter says: `profile-level-id` of H.264, `profile-id` of VP9 and H.265, `profile` of AV1.
    /// Without one, the first that fits is taken. H.264 is cut into pieces here, so `packetization-mode=1` is a must. A stream of High or Main
    /// profile goes to a baseline payload type where its own is not offered: browsers list the baseline alone on some systems, and decode the others all the same.
    /// VP9 and AV1 have no such mercy: a profile that is not offered is not decoded.
    pub fn choose(&self, codec: Codec, profile: Option<&str>) -> Option<Payload> {
        let candidates = self.payloads.iter().filter(|payload| payload.codec == Some(codec));
        match codec {
            Codec::H264 => {
                let stream = profile.and_then(Profile::read);
                candidates
                    .filter(|payload| payload.parameter("packetization-mode") == Some("1"))
                    .min_by_key(|payload| payload.h264_profile().distance(stream))
            }
            Codec::Vp9 => exact(candidates, "profile-id", "0", profile),
            Codec::Av1 => exact(candidates, "profile", "0", profile),
            Codec::H265 => exact(candidates, "profile-id", "1", profile),
            _ => candidates.into_iter().next(),
        }
        .cloned()
    }

    /// Number of a header extension.
    pub fn extension(&self, uri: &str) -> Option<u8> {
        self.extensions.iter().find(|extension| extension.uri == uri).map(|extension| extension.id)
    }
}

impl Payload {
    /// The same with no other feedback than this, in the offer's order.
    #[must_use]
    pub fn with_feedback(mut self, wanted: &[&str]) -> Self {
        self.feedback.retain(|feedback| wanted.contains(&feedback.as_str()));
        self
    }

    /// The same without retransmission.
    #[must_use]
    pub fn without_rtx(self) -> Self {
        Self { rtx: None, ..self }
    }

    /// A parameter of the format.
    pub fn parameter(&self, name: &str) -> Option<&str> {
        parameter(&self.format, name)
    }

    /// Baseline when nothing is said (RFC 6184, section 8.1).
    fn h264_profile(&self) -> Profile {
        self.parameter("profile-level-id").and_then(Profile::read).unwrap_or(Profile::Baseline)
    }
}

/// A parameter of a format, `name=value;name=value`; names are compared whatever their case.
pub(super) fn parameter<'a>(format: &'a str, name: &str) -> Option<&'a str> {
    format
        .split(';')
        .filter_map(|pair| pair.split_once('='))
        .find(|(key, _)| key.trim().eq_ignore_ascii_case(name))
        .map(|(_, value)| value.trim())
}

/// The first payload type with that value of a parameter; both have the standard's value when silent.
fn exact<'a>(
    mut candidates: impl Iterator<Item = &'a Payload>,
    name: &str,
    standard: &str,
    profile: Option<&str>,
) -> Option<&'a Payload> {
    let wanted = profile.unwrap_or(standard);
    candidates.find(|payload| payload.parameter(name).unwrap_or(standard) == wanted)
}

#[cfg(test)]
#[path = "negotiate_tests.rs"]
mod tests;
