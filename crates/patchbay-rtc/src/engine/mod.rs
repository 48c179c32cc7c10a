//! All peers of a process behind one UDP socket and one TCP listener.
//!
//! A task reads each socket and finds the peer of a datagram; a task a group of viewers writes what a feed brings; a task looks after timeouts. A peer's state
//! stands behind a lock that none of them holds while it waits.

mod fanout;
mod negotiation;
mod pacer;
mod peer;
mod start;
mod table;
mod tcp;
mod timer;
mod udp;

pub use negotiation::{AnswerError, Receive, Sending, Session};
pub use peer::{ChangeError, Peer, PeerEvent, PeerStatistics};
pub use start::InstantStart;

use crate::{
    connection::{Closed, Connection, Event, Timing},
    dtls::{Dtls, Identity, IdentityError},
    ice::{self, Agent, Check, Verdict},
    path::{Batch, Path},
    sdp::{Credentials, Offer, Transport},
};
use patchbay_media::Spawn;
use std::{
    io,
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};
use table::{Cell, Table};
use tokio_util::sync::{CancellationToken, DropGuard};

/// How an engine is set up.
#[derive(Clone, Debug)]
pub struct EngineConfig {
    /// UDP address of all peers.
    pub udp: SocketAddr,
    /// TCP address of peers whose network lets no UDP through; usually the same port.
    pub tcp: Option<SocketAddr>,
    /// Port that peers are told, where it is not the one bound: behind a port mapping.
    pub public_port: Option<u16>,
    /// Peers at once; more get [`AnswerError::Full`].
    pub max_peers: usize,
    /// TCP connections at once; more are closed.
    pub max_tcp: usize,
    /// From the answer to the end of the handshake.
    pub connect_timeout: Duration,
    /// Without a sign of life from a connected peer.
    pub idle_timeout: Duration,
    /// Viewers that one task serves; a feed with more has several.
    pub group: usize,
    /// How newcomers get the cached pictures.
    pub start: InstantStart,
}

impl Default for EngineConfig {
    fn default() -> Self {
        Self {
            udp: ([0, 0, 0, 0], 8189).into(),
            tcp: Some(([0, 0, 0, 0], 8189).into()),
            public_port: None,
            max_peers: 2000,
            max_tcp: 500,
            connect_timeout: Duration::from_secs(15),
            idle_timeout: Duration::from_secs(30),
            group: 64,
            start: InstantStart::default(),
        }
    }
}

/// Why an engine could not be started.
#[derive(Debug, thiserror::Error)]
pub enum BindError {
    /// A socket could not be bound.
    #[error("bind {transport} {address}: {source}")]
    Bind {
        /// `udp` or `tcp`.
        transport: &'static str,
        /// Address.
        address: SocketAddr,
        /// Why not.
        source: io::Error,
    },
    /// No certificate.
    #[error(transparent)]
    Identity(#[from] IdentityError),
}

/// Counts since the start.
#[derive(Debug, Default)]
pub struct Counters {
    /// Packets handed to the system: media, retransmissions, reports, handshakes and data; not the answers to connectivity checks.
    pub packets_sent: AtomicU64,
    /// Bytes of those, with their headers and authentication.
    pub bytes_sent: AtomicU64,
    /// Packets that the system or a full queue did not take.
    pub packets_dropped: AtomicU64,
    /// Datagrams that belong to nobody.
    pub strays: AtomicU64,
    /// Newcomers who got the cached pictures at once.
    pub bursts: AtomicU64,
    /// Newcomers who waited for a key frame that had been asked for or was near.
    pub waits: AtomicU64,
    /// Newcomers who got the cached key frame as a still, because all pictures since were too many.
    pub stills: AtomicU64,
}

/// All peers of a process.
///
/// Its sockets and tasks go when the last clone of it and its last [`Peer`] are dropped.
#[derive(Clone)]
pub struct Engine {
    inner: Arc<Inner>,
    in_use: Arc<DropGuard>,
}

struct Inner {
    config: EngineConfig,
    identity: Identity,
    udp: udp::Udp,
    tcp: Option<tcp::Tcp>,
    table: Table,
    fanouts: fanout::Fanouts,
    starts: tokio::sync::Semaphore,
    pacer: pacer::Pacer,
    spawner: Arc<dyn Spawn>,
    /// Nobody holds the engine or one of its peers any more. The tasks hold [`Inner`], so it does not end by itself.
    unused: CancellationToken,
    counters: Counters,
    wake_timer: tokio::sync::Notify,
    started: Instant,
}

impl Engine {
    /// Binds the sockets and starts to serve them.
    pub fn bind(config: EngineConfig, spawner: Arc<dyn Spawn>) -> Result<Self, BindError> {
        let failed = |transport, address| move |source| BindError::Bind { transport, address, source };
        let udp = udp::Udp::bind(config.udp).map_err(failed("udp", config.udp))?;
        let (tcp, listener) = match config.tcp {
            Some(address) => {
                let (tcp, listener) = tcp::Tcp::bind(address).map_err(failed("tcp", address))?;
                (Some(tcp), Some(listener))
            }
            None => (None, None),
        };
        let inner = Arc::new(Inner {
            identity: Identity::generate()?,
            udp,
            tcp,
            table: Table::new(config.max_peers),
            fanouts: fanout::Fanouts::default(),
            starts: tokio::sync::Semaphore::new(config.start.concurrent.max(1)),
            pacer: pacer::Pacer::default(),
            spawner,
            unused: CancellationToken::new(),
            counters: Counters::default(),
            wake_timer: tokio::sync::Notify::new(),
            started: Instant::now(),
            config,
        });
        inner.spawn("rtc-udp", udp::receive(Arc::clone(&inner)));
        inner.spawn("rtc-timer", timer::run(Arc::clone(&inner)));
        inner.spawn("rtc-pacer", pacer::run(Arc::clone(&inner)));
        if let Some(listener) = listener {
            inner.spawn("rtc-tcp", tcp::accept(Arc::clone(&inner), listener));
        }
        let in_use = Arc::new(inner.unused.clone().drop_guard());
        Ok(Self { inner, in_use })
    }

