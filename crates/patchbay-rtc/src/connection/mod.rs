//! One peer without I/O: datagrams and times in, datagrams and events out.

mod adapt;
mod lines;
mod outlet;
mod pace;
mod receiver;
mod sender;
mod switching;

pub(crate) use outlet::{Extensions, Outlet};
pub(crate) use receiver::{Format, Incoming, Section};
pub use receiver::{Received, ReceivedTrack};
pub(crate) use sender::{Negotiated, Progress, Sender};
pub(crate) use switching::Change;
pub use switching::Keep;

use crate::{
    channels::{ChannelEvent, Channels},
    congestion::{Controller, Quality},
    dtls::{self, Dtls, Identity},
    feed::FeedId,
    ice::{Agent, Check, CheckError, Checked, Verdict},
    path::{Batch, Path},
    rtcp::{self, Said},
    srtp::Srtp,
};
use rtc_shared::error::Error;
use std::{
    collections::VecDeque,
    time::{Duration, Instant, SystemTime},
};

/// Time between reports to a peer.
const REPORT_INTERVAL: Duration = Duration::from_secs(1);

/// Canonical name of all that we send (RFC 3550, section 6.5.1).
const NAME: &str = "patchbay";

/// Bytes of handshake from a peer in the life of a connection; with a long chain of certificates it takes 10 KB. The DTLS stack keeps what belongs to a later
/// part of the handshake, and each of its messages, also those that come after it.
const HANDSHAKE_BUDGET: usize = 256 * 1024;

/// Bounds of a connection's life.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Timing {
    /// From the answer to the end of the handshake.
    pub(crate) connect: Duration,
    /// Without a believable sign of life.
    pub(crate) idle: Duration,
}

/// Why a connection has ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Closed {
    /// The peer said so.
    ByPeer,
    /// We said so.
    Here,
    /// It did not connect in time.
    NeverConnected,
    /// It has not been heard of for too long.
    Lost,
    /// The handshake or the keys failed, in words.
    Failed(String),
}

/// What happened to a connection.
#[derive(Debug)]
pub(crate) enum Event {
    /// Media can flow.
    Connected,
    /// It has ended; nothing comes after this.
    Closed(Closed),
    /// There may be news of data channels.
    Channels,
    /// The way to the peer carries this.
    Quality(Quality),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Connecting,
    Connected,
    Closed,
}

/// What was agreed to send and to receive.
pub(crate) struct Tracks {
    pub(crate) senders: Vec<Sender>,
    pub(crate) incoming: Incoming,
    pub(crate) channels: Option<Channels>,
    pub(crate) congestion: Controller,
}

/// A peer.
pub(crate) struct Connection {
    agent: Agent,
    dtls: Dtls,
    outlet: Option<Outlet>,
    pub(crate) congestion: Controller,
    pub(crate) senders: Vec<Sender>,
    pub(crate) incoming: Incoming,
    channels: Option<Channels>,
    state: State,
    path: Option<Path>,
    nominated: bool,
    created: Instant,
    heard: Instant,
    next_report: Instant,
    timing: Timing,
    transmits: Batch,
    events: VecDeque<Event>,
    connect_time: Option<Duration>,
    /// Bytes of handshake that the peer may still send.
    handshake_budget: usize,
}

impl Connection {
    pub(crate) fn new(agent: Agent, dtls: Dtls, agreed: Tracks, timing: Timing, now: Instant) -> Self {
        let Tracks { senders, incoming, channels, congestion } = agreed;
        Self {
            agent,
            dtls,
            outlet: None,
            congestion,
            senders,
            incoming,
            channels,
            state: State::Connecting,
            path: None,
            nominated: false,
            created: now,
            heard: now,
            next_report: now + REPORT_INTERVAL,
            timing,
            transmits: Batch::default(),
            events: VecDeque::new(),
            connect_time: None,
            handshake_budget: HANDSHAKE_BUDGET,
        }
    }

    pub(crate) fn agent(&mut self) -> &mut Agent {
        &mut self.agent
    }

