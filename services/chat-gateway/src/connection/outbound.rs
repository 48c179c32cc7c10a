//! What waits to be written to one client. Whoever has something to say writes it to the socket at once, from
//! its own thread; only what the socket does not take waits here, bounded in bytes, for the connection's task.
//!
//! One lock is held over a non-blocking write: it keeps the order, and it is almost never contended, since a
//! connection's rooms mostly live in one shard.

use crate::protocol::close::Close;
use bytes::{Buf, Bytes};
use futures_util::task::AtomicWaker;
use parking_lot::Mutex;
use patchbay_websocket::{CloseCode, encode};
use std::{
    collections::VecDeque,
    io::{self, IoSlice},
    task::{Context, Poll},
};
use tokio::net::{TcpStream, tcp::OwnedWriteHalf};

/// Slices handed to one `writev`.
const SLICES: usize = 32;

/// The writing side of a connection.
pub struct Outbound {
    socket: OwnedWriteHalf,
    queue: Mutex<Queue>,
    task: AtomicWaker,
    /// Bytes that may wait; beyond, the client is too slow and is closed with 3008.
    limit: u32,
}

/// What became of a write.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sent {
    /// The socket took it.
    Written,
    /// It waits.
    Waiting,
    /// The connection is ending: it was dropped.
    Dropped,
    /// It did not fit, and the connection has been told to end.
    Overflow,
}

struct Queue {
    frames: VecDeque<Bytes>,
    waiting: u32,
    /// Whether the first frame has been written in part, so that nothing may come before its rest.
    torn: bool,
    was_slow: bool,
    phase: Phase,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Phase {
    Open,
    /// A close frame stands at the end of the queue or has been written.
    Closing,
    /// The socket failed.
    Dead,
}

/// What the connection's task should do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Progress {
    /// Go on reading.
    Open,
    /// The close frame waits for the socket.
    Closing,
    /// The close frame is out: read until the client closes.
    Closed,
    /// The socket failed: end.
    Dead,
}

impl Outbound {
    /// Wraps a socket; `limit` is in bytes.
    pub fn new(socket: OwnedWriteHalf, limit: u32) -> Self {
        let queue =
            Queue { frames: VecDeque::new(), waiting: 0, torn: false, was_slow: false, phase: Phase::Open };
        Self { socket, queue: Mutex::new(queue), task: AtomicWaker::new(), limit }
    }

    /// Writes a frame, or lets it wait. The frame is shared: it is copied nowhere.
    pub fn send(&self, frame: &Bytes) -> Sent {
        let mut queue = self.queue.lock();
        if queue.phase != Phase::Open {
            return Sent::Dropped;
        }
        if queue.frames.is_empty() {
            return self.write_or_wait(&mut queue, frame);
        }
        let sent = self.wait(&mut queue, frame.clone());
        self.write_waiting(&mut queue);
        sent
    }

    /// Lets a frame wait for what is about to follow it, so that both go in one write; the connection's task writes it at
    /// its next turn if nothing has followed by then.
    pub fn hold(&self, frame: Bytes) {
        let mut queue = self.queue.lock();
        if queue.phase == Phase::Open {
            self.wait(&mut queue, frame);
            self.task.wake();
        }
    }

    /// Whether something waits: the client reads more slowly than it is written to.
    pub fn is_pressed(&self) -> bool {
        !self.queue.lock().frames.is_empty()
    }

    /// Ends the connection with a close frame; what waits is written before it, unless the client is too slow.
    pub fn close(&self, close: Close) {
        self.close_with(close.code(), close.reason());
    }

    /// Ends the connection with any code.
    pub fn close_with(&self, code: CloseCode, reason: &str) {
        self.finish(encode::close_frame(code, reason));
    }

    /// Answers a client's close frame.
    pub fn close_back(&self, code: Option<CloseCode>) {
        self.finish(code.map_or_else(encode::empty_close_frame, |code| encode::close_frame(code, "")));
    }

    /// Writes a response that is not a frame, after which the connection ends.
    pub fn finish(&self, last: Bytes) {
        let mut queue = self.queue.lock();
        if queue.phase != Phase::Open {
            return;
        }
        queue.waiting += length(&last);
        queue.frames.push_back(last);
        queue.phase = Phase::Closing;
        self.write_waiting(&mut queue);
        self.task.wake();
    }

    /// Registers the connection's task and writes what waits.
    pub fn poll(&self, cx: &mut Context<'_>) -> Progress {
        self.task.register(cx.waker());
        let mut queue = self.queue.lock();
        while !queue.frames.is_empty() && queue.phase != Phase::Dead {
            match self.stream().poll_write_ready(cx) {
                Poll::Pending => break,
                Poll::Ready(Ok(())) => self.write_waiting(&mut queue),
                Poll::Ready(Err(_)) => queue.fail(),
            }
        }
        match queue.phase {
            Phase::Dead => Progress::Dead,
            Phase::Closing if queue.frames.is_empty() => Progress::Closed,
            Phase::Closing => Progress::Closing,
            Phase::Open => Progress::Open,
        }
    }

    /// The socket, for its options and addresses.
    pub fn stream(&self) -> &TcpStream {
        self.socket.as_ref()
    }

    /// Whether the client was too slow and was closed for it.
    pub fn was_slow(&self) -> bool {
        self.queue.lock().was_slow
    }

    /// Gives the connection up without a word; its task ends.
    pub fn abandon(&self) {
        self.queue.lock().fail();
        self.task.wake();
    }

