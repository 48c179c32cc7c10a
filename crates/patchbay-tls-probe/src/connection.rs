//! Connections to the server that is probed: few at a time, counted, each up to the first byte of TLS.

use crate::{
    report::StartTls,
    start_tls::{Dialogue, Step},
    target::Target,
};
use patchbay_egress::{EgressError, Guard};
use std::{
    io,
    net::SocketAddr,
    slice,
    sync::{
        OnceLock,
        atomic::{AtomicBool, AtomicU32, Ordering},
    },
    time::Duration,
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    sync::{Semaphore, SemaphorePermit},
    time::{Instant, timeout_at},
};

/// Bytes that are read at a time.
pub(crate) const READ_BYTES: usize = 8 * 1024;
/// How long to wait before a server that did not take a connection is tried again: it may have had enough of them at once.
const PAUSES: [Duration; 2] = [Duration::from_millis(200), Duration::from_millis(800)];

/// How many times as long as the first answer others may take, and how long they may at least.
const SLOWER: u32 = 8;
const QUICKEST: Duration = Duration::from_secs(2);

/// Why a question has no answer.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Stop {
    #[error("the time was up")]
    Deadline,
    #[error("no more connections may be made")]
    Connections,
    #[error("the server did not answer within {} s", .0.as_secs_f32())]
    Unanswered(Duration),
    #[error("the server closed the connection before TLS")]
    Closed,
    #[error(transparent)]
    Egress(#[from] EgressError),
    #[error("{0}")]
    StartTls(String),
}

/// How long to wait for an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Patience {
    /// As long as the probe was told to.
    Full,
    /// Some times as long as the first answer took: for hellos that a server may well be silent about.
    Brief,
}

/// A connection on which TLS can begin.
pub(crate) struct Connection<'a> {
    pub(crate) stream: TcpStream,
    pub(crate) wait: Wait,
    /// Its turn, which the next one gets when this is dropped.
    pub(crate) turn: SemaphorePermit<'a>,
}

/// How long to wait for what comes over one connection.
#[derive(Clone, Copy)]
pub(crate) struct Wait {
    until: Instant,
    patience: Duration,
    deadline: Instant,
}

impl Wait {
    /// Waits for this as long as the connection may take.
    pub(crate) async fn for_it<T>(self, it: impl Future<Output = T>) -> Result<T, Stop> {
        let is_own_patience = self.until < self.deadline;
        let late = || if is_own_patience { Stop::Unanswered(self.patience) } else { Stop::Deadline };
        timeout_at(self.until, it).await.map_err(|_| late())
    }
}

impl Connection<'_> {
    /// Sends all.
    pub(crate) async fn send(&mut self, bytes: &[u8]) -> Result<io::Result<()>, Stop> {
        self.wait.for_it(self.stream.write_all(bytes)).await
    }

    /// Reads what comes; empty when the other side has closed, in whatever way.
    pub(crate) async fn read(&mut self, buffer: &mut Vec<u8>) -> Result<(), Stop> {
        buffer.clear();
        buffer.reserve(READ_BYTES);
        let read = self.wait.for_it(self.stream.read_buf(buffer)).await?;
        if read.is_err() {
            buffer.clear();
        }
        Ok(())
    }

    async fn become_tls(&mut self, protocol: StartTls) -> Result<(), Stop> {
        let mut dialogue = Dialogue::new(protocol);
        let mut step = dialogue.start();
        let mut buffer = Vec::new();
        loop {
            match step {
                Step::Ready => return Ok(()),
                Step::Read => (),
                Step::Send(words) => {
                    // A server that no longer listens shows it when it is read from.
                    let _sent = self.send(&words).await?;
                }
            }
            self.read(&mut buffer).await?;
            if buffer.is_empty() {
                return Err(Stop::Closed);
            }
            step = dialogue.feed(&buffer).map_err(|refused| Stop::StartTls(refused.to_string()))?;
        }
    }
}

/// Makes connections to one server.
pub(crate) struct Connector<'a> {
    guard: &'a Guard,
    start_tls: StartTls,
    addresses: Vec<SocketAddr>,
    /// The address that answered first, to which all others go: what is told must be of one server.
    pinned: OnceLock<SocketAddr>,
    deadline: Instant,
    patience: Duration,
    /// How long one answer may take, once the first one has shown how quick the server is.
    learned: OnceLock<Duration>,
    /// Connections at the same time; more wait for their turn.
    turns: Semaphore,
    /// Connections that may still be made.
    left: AtomicU32,
    made: AtomicU32,
    /// Whether hellos that do not fit one packet come to nothing, as one has shown.
    loses_long_hellos: AtomicBool,
}

