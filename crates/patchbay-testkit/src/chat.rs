//! A client of the chat protocol (`docs/protocol/chat.md`), for tests: it answers pings, splits frames into lines
//! and matches answers to commands. It does not reconnect; a [`crate::follower`] does.

use anyhow::{Context, Result, bail, ensure};
use futures_util::{SinkExt, StreamExt};
use serde_json::{Value, json};
use std::{collections::VecDeque, time::Duration};
use tokio::{
    net::{TcpSocket, TcpStream},
    time::timeout,
};
use tokio_tungstenite::{
    WebSocketStream, client_async_with_config,
    tungstenite::{
        Message,
        client::IntoClientRequest,
        handshake::client::Request,
        http::HeaderValue,
        protocol::{CloseFrame, WebSocketConfig},
    },
};

/// Time for anything that the server should do at once.
pub const PATIENCE: Duration = Duration::from_secs(10);

/// Small, because tests open thousands of connections.
const BUFFER: usize = 4 * 1024;

/// Why a connection ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Closed {
    /// Close code; 1006 when the connection broke without a close frame.
    pub code: u16,
    /// Reason.
    pub reason: String,
}

impl Closed {
    fn broken(error: impl std::fmt::Display) -> Self {
        Self { code: 1006, reason: error.to_string() }
    }
}

impl From<Option<CloseFrame>> for Closed {
    fn from(frame: Option<CloseFrame>) -> Self {
        match frame {
            Some(frame) => Self { code: frame.code.into(), reason: frame.reason.to_string() },
            None => Self { code: 1005, reason: String::new() },
        }
    }
}

/// A WebSocket whose text frames are split into lines.
pub struct Lines {
    socket: WebSocketStream<TcpStream>,
    waiting: VecDeque<String>,
}

impl Lines {
    /// Opens `ws://<address>:<port><path>`, naming a subprotocol and an origin where they are given.
    pub async fn open(url: &str, subprotocol: Option<&'static str>, origin: Option<&str>) -> Result<Self> {
        let mut request = url.into_client_request()?;
        if let Some(name) = subprotocol {
            request.headers_mut().insert("sec-websocket-protocol", HeaderValue::from_static(name));
        }
        if let Some(origin) = origin {
            request.headers_mut().insert("origin", origin.parse()?);
        }
        Self::handshake(request, TcpSocket::new_v4()?).await
    }

    /// Opens a connection for which this system keeps only this many bytes that are not read yet.
    pub async fn open_narrow(url: &str, receive_buffer: u32) -> Result<Self> {
        let socket = TcpSocket::new_v4()?;
        socket.set_recv_buffer_size(receive_buffer)?;
        Self::handshake(url.into_client_request()?, socket).await
    }

    async fn handshake(request: Request, socket: TcpSocket) -> Result<Self> {
        let address = request.uri().authority().context("the address has no host")?.as_str().parse()?;
        let config = WebSocketConfig::default().read_buffer_size(BUFFER).write_buffer_size(0);
        let open = async {
            let stream = socket.connect(address).await?;
            stream.set_nodelay(true)?;
            Ok::<_, anyhow::Error>(client_async_with_config(request, stream, Some(config)).await?.0)
        };
        let socket = timeout(PATIENCE, open).await.context("no handshake in time")??;
        Ok(Self { socket, waiting: VecDeque::new() })
    }

    /// Sends a text frame.
    pub async fn send(&mut self, text: impl Into<String>) -> Result<(), Closed> {
        self.send_message(Message::text(text.into())).await
    }

    /// Sends any frame.
    pub async fn send_message(&mut self, message: Message) -> Result<(), Closed> {
        match self.socket.send(message).await {
            Ok(()) => Ok(()),
            // The reason for which the server closed is worth more than that it did.
            Err(error) => Err(self.close_frame().await.unwrap_or_else(|| Closed::broken(error))),
        }
    }

    async fn close_frame(&mut self) -> Option<Closed> {
        while let Ok(Some(Ok(message))) = timeout(PATIENCE, self.socket.next()).await {
            if let Message::Close(frame) = message {
                return Some(frame.into());
            }
        }
        None
    }

    /// Waits for the next line. Cancel-safe.
    pub async fn next(&mut self) -> Result<String, Closed> {
        loop {
            if let Some(line) = self.waiting.pop_front() {
                return Ok(line);
            }
            match self.socket.next().await {
                Some(Ok(Message::Text(text))) => {
                    self.waiting.extend(text.as_str().split('\n').map(str::to_owned));
                }
                Some(Ok(Message::Close(frame))) => return Err(frame.into()),
                Some(Ok(_)) => {}
                Some(Err(error)) => return Err(Closed::broken(error)),
                None => return Err(Closed::broken("the connection ended")),
            }
        }
    }

