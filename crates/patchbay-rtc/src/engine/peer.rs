//! The handle of a peer.

use super::{AnswerError, Engine, Inner, table::Cell};
use crate::{
    channels::{ChannelEvent, ChannelId, Channels, Content, OpenError, SendError, Settings},
    congestion::{Congestion, Quality},
    connection::{Change, Closed, Keep, Received},
    feed::Feed,
    path::Batch,
    sdp::{Answer, Credentials, Offer, Transport},
};
use bytes::Bytes;
use parking_lot::Mutex;
use std::{
    net::SocketAddr,
    sync::Arc,
    time::{Duration, Instant},
};
use tokio::sync::mpsc;
use tokio_util::sync::DropGuard;

/// What happened to a peer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PeerEvent {
    /// Media flows.
    Connected,
    /// The way to it carries this: [`Peer::change`] is to give it. Comes only where the session adapts.
    Quality(Quality),
    /// It has ended; nothing comes after this.
    Closed(Closed),
}

/// Why a peer cannot be sent from another feed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ChangeError {
    /// It has no such track, or has it in another codec, or has ended.
    #[error("the peer has no track of this codec, or has ended")]
    Codec,
}

/// A peer. Dropping it ends the connection.
pub struct Peer {
    pub(super) inner: Arc<Inner>,
    pub(super) cell: Arc<Cell>,
    events: mpsc::Receiver<PeerEvent>,
    received: mpsc::Receiver<Received>,
    answer: Mutex<Answer>,
    /// Keeps the engine's tasks.
    _in_use: Arc<DropGuard>,
}

/// How a peer's connection does.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct PeerStatistics {
    /// What it is sent of the pictures, or soon will be.
    pub quality: Quality,
    /// Times that this has changed.
    pub steps: u64,
    /// What the way to it carries.
    pub congestion: Congestion,
    /// Media flows.
    pub connected: bool,
    /// How it is reached.
    pub transport: Option<Transport>,
    /// Where it is.
    pub remote: Option<SocketAddr>,
    /// Packets of media sent, without those that were sent again.
    pub packets_sent: u64,
    /// Bytes of their payloads.
    pub bytes_sent: u64,
    /// Packets sent again.
    pub packets_resent: u64,
    /// Bytes of their payloads.
    pub bytes_resent: u64,
    /// Packets asked for again and not sent.
    pub packets_not_resent: u64,
    /// Times it was moved to a newer key frame.
    pub skips: u64,
    /// Key frames that it asked for.
    pub key_frame_requests: u64,
    /// Part of the packets lost on the way to it, 0 to 1, by its last report.
    pub loss: f64,
    /// Mean deviation of the time on the way, by its last report.
    pub jitter: Duration,
    /// To it and back.
    pub round_trip: Option<Duration>,
    /// From the answer to the connection.
    pub connect_time: Option<Duration>,
}

/// Names of descriptions that stay good after an ICE restart: checks of the one before are still on their way.
const KEPT_DESCRIPTIONS: usize = 2;

impl std::fmt::Debug for Peer {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Peer").field("id", &self.cell.id).finish_non_exhaustive()
    }
}

impl Peer {
    pub(super) fn new(
        engine: Engine,
        cell: Arc<Cell>,
        events: mpsc::Receiver<PeerEvent>,
        received: mpsc::Receiver<Received>,
        answer: Answer,
    ) -> Self {
        let Engine { inner, in_use } = engine;
        Self { inner, cell, events, received, answer: Mutex::new(answer), _in_use: in_use }
    }

    /// Number of the peer in its engine.
    pub fn id(&self) -> u64 {
        self.cell.id
    }

    /// The next event; after [`PeerEvent::Closed`] nothing comes any more. Cancel safe.
    pub async fn event(&mut self) -> Option<PeerEvent> {
        self.events.recv().await
    }

    /// What the peer sends, if the session receives; nothing after the end of the connection. Cancel safe.
    pub async fn received(&mut self) -> Option<Received> {
        let received = self.received.recv().await;
        let mut connection = self.cell.connection.lock();
        if received.is_none() {
            // What found no room before the end.
            return connection.incoming.poll();
        }
        self.cell.hand_over(&mut connection);
        received
    }

    /// What the peer has sent, if anything waits.
    pub fn try_received(&mut self) -> Option<Received> {
        let mut connection = self.cell.connection.lock();
        self.cell.hand_over(&mut connection);
        match self.received.try_recv() {
            Ok(received) => Some(received),
            Err(mpsc::error::TryRecvError::Empty) => None,
            Err(mpsc::error::TryRecvError::Disconnected) => connection.incoming.poll(),
        }
    }

    /// The next news of data channels, where the session has them; nothing after the end of the connection. Messages that are not asked for slow the
    /// peer down. Cancel safe.
    pub async fn channel_event(&self) -> Option<ChannelEvent> {
        loop {
            let (event, is_over) = {
                let mut connection = self.cell.connection.lock();
                (connection.poll_channels(Instant::now()), connection.is_closed())
            };
            self.inner.settle(&self.cell, &mut Batch::default());
            if event.is_some() || is_over {
                return event;
            }
            self.cell.channels.notified().await;
        }
    }