    /// What is sent.
    pub(crate) fn feeds(&self) -> Vec<FeedId> {
        self.senders.iter().flat_map(Sender::feeds).collect()
    }

    pub(crate) fn path(&self) -> Option<Path> {
        self.path
    }

    pub(crate) fn is_connected(&self) -> bool {
        self.state == State::Connected
    }

    pub(crate) fn is_closed(&self) -> bool {
        self.state == State::Closed
    }

    pub(crate) fn connect_time(&self) -> Option<Duration> {
        self.connect_time
    }

    pub(crate) fn poll_event(&mut self) -> Option<Event> {
        self.events.pop_front()
    }

    /// Moves what is to be sent into an empty batch, and tells where to.
    pub(crate) fn poll_transmit(&mut self, batch: &mut Batch) -> Option<Path> {
        if self.transmits.is_empty() {
            return None;
        }
        let path = self.path?;
        std::mem::swap(&mut self.transmits, batch);
        self.transmits.clear();
        Some(path)
    }

    /// A connectivity check from a path: the answer goes back on it. With a conflict of roles nothing else may come on it yet.
    pub(crate) fn check(
        &mut self,
        check: &mut Check,
        path: Path,
        now: Instant,
        identity: &Identity,
    ) -> Result<Checked, CheckError> {
        if self.is_closed() {
            return Err(CheckError::Over);
        }
        let checked = self.agent.answer(check, path.remote, identity.crypto())?;
        self.heard = now;
        let takes_over = match checked.verdict {
            Verdict::Nominated => true,
            // Until there is a nomination, the first path that works serves.
            Verdict::Probed => self.path.is_none(),
            Verdict::RoleConflict => false,
        };
        if takes_over && !(self.nominated && checked.verdict == Verdict::Probed) {
            if self.path.replace(path).is_some_and(|before| before != path) {
                self.congestion.moved(now);
            }
            self.nominated |= checked.verdict == Verdict::Nominated;
        }
        Ok(checked)
    }

    /// A datagram that is not STUN, from a path that a check has opened (RFC 7983).
    pub(crate) fn datagram(&mut self, datagram: &[u8], now: Instant, identity: &Identity) {
        if self.path.is_none() {
            return;
        }
        match datagram.first() {
            Some(20..=63) => self.handshake(datagram, now, identity),
            Some(128..=191) if rtcp::is_rtcp(datagram) => self.feedback(datagram, now),
            Some(128..=191) => self.media(datagram, now),
            _ => {}
        }
    }

    fn handshake(&mut self, datagram: &[u8], now: Instant, identity: &Identity) {
        let bytes = if self.is_connected() { dtls::bytes_of_handshake(datagram) } else { datagram.len() };
        let Some(budget) = self.handshake_budget.checked_sub(bytes).filter(|_| !self.is_closed()) else {
            return;
        };
        self.handshake_budget = budget;
        let records = if self.is_connected() { dtls::encrypted(datagram) } else { datagram.into() };
        if records.is_empty() {
            return;
        }
        let events = self.dtls.read(now, records);
        self.flush_dtls();
        match events {
            Ok(events) => events.into_iter().for_each(|event| self.dtls_event(event, now, identity)),
            // Anybody can send a broken record; a handshake that fails is told by an alert and ends in time.
            Err(error) if self.state == State::Connected => tracing::debug!(%error, "a broken DTLS record"),
            Err(Error::ErrNoMatchingCertificateFingerprint) => {
                self.end(Closed::Failed("the certificate is not the one of the offer".to_owned()));
            }
            Err(error) => tracing::debug!(%error, "a DTLS record did not fit"),
        }
    }

    fn dtls_event(&mut self, event: dtls::Event, now: Instant, identity: &Identity) {
        self.heard = now;
        match event {
            dtls::Event::Established(keys) => match Srtp::new(&keys, identity.crypto()) {
                Ok(srtp) => {
                    self.outlet = Some(Outlet::new(srtp, now));
                    self.congestion.begin(now);
                    self.state = State::Connected;
                    self.connect_time = Some(now.saturating_duration_since(self.created));
                    self.next_report = now + REPORT_INTERVAL;
                    self.events.push_back(Event::Connected);
                }
                Err(error) => self.end(Closed::Failed(error.to_string())),
            },
            dtls::Event::Data(data) => {
                self.with_channels(now, |channels| channels.handle(now, &data));
                self.events.push_back(Event::Channels);
            }
            dtls::Event::Closed => self.end(Closed::ByPeer),
        }
    }

