//! Data channels (RFC 8831) inside a DTLS connection: SCTP packets in and out, channels and messages to whoever owns the peer.
//!
//! Sans-IO: the caller gives what DTLS decrypted to [`Channels::handle`], encrypts what [`Channels::poll_transmit`] gives, and calls
//! [`Channels::handle_timeout`] when [`Channels::poll_timeout`] says so. The peer opens the association, since it is the DTLS client.
//!
//! Nothing grows without a bound: messages that are not taken with [`Channels::poll_event`] stay in SCTP's receive buffer, whose window closes
//! and stops the peer; what is to be sent is refused once the send buffer is full; a peer that opens streams or resets them without
//! end loses the association.

mod dcep;
mod guard;
mod types;

pub use types::{ChannelEvent, ChannelId, Content, Limits, OpenError, Reliability, SendError, Settings};

use bytes::Bytes;
use guard::Guard;
use rtc_sctp::{
    Association, AssociationHandle, DatagramEvent, Endpoint, EndpointConfig, Event, Payload,
    PayloadProtocolIdentifier as Protocol, ServerConfig, Stream, StreamEvent, TimerConfig, TransportConfig,
};
use rtc_shared::TransportProtocol;
use std::collections::{BTreeSet, HashMap, VecDeque};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Instant;

/// Greatest message of a peer that does not say how much it takes (RFC 8841, section 6.1).
const UNSAID_MESSAGE_SIZE: u64 = 65_536;
/// SCTP wants addresses, DTLS has none to give; any will do.
const NOWHERE: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 5000);

/// The data channels of one peer.
pub struct Channels {
    endpoint: Endpoint,
    association: Option<(AssociationHandle, Association)>,
    state: State,
    guard: Guard,
    limits: Limits,
    largest_sent: u32,
    /// Our stream numbers are odd, since we are the DTLS server (RFC 8832, section 6).
    first_stream: u16,
    open: HashMap<u16, Channel>,
    /// Every stream of the association, with or without a channel.
    streams: BTreeSet<u16>,
    /// Streams that may have a message: told once by SCTP, so remembered until they have none.
    readable: BTreeSet<u16>,
    /// At most two for each channel: opening needs a read, which happens only when this is empty.
    events: VecDeque<ChannelEvent>,
    /// What SCTP had to send at once; its congestion window is the bound.
    outgoing: VecDeque<Bytes>,
    buffered: usize,
    starved: bool,
    now: Instant,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    Handshaking,
    Connected,
    Closed,
}

struct Channel {
    settings: Settings,
    phase: Phase,
    buffered: usize,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Phase {
    /// We asked, and the peer has not acknowledged.
    Opening,
    Open,
    Closing,
}

impl Channels {
    /// Waits for a peer to connect. `offered` is the `max-message-size` of its description.
    pub fn new(now: Instant, offered: Option<u64>, limits: Limits) -> Self {
        // 0 stands for any size (RFC 8841, section 6.1).
        let peers = offered.map_or(UNSAID_MESSAGE_SIZE, |size| if size == 0 { u64::MAX } else { size });
        let largest_sent = limits.message.min(u32::try_from(peers).unwrap_or(u32::MAX));
        let server = ServerConfig::new(transport(limits, largest_sent));
        Self {
            endpoint: endpoint(Some(Arc::new(server))),
            association: None,
            state: State::Handshaking,
            guard: Guard::default(),
            limits,
            largest_sent,
            first_stream: 1,
            open: HashMap::new(),
            streams: BTreeSet::new(),
            readable: BTreeSet::new(),
            events: VecDeque::new(),
            outgoing: VecDeque::new(),
            buffered: 0,
            starved: false,
            now,
        }
    }

    /// Takes an SCTP packet. What is no SCTP, or not of this association, is dropped.
    pub fn handle(&mut self, now: Instant, packet: &[u8]) {
        self.now = self.now.max(now);
        if self.state == State::Closed {
            return;
        }
        match self.guard.check(packet) {
            guard::Verdict::Pass => self.handle_checked(now, packet),
            guard::Verdict::FirstInit => self.begin(now, packet),
            guard::Verdict::RepeatedInit(reply) if self.state == State::Handshaking => {
                self.outgoing.push_back(reply);
            }
            guard::Verdict::RepeatedInit(_) | guard::Verdict::Broken => {}
            guard::Verdict::Flood => self.abort(),
        }
    }

