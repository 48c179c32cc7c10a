//! WebRTC for servers: all peers on one UDP port and one TCP port.
//!
//! A [`Peer`] answers the offer of a browser, of a publisher or of another server and never makes one. It speaks ICE as a lite agent
//! (RFC 8445, section 2.5), DTLS as the server (RFC 8827), SRTP with retransmission (RFC 4588), and data channels (RFC 8831). What is sent to many is cut
//! into packets once: a [`Feed`] keeps the packets of a track, and peers differ in header and encryption alone.
//!
//! DTLS, SRTP and SCTP are those of the webrtc-rs family; negotiation, ICE, the sending path and the loop are ours. Nothing
//! of those crates shows outside this one.

pub mod channels;
mod congestion;
mod connection;
mod dtls;
mod engine;
mod feed;
mod ice;
mod path;
mod rtcp;
pub mod sdp;
mod srtp;

pub use congestion::{Adapt, Congestion, Quality};
pub use connection::{Closed, Keep, Received, ReceivedTrack};
pub use dtls::IdentityError;
pub use engine::{
    AnswerError, BindError, ChangeError, Counters, Engine, EngineConfig, InstantStart, Peer, PeerEvent,
    PeerStatistics, Receive, Sending, Session,
};
pub use feed::{Feed, FeedConfig, FeedWriter};
