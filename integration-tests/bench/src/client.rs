//! One connection of the load generator.

use std::io::{self, Read as _, Write as _};
use std::net::SocketAddr;

use anyhow::{Result, bail, ensure};
use mio::net::TcpStream;

use crate::frames::{self, Frame};
use crate::server::Kind;

/// How far a connection is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stage {
    /// The handshake was sent.
    Shaking,
    /// The handshake was answered, the room asked for.
    Joining,
    /// In the room.
    Joined,
}

/// A connection. It keeps no more than the bytes of a frame that is not whole yet, and what the
/// server does not take.
#[derive(Debug)]
pub(crate) struct Client {
    pub(crate) stream: TcpStream,
    pub(crate) stage: Stage,
    kind: Kind,
    unread: Vec<u8>,
    unsent: Vec<u8>,
}

impl Client {
    pub(crate) fn connect(kind: Kind, address: SocketAddr) -> Result<Self> {
        let stream = TcpStream::connect(address)?;
        let unsent = frames::handshake(kind.path());
        Ok(Self { stream, stage: Stage::Shaking, kind, unread: Vec::new(), unsent })
    }

    /// Sends a text frame, now or as soon as the server takes it.
    pub(crate) fn send(&mut self, text: &[u8]) -> Result<()> {
        frames::put(&mut self.unsent, frames::TEXT, text);
        self.flush()
    }

    /// Sends what waits.
    pub(crate) fn flush(&mut self) -> Result<()> {
        while !self.unsent.is_empty() {
            match self.stream.write(&self.unsent) {
                Ok(sent) => drop(self.unsent.drain(..sent)),
                Err(error) if is_not_ready(&error) => return Ok(()),
                Err(error) => return Err(error.into()),
            }
        }
        Ok(())
    }

    /// Reads all there is and gives each message of the room to `receive`.
    pub(crate) fn read(&mut self, scratch: &mut [u8], mut receive: impl FnMut(&[u8])) -> Result<()> {
        loop {
            let len = match self.stream.read(scratch) {
                Ok(0) => bail!("the server closed a connection"),
                Ok(len) => len,
                Err(error) if is_not_ready(&error) => return Ok(()),
                Err(error) => return Err(error.into()),
            };
            self.take(&scratch[..len], &mut receive)?;
            // A short read leaves nothing behind: epoll(7) tells of the next byte anew.
            if len < scratch.len() {
                return Ok(());
            }
        }
    }

    fn take(&mut self, read: &[u8], receive: &mut impl FnMut(&[u8])) -> Result<()> {
        if self.unread.is_empty() {
            let mut rest = read;
            self.decode(&mut rest, receive)?;
            self.unread.extend_from_slice(rest);
            return Ok(());
        }
        let mut unread = std::mem::take(&mut self.unread);
        unread.extend_from_slice(read);
        let mut rest = unread.as_slice();
        self.decode(&mut rest, receive)?;
        let decoded = unread.len() - rest.len();
        unread.drain(..decoded);
        self.unread = unread;
        Ok(())
    }

    fn decode(&mut self, bytes: &mut &[u8], receive: &mut impl FnMut(&[u8])) -> Result<()> {
        if self.stage == Stage::Shaking {
            let Some(end) = memchr::memmem::find(bytes, b"\r\n\r\n") else {
                return Ok(());
            };
            let head = String::from_utf8_lossy(&bytes[..end]);
            ensure!(head.starts_with("HTTP/1.1 101"), "the handshake was refused: {head}");
            *bytes = &bytes[end + 4..];
            self.stage = Stage::Joining;
            self.send(self.kind.hello().as_bytes())?;
        }
        while let Some(frame) = frames::take(bytes) {
            self.frame(frame, receive)?;
        }
        Ok(())
    }

    fn frame(&mut self, frame: Frame<'_>, receive: &mut impl FnMut(&[u8])) -> Result<()> {
        match frame.opcode {
            frames::TEXT => {
                for message in frame.payload.split(|byte| *byte == b'\n') {
                    self.message(message, receive)?;
                }
            }
            frames::PING => {
                frames::put(&mut self.unsent, frames::PONG, frame.payload);
                self.flush()?;
            }
            frames::PONG => {}
            frames::CLOSE => bail!("the server closes a connection: {}", frame.payload.escape_ascii()),
            opcode => bail!("a frame with opcode {opcode}"),
        }
        Ok(())
    }

    fn message(&mut self, message: &[u8], receive: &mut impl FnMut(&[u8])) -> Result<()> {
        if message == b"{}" {
            return self.send(b"{}");
        }
        if self.stage == Stage::Joined {
            receive(message);
        } else if message.starts_with(self.kind.joined()) {
            self.stage = Stage::Joined;
        } else if memchr::memmem::find(message, b"\"error\":").is_some() {
            bail!("the room was not joined: {}", message.escape_ascii());
        }
        Ok(())
    }
}

fn is_not_ready(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::NotConnected)
}
