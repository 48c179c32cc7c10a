//! Many clients in one room on one thread.

use std::io;
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use mio::{Events, Interest, Poll, Token};

use crate::client::{Client, Stage};
use crate::server::Server;

/// Handshakes under way at a time: a burst, but within the accept queue of every peer.
const AT_A_TIME: usize = 100;

/// How long the clients may take to join.
const PATIENCE: Duration = Duration::from_mins(1);

/// The clients. Dropping it closes their connections.
pub(crate) struct Room {
    pub(crate) clients: Vec<Client>,
    poll: Poll,
    events: Events,
    scratch: Vec<u8>,
}

impl Room {
    /// Connects `count` clients as fast as the server takes them; all are in the room on return.
    pub(crate) fn join(server: &Server, count: usize) -> Result<Self> {
        let mut room = Self {
            clients: Vec::with_capacity(count),
            poll: Poll::new()?,
            events: Events::with_capacity(1024),
            scratch: vec![0; 256 * 1024],
        };
        let deadline = Instant::now() + PATIENCE;
        let mut joined = 0;
        while joined < count {
            ensure!(Instant::now() < deadline, "only {joined} of {count} clients joined in time");
            while room.clients.len() < count && room.clients.len() - joined < AT_A_TIME {
                room.connect(server)?;
            }
            room.turn(Some(Duration::from_millis(100)), |_, _, _| ())?;
            joined = room.clients.iter().filter(|client| client.stage == Stage::Joined).count();
        }
        Ok(room)
    }

    fn connect(&mut self, server: &Server) -> Result<()> {
        let mut client = Client::connect(server.kind, server.address)?;
        let token = Token(self.clients.len());
        self.poll.registry().register(&mut client.stream, token, Interest::READABLE | Interest::WRITABLE)?;
        self.clients.push(client);
        Ok(())
    }

    /// Waits for the network, or until `timeout`, and gives each message to `receive` with the number
    /// of the client that got it and the time.
    pub(crate) fn turn(
        &mut self,
        timeout: Option<Duration>,
        mut receive: impl FnMut(usize, &[u8], Instant),
    ) -> Result<()> {
        match self.poll.poll(&mut self.events, timeout) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => return Ok(()),
            result => result?,
        }
        for event in &self.events {
            let index = event.token().0;
            let client = &mut self.clients[index];
            if event.is_writable() {
                client.flush()?;
            }
            if event.is_readable() {
                let now = Instant::now();
                client.read(&mut self.scratch, |message| receive(index, message, now))?;
            }
        }
        Ok(())
    }

    /// Reads and throws away for a while.
    pub(crate) fn idle(&mut self, time: Duration) -> Result<()> {
        let until = Instant::now() + time;
        while let Some(left) = until.checked_duration_since(Instant::now()) {
            self.turn(Some(left), |_, _, _| ())?;
        }
        Ok(())
    }
}