    /// Waits for the end of the connection, whatever arrives before.
    pub async fn closed(&mut self, deadline: Duration) -> Result<Closed> {
        let end = async {
            loop {
                if let Err(closed) = self.next().await {
                    return closed;
                }
            }
        };
        timeout(deadline, end).await.context("the connection was not closed in time")
    }

    /// Closes.
    pub async fn close(mut self) {
        // The peer may be gone already, which is what is wanted.
        drop(timeout(PATIENCE, self.socket.close(None)).await);
    }
}

/// An error that the server answered.
#[derive(Clone, Debug, PartialEq, Eq, serde::Deserialize)]
pub struct Refused {
    /// Code, as documented.
    pub code: u32,
    /// Message for people.
    pub message: String,
    /// Whether to try again.
    pub temporary: bool,
    /// How long to wait before that.
    pub retry_after_ms: Option<u64>,
}

/// A connection that has said `connect`.
pub struct ChatClient {
    lines: Lines,
    pushes: VecDeque<Value>,
    next_id: u64,
    /// What `connect` answered.
    pub welcome: Value,
}

impl ChatClient {
    /// Connects as a guest with a name.
    pub async fn guest(url: &str, username: &str) -> Result<Self> {
        Self::connect(url, json!({"username": username})).await
    }

    /// Connects with a token.
    pub async fn with_token(url: &str, token: &str) -> Result<Self> {
        Self::connect(url, json!({"token": token})).await
    }

    /// Connects with fields of its own.
    pub async fn connect(url: &str, fields: Value) -> Result<Self> {
        let lines = Lines::open(url, Some("patchbay.v1.json"), None).await?;
        let mut client = Self { lines, pushes: VecDeque::new(), next_id: 1, welcome: Value::Null };
        client.welcome = client.call("connect", fields).await?;
        Ok(client)
    }

    /// Sends a command and returns its result; an error of the server is an error.
    pub async fn call(&mut self, verb: &str, fields: Value) -> Result<Value> {
        match self.ask(verb, fields.clone()).await? {
            Ok(result) => Ok(result),
            Err(refused) => bail!("{verb} {fields}: {} {}", refused.code, refused.message),
        }
    }

    /// Sends a command that must be refused, and returns how.
    pub async fn refused(&mut self, verb: &str, fields: Value) -> Result<Refused> {
        match self.ask(verb, fields.clone()).await? {
            Ok(result) => bail!("{verb} {fields} was answered {result}, not refused"),
            Err(refused) => Ok(refused),
        }
    }

    /// Sends a command and returns what the server said.
    pub async fn ask(&mut self, verb: &str, fields: Value) -> Result<Result<Value, Refused>> {
        let id = self.next_id;
        self.next_id += 1;
        self.send_line(&json!({"id": id, verb: fields}).to_string()).await?;
        timeout(PATIENCE, self.reply(id)).await.with_context(|| format!("{verb} was not answered"))?
    }

    async fn reply(&mut self, id: u64) -> Result<Result<Value, Refused>> {
        loop {
            let mut message = self.read().await?;
            if message["id"] != id {
                ensure!(message.get("push").is_some(), "an answer to no command: {message}");
                self.pushes.push_back(message);
                continue;
            }
            if let Some(error) = message.get_mut("error") {
                return Ok(Err(serde_json::from_value(error.take())?));
            }
            return Ok(Ok(message["result"].take()));
        }
    }

    /// Sends a line as it is.
    pub async fn send_line(&mut self, line: &str) -> Result<()> {
        self.lines.send(line).await.map_err(|closed| anyhow::anyhow!("closed while sending: {closed:?}"))
    }

    /// Waits for the next push, in order; those that came while a command waited are first.
    pub async fn push(&mut self) -> Result<Value> {
        if let Some(push) = self.pushes.pop_front() {
            return Ok(push["push"].clone());
        }
        let message = timeout(PATIENCE, self.read()).await.context("no push in time")??;
        ensure!(message.get("push").is_some(), "not a push: {message}");
        Ok(message["push"].clone())
    }

    /// Waits for the next push that has this key, such as `pub`, and returns what stands under it.
    pub async fn push_of(&mut self, kind: &str) -> Result<Value> {
        loop {
            let mut push = self.push().await?;
            if let Some(body) = push.get_mut(kind) {
                return Ok(body.take());
            }
        }
    }

    /// Waits for the next message of any sort but pings, which are answered.
    pub async fn read(&mut self) -> Result<Value> {
        loop {
            let line = self.lines.next().await.map_err(|closed| anyhow::anyhow!("closed: {closed:?}"))?;
            if line != "{}" {
                return Ok(serde_json::from_str(&line)?);
            }
            self.send_line("{}").await?;
        }
    }

    /// Waits for the end of the connection.
    pub async fn closed(&mut self, deadline: Duration) -> Result<Closed> {
        self.lines.closed(deadline).await
    }

    /// Closes.
    pub async fn close(self) {
        self.lines.close().await;
    }
}
