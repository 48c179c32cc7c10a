//! Opening a channel (RFC 8832), and what a message is told apart by (RFC 8831, section 8).

use super::{Content, Reliability, Settings};
use bytes::Bytes;
use rtc_datachannel::message::Message;
use rtc_datachannel::message::message_channel_ack::DataChannelAck;
use rtc_datachannel::message::message_channel_open::{CHANNEL_PRIORITY_NORMAL, ChannelType, DataChannelOpen};
use rtc_sctp::{PayloadProtocolIdentifier as Protocol, ReliabilityType, Stream};
use rtc_shared::marshal::{Marshal, Unmarshal};
use std::time::Duration;

/// Bytes of a label and of a subprotocol.
pub(super) const NAME_LIMIT: usize = 1024;

/// A control message.
pub(super) enum Control {
    /// The peer opens a channel.
    Open(Settings),
    /// The peer takes ours.
    Acknowledge,
}

/// Reads a control message. None when it makes no sense.
pub(super) fn read(mut data: Bytes) -> Option<Control> {
    match Message::unmarshal(&mut data).ok()? {
        Message::DataChannelOpen(open) => settings(open).map(Control::Open),
        Message::DataChannelAck(_) => Some(Control::Acknowledge),
        _ => None,
    }
}

/// The message that opens a channel. None when a name is too long.
pub(super) fn open(settings: &Settings) -> Option<Bytes> {
    if settings.label.len() > NAME_LIMIT || settings.protocol.len() > NAME_LIMIT {
        return None;
    }
    let (channel_type, reliability_parameter) = channel_type(settings);
    let open = DataChannelOpen {
        channel_type,
        priority: CHANNEL_PRIORITY_NORMAL,
        reliability_parameter,
        label: settings.label.clone().into_bytes(),
        protocol: settings.protocol.clone().into_bytes(),
    };
    Message::DataChannelOpen(open).marshal().ok().map(bytes::BytesMut::freeze)
}

/// The message that takes a channel: its type alone (RFC 8832, section 5.2).
pub(super) fn acknowledgement() -> Bytes {
    let message = Message::DataChannelAck(DataChannelAck {}).marshal();
    message.map_or_else(|_| Bytes::from_static(&[2]), bytes::BytesMut::freeze)
}

/// Makes a stream behave as its channel should.
pub(super) fn apply(stream: &mut Stream<'_>, settings: &Settings) -> Option<()> {
    let (kind, value) = match settings.reliability {
        Reliability::Reliable => (ReliabilityType::Reliable, 0),
        Reliability::Retransmits(times) => (ReliabilityType::Rexmit, times),
        Reliability::Lifetime(time) => (ReliabilityType::Timed, milliseconds(time)),
    };
    stream.set_reliability_params(!settings.ordered, kind, value).ok()
}

/// The protocol that says what a message is. SCTP carries no empty ones: a byte stands in (RFC 8831, section 6.6).
pub(super) fn wrap(content: Content, data: Bytes) -> (Protocol, Bytes) {
    let nothing = Bytes::from_static(&[0]);
    match content {
        Content::Text if data.is_empty() => (Protocol::StringEmpty, nothing),
        Content::Text => (Protocol::String, data),
        Content::Binary if data.is_empty() => (Protocol::BinaryEmpty, nothing),
        Content::Binary => (Protocol::Binary, data),
    }
}

/// What a message is. None for a protocol that is not of WebRTC.
pub(super) fn unwrap(protocol: Protocol, data: Bytes) -> Option<(Content, Bytes)> {
    match protocol {
        Protocol::String => Some((Content::Text, data)),
        Protocol::StringEmpty => Some((Content::Text, Bytes::new())),
        Protocol::Binary => Some((Content::Binary, data)),
        Protocol::BinaryEmpty => Some((Content::Binary, Bytes::new())),
        _ => None,
    }
}

fn settings(open: DataChannelOpen) -> Option<Settings> {
    let value = open.reliability_parameter;
    let lifetime = Reliability::Lifetime(Duration::from_millis(value.into()));
    let (ordered, reliability) = match open.channel_type {
        ChannelType::Reliable => (true, Reliability::Reliable),
        ChannelType::ReliableUnordered => (false, Reliability::Reliable),
        ChannelType::PartialReliableRexmit => (true, Reliability::Retransmits(value)),
        ChannelType::PartialReliableRexmitUnordered => (false, Reliability::Retransmits(value)),
        ChannelType::PartialReliableTimed => (true, lifetime),
        ChannelType::PartialReliableTimedUnordered => (false, lifetime),
        _ => return None,
    };
    Some(Settings { label: name(open.label)?, protocol: name(open.protocol)?, ordered, reliability })
}

fn name(bytes: Vec<u8>) -> Option<String> {
    String::from_utf8(bytes).ok().filter(|name| name.len() <= NAME_LIMIT)
}

fn channel_type(settings: &Settings) -> (ChannelType, u32) {
    match (settings.reliability, settings.ordered) {
        (Reliability::Reliable, true) => (ChannelType::Reliable, 0),
        (Reliability::Reliable, false) => (ChannelType::ReliableUnordered, 0),
        (Reliability::Retransmits(times), true) => (ChannelType::PartialReliableRexmit, times),
        (Reliability::Retransmits(times), false) => (ChannelType::PartialReliableRexmitUnordered, times),
        (Reliability::Lifetime(time), true) => (ChannelType::PartialReliableTimed, milliseconds(time)),
        (Reliability::Lifetime(time), false) => {
            (ChannelType::PartialReliableTimedUnordered, milliseconds(time))
        }
    }
}

fn milliseconds(time: Duration) -> u32 {
    u32::try_from(time.as_millis()).unwrap_or(u32::MAX)
}
