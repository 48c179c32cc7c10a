//! What an answer grants of an offer.

use super::Inner;
use crate::{
    connection::{Negotiated, Sender},
    feed::Feed,
    sdp::{
        Answer, AnswerMedia, Credentials, Direction, Extension, Media, Offer, OfferError, PLAYOUT_DELAY, Payload, Purpose, Sends,
    },
};
use patchbay_media::Kind;
use std::{net::IpAddr, sync::Arc};

/// What an answer offers.
#[derive(Clone, Debug, Default)]
pub struct Session {
    /// Addresses at which the peer reaches us.
    pub addresses: Vec<IpAddr>,
    /// Tracks for the peer, at most one of a kind.
    pub send: Vec<Sending>,
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
    #[error("the offer has no section that receives what there is: offer a section for video with direction recvonly")]
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
    pub(super) senders: Vec<Sender>,
}

/// Feedback that is acted on for what is sent.
const FEEDBACK: [&str; 3] = ["nack", "nack pli", "ccm fir"];

pub(super) fn negotiate(inner: &Inner, offer: &Offer, session: &Session, local: &Credentials) -> Result<Agreed, AnswerError> {
    let mut waiting = session.send.iter().collect::<Vec<_>>();
    let (mut senders, mut media) = (Vec::new(), Vec::new());
    for section in &offer.media {
        let sending = match section.purpose {
            Purpose::Media(kind) if !section.rejected && section.direction.receives() => take(&mut waiting, kind),
            _ => None,
        };
        media.push(match sending {
            Some(sending) => send(section, sending, &mut senders)?,
            None => refuse(section),
        });
    }
    if senders.is_empty() && !session.send.is_empty() {
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
    Ok(Agreed { answer, senders })
}

fn take<'a>(waiting: &mut Vec<&'a Sending>, kind: Kind) -> Option<&'a Sending> {
    let index = waiting.iter().position(|sending| sending.feed.kind() == kind)?;
    Some(waiting.remove(index))
}

fn send(section: &Media, sending: &Sending, senders: &mut Vec<Sender>) -> Result<AnswerMedia, AnswerError> {
    let feed = &sending.feed;
    let payload = section
        .choose(feed.codec(), feed.profile())
        .ok_or(AnswerError::Codec { codec: feed.codec().name() })?
        .with_feedback(&FEEDBACK);
    let negotiated = numbers(section, &payload, feed.kind());
    let extensions = negotiated
        .playout_delay
        .map(|id| Extension { id, uri: PLAYOUT_DELAY.to_owned() });
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
        extensions: extensions.into_iter().collect(),
        sends: Some(sends),
        simulcast: Vec::new(),
    })
}

fn numbers(section: &Media, payload: &Payload, kind: Kind) -> Negotiated {
    // One-byte headers have room for the numbers 1 to 14 (RFC 8285, section 4.2).
    let playout_delay = section.extension(PLAYOUT_DELAY).filter(|id| kind == Kind::Video && (1..=14).contains(id));
    Negotiated {
        ssrc: random_ssrc(),
        payload_type: payload.number,
        rtx: payload.rtx.map(|number| (random_ssrc(), number)),
        playout_delay,
    }
}

fn random_ssrc() -> u32 {
    // Zero stands for none in several places.
    rand::random::<u32>().max(1)
}

fn refuse(section: &Media) -> AnswerMedia {
    AnswerMedia::Refused { mid: section.mid.clone(), first_line: section.first_line.clone() }
}
