//! What the owner of a peer says and hears about data channels.

use super::dcep;
use bytes::Bytes;
use std::time::Duration;

/// Bounds of a peer's data channels.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Channels at a time; further ones are closed at once.
    pub channels: u16,
    /// Greatest message in bytes, both ways; a greater one closes its channel.
    pub message: u32,
    /// Bytes that wait to be sent or acknowledged over all channels.
    pub send_buffer: usize,
    /// Bytes that were received and not taken. At least the greatest message, or it could never be whole.
    pub receive_buffer: u32,
}

impl Default for Limits {
    fn default() -> Self {
        Self { channels: 64, message: 256 * 1024, send_buffer: 1024 * 1024, receive_buffer: 1024 * 1024 }
    }
}

/// A channel, by its SCTP stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ChannelId(pub u16);

/// What a channel was opened with (RFC 8832, section 5.1).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// Label.
    pub label: String,
    /// Subprotocol, or nothing.
    pub protocol: String,
    /// Messages arrive in the order in which they were sent.
    pub ordered: bool,
    /// What is done for a message that gets lost.
    pub reliability: Reliability,
}

/// How long a lost message is sent again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reliability {
    /// Until it arrives.
    Reliable,
    /// So many times.
    Retransmits(u32),
    /// So long; counted in milliseconds.
    Lifetime(Duration),
}

/// What a message is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Content {
    /// UTF-8.
    Text,
    /// Bytes.
    Binary,
}

/// What happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ChannelEvent {
    /// A channel can be used, whichever side opened it.
    Opened {
        /// Which.
        id: ChannelId,
        /// How.
        settings: Settings,
    },
    /// A message arrived.
    Message {
        /// Where.
        id: ChannelId,
        /// What it is.
        content: Content,
        /// The message.
        data: Bytes,
    },
    /// A channel is gone, whoever closed it.
    Closed {
        /// Which.
        id: ChannelId,
    },
    /// After [`SendError::Full`]: half of the send buffer is free again.
    Writable,
}

/// Why a message was not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SendError {
    /// The send buffer is full: wait for [`ChannelEvent::Writable`], or give the message up.
    #[error("the send buffer is full")]
    Full,
    /// There is no such channel, or it is not open.
    #[error("the channel is not open")]
    Unknown,
    /// The peer takes no message of this size.
    #[error("the message has {size} bytes, and {limit} is the most")]
    TooLarge {
        /// Size of the message.
        size: usize,
        /// The limit.
        limit: u32,
    },
}

/// Why a channel was not opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum OpenError {
    /// The peer has not connected, or is gone.
    #[error("there is no association yet, or no more")]
    NotConnected,
    /// As many channels are open as may be.
    #[error("too many channels are open")]
    TooMany,
    /// Label or subprotocol is too long.
    #[error("the label or the protocol is longer than {} bytes", dcep::NAME_LIMIT)]
    NameTooLong,
}
