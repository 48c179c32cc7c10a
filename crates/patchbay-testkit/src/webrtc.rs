//! WebRTC peers on another stack than ours: `str0m`. One thread drives as many as a test or a load run needs, each on a socket of its own, as
//! browsers are.

pub use str0m::media::MediaKind;

use anyhow::{Context as _, Result, anyhow};
use mio::{Events, Interest, Poll, Token, net::UdpSocket};
use std::{
    collections::VecDeque,
    io,
    net::{IpAddr, SocketAddr},
    sync::Arc,
    time::{Duration, Instant},
};
use str0m::{
    Candidate, Event, IceConnectionState, Input, Output, Rtc, RtcConfig,
    change::{SdpAnswer, SdpPendingOffer},
    channel::ChannelId,
    media::{Direction, Frequency, KeyframeRequestKind, MediaTime, Mid},
    net::{Protocol, Receive},
};

/// What a peer offers.
#[derive(Clone, Copy, Debug)]
pub enum Wants {
    /// To watch pictures.
    Video,
    /// To watch and hear.
    VideoAndAudio,
    /// To publish pictures.
    Publish,
    /// Data channels alone.
    Data,
}

/// What happened to a peer.
#[derive(Debug)]
pub enum Happened {
    /// Media flows.
    Connected,
    /// ICE has lost it.
    Disconnected,
    /// A whole frame came.
    Frame(Frame),
    /// The other side wants a key frame.
    KeyFrameAsked,
    /// A data channel is open.
    ChannelOpen(ChannelId, String),
    /// A message came.
    Message(ChannelId, Vec<u8>),
}

/// A frame that came.
#[derive(Debug)]
pub struct Frame {
    /// Pictures or sound.
    pub kind: MediaKind,
    /// The coded data; NAL units after start codes.
    pub data: Arc<[u8]>,
    /// RTP time stamp.
    pub timestamp: u64,
    /// Nothing was lost before it.
    pub contiguous: bool,
    /// When its last datagram was read from the socket.
    pub received: Instant,
}

/// When a swarm handles what it reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reading {
    /// At once, which costs least.
    AtOnce,
    /// After everything else has been read, and one at a time: then the handling of some does not add to [`Frame::received`] of others.
    Stamped,
}

/// One peer.
pub struct ForeignPeer {
    rtc: Rtc,
    socket: UdpSocket,
    address: SocketAddr,
    pending: Option<SdpPendingOffer>,
    video: Option<Mid>,
    wake: Instant,
    read: Instant,
    /// It has ended.
    pub gone: bool,
}

/// Peers on one thread.
pub struct Swarm {
    poll: Poll,
    events: Events,
    /// The peers, by number.
    pub peers: Vec<ForeignPeer>,
    /// When datagrams are handled.
    pub reading: Reading,
    /// Most that it sleeps before it asks again whether all is done.
    pub nap: Duration,
    waiting: VecDeque<Datagram>,
}

/// A datagram that was read and is not handled yet.
struct Datagram {
    peer: usize,
    at: Instant,
    source: SocketAddr,
    contents: Vec<u8>,
}

/// Datagrams that wait; more are lost, as in any network.
const WAITING: usize = 8192;

impl ForeignPeer {
    /// A peer on a port of that address, and its offer.
    pub fn offer(address: IpAddr, wants: Wants) -> Result<(Self, String)> {
        let socket = std::net::UdpSocket::bind((address, 0))?;
        socket.set_nonblocking(true)?;
        let address = socket.local_addr()?;
        let provider = str0m::crypto::from_feature_flags();
        let mut rtc = RtcConfig::new().set_crypto_provider(Arc::new(provider)).build(Instant::now());
        rtc.add_local_candidate(Candidate::host(address, "udp")?).context("the candidate was refused")?;
        let mut api = rtc.sdp_api();
        let mut add = |kind, direction| api.add_media(kind, direction, None, None, None);
        let video = match wants {
            Wants::Video => Some(add(MediaKind::Video, Direction::RecvOnly)),
            Wants::VideoAndAudio => {
                add(MediaKind::Audio, Direction::RecvOnly);
                Some(add(MediaKind::Video, Direction::RecvOnly))
            }
            Wants::Publish => Some(add(MediaKind::Video, Direction::SendOnly)),
            Wants::Data => {
                api.add_channel("test".to_owned());
                None
            }
        };
        let (offer, pending) = api.apply().context("the offer is empty")?;
        let socket = UdpSocket::from_std(socket);
        let now = Instant::now();
        let peer =
            Self { rtc, socket, address, pending: Some(pending), video, wake: now, read: now, gone: false };
        Ok((peer, offer.to_sdp_string()))
    }

