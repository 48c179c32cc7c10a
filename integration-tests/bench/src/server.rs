//! The servers: how each is started, and what its clients say.

use std::fmt;
use std::fs::File;
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use serde::Serialize;

/// A server that can be measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, clap::ValueEnum)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Kind {
    /// chat-gateway with history, offsets and presence, on the memory backplane.
    Patchbay,
    /// bun's built-in server (uWebSockets) with its native publish.
    Bun,
    /// npm `ws`.
    Ws,
    /// Python's `websockets` with its broadcast.
    Websockets,
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Patchbay => "chat-gateway",
            Self::Bun => "bun",
            Self::Ws => "npm ws",
            Self::Websockets => "Python websockets",
        })
    }
}

impl Kind {
    pub(crate) const fn path(self) -> &'static str {
        match self {
            Self::Patchbay => "/ws",
            _ => "/",
        }
    }

    /// The text that joins the room.
    pub(crate) const fn hello(self) -> &'static str {
        match self {
            Self::Patchbay => "{\"id\":1,\"connect\":{}}\n{\"id\":2,\"subscribe\":{\"channel\":\"bench\"}}",
            _ => "{\"subscribe\":\"room\"}",
        }
    }

    /// How the answer begins that says that the room is joined.
    pub(crate) const fn joined(self) -> &'static [u8] {
        match self {
            Self::Patchbay => b"{\"id\":2,\"result\"",
            _ => b"{\"subscribed\"",
        }
    }

    /// What stands before and behind the text of a message in the command that publishes it.
    pub(crate) fn publish(self, id: u32) -> (String, &'static str) {
        match self {
            Self::Patchbay => {
                (format!("{{\"id\":{},\"publish\":{{\"channel\":\"bench\",\"data\":\"", id + 3), "\"}}")
            }
            _ => ("{\"type\":\"chat\",\"sender\":\"ada\",\"content\":\"".to_owned(), "\"}"),
        }
    }
}

/// Where the programs are.
#[derive(Clone, Debug)]
pub(crate) struct Programs {
    pub(crate) gateway: PathBuf,
    pub(crate) peers: PathBuf,
}

impl Programs {
    fn command(&self, kind: Kind, address: SocketAddr) -> Command {
        let port = address.port().to_string();
        let mut command = Command::new("taskset");
        command.args(["-c", "0"]);
        match kind {
            Kind::Patchbay => {
                command.arg(&self.gateway).arg("--config").arg(self.peers.join("chat-gateway.toml"));
                command.env("PATCHBAY_LISTEN__HTTP", address.to_string());
            }
            Kind::Bun => {
                command.arg(self.peers.join("bun")).arg(self.peers.join("bun.mjs")).arg(port);
            }
            Kind::Ws => {
                command.arg("node").arg(self.peers.join("ws.mjs")).arg(port);
                command.env("NODE_ENV", "production");
            }
            Kind::Websockets => {
                let python = self.peers.join("venv/bin/python");
                command.arg(python).arg(self.peers.join("websockets_peer.py")).arg(port);
            }
        }
        command
    }

    /// Starts a server on a free port and waits until it accepts.
    pub(crate) fn start(&self, kind: Kind) -> Result<Server> {
        let address = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?;
        let log = File::create(self.peers.join(format!("{kind}.log"))).context("cannot write the log")?;
        let child = self
            .command(kind, address)
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log)
            .spawn()
            .with_context(|| format!("cannot start {kind}"))?;
        let mut server = Server { kind, address, child };
        let deadline = Instant::now() + Duration::from_secs(20);
        while TcpStream::connect_timeout(&address, Duration::from_secs(1)).is_err() {
            if let Some(status) = server.child.try_wait()? {
                bail!("{kind} ended with {status}; its log is in {}", self.peers.display());
            }
            if Instant::now() > deadline {
                bail!("{kind} does not listen");
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        Ok(server)
    }
}

/// A server that runs until it is dropped.
#[derive(Debug)]
pub(crate) struct Server {
    pub(crate) kind: Kind,
    pub(crate) address: SocketAddr,
    child: Child,
}

impl Server {
    /// `taskset` becomes the server, so this is its process.
    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // Its end is not measured, so it need not be graceful; both fail only if it has ended already.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}
