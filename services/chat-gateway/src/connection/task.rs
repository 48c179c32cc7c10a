//! The task of one connection: a future made by hand, so that a hundred thousand idle ones cost little. It reads into a
//! buffer that its thread's connections share, has no timer (see [`crate::sweeper`]), and writes only what the socket
//! did not take when it was said.

use super::{
    Connection,
    classic::Classic,
    handle::Stage,
    hello::{Hello, Welcome},
    native::Native,
    outbound::{Outbound, Progress},
};
use crate::gateway::Gateway;
use std::{
    cell::RefCell,
    net::IpAddr,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};
use tokio::{
    io::{AsyncRead, ReadBuf},
    net::{TcpStream, tcp::OwnedReadHalf},
};

/// What is read at once.
const READ: usize = 64 * 1024;

thread_local! {
    /// Filled and emptied within one poll.
    static INPUT: RefCell<Box<[u8]>> = RefCell::new(vec![0; READ].into());
}

/// One connection, from its first byte to its last.
pub struct ConnectionTask {
    gateway: Arc<Gateway>,
    connection: Arc<Connection>,
    reader: OwnedReadHalf,
    phase: Phase,
}

enum Phase {
    /// Before the upgrade.
    Hello(Hello),
    /// The native protocol.
    Native(Native),
    /// The classic protocol.
    Classic(Classic),
    /// Nothing that arrives counts any more.
    Deaf,
}

/// What a connection does after some input.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Flow {
    /// Goes on.
    Open,
    /// Ends as soon as what waits is written: the client has said its last word.
    End,
}

impl ConnectionTask {
    /// Registers a connection and makes its task.
    pub fn new(gateway: Arc<Gateway>, stream: TcpStream, address: IpAddr) -> Self {
        let (reader, writer) = stream.into_split();
        let limit = u32::try_from(gateway.config.connections.queue.0).unwrap_or(u32::MAX);
        let id = gateway.connections.next_id();
        let connection = Connection::new(id, Outbound::new(writer, limit), address, gateway.seconds());
        let connection = Arc::new(connection);
        gateway.connections.add(&connection);
        gateway.metrics.connections.inc();
        Self { gateway, connection, reader, phase: Phase::Hello(Hello::default()) }
    }

    fn poll_input(&mut self, cx: &mut Context<'_>) -> Poll<Option<Flow>> {
        INPUT.with_borrow_mut(|memory| {
            let mut buffer = ReadBuf::new(memory);
            let outcome = ready!(Pin::new(&mut self.reader).poll_read(cx, &mut buffer));
            if outcome.is_err() || buffer.filled().is_empty() {
                return Poll::Ready(None);
            }
            self.connection.heard(self.gateway.seconds());
            Poll::Ready(Some(self.input(buffer.filled_mut())))
        })
    }

    fn input(&mut self, bytes: &mut [u8]) -> Flow {
        let (gateway, connection) = (&self.gateway, &self.connection);
        match &mut self.phase {
            Phase::Hello(hello) => {
                let (welcome, mut rest) = hello.input(gateway, connection, bytes);
                self.phase = match welcome {
                    Welcome::NotYet => return Flow::Open,
                    Welcome::Refused => Phase::Deaf,
                    Welcome::Native(native) => Phase::Native(native),
                    Welcome::Classic(classic) => Phase::Classic(classic),
                };
                match &self.phase {
                    Phase::Deaf => Flow::End,
                    _ if rest.is_empty() => Flow::Open,
                    _ => self.input(&mut rest),
                }
            }
            Phase::Native(native) => native.input(gateway, connection, bytes),
            Phase::Classic(classic) => classic.input(gateway, connection, bytes),
            Phase::Deaf => Flow::Open,
        }
    }
}

impl Future for ConnectionTask {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        match (self.connection.outbound.poll(cx), &self.phase) {
            (Progress::Dead, _) | (Progress::Closed, Phase::Deaf) => return Poll::Ready(()),
            // The queue may have closed by itself, because the client is too slow: it has no more time than others to go.
            (Progress::Closing | Progress::Closed, _) if self.connection.stage() != Stage::Ending => {
                self.connection.ending(self.gateway.seconds());
            }
            (Progress::Open | Progress::Closing | Progress::Closed, _) => {}
        }
        // What input leads to is written at once or, where it is held or the socket is full, at the next turn, for which
        // the queue has woken this task.
        loop {
            match ready!(self.poll_input(cx)) {
                None => return Poll::Ready(()),
                Some(Flow::Open) => {}
                Some(Flow::End) => self.phase = Phase::Deaf,
            }
        }
    }
}

impl Drop for ConnectionTask {
    fn drop(&mut self) {
        let connection = &self.connection;
        let gateway = self.gateway.clone();
        connection.ending(gateway.seconds());
        gateway.connections.remove(connection.id);
        gateway.metrics.connections.dec();
        super::hello::release(&gateway, connection);
        if connection.outbound.was_slow() {
            gateway.metrics.slow.inc();
        }
        for room in connection.rooms() {
            super::session::leave(&gateway, connection, &room);
        }
        tracing::info!(
            client.address = %connection.address(),
            patchbay.user = connection.person().map(|person| person.profile.user.to_string()),
            seconds = gateway.seconds() - connection.opened(),
            "connection ended",
        );
    }
}
