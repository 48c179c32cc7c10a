//! A WebSocket on an upgraded connection: messages in, messages out.

use hyper::upgrade::Upgraded;
use hyper_util::rt::TokioIo;
use patchbay_websocket::{CloseCode, Decoder, Event, OpCode, encode};
use std::{collections::VecDeque, future::pending, io, time::Duration};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    time::{Instant, timeout},
};

/// Bytes of a message: an offer has at most 64 KiB, and JSON may need two bytes for one.
const MAX_MESSAGE: u32 = 160 * 1024;

/// Bytes read at a time.
const READ: usize = 16 * 1024;

/// Bytes that are read ahead while the client waits for an answer; more stay with the system until it has come.
const AHEAD: usize = 64 * 1024;

/// Time for a client to take what it is sent: a few kilobytes.
const WRITE: Duration = Duration::from_secs(10);

/// Time for a client to answer a close frame.
const FAREWELL: Duration = Duration::from_secs(2);

/// What came.
#[derive(Debug)]
pub(super) enum Came {
    /// A message.
    Text(String),
    /// A ping, to be answered.
    Ping(Vec<u8>),
    /// The client closes, or has broken the protocol: close with this.
    Close(Option<CloseCode>, String),
    /// The connection is gone.
    Gone,
}

/// The socket.
pub(super) struct Socket {
    io: TokioIo<Upgraded>,
    decoder: Decoder,
    buffer: Vec<u8>,
    /// What came with the last read, or was read ahead; bounded by [`READ`] and [`AHEAD`], because otherwise nothing is read before it is taken.
    waiting: VecDeque<Came>,
    /// Bytes that were read ahead.
    ahead: usize,
    heard: Instant,
}

impl Socket {
    pub(super) fn new(upgraded: Upgraded) -> Self {
        Self {
            io: TokioIo::new(upgraded),
            decoder: Decoder::new(MAX_MESSAGE),
            buffer: vec![0; READ],
            waiting: VecDeque::new(),
            ahead: 0,
            heard: Instant::now(),
        }
    }

    /// When something was last heard.
    pub(super) fn heard(&self) -> Instant {
        self.heard
    }

    /// What comes next. Cancel-safe.
    pub(super) async fn next(&mut self) -> Came {
        loop {
            if let Some(came) = self.waiting.pop_front() {
                return came;
            }
            self.ahead = 0;
            self.read().await;
        }
    }

    /// Waits until the client closes or has gone. What it says before is kept for [`Self::next`], and so is this. Cancel-safe.
    pub(super) async fn gone(&mut self) {
        while !self.waiting.iter().any(|came| matches!(came, Came::Close(..) | Came::Gone)) {
            if self.ahead >= AHEAD {
                pending::<()>().await;
            }
            self.ahead += self.read().await;
        }
    }

    /// Cancel-safe: what was read is decoded at once.
    async fn read(&mut self) -> usize {
        let count = self.io.read(&mut self.buffer).await.unwrap_or(0);
        if count == 0 {
            self.waiting.push_back(Came::Gone);
        } else {
            self.decode(count);
        }
        count
    }

    fn decode(&mut self, count: usize) {
        self.heard = Instant::now();
        let Self { decoder, buffer, waiting, .. } = self;
        let mut input = buffer.get_mut(..count).unwrap_or_default();
        loop {
            let came = match decoder.decode(&mut input) {
                Ok(None) => return,
                Ok(Some(Event::Text(text))) => Came::Text(text.to_owned()),
                Ok(Some(Event::Binary(_))) => {
                    Came::Close(Some(CloseCode::UNSUPPORTED_DATA), "text frames only".to_owned())
                }
                Ok(Some(Event::Ping(payload))) => Came::Ping(payload.to_vec()),
                Ok(Some(Event::Pong(_))) => continue,
                Ok(Some(Event::Close { code, .. })) => Came::Close(code, String::new()),
                Err(error) => Came::Close(Some(error.close_code()), error.to_string()),
            };
            waiting.push_back(came);
        }
    }

    /// Sends a message.
    pub(super) async fn send(&mut self, text: &str) -> io::Result<()> {
        self.write(&encode::text_frame(text.as_bytes())).await
    }

    /// Answers a ping.
    pub(super) async fn pong(&mut self, payload: &[u8]) -> io::Result<()> {
        self.write(&encode::pong_frame(payload)).await
    }

    /// Asks whether the client is there.
    pub(super) async fn ping(&mut self) -> io::Result<()> {
        self.write(&encode::frame(OpCode::Ping, &[])).await
    }

    /// Says why it ends, and waits a little for the client to say so too.
    pub(super) async fn close(mut self, code: Option<CloseCode>, reason: &str) {
        let frame = code.map_or_else(encode::empty_close_frame, |code| encode::close_frame(code, reason));
        if self.write(&frame).await.is_err() || self.io.shutdown().await.is_err() {
            return;
        }
        // Closed with bytes unread, the connection would be reset, and the client would not see the close frame.
        let rest = async { while self.io.read(&mut self.buffer).await.is_ok_and(|count| count > 0) {} };
        drop(timeout(FAREWELL, rest).await);
    }

    async fn write(&mut self, frame: &[u8]) -> io::Result<()> {
        let writing = async {
            self.io.write_all(frame).await?;
            self.io.flush().await
        };
        timeout(WRITE, writing).await.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()))
    }
}