    /// A packet to encrypt and send.
    pub fn poll_transmit(&mut self) -> Option<Bytes> {
        if self.outgoing.is_empty() {
            self.gather();
        }
        self.outgoing.pop_front()
    }

    /// When to call [`Self::handle_timeout`]. It may change with every other call.
    pub fn poll_timeout(&self) -> Option<Instant> {
        let (_, association) = self.association.as_ref()?;
        association.poll_timeout()
    }

    /// Sends again what got lost, and gives up what is hopeless.
    pub fn handle_timeout(&mut self, now: Instant) {
        self.now = self.now.max(now);
        if let Some((_, association)) = &mut self.association {
            association.handle_timeout(now);
        }
        self.drain();
    }

    /// What happened next. Messages are kept by SCTP until they are asked for here, which slows the peer down.
    pub fn poll_event(&mut self) -> Option<ChannelEvent> {
        loop {
            if let Some(event) = self.events.pop_front() {
                return Some(event);
            }
            if self.state != State::Connected {
                return None;
            }
            let id = *self.readable.first()?;
            let Some(message) = self.read(id) else {
                self.readable.remove(&id);
                continue;
            };
            // Taking the last message of a stream that the peer has closed closes it: that is told after the message.
            if let Some(event) = self.accept(id, message) {
                self.events.push_back(event);
            }
            self.drain();
        }
    }

    /// Opens a channel; [`ChannelEvent::Opened`] tells when the peer has acknowledged it.
    pub fn open(&mut self, now: Instant, settings: Settings) -> Result<ChannelId, OpenError> {
        self.now = self.now.max(now);
        if self.open.len() >= usize::from(self.limits.channels) {
            return Err(OpenError::TooMany);
        }
        let request = dcep::open(&settings).ok_or(OpenError::NameTooLong)?;
        let (true, Some((_, association))) = (self.state == State::Connected, &mut self.association) else {
            return Err(OpenError::NotConnected);
        };
        let end = association.negotiated_max_streams().ok_or(OpenError::NotConnected)?;
        let id = (self.first_stream..end).step_by(2).find(|id| !self.streams.contains(id));
        let id = id.ok_or(OpenError::TooMany)?;
        let opened = association
            .open_stream(id, Protocol::Binary)
            .and_then(|mut stream| stream.write_chunk_with_ppi(now, &request, Protocol::Dcep));
        opened.map_err(|_| OpenError::NotConnected)?;
        self.streams.insert(id);
        self.open.insert(id, Channel { settings, phase: Phase::Opening, buffered: request.len() });
        self.buffered += request.len();
        Ok(ChannelId(id))
    }

    /// Sends a message. Text must be UTF-8, or the peer closes the channel.
    pub fn send(
        &mut self,
        now: Instant,
        id: ChannelId,
        content: Content,
        data: Bytes,
    ) -> Result<(), SendError> {
        self.now = self.now.max(now);
        let ChannelId(id) = id;
        let Some(channel) = self.open.get_mut(&id).filter(|channel| channel.phase == Phase::Open) else {
            return Err(SendError::Unknown);
        };
        let size = data.len();
        if u32::try_from(size).map_or(true, |size| size > self.largest_sent) {
            return Err(SendError::TooLarge { size, limit: self.largest_sent });
        }
        let (protocol, data) = dcep::wrap(content, data);
        if self.buffered + data.len() > self.limits.send_buffer {
            self.starved = true;
            return Err(SendError::Full);
        }
        let Some((_, association)) = &mut self.association else { return Err(SendError::Unknown) };
        let mut stream = association.stream(id).map_err(|_| SendError::Unknown)?;
        stream.write_chunk_with_ppi(now, &data, protocol).map_err(|_| SendError::Unknown)?;
        channel.buffered += data.len();
        self.buffered += data.len();
        Ok(())
    }

    /// Closes a channel once what was sent has arrived; [`ChannelEvent::Closed`] tells when.
    pub fn close(&mut self, now: Instant, id: ChannelId) {
        self.now = self.now.max(now);
        let ChannelId(id) = id;
        let Some(channel) = self.open.get_mut(&id) else { return };
        if channel.phase != Phase::Closing {
            channel.phase = Phase::Closing;
            self.reset(id);
        }
    }

    /// Bytes that wait to be sent or acknowledged.
    pub fn buffered(&self) -> usize {
        self.buffered
    }

    /// The association is gone: it failed, was shut down by the peer, or broke a limit.
    pub fn is_closed(&self) -> bool {
        self.state == State::Closed
    }

