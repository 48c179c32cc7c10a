//! A way through the network that is narrow, slow or bad: a relay for UDP between a peer and a server, which does to the server's datagrams what such a
//! way does. What peers send goes through as it comes.
//!
//! The bottleneck is a line of a rate with a queue of bounded length in time; what finds no room in it is lost, as in a router. Behind it
//! comes a delay. A thread does all of it; it ends when the way is dropped.

use anyhow::{Context as _, Result};
use mio::{Events, Interest, Poll, Token, net::UdpSocket};
use parking_lot::Mutex;
use std::{
    collections::VecDeque,
    io,
    net::{Ipv4Addr, SocketAddr},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread::JoinHandle,
    time::{Duration, Instant},
};

/// Peers behind one way; browsers open a socket for each of their addresses. What comes from more is lost.
const MOST_PEERS: usize = 16;

/// Datagrams on the way at most; more are lost.
const MOST_DATAGRAMS: usize = 20_000;

/// Bytes of the headers of IP and UDP, which take their part of the line.
const HEADERS: usize = 28;

/// Most time between two looks at what is due.
const STEP: Duration = Duration::from_millis(1);

/// What a way is like from the server to the peers.
#[derive(Clone, Copy, Debug)]
pub struct Narrow {
    /// Bits a second.
    pub rate: u64,
    /// Longest that a datagram waits for its turn; what would wait longer is lost.
    pub queue: Duration,
    /// From the end of the line to the peer.
    pub delay: Duration,
    /// Datagrams of a thousand that are lost, besides those that find no room.
    pub loss: u32,
}

impl Default for Narrow {
    fn default() -> Self {
        Self {
            rate: 1_000_000_000,
            queue: Duration::from_millis(500),
            delay: Duration::from_millis(10),
            loss: 0,
        }
    }
}

/// What went over a way since the last look.
#[derive(Clone, Copy, Debug, Default)]
pub struct Passed {
    /// Datagrams that came through.
    pub datagrams: u64,
    /// Bytes of those, with headers.
    pub bytes: u64,
    /// Datagrams that were lost.
    pub lost: u64,
    /// Longest time that one waited for its turn.
    pub waited: Duration,
}

/// A way. Dropped, it ends.
pub struct Way {
    shared: Arc<Shared>,
    address: SocketAddr,
    thread: Option<JoinHandle<()>>,
}

struct Shared {
    narrow: Mutex<Narrow>,
    passed: Mutex<Passed>,
    is_over: AtomicBool,
}

impl Way {
    /// A way to a server of this machine.
    pub fn to(server: SocketAddr, narrow: Narrow) -> Result<Self> {
        let front = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0).into())?;
        let address = front.local_addr()?;
        let shared = Arc::new(Shared {
            narrow: Mutex::new(narrow),
            passed: Mutex::default(),
            is_over: AtomicBool::new(false),
        });
        let mut relay = Relay::new(server, front, Arc::clone(&shared))?;
        let thread = std::thread::Builder::new().name("way".to_owned()).spawn(move || relay.run())?;
        Ok(Self { shared, address, thread: Some(thread) })
    }

    /// Where peers find the server by this way.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Makes it another one.
    pub fn set(&self, narrow: Narrow) {
        *self.shared.narrow.lock() = narrow;
    }

    /// What went over it since the last call.
    pub fn passed(&self) -> Passed {
        std::mem::take(&mut *self.shared.passed.lock())
    }

    /// An answer in which the server's candidates are this way: those over UDP lead to it, those over TCP are left out.
    pub fn through(&self, answer: &str) -> String {
        let lines = answer.lines().filter_map(|line| {
            let Some(candidate) = line.strip_prefix("a=candidate:") else { return Some(line.to_owned()) };
            let mut words = candidate.split(' ').map(str::to_owned).collect::<Vec<_>>();
            if words.get(2).is_none_or(|transport| !transport.eq_ignore_ascii_case("udp")) {
                return None;
            }
            *words.get_mut(4)? = self.address.ip().to_string();
            *words.get_mut(5)? = self.address.port().to_string();
            Some(format!("a=candidate:{}", words.join(" ")))
        });
        lines.map(|line| line + "\r\n").collect()
    }
}

impl Drop for Way {
    fn drop(&mut self) {
        self.shared.is_over.store(true, Ordering::Release);
        if let Some(thread) = self.thread.take() {
            drop(thread.join());
        }
    }
}

struct Relay {
    server: SocketAddr,
    poll: Poll,
    front: UdpSocket,
    peers: Vec<Peer>,
    shared: Arc<Shared>,
    /// In the order in which they arrive.
    flying: VecDeque<Datagram>,
    /// When the line has sent what it has taken.
    free: Instant,
    noise: u64,
}