    /// Address that the UDP socket is bound to.
    pub fn udp_address(&self) -> SocketAddr {
        self.inner.udp.address()
    }

    /// Address that the TCP listener is bound to.
    pub fn tcp_address(&self) -> Option<SocketAddr> {
        self.inner.tcp.as_ref().map(tcp::Tcp::address)
    }

    /// Peers now, those that are still connecting too.
    pub fn peers(&self) -> usize {
        self.inner.table.len()
    }

    /// Counts since the start.
    pub fn counters(&self) -> &Counters {
        &self.inner.counters
    }

    /// Answers an offer. The peer lives until its handle is dropped; the text is the answer for the offerer.
    #[expect(clippy::needless_pass_by_value, reason = "a session is for one peer")]
    pub fn answer(&self, offer: &Offer, session: Session) -> Result<(Peer, String), AnswerError> {
        let inner = &self.inner;
        let now = Instant::now();
        if inner.table.len() >= inner.config.max_peers {
            return Err(AnswerError::Full { limit: inner.config.max_peers });
        }
        let local = Credentials::random(&mut rand::rng());
        let agreed = negotiation::negotiate(inner, offer, &session, &local, now)?;
        let dtls = Dtls::new(&inner.identity, offer.fingerprint)
            .map_err(|error| AnswerError::Handshake(error.to_string()))?;
        let agent = Agent::new(local.clone(), offer.ice.clone());
        let timing = Timing { connect: inner.config.connect_timeout, idle: inner.config.idle_timeout };
        let connection = Connection::new(agent, dtls, agreed.tracks, timing, now);
        let (cell, events, received) = Cell::new(connection);
        if !inner.table.insert(&local.ufrag, &cell) {
            return Err(AnswerError::Full { limit: inner.config.max_peers });
        }
        inner.schedule(&cell);
        let text = agreed.answer.to_sdp();
        Ok((Peer::new(self.clone(), cell, events, received, agreed.answer), text))
    }
}

impl Inner {
    /// Runs a task for as long as anybody holds the engine.
    fn spawn(&self, name: &'static str, task: impl Future<Output = ()> + Send + 'static) {
        let unused = self.unused.clone();
        let task = async move {
            // Nothing is lost with a task: what it would have sent has nobody left who wants it sent.
            unused.run_until_cancelled_owned(task).await;
        };
        self.spawner.spawn(name, Box::pin(task));
    }

    fn candidates(&self, session: &Session) -> Vec<crate::sdp::Candidate> {
        let port = |bound: SocketAddr| self.config.public_port.unwrap_or(bound.port());
        let udp = (Transport::Udp, port(self.udp.address()));
        let tcp = self.tcp.as_ref().map(|tcp| (Transport::Tcp, port(tcp.address())));
        let ways = std::iter::once(udp).chain(tcp);
        ways.flat_map(|(transport, port)| {
            let addresses = session.addresses.iter();
            addresses
                .map(move |address| crate::sdp::Candidate { transport, address: (*address, port).into() })
        })
        .collect()
    }

