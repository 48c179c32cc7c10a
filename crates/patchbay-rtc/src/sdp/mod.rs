//! Session descriptions (RFC 8866, RFC 8829): what an offer asks for and what the answer grants.
//!
//! Only what a server that answers needs; whatever else an offer holds is passed over. Bytes in, types out: no I/O.

mod fragment;
mod h264;
mod lines;
#[cfg(test)]
mod mutation_tests;
mod negotiate;
mod parse;
mod section;
mod transport;
mod write;

pub use fragment::{Fragment, RemoteCandidate};
pub use parse::OFFER_LIMIT;

use patchbay_media::{Codec, Kind};
use std::net::SocketAddr;

/// An offer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Offer {
    /// ICE credentials of the offerer (RFC 8839, section 5.4).
    pub ice: Credentials,
    /// SHA-256 of the offerer's certificate (RFC 8122, section 5).
    pub fingerprint: Fingerprint,
    /// What the answer may only say when the offer did.
    pub options: Options,
    /// Media sections in the order of the offer; all on one transport (RFC 9143).
    pub media: Vec<Media>,
}

/// What an answer repeats of the offer as a whole.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Options {
    /// `group:BUNDLE`. Without it the sections share their ICE credentials, and each is told the candidates.
    pub bundle: bool,
    /// `extmap-allow-mixed`: one-byte and two-byte header extensions in one stream (RFC 8285, section 6).
    pub mixed_extensions: bool,
    /// `rtcp-rsize` in every section of media (RFC 5506).
    pub reduced_rtcp: bool,
}

/// ICE user name fragment and password.
#[derive(Clone, PartialEq, Eq)]
pub struct Credentials {
    /// `ice-ufrag`: 4 to 256 characters.
    pub ufrag: String,
    /// `ice-pwd`: 22 to 256 characters.
    pub password: String,
}

impl std::fmt::Debug for Credentials {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Credentials").field("ufrag", &self.ufrag).finish_non_exhaustive()
    }
}

/// SHA-256 of a certificate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fingerprint(pub [u8; 32]);

/// What a media section is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// Pictures or sound.
    Media(Kind),
    /// Data channels (`m=application ... webrtc-datachannel`).
    DataChannels,
    /// Something else, which is refused in the answer.
    Other,
}

/// Who sends in a section, as the offerer sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// Both.
    SendReceive,
    /// The offerer.
    SendOnly,
    /// We.
    ReceiveOnly,
    /// Nobody.
    Inactive,
}

/// A media section of an offer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Media {
    /// `mid`; empty when the section has none, which only an offer without a bundle may do.
    pub mid: String,
    /// What it is for.
    pub purpose: Purpose,
    /// First line as offered (`m=video 9 UDP/TLS/RTP/SAVPF 96 97`), which a refusal repeats with port 0.
    pub first_line: String,
    /// The section was offered with port 0 and is not in the bundle: it stays refused.
    pub rejected: bool,
    /// Direction.
    pub direction: Direction,
    /// Payload types in the offerer's order of preference, without those that retransmit others.
    pub payloads: Vec<Payload>,
    /// Header extensions (RFC 8285).
    pub extensions: Vec<Extension>,
    /// `rid`s that the offerer sends (RFC 8853), in order; empty without simulcast.
    pub simulcast: Vec<String>,
    /// SSRCs that the offerer announces (RFC 5576).
    pub ssrcs: Vec<u32>,
    /// Pairs of SSRCs: media and its retransmission (`ssrc-group:FID`).
    pub rtx_ssrcs: Vec<(u32, u32)>,
    /// `sctp-port` of data channels.
    pub sctp_port: Option<u16>,
    /// `max-message-size` of data channels; 64 KiB when absent.
    pub max_message_size: Option<u64>,
}

/// One payload type.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Payload {
    /// Number, 0 to 127.
    pub number: u8,
    /// Name in `rtpmap`, as offered.
    pub name: String,
    /// The codec, where it is one of ours.
    pub codec: Option<Codec>,
    /// Ticks a second.
    pub clock_rate: u32,
    /// Channels of sound.
    pub channels: u8,
    /// `fmtp`, as offered.
    pub format: String,
    /// `rtcp-fb` values: `nack`, `nack pli`, `ccm fir`, `transport-cc`, `goog-remb`.
    pub feedback: Vec<String>,
    /// Number of the payload type that retransmits this one.
    pub rtx: Option<u8>,
}