struct Peer {
    address: SocketAddr,
    /// What the server sees.
    back: UdpSocket,
}

struct Datagram {
    at: Instant,
    peer: usize,
    contents: Vec<u8>,
}

impl Relay {
    fn new(server: SocketAddr, mut front: UdpSocket, shared: Arc<Shared>) -> Result<Self> {
        let poll = Poll::new()?;
        poll.registry().register(&mut front, Token(0), Interest::READABLE)?;
        let (peers, flying, free) = (Vec::new(), VecDeque::new(), Instant::now());
        Ok(Self { server, poll, front, peers, shared, flying, free, noise: 0x9e37_79b9_7f4a_7c15 })
    }

    fn run(&mut self) {
        let mut events = Events::with_capacity(64);
        let mut buffer = vec![0; 2048];
        while !self.shared.is_over.load(Ordering::Acquire) {
            let due =
                self.flying.front().map(|datagram| datagram.at.saturating_duration_since(Instant::now()));
            // A poll sleeps whole milliseconds.
            let sleep = due.map_or(20 * STEP, |due| due.min(STEP));
            if self.poll.poll(&mut events, Some(sleep)).is_err() {
                continue;
            }
            // A peer that cannot be added is one that hears nothing, which its test notices.
            drop(self.take_peers(&mut buffer));
            for peer in 0..self.peers.len() {
                self.take_server(peer, &mut buffer);
            }
            self.deliver();
        }
    }

    fn take_peers(&mut self, buffer: &mut [u8]) -> Result<()> {
        while let Some((size, from)) = receive(&self.front, buffer) {
            let known = self.peers.iter().position(|peer| peer.address == from);
            let peer = match known {
                Some(peer) => peer,
                None if self.peers.len() >= MOST_PEERS => continue,
                None => self.add(from)?,
            };
            let datagram = buffer.get(..size).unwrap_or(&[]);
            // Full buffers are losses.
            drop(self.peers.get(peer).map(|peer| peer.back.send_to(datagram, self.server)));
        }
        Ok(())
    }

    fn add(&mut self, address: SocketAddr) -> Result<usize> {
        let number = self.peers.len();
        let mut back = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0).into()).context("bind a port")?;
        self.poll.registry().register(&mut back, Token(number + 1), Interest::READABLE)?;
        self.peers.push(Peer { address, back });
        Ok(number)
    }

    fn take_server(&mut self, peer: usize, buffer: &mut [u8]) {
        while let Some((size, _)) = self.peers.get(peer).and_then(|peer| receive(&peer.back, buffer)) {
            let contents = buffer.get(..size).unwrap_or(&[]).to_vec();
            let narrow = *self.shared.narrow.lock();
            if !self.send(peer, contents, &narrow) {
                self.shared.passed.lock().lost += 1;
            }
        }
    }

    /// Puts a datagram on the line; false when it is lost.
    fn send(&mut self, peer: usize, contents: Vec<u8>, narrow: &Narrow) -> bool {
        let now = Instant::now();
        let begins = self.free.max(now);
        let waits = begins.saturating_duration_since(now);
        if waits > narrow.queue || self.flying.len() >= MOST_DATAGRAMS || self.is_unlucky(narrow.loss) {
            return false;
        }
        let bits = (contents.len() + HEADERS) as u64 * 8;
        self.free = begins + Duration::from_nanos(bits.saturating_mul(1_000_000_000) / narrow.rate.max(1));
        self.flying.push_back(Datagram { at: self.free + narrow.delay, peer, contents });
        let mut passed = self.shared.passed.lock();
        passed.datagrams += 1;
        passed.bytes += bits / 8;
        passed.waited = passed.waited.max(waits);
        true
    }

    /// The same every time.
    fn is_unlucky(&mut self, of_a_thousand: u32) -> bool {
        self.noise ^= self.noise << 13;
        self.noise ^= self.noise >> 7;
        self.noise ^= self.noise << 17;
        (self.noise >> 20) % 1_000 < u64::from(of_a_thousand)
    }

    fn deliver(&mut self) {
        let now = Instant::now();
        while let Some(datagram) = self.flying.pop_front_if(|datagram| datagram.at <= now) {
            if let Some(peer) = self.peers.get(datagram.peer) {
                // A peer that is gone, or whose buffer is full.
                drop(self.front.send_to(&datagram.contents, peer.address));
            }
        }
    }
}

/// The next datagram, if there is one.
fn receive(socket: &UdpSocket, buffer: &mut [u8]) -> Option<(usize, SocketAddr)> {
    loop {
        match socket.recv_from(buffer) {
            Ok(received) => return Some(received),
            Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => {}
            Err(_) => return None,
        }
    }
}