    /// A datagram, or a frame of TCP.
    fn datagram(self: &Arc<Self>, path: Path, datagram: &[u8], batch: &mut Batch) {
        let now = Instant::now();
        let cell =
            if ice::is_stun(datagram) { self.check(path, datagram, now) } else { self.table.by_path(&path) };
        let Some(cell) = cell else {
            self.counters.strays.fetch_add(1, Ordering::Relaxed);
            return;
        };
        if !ice::is_stun(datagram) {
            cell.act(|connection| connection.datagram(datagram, now, &self.identity));
        }
        self.settle(&cell, batch);
    }

    /// A connectivity check: finds its peer, and answers it.
    fn check(self: &Arc<Self>, path: Path, datagram: &[u8], now: Instant) -> Option<Arc<Cell>> {
        let mut check = Check::parse(datagram)?;
        let cell = self.table.by_ufrag(&check.ours)?;
        let answer = cell.connection.lock().check(&mut check, path, now, &self.identity);
        match answer {
            Ok(checked) => {
                if checked.verdict != Verdict::RoleConflict {
                    self.open_path(path, &cell);
                }
                self.send_one(path, &checked.response);
                Some(cell)
            }
            Err(error) => {
                tracing::debug!(%error, "a connectivity check was not answered");
                None
            }
        }
    }

    fn open_path(&self, path: Path, cell: &Arc<Cell>) {
        let lost = self.table.open_path(path, cell);
        let Some(tcp) = &self.tcp else { return };
        if path.transport == Transport::Tcp {
            tcp.prove(path.remote);
        }
        if let Some(lost) = lost.filter(|lost| lost.transport == Transport::Tcp) {
            tcp.close(lost.remote);
        }
    }

    /// Sends what a connection has to send, and acts on what happened to it.
    fn settle(self: &Arc<Self>, cell: &Arc<Cell>, batch: &mut Batch) {
        loop {
            batch.clear();
            let (path, event) = {
                let mut connection = cell.connection.lock();
                cell.hand_over(&mut connection);
                (connection.poll_transmit(batch), connection.poll_event())
            };
            if let Some(path) = path {
                self.send(path, batch);
            }
            match event {
                Some(Event::Connected) => {
                    start::begin(self, cell);
                    cell.tell(PeerEvent::Connected);
                }
                Some(Event::Closed(why)) => self.remove(cell, why),
                Some(Event::Channels) => cell.channels.notify_one(),
                Some(Event::Quality(quality)) => {
                    self.pacer.add(cell);
                    cell.tell(PeerEvent::Quality(quality));
                }
                None if path.is_none() => break,
                None => {}
            }
        }
        self.schedule(cell);
    }

    fn remove(&self, cell: &Arc<Cell>, why: Closed) {
        self.table.remove(cell);
        self.fanouts.leave_all(cell);
        cell.tell(PeerEvent::Closed(why));
    }

    /// Ends a connection and tells the peer.
    fn close(self: &Arc<Self>, cell: &Arc<Cell>) {
        cell.connection.lock().close(Closed::Here, Instant::now());
        self.settle(cell, &mut Batch::default());
    }

    fn schedule(&self, cell: &Cell) {
        {
            // Stored under the lock, so that an older deadline never takes the place of a newer one.
            let connection = cell.connection.lock();
            let nanos = connection.deadline().map_or(u64::MAX, |at| {
                u64::try_from(at.saturating_duration_since(self.started).as_nanos()).unwrap_or(u64::MAX)
            });
            cell.deadline.store(nanos, Ordering::Release);
        }
        self.wake_timer.notify_one();
    }

    /// Sends a batch on a path; false when the path took not all of it.
    fn send(&self, path: Path, batch: &Batch) -> bool {
        let sent = match path.transport {
            Transport::Udp => self.udp.send(path, batch),
            Transport::Tcp => self.tcp.as_ref().map_or(0, |tcp| tcp.send(path, batch)),
        };
        let dropped = batch.ends.len().saturating_sub(sent);
        self.counters.packets_sent.fetch_add(sent as u64, Ordering::Relaxed);
        let bytes = sent.checked_sub(1).and_then(|last| batch.ends.get(last)).copied().unwrap_or(0);
        self.counters.bytes_sent.fetch_add(bytes as u64, Ordering::Relaxed);
        if dropped > 0 {
            self.counters.packets_dropped.fetch_add(dropped as u64, Ordering::Relaxed);
        }
        dropped == 0
    }

    fn send_one(&self, path: Path, datagram: &[u8]) {
        let mut batch = Batch::default();
        batch.push(datagram);
        match path.transport {
            Transport::Udp => self.udp.send(path, &batch),
            Transport::Tcp => self.tcp.as_ref().map_or(0, |tcp| tcp.send(path, &batch)),
        };
    }
}

#[cfg(test)]
mod tests;