/// A header extension.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Extension {
    /// Number, 1 to 14 for one-byte headers, up to 255 for two-byte ones.
    pub id: u8,
    /// What it means.
    pub uri: String,
}

/// Playout delay, which tells a browser to show pictures at once.
pub const PLAYOUT_DELAY: &str = "http://www.webrtc.org/experiments/rtp-hdrext/playout-delay";
/// Identifies the media section (RFC 9143, section 15).
pub const MID: &str = "urn:ietf:params:rtp-hdrext:sdes:mid";
/// Identifies a simulcast layer (RFC 8852).
pub const RID: &str = "urn:ietf:params:rtp-hdrext:sdes:rtp-stream-id";
/// Identifies the layer of a retransmission (RFC 8852).
pub const REPAIRED_RID: &str = "urn:ietf:params:rtp-hdrext:sdes:repaired-rtp-stream-id";
/// Numbers packets over all media, for feedback on their arrival.
pub const TRANSPORT_CC: &str = "http://www.ietf.org/id/draft-holmer-rmcat-transport-wide-cc-extensions-01";

/// Why an offer cannot be answered. The text is for whoever made the offer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum OfferError {
    /// It is larger than a description can sensibly be.
    #[error("the description has {size} bytes, and {limit} is the most")]
    TooLarge {
        /// Its size.
        size: usize,
        /// The limit.
        limit: usize,
    },
    /// A line is not what RFC 8866 allows.
    #[error("line {line} of the description: {problem}")]
    Malformed {
        /// Number of the line, from 1.
        line: usize,
        /// What is wrong.
        problem: String,
    },
    /// Something that WebRTC demands is missing.
    #[error("the description has no {what}")]
    Missing {
        /// What.
        what: &'static str,
    },
    /// Something that this server does not do.
    #[error("{what}")]
    Unsupported {
        /// What, in words.
        what: String,
    },
}

/// An answer, ready to be written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// Number of the session (`o=`).
    pub session: u64,
    /// Counts the answers of the session (`o=`).
    pub version: u64,
    /// Our ICE credentials.
    pub ice: Credentials,
    /// SHA-256 of our certificate.
    pub fingerprint: Fingerprint,
    /// Options of the offer.
    pub options: Options,
    /// Addresses at which we are reached.
    pub candidates: Vec<Candidate>,
    /// One for each media section of the offer, in its order.
    pub media: Vec<AnswerMedia>,
}

/// A host candidate (RFC 8839, section 5.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Candidate {
    /// How.
    pub transport: Transport,
    /// Where.
    pub address: SocketAddr,
}

/// How packets travel.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Transport {
    /// UDP.
    Udp,
    /// TCP that the offerer opens (`tcptype passive`, RFC 6544).
    Tcp,
}

/// What the answer says to a media section.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AnswerMedia {
    /// No: port 0.
    Refused {
        /// `mid` of the offer.
        mid: String,
        /// First line of the offer.
        first_line: String,
    },
    /// Pictures or sound.
    Media {
        /// `mid` of the offer.
        mid: String,
        /// Pictures or sound.
        kind: Kind,
        /// Direction, as we see it.
        direction: Direction,
        /// Payload types that are taken, each with what of its feedback is taken; retransmission payload types are written from their `rtx`.
        payloads: Vec<Payload>,
        /// Header extensions that are taken.
        extensions: Vec<Extension>,
        /// What we send: stream id, track id, media SSRC, and SSRC of retransmissions.
        sends: Option<Sends>,
        /// `rid`s of the offer that are received. They need [`RID`] among the extensions: Chromium refuses an answer without it.
        simulcast: Vec<String>,
    },
    /// Data channels.
    DataChannels {
        /// `mid` of the offer.
        mid: String,
        /// Our SCTP port.
        sctp_port: u16,
        /// Greatest message that we take, in bytes.
        max_message_size: u64,
    },
}

/// What we send in a media section.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sends {
    /// Stream (`msid`); tracks of one stream are kept in step by the receiver.
    pub stream: String,
    /// Track (`msid`). No two sections of an answer may have the same stream and track: Chromium refuses that.
    pub track: String,
    /// SSRC of the media.
    pub ssrc: u32,
    /// SSRC of its retransmissions.
    pub rtx_ssrc: Option<u32>,
}