    /// Ends the association at once. The ABORT is still to be sent.
    pub fn abort(&mut self) {
        if let Some((_, association)) = &mut self.association {
            if association.abort().is_err() {
                tracing::debug!("the association was gone before it was aborted");
            }
            self.gather();
        }
        self.drain();
        self.state = State::Closed;
    }

    /// A peer's first INIT, or its next attempt with another tag: what was before never came to be.
    fn begin(&mut self, now: Instant, packet: &[u8]) {
        if self.state != State::Handshaking {
            return;
        }
        let server = ServerConfig::new(transport(self.limits, self.largest_sent));
        self.endpoint = endpoint(Some(Arc::new(server)));
        self.association = None;
        self.outgoing.clear();
        self.handle_checked(now, packet);
        self.gather();
        self.guard.answered(self.outgoing.back());
    }

    fn handle_checked(&mut self, now: Instant, packet: &[u8]) {
        match self.endpoint.handle(now, NOWHERE, None, Bytes::copy_from_slice(packet)) {
            Some((handle, DatagramEvent::NewAssociation(association))) => {
                self.association = Some((handle, association));
            }
            Some((handle, DatagramEvent::AssociationEvent(event))) => {
                if let Some((_, association)) = self.association.as_mut().filter(|(own, _)| *own == handle) {
                    association.handle_event(event);
                }
            }
            _ => return,
        }
        self.drain();
    }

    fn gather(&mut self) {
        let Some((_, association)) = &mut self.association else { return };
        while let Some(transmit) = association.poll_transmit(self.now) {
            if let Payload::RawEncode(packets) = transmit.message {
                self.outgoing.extend(packets);
            }
        }
    }

    /// Takes what SCTP has to say.
    fn drain(&mut self) {
        while let Some(event) = self.association.as_mut().and_then(|(_, association)| association.poll()) {
            match event {
                Event::Connected => self.state = State::Connected,
                Event::HandshakeFailed { .. } => self.state = State::Closed,
                Event::AssociationLost { id, .. } => self.forget(id),
                Event::Stream(event) => self.stream_event(&event),
                _ => {}
            }
        }
        let Some((handle, association)) = &mut self.association else { return };
        while let Some(event) = association.poll_endpoint_event() {
            self.endpoint.handle_event(*handle, event);
            self.state = State::Closed;
        }
        // An association that waits for a cookie is "closed" as well.
        if self.state == State::Connected && association.is_closed() {
            self.state = State::Closed;
        }
        if self.streams.len() > 2 * usize::from(self.limits.channels) && self.state != State::Closed {
            tracing::debug!("a peer opens streams without end");
            self.abort();
        }
    }

    fn stream_event(&mut self, event: &StreamEvent) {
        match *event {
            StreamEvent::Opened { id } => {
                self.streams.insert(id);
                if let Some((_, association)) = &mut self.association {
                    // Its own list of new streams has to be emptied.
                    while association.accept_stream().is_some() {}
                }
            }
            StreamEvent::Readable { id } => {
                self.readable.insert(id);
            }
            StreamEvent::BufferedAmountReleased { id, n_bytes } => self.release(id, n_bytes),
            _ => {}
        }
    }

    fn release(&mut self, id: u16, bytes: usize) {
        let Some(channel) = self.open.get_mut(&id) else { return };
        let bytes = bytes.min(channel.buffered);
        channel.buffered -= bytes;
        self.freed(bytes);
    }

    fn freed(&mut self, bytes: usize) {
        self.buffered = self.buffered.saturating_sub(bytes);
        if self.starved && self.buffered <= self.limits.send_buffer / 2 {
            self.starved = false;
            self.events.push_back(ChannelEvent::Writable);
        }
    }

    fn forget(&mut self, id: u16) {
        self.streams.remove(&id);
        self.readable.remove(&id);
        if let Some(channel) = self.open.remove(&id) {
            self.events.push_back(ChannelEvent::Closed { id: ChannelId(id) });
            self.freed(channel.buffered);
        }
    }

    /// The next whole message of a stream.
    fn read(&mut self, id: u16) -> Option<(Protocol, Option<Bytes>)> {
        let largest = usize::try_from(self.limits.message).unwrap_or(usize::MAX);
        let chunks = self.stream(id)?.read_sctp().ok()??;
        Some((chunks.ppi, chunks.to_payload(largest).ok().map(bytes::BytesMut::freeze)))
    }