    fn flush_dtls(&mut self) {
        while let Some(datagram) = self.dtls.poll_transmit() {
            self.transmits.push(&datagram);
        }
    }

    /// Has the data channels do something, and sends what that led to. Nothing where none were agreed.
    pub(crate) fn with_channels<T>(
        &mut self,
        now: Instant,
        act: impl FnOnce(&mut Channels) -> T,
    ) -> Option<T> {
        let channels = self.channels.as_mut()?;
        let result = act(channels);
        while let Some(packet) = channels.poll_transmit() {
            if let Err(error) = self.dtls.write(now, &packet) {
                tracing::debug!(%error, "data could not be sent");
            }
        }
        self.flush_dtls();
        Some(result)
    }

    /// The next news of data channels. Messages that are not asked for stay with SCTP, which slows the peer down.
    pub(crate) fn poll_channels(&mut self, now: Instant) -> Option<ChannelEvent> {
        self.with_channels(now, Channels::poll_event)?
    }

    fn feedback(&mut self, datagram: &[u8], now: Instant) {
        let Some(outlet) = &mut self.outlet else { return };
        let Some(compound) = outlet.srtp.open_rtcp(datagram) else { return };
        self.heard = now;
        outlet.now = now;
        let time = wall_clock();
        let congestion = &mut self.congestion;
        let (senders, incoming, transmits) = (&mut self.senders, &mut self.incoming, &mut self.transmits);
        rtcp::read(&compound, |said| {
            let about = |ssrc: u32| move |sender: &&mut Sender| sender.ssrc() == ssrc;
            match said {
                Said::Reception(reception) => {
                    if let Some(sender) = senders.iter_mut().find(about(reception.ssrc)) {
                        sender.reception(&reception, time);
                        adapt::note(congestion, sender, now);
                        sender
                            .counters
                            .round_trip
                            .into_iter()
                            .for_each(|round_trip| incoming.set_round_trip(round_trip));
                    }
                }
                Said::Missing { ssrc, sequences } => {
                    if let Some(sender) = senders.iter_mut().find(about(ssrc))
                        && let Err(error) = sender.resend(sequences, outlet, transmits)
                    {
                        tracing::debug!(%error, "a packet could not be sent again");
                    }
                }
                Said::KeyFrame { ssrc } => {
                    if let Some(sender) = senders.iter_mut().find(about(ssrc)) {
                        sender.key_frame_asked();
                    }
                }
                Said::Sent(info) => incoming.sender_report(&info, now),
                Said::Goodbye { ssrc } => incoming.goodbye(ssrc),
                Said::Arrivals(feedback) => congestion.arrivals(&feedback, &mut outlet.ledger, now),
                Said::Most(bits) => congestion.most(bits),
            }
        });
        self.adapt(now);
    }

    fn media(&mut self, datagram: &[u8], now: Instant) {
        let Some(outlet) = &mut self.outlet else { return };
        if self.incoming.is_empty() {
            return;
        }
        let Some(packet) = outlet.srtp.open(datagram) else { return };
        self.heard = now;
        self.incoming.packet(&packet.freeze(), now);
    }

    /// Has a sender write to an empty batch, and tells where it goes.
    pub(crate) fn send_with(
        &mut self,
        track: usize,
        batch: &mut Batch,
        write: impl FnOnce(&mut Sender, &mut Outlet, &mut Batch) -> Result<(), Error>,
    ) -> Option<Path> {
        if self.state != State::Connected {
            return None;
        }
        let (sender, outlet) = (self.senders.get_mut(track)?, self.outlet.as_mut()?);
        outlet.now = Instant::now();
        if let Err(error) = write(sender, outlet, batch) {
            self.end(Closed::Failed(error.to_string()));
            return None;
        }
        (!batch.is_empty()).then_some(self.path).flatten()
    }