    /// Takes the answer.
    pub fn accept(&mut self, answer: &str) -> Result<()> {
        let answer = SdpAnswer::from_sdp_string(answer)
            .map_err(|error| anyhow!("the answer cannot be read: {error}"))?;
        let pending = self.pending.take().context("there is an answer already")?;
        self.rtc.sdp_api().accept_answer(pending, answer)?;
        Ok(())
    }

    /// Sends a frame; NAL units after start codes.
    pub fn publish(&mut self, ticks: u64, data: Vec<u8>) -> Result<()> {
        let mid = self.video.context("it publishes nothing")?;
        let writer = self.rtc.writer(mid).context("the section is not there")?;
        let payload = writer.payload_params().next().context("no codec was agreed")?.pt();
        writer.write(payload, Instant::now(), MediaTime::new(ticks, Frequency::NINETY_KHZ), data)?;
        self.wake = Instant::now();
        Ok(())
    }

    /// Asks for a key frame, as one does whose decoder has lost its state.
    pub fn ask_key_frame(&mut self) -> Result<()> {
        let mid = self.video.context("it watches nothing")?;
        let mut writer = self.rtc.writer(mid).context("the section is not there")?;
        writer.request_keyframe(None, KeyframeRequestKind::Pli)?;
        self.wake = Instant::now();
        Ok(())
    }

    /// Sends a message; false when the channel is full.
    pub fn send(&mut self, channel: ChannelId, data: &[u8]) -> Result<bool> {
        let sent = self.rtc.channel(channel).context("there is no such channel")?.write(true, data)?;
        self.wake = Instant::now();
        Ok(sent)
    }

    /// Sends a datagram as it is from the peer's own port: as a bad peer does, or who is on its way.
    pub fn send_raw(&self, to: SocketAddr, datagram: &[u8]) -> Result<()> {
        match self.socket.send_to(datagram, to) {
            Err(error) if error.kind() != io::ErrorKind::WouldBlock => Err(error.into()),
            _ => Ok(()),
        }
    }

    fn drive(&mut self, happened: &mut impl FnMut(Happened)) -> Result<()> {
        loop {
            match self.rtc.poll_output()? {
                Output::Timeout(at) => {
                    self.wake = at;
                    return Ok(());
                }
                Output::Transmit(transmit) => {
                    // A full buffer is a loss, as on any network.
                    if let Err(error) = self.socket.send_to(&transmit.contents, transmit.destination)
                        && error.kind() != io::ErrorKind::WouldBlock
                        && error.kind() != io::ErrorKind::ConnectionRefused
                    {
                        return Err(error.into());
                    }
                }
                Output::Event(event) => self.tell(event, happened),
            }
        }
    }

    fn tell(&mut self, event: Event, happened: &mut impl FnMut(Happened)) {
        match event {
            Event::Connected => happened(Happened::Connected),
            Event::IceConnectionStateChange(IceConnectionState::Disconnected) => {
                self.gone = true;
                happened(Happened::Disconnected);
            }
            Event::MediaData(data) => {
                let kind = self.rtc.media(data.mid).map_or(MediaKind::Video, str0m::media::Media::kind);
                let timestamp = data.time.numer();
                let (contiguous, received) = (data.contiguous, self.read);
                happened(Happened::Frame(Frame { kind, data: data.data, timestamp, contiguous, received }));
            }
            Event::KeyframeRequest(_) => happened(Happened::KeyFrameAsked),
            Event::ChannelOpen(id, label) => happened(Happened::ChannelOpen(id, label)),
            Event::ChannelData(message) => happened(Happened::Message(message.id, message.data)),
            _ => {}
        }
    }

    fn receive(&mut self, buffer: &mut [u8], happened: &mut impl FnMut(Happened)) -> Result<()> {
        while let Some((size, source)) = self.read(buffer)? {
            self.handle(Instant::now(), source, buffer.get(..size).unwrap_or(&[]), happened)?;
        }
        Ok(())
    }

    /// The next datagram; nothing when there is none.
    fn read(&mut self, buffer: &mut [u8]) -> Result<Option<(usize, SocketAddr)>> {
        loop {
            match self.socket.recv_from(buffer) {
                Ok(received) => return Ok(Some(received)),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(None),
                Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => {}
                Err(error) => return Err(error.into()),
            }
        }
    }

