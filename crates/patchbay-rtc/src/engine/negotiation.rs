//! What an answer grants of an offer.

use super::Inner;
use crate::{
    channels::{Channels, Limits},
    congestion::{Adapt, Controller, Probes},
    connection::{Extensions, Format, Incoming, Negotiated, Section, Sender, Tracks},
    feed::Feed,
    sdp::{
        Answer, AnswerMedia, Credentials, Direction, Extension, MID, Media, Offer, OfferError, PLAYOUT_DELAY,
        Payload, Purpose, REPAIRED_RID, RID, Sends, TRANSPORT_CC,
    },
};
use patchbay_media::{Codec, Kind};
use std::{net::IpAddr, sync::Arc, time::Instant};

/// What an answer offers.
#[derive(Clone, Debug, Default)]
pub struct Session {
    /// Addresses at which the peer reaches us.
    pub addresses: Vec<IpAddr>,
    /// Tracks for the peer, at most one of a kind.
    pub send: Vec<Sending>,
    /// What is taken of what the peer sends; nothing by default.
    pub receive: Receive,
    /// Bounds of data channels, where they are wanted.
    pub channels: Option<Limits>,
    /// Whether pictures follow what the way to the peer carries.
    pub adapt: Adapt,
}

/// What is taken of what a peer sends.
#[derive(Clone, Debug, Default)]
pub struct Receive {
    /// Codings, the best first; tracks in others are refused.
    pub codecs: Vec<Codec>,
    /// Bits a second that the peer may send in pictures; 0 leaves it to the peer.
    pub bit_rate: u64,
}

/// A track for a peer.
#[derive(Clone, Debug)]
pub struct Sending {
    /// Its packets.
    pub feed: Arc<Feed>,
    /// Name of the stream (`msid`): receivers keep tracks of one stream in step. Sound of another stream does not hold back the pictures.
    pub stream: String,
}

/// Why an offer is not answered.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AnswerError {
    /// The offer itself.
    #[error(transparent)]
    Offer(#[from] OfferError),
    /// The offer has a section for the track, and takes none of the codings that there are.
    #[error("the offer takes no {codec} as it is here")]
    Codec {
        /// What there is.
        codec: &'static str,
    },
    /// The offer wants nothing of what there is.
    #[error(
        "the offer has no section that receives what there is: offer a section for video with direction recvonly"
    )]
    Nothing,
    /// Too many peers.
    #[error("there are {limit} connections, and no more are allowed: try again later")]
    Full {
        /// The limit.
        limit: usize,
    },
    /// The handshake cannot be prepared.
    #[error("the handshake cannot be prepared: {0}")]
    Handshake(String),
}

/// What was agreed.
pub(super) struct Agreed {
    pub(super) answer: Answer,
    pub(super) tracks: Tracks,
}

/// Feedback that is acted on for what is sent.
const FEEDBACK: [&str; 4] = ["nack", "nack pli", "ccm fir", "transport-cc"];

/// The same for peers that give none on single packets.
const OLD_FEEDBACK: [&str; 4] = ["nack", "nack pli", "ccm fir", "goog-remb"];

pub(super) fn negotiate(
    inner: &Inner,
    offer: &Offer,
    session: &Session,
    local: &Credentials,
    now: Instant,
) -> Result<Agreed, AnswerError> {
    let mut waiting = session.send.iter().collect::<Vec<_>>();
    let (mut senders, mut sections, mut channels, mut media) = (Vec::new(), Vec::new(), None, Vec::new());
    for section in &offer.media {
        if let Some(limits) = session.channels.filter(|_| channels.is_none() && takes_channels(section)) {
            channels = Some(Channels::new(now, section.max_message_size, limits));
            media.push(data_channels(section, limits));
            continue;
        }
        let sending = match section.purpose {
            Purpose::Media(kind) if !section.rejected && section.direction.receives() => {
                take(&mut waiting, kind)
            }
            _ => None,
        };
        let received = receive(section, &session.receive);
        media.push(match (sending, received) {
            (Some(sending), _) => send(section, sending, &mut senders)?,
            (None, Some((answer, section))) => {
                sections.push(section);
                answer
            }
            (None, None) => refuse(section),
        });
    }
    if senders.is_empty() && sections.is_empty() && channels.is_none() {
        return Err(AnswerError::Nothing);
    }
    let answer = Answer {
        // RFC 8829, section 5.2.1: 62 random bits.
        session: rand::random::<u64>() >> 2,
        version: 1,
        ice: local.clone(),
        fingerprint: inner.identity.fingerprint(),
        options: offer.options,
        candidates: inner.candidates(session),
        media,
    };
    let incoming = Incoming::new(sections, session.receive.bit_rate);
    let probes = senders.iter().any(Sender::has_repair_stream);
    let probes = if probes { Probes::Possible } else { Probes::Impossible };
    let congestion = Controller::new(session.adapt, probes, now);
    Ok(Agreed { answer, tracks: Tracks { senders, incoming, channels, congestion } })
}

fn take<'a>(waiting: &mut Vec<&'a Sending>, kind: Kind) -> Option<&'a Sending> {
    let index = waiting.iter().position(|sending| sending.feed.kind() == kind)?;
    Some(waiting.remove(index))
}