    /// When [`Self::timeout`] wants to be called.
    pub(crate) fn deadline(&self) -> Option<Instant> {
        let own = match self.state {
            State::Connecting => self.created + self.timing.connect,
            State::Connected => self.next_report.min(self.heard + self.timing.idle),
            State::Closed => return None,
        };
        let channels = self.channels.as_ref().and_then(Channels::poll_timeout);
        let others = [self.dtls.poll_timeout(), self.incoming.deadline(), channels];
        Some(others.into_iter().flatten().fold(own, Instant::min))
    }

    pub(crate) fn timeout(&mut self, now: Instant) {
        match self.state {
            State::Closed => return,
            State::Connecting if now >= self.created + self.timing.connect => {
                return self.end(Closed::NeverConnected);
            }
            State::Connected if now >= self.heard + self.timing.idle => return self.end(Closed::Lost),
            State::Connecting | State::Connected => {}
        }
        if let Err(error) = self.dtls.handle_timeout(now) {
            return self.end(Closed::Failed(error.to_string()));
        }
        self.flush_dtls();
        if self.state != State::Connected {
            return;
        }
        if now >= self.next_report {
            self.next_report = now + REPORT_INTERVAL;
            self.report(now);
            self.adapt(now);
        }
        self.incoming_feedback(now);
        if self.with_channels(now, |channels| channels.handle_timeout(now)).is_some() {
            self.events.push_back(Event::Channels);
        }
    }

    fn report(&mut self, now: Instant) {
        let time = wall_clock();
        for info in self.senders.iter().filter_map(|sender| sender.report(now, time)).collect::<Vec<_>>() {
            self.send_rtcp(|writer| {
                writer.sender_report(&info).source_description(info.ssrc, NAME);
            });
        }
        let (ssrc, blocks) = self.incoming.reports(now);
        if !blocks.is_empty() {
            self.send_rtcp(|writer| {
                writer.receiver_report(ssrc, &blocks).source_description(ssrc, NAME);
            });
        }
    }

    fn incoming_feedback(&mut self, now: Instant) {
        let mut packet = Vec::new();
        self.incoming.feedback(now, &mut rtcp::Writer::new(&mut packet));
        self.seal_rtcp(&packet);
    }

    fn send_rtcp(&mut self, write: impl FnOnce(&mut rtcp::Writer<'_>)) {
        let mut packet = Vec::new();
        write(&mut rtcp::Writer::new(&mut packet));
        self.seal_rtcp(&packet);
    }

    fn seal_rtcp(&mut self, packet: &[u8]) {
        let Some(outlet) = self.outlet.as_mut().filter(|_| !packet.is_empty()) else { return };
        match outlet.srtp.seal_rtcp(packet) {
            Ok(sealed) => self.transmits.push(&sealed),
            Err(error) => tracing::debug!(%error, "a report could not be protected"),
        }
    }

    /// Ends it, and tells the peer.
    pub(crate) fn close(&mut self, why: Closed, now: Instant) {
        if self.is_closed() {
            return;
        }
        let sources = self.senders.iter().map(Sender::ssrc).collect::<Vec<_>>();
        if !sources.is_empty() && self.is_connected() {
            self.send_rtcp(|writer| {
                writer.goodbye(&sources);
            });
        }
        self.with_channels(now, Channels::abort);
        if let Err(error) = self.dtls.close(now) {
            tracing::debug!(%error, "the peer could not be told of the end");
        }
        self.flush_dtls();
        self.end(why);
    }

    /// Ends it without another word to the peer.
    pub(crate) fn end(&mut self, why: Closed) {
        if self.is_closed() {
            return;
        }
        self.state = State::Closed;
        self.events.push_back(Event::Closed(why));
    }
}

/// Time of day, for reports: peers compare it among the tracks of one sender and with nothing else.
fn wall_clock() -> SystemTime {
    #[expect(clippy::disallowed_methods, reason = "reports carry the time of day; nothing is decided by it")]
    SystemTime::now()
}

#[cfg(test)]
mod hostile_tests;