    fn handle(
        &mut self,
        at: Instant,
        source: SocketAddr,
        contents: &[u8],
        happened: &mut impl FnMut(Happened),
    ) -> Result<()> {
        let Ok(contents) = contents.try_into() else { return Ok(()) };
        self.read = at;
        let receive = Receive { proto: Protocol::Udp, source, destination: self.address, contents };
        self.rtc.handle_input(Input::Receive(Instant::now(), receive))?;
        self.drive(happened)
    }
}

/// Most that a swarm sleeps where nobody says otherwise.
const NAP: Duration = Duration::from_millis(20);

impl Swarm {
    /// Nobody yet.
    pub fn new() -> Result<Self> {
        Ok(Self {
            poll: Poll::new()?,
            events: Events::with_capacity(1024),
            peers: Vec::new(),
            reading: Reading::AtOnce,
            nap: NAP,
            waiting: VecDeque::new(),
        })
    }

    /// Adds a peer and returns its number.
    pub fn add(&mut self, mut peer: ForeignPeer) -> Result<usize> {
        let number = self.peers.len();
        self.poll.registry().register(&mut peer.socket, Token(number), Interest::READABLE)?;
        self.peers.push(peer);
        Ok(number)
    }

    /// Drives all peers until the closure, which is told what happens to whom, says so; an error after `limit`.
    pub fn run_until(
        &mut self,
        limit: Duration,
        mut done: impl FnMut(&mut [ForeignPeer], Option<(usize, Happened)>) -> bool,
    ) -> Result<()> {
        let end = Instant::now() + limit;
        let mut buffer = vec![0; 2048];
        let mut happened = Vec::new();
        loop {
            for (number, peer) in self.peers.iter_mut().enumerate().filter(|(_, peer)| !peer.gone) {
                if peer.wake <= Instant::now() {
                    peer.rtc.handle_input(Input::Timeout(Instant::now()))?;
                    peer.drive(&mut |what| happened.push((number, what)))?;
                }
            }
            for what in happened.drain(..) {
                if done(&mut self.peers, Some(what)) {
                    return Ok(());
                }
            }
            if done(&mut self.peers, None) {
                return Ok(());
            }
            let now = Instant::now();
            if now > end {
                return Err(anyhow!("what was waited for did not happen within {limit:?}"));
            }
            let next = self
                .peers
                .iter()
                .filter(|peer| !peer.gone)
                .map(|peer| peer.wake)
                .min()
                .unwrap_or(now + self.nap);
            let sleep = if self.waiting.is_empty() {
                next.saturating_duration_since(now).min(self.nap)
            } else {
                Duration::ZERO
            };
            self.poll.poll(&mut self.events, Some(sleep))?;
            for event in &self.events {
                let number = event.token().0;
                let Some(peer) = self.peers.get_mut(number).filter(|peer| !peer.gone) else { continue };
                match self.reading {
                    Reading::AtOnce => {
                        peer.receive(&mut buffer, &mut |what| happened.push((number, what)))?;
                    }
                    Reading::Stamped => read_all(peer, number, &mut buffer, &mut self.waiting)?,
                }
            }
            self.handle_one(&mut |what| happened.push(what))?;
        }
    }

    /// Handles the datagram that has waited longest.
    fn handle_one(&mut self, happened: &mut impl FnMut((usize, Happened))) -> Result<()> {
        let Some(Datagram { peer: number, at, source, contents }) = self.waiting.pop_front() else {
            return Ok(());
        };
        match self.peers.get_mut(number).filter(|peer| !peer.gone) {
            Some(peer) => peer.handle(at, source, &contents, &mut |what| happened((number, what))),
            None => Ok(()),
        }
    }
}

/// Reads what has come for a peer, with the times, and leaves the handling for later.
fn read_all(
    peer: &mut ForeignPeer,
    number: usize,
    buffer: &mut [u8],
    waiting: &mut VecDeque<Datagram>,
) -> Result<()> {
    while let Some((size, source)) = peer.read(buffer)? {
        if waiting.len() < WAITING {
            let contents = buffer.get(..size).unwrap_or(&[]).to_vec();
            waiting.push_back(Datagram { peer: number, at: Instant::now(), source, contents });
        }
    }
    Ok(())
}
