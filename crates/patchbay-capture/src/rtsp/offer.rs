//! What a camera offers, and what of it is taken: the first pictures and the first sound in a codec that passes through.

use bytes::Bytes;
use patchbay_media::{
    Codec, Kind, TrackId,
    codec::{aac::AudioSpecificConfig, h264, h265, parameter_sets::ParameterSets},
    hub::{Reason, SourceError},
    track::TrackInfo,
};
use retina::{client::Stream, codec::ParametersRef};

/// Numbers of the tracks.
pub(super) const VIDEO: TrackId = TrackId(0);
pub(super) const AUDIO: TrackId = TrackId(1);

/// RTP's clock for pictures.
const VIDEO_CLOCK: u32 = 90_000;
/// Clocks of sound beyond this are no clocks.
const MOST_CLOCK: u32 = 192_000;
/// Most streams of a session that are looked at, and most payload types of it that are remembered.
const MAX_STREAMS: usize = 16;
const MAX_FORMATS: usize = 64;

/// A stream that is set up.
#[derive(Clone, Debug)]
pub(super) struct Taken {
    /// Its index in the session.
    pub(super) index: usize,
    pub(super) payload_type: u8,
    /// As far as it is known: pictures have a size and a configuration when the description tells them.
    pub(super) info: TrackInfo,
}

/// How pictures are read that do not pass through.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Way {
    /// JPEG, put together by `retina` and encoded.
    Jpeg,
    /// In a codec that `retina` does not know and libav does.
    Libav,
}

/// Codecs that libav reads out of RTP.
const LIBAV: [&str; 7] = ["mp4v-es", "mpv", "mp2t", "h261", "h263", "h263-1998", "h263-2000"];

/// The way to pictures that do not pass through; none where there are none that can be read.
pub(super) fn other_way(streams: &[Stream]) -> Option<Way> {
    let has = |names: &[&str]| {
        streams.iter().any(|stream| stream.media() == "video" && names.contains(&stream.encoding_name()))
    };
    if has(&["jpeg"]) {
        return Some(Way::Jpeg);
    }
    has(&LIBAV).then_some(Way::Libav)
}

/// A payload type and what it means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Format {
    pub(super) payload_type: u8,
    pub(super) codec: Codec,
    pub(super) clock_rate: u32,
}

/// Chooses among the streams; pictures come first.
pub(super) fn choose(streams: &[Stream]) -> Result<Vec<Taken>, SourceError> {
    let mut taken: Vec<Taken> = Vec::new();
    for (index, stream) in streams.iter().enumerate().take(MAX_STREAMS) {
        let Some(codec) = codec(stream.media(), stream.encoding_name()) else { continue };
        let is_there = taken.iter().any(|other| other.info.codec.kind() == codec.kind());
        let info = if is_there { None } else { info(codec, stream) };
        taken.extend(info.map(|info| Taken { index, payload_type: stream.rtp_payload_type(), info }));
    }
    taken.sort_by_key(|taken| taken.info.id);
    if taken.is_empty() { Err(nothing(streams)) } else { Ok(taken) }
}

/// The codec of a name in SDP (RFC 4855); none where it is not one that passes through.
fn codec(media: &str, name: &str) -> Option<Codec> {
    let codec = match name.to_ascii_lowercase().as_str() {
        "mpeg4-generic" => Codec::Aac,
        name => Codec::from_name(name)?,
    };
    let expected = if codec.kind() == Kind::Video { "video" } else { "audio" };
    media.eq_ignore_ascii_case(expected).then_some(codec)
}

/// What is known of a stream; none where it lacks what nothing else can tell.
fn info(codec: Codec, stream: &Stream) -> Option<TrackInfo> {
    let is_video = codec.kind() == Kind::Video;
    let clock_rate = if is_video { VIDEO_CLOCK } else { stream.clock_rate_hz() };
    let channels = stream.channels().and_then(|channels| u8::try_from(channels.get()).ok());
    let mut info = TrackInfo {
        id: if is_video { VIDEO } else { AUDIO },
        codec,
        clock_rate,
        channels: if is_video { 0 } else { channels.unwrap_or(1).clamp(1, 8) },
        width: 0,
        height: 0,
        configuration: Bytes::new(),
        reordered: false,
    };
    match (codec, stream.parameters()) {
        (Codec::Aac, Some(ParametersRef::Audio(audio))) => {
            let config = AudioSpecificConfig::parse(audio.extra_data()).ok()?;
            info.configuration = Bytes::copy_from_slice(audio.extra_data());
            info.channels = config.channels();
        }
        (Codec::Aac, _) => return None,
        (Codec::H264 | Codec::H265, Some(ParametersRef::Video(video))) => {
            learn(&mut info, &Bytes::copy_from_slice(video.extra_data()));
        }
        _ => {}
    }
    (1..=MOST_CLOCK).contains(&info.clock_rate).then_some(info)
}

