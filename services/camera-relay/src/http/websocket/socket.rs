//! A WebSocket on an upgraded connection: messages in, messages out.

use bytes::{BufMut, Bytes, BytesMut};
use hyper::upgrade::Upgraded;
use hyper_util::rt::TokioIo;
use patchbay_websocket::{
    CloseCode, Decoder, Event, OpCode,
    encode::{self, FrameHeader, MAX_HEADER},
};
use std::{collections::VecDeque, future::pending, io, time::Duration};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    time::{Instant, Interval, MissedTickBehavior, interval, timeout},
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

/// How often a client is asked whether it is there.
const PING: Duration = Duration::from_secs(20);

/// Silence after which it is not.
const SILENCE: Duration = Duration::from_mins(1);

/// Bytes that are written together; less than this is copied, so that it makes one packet and not three.
const TOGETHER: usize = 16 * 1024;

/// Bytes that a client must take within the time that it is given.
const STEP: usize = 64 * 1024;

/// What came.
#[derive(Debug)]
pub(in crate::http) enum Came {
    /// A message.
    Text(String),
    /// A ping, to be answered.
    Ping(Vec<u8>),
    /// The client closes, or has broken the protocol: close with this.
    Close(Option<CloseCode>, String),
    /// The connection is gone.
    Gone,
}

/// Says when to [ask](Socket::ask).
pub(in crate::http) fn pings() -> Interval {
    let mut pings = interval(PING);
    pings.set_missed_tick_behavior(MissedTickBehavior::Delay);
    pings
}

/// The socket.
pub(in crate::http) struct Socket {
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
    pub(in crate::http) fn new(upgraded: Upgraded) -> Self {
        Self {
            io: TokioIo::new(upgraded),
            decoder: Decoder::new(MAX_MESSAGE),
            buffer: vec![0; READ],
            waiting: VecDeque::new(),
            ahead: 0,
            heard: Instant::now(),
        }
    }

    /// What comes next. Cancel-safe.
    pub(in crate::http) async fn next(&mut self) -> Came {
        loop {
            if let Some(came) = self.waiting.pop_front() {
                return came;
            }
            self.ahead = 0;
            self.read().await;
        }
    }

    /// Waits until the client closes or has gone. What it says before is kept for [`Self::next`], and so is this. Cancel-safe.
    pub(in crate::http) async fn gone(&mut self) {
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
    pub(in crate::http) async fn send(&mut self, text: &str) -> io::Result<()> {
        self.write(&encode::text_frame(text.as_bytes())).await
    }

    /// Sends a binary message that lies in pieces. The client may take its time, as long as it takes something within `patience`. Where this is given up,
    /// part of a frame may have been sent, and nothing else can be.
    pub(in crate::http) async fn send_binary<'a>(
        &mut self,
        chunks: impl Iterator<Item = &'a Bytes> + Clone,
        patience: Duration,
    ) -> io::Result<()> {
        let size = chunks.clone().map(Bytes::len).sum();
        let mut small = BytesMut::with_capacity(TOGETHER.min(size + MAX_HEADER));
        small.put_slice(FrameHeader::new(OpCode::Binary, size).as_slice());
        for chunk in chunks {
            if small.len() + chunk.len() > TOGETHER {
                self.write_steps(&small, patience).await?;
                small.clear();
            }
            if chunk.len() > TOGETHER {
                self.write_steps(chunk, patience).await?;
            } else {
                small.put_slice(chunk);
            }
        }
        self.write_steps(&small, patience).await?;
        timeout(patience, self.io.flush()).await.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()))
    }

    async fn write_steps(&mut self, data: &[u8], patience: Duration) -> io::Result<()> {
        for step in data.chunks(STEP) {
            let written = timeout(patience, self.io.write_all(step)).await;
            written.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()))?;
        }
        Ok(())
    }

    /// Answers a ping.
    pub(in crate::http) async fn pong(&mut self, payload: &[u8]) -> io::Result<()> {
        self.write(&encode::pong_frame(payload)).await
    }

    /// Asks whether the client is there; where nothing was heard of it for long, it is not.
    pub(in crate::http) async fn ask(&mut self) -> Result<(), Close> {
        if self.heard.elapsed() >= SILENCE {
            return Err(Close::with(CloseCode::NORMAL, "nothing was heard for a minute"));
        }
        Ok(self.write(&encode::frame(OpCode::Ping, &[])).await?)
    }

    /// Says why it ends, and waits a little for the client to say so too.
    pub(in crate::http) async fn close(mut self, code: Option<CloseCode>, reason: &str) {
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

/// How the WebSocket ends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::http) enum Close {
    /// With a close frame.
    With(Option<CloseCode>, String),
    /// It is gone already, or in the middle of a frame.
    Gone,
}

impl Close {
    pub(in crate::http) fn with(code: CloseCode, reason: &str) -> Self {
        Self::With(Some(code), reason.to_owned())
    }
}

impl From<io::Error> for Close {
    fn from(error: io::Error) -> Self {
        tracing::debug!(%error, "a WebSocket broke");
        Self::Gone
    }
}