    /// Opens a data channel.
    pub fn open_channel(&self, settings: Settings) -> Result<ChannelId, OpenError> {
        let now = Instant::now();
        self.on_channels(now, |channels| channels.open(now, settings)).unwrap_or(Err(OpenError::NotConnected))
    }

    /// Sends a message on a data channel.
    pub fn send_message(&self, channel: ChannelId, content: Content, data: Bytes) -> Result<(), SendError> {
        let now = Instant::now();
        self.on_channels(now, |channels| channels.send(now, channel, content, data))
            .unwrap_or(Err(SendError::Unknown))
    }

    /// Closes a data channel once what was sent has arrived.
    pub fn close_channel(&self, channel: ChannelId) {
        let now = Instant::now();
        self.on_channels(now, |channels| channels.close(now, channel));
    }

    fn on_channels<T>(&self, now: Instant, act: impl FnOnce(&mut Channels) -> T) -> Option<T> {
        let result = self.cell.connection.lock().with_channels(now, act);
        self.inner.settle(&self.cell, &mut Batch::default());
        result
    }

    /// Asks the peer for a key frame of a track that it sends; at most two a second go out.
    pub fn request_key_frame(&self, track: usize) {
        self.cell.connection.lock().incoming.request_key_frame(track);
        self.inner.settle(&self.cell, &mut Batch::default());
    }

    /// Sends its pictures, or its sound, from this feed from its next key frame on: with the same SSRC and payload type, and with numbers and time stamps that
    /// go on. Until then it gets those that it gets now, unless the way to it is full. The feed has to be of the codec that was agreed. `keep` is
    /// dropped when it is sent from another one.
    pub fn change(&self, feed: &Arc<Feed>, quality: Quality, keep: Keep) -> Result<(), ChangeError> {
        let changed = self.cell.connection.lock().change(feed, quality, keep, Instant::now());
        let (track, change) = changed.ok_or(ChangeError::Codec)?;
        if change == Change::AtKeyFrame {
            self.inner.fanouts.join(&self.inner, feed, &self.cell, track);
            feed.request_key_frame();
            // Had it ended before it joined, nobody would take it out again before the next unit, and it would keep the feeds that it holds.
            let is_closed = self.cell.connection.lock().is_closed();
            if is_closed {
                self.inner.fanouts.leave_all(&self.cell);
            }
        }
        Ok(())
    }

    /// The newest answer.
    pub fn answer(&self) -> Answer {
        self.answer.lock().clone()
    }

    /// Credentials of the offerer's newest description.
    pub fn remote_credentials(&self) -> Credentials {
        self.cell.connection.lock().agent().remote().clone()
    }

    /// Takes new credentials of the offerer and answers with new ones (RFC 8445, section 9: an ICE restart). Media goes on on the old path until a new one is
    /// nominated. With the credentials that are in use nothing changes, and the answer is the same.
    pub fn restart(&self, remote: &Credentials) -> Answer {
        let mut answer = self.answer.lock();
        let mut connection = self.cell.connection.lock();
        if connection.agent().remote() != remote {
            let local = Credentials::random(&mut rand::rng());
            connection.agent().restart(local.clone(), remote.clone());
            drop(connection);
            self.inner.table.add_ufrag(&local.ufrag, &self.cell);
            self.inner.table.forget_ufrags(&self.cell, KEPT_DESCRIPTIONS);
            answer.ice = local;
            answer.version += 1;
        }
        answer.clone()
    }

    /// Answers a further offer of the same peer: only ICE can change in it (RFC 8829, section 5.3.1).
    pub fn answer_again(&self, offer: &Offer) -> Result<String, AnswerError> {
        if offer.media.len() != self.answer.lock().media.len() {
            return Err(AnswerError::Nothing);
        }
        Ok(self.restart(&offer.ice).to_sdp())
    }

    /// How the connection does.
    pub fn statistics(&self) -> PeerStatistics {
        let connection = self.cell.connection.lock();
        let path = connection.path();
        let mut statistics = PeerStatistics {
            connected: connection.is_connected(),
            transport: path.map(|path| path.transport),
            remote: path.map(|path| path.remote),
            connect_time: connection.connect_time(),
            quality: connection.congestion.quality(),
            steps: connection.congestion.count(),
            congestion: connection.congestion.congestion(),
            ..PeerStatistics::default()
        };
        for counters in connection.senders.iter().map(|sender| &sender.counters) {
            statistics.packets_sent += counters.packets;
            statistics.bytes_sent += counters.bytes;
            statistics.packets_resent += counters.resent;
            statistics.bytes_resent += counters.resent_bytes;
            statistics.packets_not_resent += counters.not_resent;
            statistics.skips += counters.skips;
            statistics.key_frame_requests += counters.key_frame_requests;
            statistics.loss = statistics.loss.max(f64::from(counters.fraction_lost) / 256.0);
            statistics.jitter = statistics.jitter.max(counters.jitter);
            statistics.round_trip = counters.round_trip.or(statistics.round_trip);
        }
        statistics
    }

    /// Ends the connection, and tells the peer.
    pub fn close(&self) {
        self.inner.close(&self.cell);
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        self.close();
    }
}