    /// What a message means. One that is too large, or that nobody expects, closes its stream.
    fn accept(&mut self, id: u16, (protocol, data): (Protocol, Option<Bytes>)) -> Option<ChannelEvent> {
        let Some(data) = data else { return self.refuse(id, "a message is too large") };
        if protocol == Protocol::Dcep {
            return self.control(id, data);
        }
        let Some(phase) = self.open.get(&id).map(|channel| channel.phase) else {
            return self.refuse(id, "a message came without a channel");
        };
        let (content, data) = dcep::unwrap(protocol, data)?;
        if content == Content::Text && std::str::from_utf8(&data).is_err() {
            return self.refuse(id, "a text is not UTF-8");
        }
        let message = ChannelEvent::Message { id: ChannelId(id), content, data };
        match phase {
            Phase::Open => Some(message),
            // Without order, a message may overtake the acknowledgement (RFC 8832, section 6).
            Phase::Opening => {
                let opened = self.acknowledged(id);
                self.events.extend(opened);
                Some(message)
            }
            Phase::Closing => None,
        }
    }

    fn control(&mut self, id: u16, data: Bytes) -> Option<ChannelEvent> {
        match dcep::read(data) {
            Some(dcep::Control::Open(settings)) => self.opened(id, settings),
            Some(dcep::Control::Acknowledge) => self.acknowledged(id),
            None => self.refuse(id, "a control message makes no sense"),
        }
    }

    fn opened(&mut self, id: u16, settings: Settings) -> Option<ChannelEvent> {
        if self.open.contains_key(&id) {
            return self.refuse(id, "a channel is opened twice");
        }
        if self.open.len() >= usize::from(self.limits.channels) {
            return self.refuse(id, "too many channels");
        }
        let now = self.now;
        let mut stream = self.stream(id)?;
        // The acknowledgement is ordered and reliable: it is written before the channel's own settings hold.
        let acknowledgement = dcep::acknowledgement();
        stream.write_chunk_with_ppi(now, &acknowledgement, Protocol::Dcep).ok()?;
        dcep::apply(&mut stream, &settings)?;
        let buffered = acknowledgement.len();
        self.buffered += buffered;
        self.open.insert(id, Channel { settings: settings.clone(), phase: Phase::Open, buffered });
        Some(ChannelEvent::Opened { id: ChannelId(id), settings })
    }

    fn acknowledged(&mut self, id: u16) -> Option<ChannelEvent> {
        let channel = self.open.get_mut(&id).filter(|channel| channel.phase == Phase::Opening)?;
        channel.phase = Phase::Open;
        let settings = channel.settings.clone();
        dcep::apply(&mut self.stream(id)?, &settings)?;
        Some(ChannelEvent::Opened { id: ChannelId(id), settings })
    }

    fn refuse(&mut self, id: u16, why: &'static str) -> Option<ChannelEvent> {
        tracing::debug!(stream = id, why, "a data channel is refused");
        if let Some(channel) = self.open.get_mut(&id) {
            channel.phase = Phase::Closing;
        }
        self.reset(id);
        None
    }

    fn reset(&mut self, id: u16) {
        let now = self.now;
        if let Some(Err(error)) = self.stream(id).map(|mut stream| stream.close(now)) {
            tracing::debug!(stream = id, %error, "a stream cannot be reset");
        }
        self.readable.remove(&id);
    }

    fn stream(&mut self, id: u16) -> Option<Stream<'_>> {
        let (_, association) = self.association.as_mut()?;
        association.stream(id).ok()
    }
}

fn endpoint(server: Option<Arc<ServerConfig>>) -> Endpoint {
    Endpoint::new(NOWHERE, TransportProtocol::UDP, Arc::new(EndpointConfig::new()), server)
}

fn transport(limits: Limits, largest_sent: u32) -> TransportConfig {
    // Each side numbers its channels in steps of two, so that many streams are needed.
    let streams = limits.channels.saturating_mul(2);
    // A peer that takes nothing for a minute is slow, not dead: whether it lives is for ICE to find out (RFC 7675).
    let timers = TimerConfig { max_t3_rtx_retrans: usize::MAX, ..TimerConfig::default() };
    TransportConfig::default()
        .with_timer_config(timers)
        .with_max_message_size(largest_sent)
        .with_max_receive_buffer_size(limits.receive_buffer.max(limits.message))
        .with_max_num_inbound_streams(streams)
        .with_max_num_outbound_streams(streams)
}

#[cfg(test)]
mod hostile_tests;
#[cfg(test)]
#[path = "channels_tests.rs"]
mod tests;