/// How many connections, and how long.
pub(crate) struct Bounds {
    pub(crate) deadline: Instant,
    pub(crate) patience: Duration,
    pub(crate) at_once: usize,
    pub(crate) connections: u32,
}

impl<'a> Connector<'a> {
    /// Looks the host up.
    pub(crate) async fn new(guard: &'a Guard, target: &Target, bounds: Bounds) -> Result<Self, EgressError> {
        let within = bounds.deadline.saturating_duration_since(Instant::now());
        Ok(Self {
            guard,
            start_tls: target.start_tls,
            addresses: guard.resolve(&target.host, target.port, within).await?,
            pinned: OnceLock::new(),
            deadline: bounds.deadline,
            patience: bounds.patience,
            learned: OnceLock::new(),
            turns: Semaphore::new(bounds.at_once.max(1)),
            left: AtomicU32::new(bounds.connections),
            made: AtomicU32::new(0),
            loses_long_hellos: AtomicBool::new(false),
        })
    }

    /// The address that answered.
    pub(crate) fn address(&self) -> Option<SocketAddr> {
        self.pinned.get().copied()
    }

    /// Connections that were made.
    pub(crate) fn made(&self) -> u32 {
        self.made.load(Ordering::Relaxed)
    }

    /// Remembers that hellos that do not fit one packet come to nothing.
    pub(crate) fn remember_that_long_hellos_are_lost(&self) {
        self.loses_long_hellos.store(true, Ordering::Relaxed);
    }

    /// Whether they do, as far as is known.
    pub(crate) fn loses_long_hellos(&self) -> bool {
        self.loses_long_hellos.load(Ordering::Relaxed)
    }

    /// Connects once, with more patience than usual: the first time, where a server may have to wake up.
    pub(crate) async fn first(&self) -> Result<Connection<'_>, Stop> {
        let remaining = self.deadline.saturating_duration_since(Instant::now());
        self.attempt(self.patience.max(remaining / 2)).await
    }

    /// Takes the time of the first answer as a measure: a server that is quick and does not answer a hello of an old version is not waited for as long as a slow one.
    pub(crate) fn learn(&self, took: Duration) {
        self.learned.get_or_init(|| (took * SLOWER).max(QUICKEST).min(self.patience));
    }

    fn length_of(&self, patience: Patience) -> Duration {
        match patience {
            Patience::Full => self.patience,
            Patience::Brief => self.learned.get().copied().unwrap_or(self.patience),
        }
    }

    /// Connects; a server that does not take a connection is tried again a little later.
    pub(crate) async fn open(&self, patience: Patience) -> Result<Connection<'_>, Stop> {
        let patience = self.length_of(patience);
        for pause in PAUSES {
            match self.attempt(patience).await {
                Err(Stop::Closed | Stop::StartTls(_) | Stop::Egress(_)) => {
                    let again = (Instant::now() + pause).min(self.deadline);
                    tokio::time::sleep_until(again).await;
                }
                outcome => return outcome,
            }
        }
        self.attempt(patience).await
    }

    async fn attempt(&self, patience: Duration) -> Result<Connection<'_>, Stop> {
        let turn = timeout_at(self.deadline, self.turns.acquire()).await.map_err(|_| Stop::Deadline)?;
        let permit = turn.map_err(|_| Stop::Deadline)?;
        let taken = self.left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(1));
        taken.map_err(|_| Stop::Connections)?;
        let until = (Instant::now() + patience).min(self.deadline);
        let within = until.saturating_duration_since(Instant::now());
        if within.is_zero() {
            return Err(Stop::Deadline);
        }
        let addresses = self.pinned.get().map_or(self.addresses.as_slice(), slice::from_ref);
        let (stream, address) = self.guard.connect_to(addresses, within).await?;
        self.pinned.get_or_init(|| address);
        self.made.fetch_add(1, Ordering::Relaxed);
        // Small messages go out at once; a system that cannot do this only makes the probe slower.
        let _slower = stream.set_nodelay(true);
        let mut connection =
            Connection { stream, wait: Wait { until, patience, deadline: self.deadline }, turn: permit };
        connection.become_tls(self.start_tls).await?;
        Ok(connection)
    }
}
