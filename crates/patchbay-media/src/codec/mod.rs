//! Codecs and what their headers tell.
//!
//! Each module reads what one format says about itself and brings units into the form in which they travel. Nothing here decodes, and nothing
//! panics or runs long on whatever bytes it is given: what cannot be read is a [`HeaderError`].

pub mod aac;
pub mod av1;
pub mod bits;
pub mod g711;
pub mod h264;
pub mod h265;
pub mod mime;
pub mod nal;
pub mod opus;
pub mod parameter_sets;
pub mod vp8;
pub mod vp9;

use bytes::Bytes;

/// Why a header could not be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum HeaderError {
    /// The data ends before the header does.
    #[error("the data ends inside a header")]
    Truncated,
    /// A value that the format does not allow.
    #[error("not valid: {0}")]
    Invalid(&'static str),
    /// Allowed by the format, and not handled here.
    #[error("not supported: {0}")]
    Unsupported(&'static str),
    /// More than the documented limit.
    #[error("{what} exceeds the limit of {limit}")]
    TooLarge {
        /// What there is too much of.
        what: &'static str,
        /// How much is taken.
        limit: usize,
    },
    /// A key frame came, and nothing before or in it says how to decode it.
    #[error("no parameter sets came before the first key frame")]
    NoParameterSets,
}

/// What a decoder must know of the pictures of a track before it gets them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct VideoFormat {
    /// Pixels across, as shown.
    pub width: u16,
    /// Pixels down, as shown.
    pub height: u16,
    /// Pictures may be shown in another order than they are decoded in.
    pub reordered: bool,
}

/// A unit in the hub's form.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Normalised {
    /// The unit; shares the bytes of what came in wherever nothing had to be changed.
    pub data: Bytes,
    /// Decoding can start here.
    pub key: bool,
    /// The parameter sets or the sequence header, where they are new or differ from those before: what the track says of itself may have changed.
    pub configuration: Option<Bytes>,
}

/// What a track is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    /// Pictures.
    Video,
    /// Sound.
    Audio,
}

/// A coding, and the form in which its units travel through the hub.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Codec {
    /// H.264 (ITU-T H.264): NAL units, each after its length in four bytes, big-endian; no access unit delimiters; SPS and PPS stand in front of every IDR picture.
    H264,
    /// H.265 (ITU-T H.265): as H.264; VPS, SPS and PPS stand in front of every IRAP picture.
    H265,
    /// AV1: a temporal unit of OBUs with size fields, without temporal delimiters; the sequence header stands in front of every key frame.
    Av1,
    /// VP8 (RFC 6386): one frame.
    Vp8,
    /// VP9: one frame or superframe.
    Vp9,
    /// AAC (ISO/IEC 14496-3): one raw data block, without ADTS; the `AudioSpecificConfig` is the track's configuration.
    Aac,
    /// Opus (RFC 6716): one packet.
    Opus,
    /// G.711 A-law: samples of 8 bits.
    Pcma,
    /// G.711 mu-law: samples of 8 bits.
    Pcmu,
}

impl Codec {
    /// Every codec.
    pub const ALL: [Self; 9] = [
        Self::H264,
        Self::H265,
        Self::Av1,
        Self::Vp8,
        Self::Vp9,
        Self::Aac,
        Self::Opus,
        Self::Pcma,
        Self::Pcmu,
    ];

    /// Pictures or sound.
    pub const fn kind(self) -> Kind {
        match self {
            Self::H264 | Self::H265 | Self::Av1 | Self::Vp8 | Self::Vp9 => Kind::Video,
            Self::Aac | Self::Opus | Self::Pcma | Self::Pcmu => Kind::Audio,
        }
    }

    /// Name as in media types (RFC 6381, RFC 4855) and in the API: `H264`, `opus`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::H264 => "H264",
            Self::H265 => "H265",
            Self::Av1 => "AV1",
            Self::Vp8 => "VP8",
            Self::Vp9 => "VP9",
            Self::Aac => "AAC",
            Self::Opus => "opus",
            Self::Pcma => "PCMA",
            Self::Pcmu => "PCMU",
        }
    }

    /// Whether decoding can start at a unit, which is in the form that the codec's documentation above names.
    pub fn is_key(self, unit: &Bytes) -> Result<bool, HeaderError> {
        match self {
            Self::H264 => h264::is_key(unit),
            Self::H265 => h265::is_key(unit),
            Self::Av1 => av1::is_key(unit),
            Self::Vp8 => Ok(matches!(vp8::FrameHeader::parse(unit)?, vp8::FrameHeader::Key { .. })),
            Self::Vp9 => Ok(vp9::FrameHeader::parse(unit)?.key.is_some()),
            Self::Aac | Self::Opus | Self::Pcma | Self::Pcmu => Ok(true),
        }
    }

    /// The codec of that name, whatever its case.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|codec| codec.name().eq_ignore_ascii_case(name))
    }
}