fn send(section: &Media, sending: &Sending, senders: &mut Vec<Sender>) -> Result<AnswerMedia, AnswerError> {
    let feed = &sending.feed;
    let payload = section
        .choose(feed.codec(), feed.profile())
        .ok_or(AnswerError::Codec { codec: feed.codec().name() })?;
    let transport_cc = feedback_extension(section, &payload);
    let payload = payload.with_feedback(if transport_cc.is_some() { &FEEDBACK } else { &OLD_FEEDBACK });
    let negotiated = numbers(section, &payload, feed.kind(), transport_cc, senders);
    let named = |id: Option<u8>, uri: &str| id.map(|id| Extension { id, uri: uri.to_owned() });
    let Extensions { playout_delay, transport_cc } = negotiated.extensions;
    let extensions = [named(playout_delay, PLAYOUT_DELAY), named(transport_cc, TRANSPORT_CC)];
    let sends = Sends {
        stream: sending.stream.clone(),
        track: format!("{}-{}", sending.stream, section.mid),
        ssrc: negotiated.ssrc,
        rtx_ssrc: negotiated.rtx.map(|(ssrc, _)| ssrc),
    };
    senders.push(Sender::new(Arc::clone(feed), negotiated));
    Ok(AnswerMedia::Media {
        mid: section.mid.clone(),
        kind: feed.kind(),
        direction: Direction::SendOnly,
        payloads: vec![payload],
        extensions: extensions.into_iter().flatten().collect(),
        sends: Some(sends),
        simulcast: Vec::new(),
    })
}

/// Number of the extension that numbers packets, where the peer gives feedback on them. One-byte headers have room for the numbers 1 to 14
/// (RFC 8285, section 4.2). Where packets are sent again in their own stream they have to be the same, so that they cannot have another number.
fn feedback_extension(section: &Media, payload: &Payload) -> Option<u8> {
    let names = |wanted: &str| payload.feedback.iter().any(|feedback| feedback == wanted);
    let are_repeated = payload.rtx.is_none() && names("nack");
    let gives = names("transport-cc") && !are_repeated;
    section.extension(TRANSPORT_CC).filter(|id| gives && (1..=14).contains(id))
}

fn numbers(
    section: &Media,
    payload: &Payload,
    kind: Kind,
    transport_cc: Option<u8>,
    others: &[Sender],
) -> Negotiated {
    let playout_delay =
        section.extension(PLAYOUT_DELAY).filter(|id| kind == Kind::Video && (1..=14).contains(id));
    let mut used = others.iter().flat_map(Sender::sources).collect::<Vec<_>>();
    let ssrc = random_ssrc(&used);
    used.push(ssrc);
    Negotiated {
        ssrc,
        payload_type: payload.number,
        rtx: payload.rtx.map(|number| (random_ssrc(&used), number)),
        extensions: Extensions { playout_delay, transport_cc },
    }
}

/// Feedback that is given on what is received.
const GIVEN: [&str; 4] = ["nack", "nack pli", "ccm fir", "goog-remb"];

/// The best of our codings that a section offers to send, and how its packets are told from others.
fn receive(section: &Media, wanted: &Receive) -> Option<(AnswerMedia, Section)> {
    let Purpose::Media(kind) = section.purpose else { return None };
    if section.rejected || !section.direction.sends() {
        return None;
    }
    let mut of_kind = wanted.codecs.iter().filter(|codec| codec.kind() == kind);
    let payload = of_kind.find_map(|codec| section.choose(*codec, None))?.with_feedback(&GIVEN);
    let format = Format {
        payload_type: payload.number,
        rtx: payload.rtx,
        codec: payload.codec?,
        clock_rate: payload.clock_rate,
        channels: payload.channels,
    };
    let uris = [MID, RID, REPAIRED_RID];
    let extensions = section.extensions.iter().filter(|extension| uris.contains(&extension.uri.as_str()));
    let answer = AnswerMedia::Media {
        mid: section.mid.clone(),
        kind,
        direction: Direction::ReceiveOnly,
        payloads: vec![payload],
        extensions: extensions.cloned().collect(),
        sends: None,
        simulcast: section.simulcast.clone(),
    };
    let spec = Section {
        mid: section.mid.clone(),
        formats: vec![format],
        mid_extension: section.extension(MID),
        rid_extension: section.extension(RID),
        repaired_rid_extension: section.extension(REPAIRED_RID),
        ssrcs: section.ssrcs.clone(),
        rtx_ssrcs: section.rtx_ssrcs.clone(),
    };
    Some((answer, spec))
}

fn takes_channels(section: &Media) -> bool {
    section.purpose == Purpose::DataChannels && !section.rejected
}

/// Port of SCTP inside DTLS; all use this one (RFC 8841, section 5).
const SCTP_PORT: u16 = 5000;

fn data_channels(section: &Media, limits: Limits) -> AnswerMedia {
    AnswerMedia::DataChannels {
        mid: section.mid.clone(),
        sctp_port: SCTP_PORT,
        max_message_size: u64::from(limits.message),
    }
}

/// One that is not used yet: two streams with the same would be encrypted with the same nonces (RFC 7714, section 8.1).
fn random_ssrc(used: &[u32]) -> u32 {
    loop {
        // Zero stands for none in several places.
        let ssrc = rand::random::<u32>().max(1);
        if !used.contains(&ssrc) {
            return ssrc;
        }
    }
}

fn refuse(section: &Media) -> AnswerMedia {
    AnswerMedia::Refused { mid: section.mid.clone(), first_line: section.first_line.clone() }
}