/// Takes parameter sets out of a record. Where they cannot be read, the ones of the first key frame count.
fn learn(info: &mut TrackInfo, record: &Bytes) {
    let configuration = match info.codec {
        Codec::H264 => h264::Avcc::parse(record).map(|record| record.configuration),
        _ => h265::Hvcc::parse(record).map(|record| record.configuration),
    };
    let mut sets = if info.codec == Codec::H264 { ParameterSets::h264() } else { ParameterSets::h265() };
    let Ok(configuration) = configuration else { return };
    if let (Ok(()), Ok(format)) = (sets.learn(&configuration), sets.format()) {
        (info.width, info.height) = (format.width, format.height);
        info.configuration = configuration;
    }
}

/// Why nothing was chosen.
fn nothing(streams: &[Stream]) -> SourceError {
    let name = |stream: &Stream| {
        let plain = |c: &char| c.is_ascii_alphanumeric() || "-._".contains(*c);
        stream.encoding_name().to_ascii_uppercase().chars().filter(plain).take(24).collect::<String>()
    };
    let mut names: Vec<String> = streams
        .iter()
        .filter(|stream| matches!(stream.media(), "video" | "audio"))
        .take(4)
        .map(name)
        .collect();
    names.dedup();
    if names.is_empty() {
        return SourceError::temporary("the camera offers neither pictures nor sound under this path")
            .because(Reason::NoTracks);
    }
    let text = format!(
        "the camera sends {}, which is not supported: set its video to H.264 (or H.265, AV1, VP8, VP9) and its sound to AAC, G.711 or Opus",
        names.join(" and ")
    );
    SourceError::temporary(text).because(Reason::Codec)
}

/// The payload types that a description names, for cameras that change to another one later.
pub(super) fn formats(sdp: &[u8]) -> Vec<Format> {
    let text = String::from_utf8_lossy(sdp);
    let mut media = String::new();
    let mut formats = vec![
        Format { payload_type: 0, codec: Codec::Pcmu, clock_rate: 8000 },
        Format { payload_type: 8, codec: Codec::Pcma, clock_rate: 8000 },
    ];
    for line in text.lines().map(str::trim) {
        if let Some(section) = line.strip_prefix("m=") {
            section.split_ascii_whitespace().next().unwrap_or_default().clone_into(&mut media);
        } else if let Some(map) = line.strip_prefix("a=rtpmap:")
            && formats.len() < MAX_FORMATS
        {
            formats.extend(format(&media, map));
        }
    }
    formats
}

/// `96 H264/90000`
fn format(media: &str, map: &str) -> Option<Format> {
    let (payload_type, encoding) = map.split_once(' ')?;
    let mut parts = encoding.trim().split('/');
    let codec = codec(media, parts.next()?)?;
    let clock_rate = parts.next()?.trim().parse().ok().filter(|rate| (1..=MOST_CLOCK).contains(rate))?;
    let payload_type = payload_type.trim().parse().ok().filter(|kind| *kind < 128)?;
    Some(Format { payload_type, codec, clock_rate })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn payload_types_are_read() {
        let sdp = b"v=0\r\nm=video 0 RTP/AVP 96 97\r\na=rtpmap:96 H264/90000\r\na=rtpmap:97 h265/90000\r\na=rtpmap:x\r\nm=audio 0 RTP/AVP 8\r\na=rtpmap:98 opus/48000/2\r\na=rtpmap:99 H264/90000\r\na=rtpmap:200 opus/48000/2\r\na=rtpmap:100 opus/0\r\n";
        let found: Vec<_> = formats(sdp).iter().map(|format| (format.payload_type, format.codec)).collect();
        let expected =
            [(0, Codec::Pcmu), (8, Codec::Pcma), (96, Codec::H264), (97, Codec::H265), (98, Codec::Opus)];
        assert_eq!(found, expected);
    }
}
