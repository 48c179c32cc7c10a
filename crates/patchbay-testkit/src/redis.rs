//! A real redis-server as a child process, and the faults that tests put it through. It is no client: tests talk
//! to it through what they test; [`RedisServer::command`] is for what an operator would type.

use crate::{
    ports::free_address,
    process::{Launch, Process},
    wait::wait_until,
};
use anyhow::{Context, Result, ensure};
use std::{fs, net::SocketAddr, time::Duration};
use tempfile::TempDir;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::timeout,
};

const START: Duration = Duration::from_secs(15);
const COMMAND: Duration = Duration::from_secs(5);

/// Reads everything.
const CONTENTS: &str = "
local read = {string = {'GET'}, hash = {'HGETALL'}, set = {'SMEMBERS'}, list = {'LRANGE', 0, -1},
    zset = {'ZRANGE', 0, -1, 'WITHSCORES'}, stream = {'XRANGE', '-', '+'}}
local found = {}
for _, key in ipairs(redis.call('KEYS', '*')) do
    local how = assert(read[redis.call('TYPE', key).ok])
    found[#found + 1] = key
    found[#found + 1] = redis.call(how[1], key, unpack(how, 2))
end
return found";

/// What survives the server's end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Persistence {
    /// Nothing.
    None,
    /// All but about the last second (`appendfsync everysec`).
    EverySecond,
    /// Everything that was acknowledged (`appendfsync always`).
    Always,
}

/// A redis-server with a folder and a port of its own; killed when dropped.
pub struct RedisServer {
    folder: TempDir,
    address: SocketAddr,
    persistence: Persistence,
    process: Process,
}

impl RedisServer {
    /// Starts a server and waits until it answers.
    pub async fn start(persistence: Persistence) -> Result<Self> {
        Self::start_at(free_address(), persistence).await
    }

    /// Starts a server at an address that was told to others before.
    pub async fn start_at(address: SocketAddr, persistence: Persistence) -> Result<Self> {
        let folder = TempDir::new()?;
        let process = launch(&folder, address, persistence)?;
        let server = Self { folder, address, persistence, process };
        server.wait_ready().await?;
        Ok(server)
    }

    /// Its `redis://` address.
    pub fn url(&self) -> String {
        format!("redis://{}", self.address)
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Process id.
    pub fn pid(&self) -> u32 {
        self.process.pid()
    }

    /// Sends `SIGKILL`.
    pub fn kill(&mut self) -> Result<()> {
        self.process.kill()
    }

    /// Starts it again after [`kill`](Self::kill), with the data that it kept.
    pub async fn restart(&mut self) -> Result<()> {
        self.process = launch(&self.folder, self.address, self.persistence)?;
        self.wait_ready().await
    }

    /// Starts it again after [`kill`](Self::kill), without any data.
    pub async fn restart_empty(&mut self) -> Result<()> {
        for entry in fs::read_dir(self.folder.path())? {
            let path = entry?.path();
            if path.is_dir() {
                fs::remove_dir_all(path)?;
            } else if path.extension().is_some_and(|extension| extension != "log") {
                fs::remove_file(path)?;
            }
        }
        self.restart().await
    }

    /// Sends `SIGSTOP`: it stands still, its connections stay.
    pub fn pause(&self) -> Result<()> {
        self.process.pause()
    }

    /// Sends `SIGCONT`.
    pub fn resume(&self) -> Result<()> {
        self.process.resume()
    }

    /// Cuts every subscription connection.
    pub async fn kill_pubsub_connections(&self) -> Result<()> {
        self.command(&["CLIENT", "KILL", "TYPE", "pubsub"]).await.map(drop)
    }

    /// Sends one command and returns the first lines of the raw reply.
    pub async fn command(&self, words: &[&str]) -> Result<String> {
        let talk = async {
            let mut stream = TcpStream::connect(self.address).await?;
            let mut request = format!("*{}\r\n", words.len());
            for word in words {
                request.extend(["$", &word.len().to_string(), "\r\n", word, "\r\n"]);
            }
            stream.write_all(request.as_bytes()).await?;
            let mut reply = vec![0; 64 * 1024];
            let length = stream.read(&mut reply).await?;
            Ok(String::from_utf8_lossy(&reply[..length]).into_owned())
        };
        timeout(COMMAND, talk).await.context("redis-server does not answer")?
    }

    /// Every key with its value, as the server sends them: to search for what must not be there.
    pub async fn contents(&self) -> Result<Vec<u8>> {
        let length = CONTENTS.len();
        let request =
            format!("*3\r\n$4\r\nEVAL\r\n${length}\r\n{CONTENTS}\r\n$1\r\n0\r\n*1\r\n$4\r\nQUIT\r\n");
        let mut reply = Vec::new();
        let talk = async {
            let mut stream = TcpStream::connect(self.address).await?;
            stream.write_all(request.as_bytes()).await?;
            // It closes the connection after the answer.
            stream.read_to_end(&mut reply).await
        };
        timeout(START, talk).await.context("redis-server does not answer")??;
        ensure!(reply.first() == Some(&b'*'), "{}", String::from_utf8_lossy(&reply));
        Ok(reply)
    }

    async fn wait_ready(&self) -> Result<()> {
        let answers = async || self.command(&["PING"]).await.is_ok_and(|reply| reply.starts_with("+PONG"));
        wait_until("redis-server answers", START, answers).await.map(drop)
    }
}

fn launch(folder: &TempDir, address: SocketAddr, persistence: Persistence) -> Result<Process> {
    let (append_only, append_sync) = match persistence {
        Persistence::None => ("no", "no"),
        Persistence::EverySecond => ("yes", "everysec"),
        Persistence::Always => ("yes", "always"),
    };
    let (port, host) = (address.port().to_string(), address.ip().to_string());
    let settings = [
        ("--port", port.as_str()),
        ("--bind", &host),
        ("--save", ""),
        ("--appendonly", append_only),
        ("--appendfsync", append_sync),
    ];
    let launch = Launch::program("redis-server", "redis-server", folder.path());
    let launch = settings.into_iter().fold(launch, |launch, (name, value)| launch.arg(name).arg(value));
    launch.arg("--dir").arg(folder.path()).start().context("is the package redis-server installed?")
}
