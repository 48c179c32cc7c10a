//! Clients that never read, among clients that do (chat-gateway only).
//!
//! Each kind of client alone is cheap to serve; the question is whether those who stall cost the
//! server memory, or the others their time.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use serde::Serialize;

use crate::frames::{self, Frame};
use crate::load::{Load, Outcome};
use crate::machine;
use crate::report::median;
use crate::room::Room;
use crate::server::{Kind, Programs, Server};

const READERS: usize = 20;
const STALLED: usize = 20;
const WINDOWS: u32 = 5;
const WINDOW: Duration = Duration::from_secs(2);
const RATE: u32 = 200;
/// Long messages, so that the kernel's buffers fill within a window.
const SIZE: usize = 16 * 1024;
/// 3008, as a close frame carries it.
const SLOW: [u8; 2] = 3008_u16.to_be_bytes();

/// What was found.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Slow {
    /// The readers' p99 in each window without stalled clients, in milliseconds.
    pub(crate) p99_before_ms: Vec<f64>,
    /// The same with them.
    pub(crate) p99_during_ms: Vec<f64>,
    /// Growth of resident memory at its peak, in bytes.
    pub(crate) grown_bytes: u64,
    /// Stalled clients that found the close code 3008 when they read at last.
    pub(crate) closed_with_3008: usize,
    /// Stalled clients whose connection had ended without a close frame.
    pub(crate) cut: usize,
    /// Stalled clients that were still served.
    pub(crate) still_open: usize,
}

impl Slow {
    pub(crate) fn before(&self) -> f64 {
        median(self.p99_before_ms.iter().copied())
    }

    pub(crate) fn during(&self) -> f64 {
        median(self.p99_during_ms.iter().copied())
    }
}

/// How a stalled client's connection ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    Slow,
    Cut,
    Open,
}

/// Measures chat-gateway with clients that never read.
pub(crate) fn run(programs: &Programs) -> Result<Slow> {
    let server = programs.start(Kind::Patchbay)?;
    let mut room = Room::join(&server, READERS)?;
    window(&server, &mut room, 0)?;
    let p99_before_ms = windows(&server, &mut room, 1)?;

    machine::forget_peak(server.pid())?;
    let before = machine::resident(server.pid())?;
    let stalled = (0..STALLED).map(|_| stall(&server)).collect::<Result<Vec<_>>>()?;
    let p99_during_ms = windows(&server, &mut room, 1 + WINDOWS)?;
    let grown_bytes = machine::peak(server.pid())?.saturating_sub(before);

    let ends: Vec<End> = stalled.into_iter().map(Stalled::end).collect();
    let count = |end| ends.iter().filter(|found| **found == end).count();
    Ok(Slow {
        p99_before_ms,
        p99_during_ms,
        grown_bytes,
        closed_with_3008: count(End::Slow),
        cut: count(End::Cut),
        still_open: count(End::Open),
    })
}

fn windows(server: &Server, room: &mut Room, first_run: u32) -> Result<Vec<f64>> {
    (first_run..first_run + WINDOWS).map(|run| Ok(window(server, room, run)?.p99_ms)).collect()
}

fn window(server: &Server, room: &mut Room, run: u32) -> Result<Outcome> {
    let outcome = Load { run, rate: RATE, measured: WINDOW, size: SIZE }.run(server, room)?;
    let faults = &outcome.faults;
    ensure!(faults.exactly_once() && faults.undelivered == 0, "a reader missed messages: {faults:?}");
    Ok(outcome)
}

/// A client that has joined the room and reads nothing from then on.
struct Stalled {
    stream: TcpStream,
    unread: Vec<u8>,
}

fn stall(server: &Server) -> Result<Stalled> {
    let stream = TcpStream::connect(server.address)?;
    stream.set_read_timeout(Some(Duration::from_secs(5)))?;
    let mut client = Stalled { stream, unread: Vec::new() };
    client.stream.write_all(&frames::handshake(server.kind.path()))?;
    let head = loop {
        match memchr::memmem::find(&client.unread, b"\r\n\r\n") {
            Some(end) => break end + 4,
            None => client.read().context("the handshake was not answered")?,
        }
    };
    client.unread.drain(..head);
    let mut hello = Vec::new();
    frames::put(&mut hello, frames::TEXT, server.kind.hello().as_bytes());
    client.stream.write_all(&hello)?;
    let joined = memchr::memmem::Finder::new(server.kind.joined());
    while !client.any_frame(|frame| joined.find(frame.payload).is_some()) {
        client.read().context("the room was not joined")?;
    }
    Ok(client)
}

impl Stalled {
    fn read(&mut self) -> Result<()> {
        let mut scratch = [0; 16 * 1024];
        let len = self.stream.read(&mut scratch)?;
        ensure!(len > 0, "the server closed the connection");
        self.unread.extend_from_slice(&scratch[..len]);
        Ok(())
    }

    /// Takes the whole frames that were read, and tells whether one of them is meant.
    fn any_frame(&mut self, mut is_meant: impl FnMut(Frame<'_>) -> bool) -> bool {
        let mut rest = self.unread.as_slice();
        let mut found = false;
        while let Some(frame) = frames::take(&mut rest) {
            found |= is_meant(frame);
        }
        let taken = self.unread.len() - rest.len();
        self.unread.drain(..taken);
        found
    }

    /// Reads what the kernel kept, up to the connection's end.
    fn end(mut self) -> End {
        let is_close = |frame: Frame<'_>| frame.opcode == frames::CLOSE && frame.payload.starts_with(&SLOW);
        let deadline = Instant::now() + Duration::from_secs(5);
        while Instant::now() < deadline {
            if self.any_frame(is_close) {
                return End::Slow;
            }
            if self.read().is_err() {
                return End::Cut;
            }
        }
        End::Open
    }
}