    fn write_or_wait(&self, queue: &mut Queue, frame: &Bytes) -> Sent {
        match self.socket.try_write(frame) {
            Ok(written) if written == frame.len() => Sent::Written,
            Ok(written) => {
                queue.torn = true;
                self.task.wake();
                self.wait(queue, frame.slice(written..))
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                self.task.wake();
                self.wait(queue, frame.clone())
            }
            Err(_) => {
                queue.fail();
                self.task.wake();
                Sent::Dropped
            }
        }
    }

    fn wait(&self, queue: &mut Queue, frame: Bytes) -> Sent {
        let frame_length = length(&frame);
        if queue.waiting.saturating_add(frame_length) > self.limit {
            queue.overflow();
            self.task.wake();
            return Sent::Overflow;
        }
        queue.waiting += frame_length;
        queue.frames.push_back(frame);
        Sent::Waiting
    }

    fn write_waiting(&self, queue: &mut Queue) {
        while !queue.frames.is_empty() {
            let written = {
                let mut slices = [IoSlice::new(&[]); SLICES];
                let mut count = 0;
                for (slice, frame) in slices.iter_mut().zip(&queue.frames) {
                    *slice = IoSlice::new(frame);
                    count += 1;
                }
                self.socket.try_write_vectored(&slices[..count])
            };
            match written {
                Ok(written) => queue.advance(written),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    self.task.wake();
                    return;
                }
                Err(_) => {
                    queue.fail();
                    self.task.wake();
                    return;
                }
            }
        }
        queue.frames = VecDeque::new();
    }
}

impl Queue {
    fn advance(&mut self, mut written: usize) {
        self.waiting = self.waiting.saturating_sub(u32::try_from(written).unwrap_or(u32::MAX));
        while let Some(front) = self.frames.front_mut() {
            if written < front.len() {
                front.advance(written);
                self.torn |= written > 0;
                return;
            }
            written -= front.len();
            self.frames.pop_front();
            self.torn = false;
        }
    }

    /// Drops what waits, but for the rest of a frame that has begun, and says why.
    fn overflow(&mut self) {
        self.frames.truncate(usize::from(self.torn));
        self.frames.push_back(encode::close_frame(Close::Slow.code(), Close::Slow.reason()));
        self.waiting = self.frames.iter().map(length).sum();
        self.phase = Phase::Closing;
        self.was_slow = true;
    }

    fn fail(&mut self) {
        self.frames = VecDeque::new();
        self.waiting = 0;
        self.phase = Phase::Dead;
    }
}

fn length(frame: &Bytes) -> u32 {
    u32::try_from(frame.len()).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::{future::poll_fn, sync::Arc};
    use tokio::{
        io::AsyncReadExt,
        net::{TcpListener, tcp::OwnedReadHalf},
    };

    async fn pair(limit: u32) -> (Arc<Outbound>, OwnedReadHalf, TcpStream) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let client = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        let (server, _) = listener.accept().await.unwrap();
        let (reader, writer) = server.into_split();
        (Arc::new(Outbound::new(writer, limit)), reader, client)
    }

    /// Drives the queue as the connection's task does, until it is closed or dead.
    async fn drive(outbound: Arc<Outbound>) -> Progress {
        poll_fn(|cx| match outbound.poll(cx) {
            Progress::Open | Progress::Closing => Poll::Pending,
            end => Poll::Ready(end),
        })
        .await
    }

    #[tokio::test]
    async fn everything_arrives_in_order_however_slow_the_client_is() {
        let (outbound, _reader, mut client) = pair(64 << 20).await;
        let mut expected = Vec::new();
        for number in 0..2000_u32 {
            let frame: Bytes = number.to_be_bytes().repeat(1000).into();
            expected.extend_from_slice(&frame);
            assert_ne!(outbound.send(&frame), Sent::Overflow);
        }
        assert!(outbound.is_pressed(), "the socket took 8 MB at once");
        outbound.close(Close::Shutdown);
        let mut received = vec![0; expected.len()];
        let (progress, read) = tokio::join!(drive(outbound), client.read_exact(&mut received));
        assert_eq!((progress, read.unwrap()), (Progress::Closed, expected.len()));
        assert!(received == expected, "what arrived is not what was sent");
    }

    #[tokio::test]
    async fn a_client_that_does_not_read_is_closed_with_3008() {
        let (outbound, _reader, mut client) = pair(1 << 20).await;
        let frame = Bytes::from(vec![7; 64 * 1024]);
        let mut sent = 0;
        while outbound.send(&frame) != Sent::Overflow {
            sent += 1;
            assert!(sent < 1000, "the queue has no bound");
        }
        assert!(outbound.was_slow());
        assert_eq!(outbound.send(&frame), Sent::Dropped);
        let mut received = Vec::new();
        let read = async {
            let mut part = vec![0; 64 * 1024];
            while !received.ends_with(b"slow consumer") {
                let count = client.read(&mut part).await.unwrap();
                assert_ne!(count, 0, "closed without a word");
                received.extend_from_slice(&part[..count]);
            }
        };
        let (progress, ()) = tokio::join!(drive(outbound.clone()), read);
        assert_eq!(progress, Progress::Closed);
        let close = encode::close_frame(Close::Slow.code(), "slow consumer");
        assert!(received.ends_with(&close));
        assert_eq!((received.len() - close.len()) % frame.len(), 0, "a frame was cut");
    }
}
