//! Stands between one client on loopback and one camera. See the module above for what it does with what passes.

use super::{
    Boxed, Deliver, Door, Lower, MediaPacket, PacketKind, Refusal, Target, Verdict, What,
    accept::{self, Admitted},
    description,
    login::Login,
    ports::Ports,
    status, transport,
};
use crate::rtsp::{
    message::{Head, Item, Reader},
    rate::Rate,
};
use bytes::{Buf, Bytes, BytesMut};
use patchbay_media::hub::{Reason, SourceError};
use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};
use tokio::{
    io::{AsyncReadExt, AsyncWrite, AsyncWriteExt, ReadHalf, WriteHalf, split},
    net::{
        TcpListener, TcpStream,
        tcp::{OwnedReadHalf, OwnedWriteHalf},
    },
    time::timeout,
};
use tokio_util::sync::CancellationToken;

/// Longest time for a write: messages are small, so the other side does not read at all.
const WRITE: Duration = Duration::from_secs(5);
/// How long the end of a session is waited for.
const TEARDOWN: Duration = Duration::from_secs(1);
/// Most bytes in the body of a client's request.
const CLIENT_BODY: usize = 16 * 1024;
/// How often one request is repeated with a login.
const LOGINS: u8 = 2;
/// Name that the camera sees.
const USER_AGENT: &str = "Patchbay";

/// What a relay is made of.
pub(super) struct Parts {
    pub(super) camera: Boxed,
    pub(super) peer: SocketAddr,
    pub(super) local: SocketAddr,
    pub(super) door: Door,
    pub(super) target: Target,
    pub(super) lower: Lower,
    pub(super) deliver: Deliver,
    pub(super) verdict: Arc<Verdict>,
    pub(super) to_client: Arc<AtomicBool>,
}

/// One side of the relay.
pub(super) struct Side<R, W> {
    pub(super) read: R,
    write: W,
    pub(super) reader: Reader,
}

type Camera = Side<ReadHalf<Boxed>, WriteHalf<Boxed>>;
pub(super) type Client = Side<OwnedReadHalf, OwnedWriteHalf>;

/// The state of the task.
pub(super) struct Relay {
    camera: Camera,
    door: Door,
    target: Target,
    lower: Lower,
    deliver: Deliver,
    verdict: Arc<Verdict>,
    to_client: Arc<AtomicBool>,
    login: Login,
    ports: Ports,
    /// Channels of each stream as the camera numbers them.
    streams: Vec<(u8, u8)>,
    /// Numbers requests to the camera.
    sequence: u32,
    pending: Option<Pending>,
    session: Session,
    bytes: Rate,
    packets: Rate,
}

/// A request that has not been answered. There is one at a time: the client is not read meanwhile.
struct Pending {
    request: Head,
    body: Bytes,
    method: String,
    uri: String,
    /// The client's number of it.
    number: Option<String>,
    logins: u8,
    /// Channels that the client asked for.
    channels: Option<(u8, u8)>,
}

/// What is needed to end the session.
#[derive(Default)]
struct Session {
    id: Option<String>,
    uri: Option<String>,
    /// The client has ended it.
    is_over: bool,
}

impl Relay {
    pub(super) fn new(parts: Parts) -> Self {
        let Parts { camera, peer, local, door, target, lower, deliver, verdict, to_client } = parts;
        let (read, write) = split(camera);
        let limits = target.limits;
        let now = Instant::now();
        Self {
            camera: Side { read, write, reader: Reader::new(limits.description_bytes) },
            door,
            login: Login::new(target.credentials.clone()),
            target,
            lower,
            deliver,
            verdict,
            to_client,
            ports: Ports::new(peer.ip(), local.ip()),
            streams: Vec::new(),
            sequence: 0,
            pending: None,
            session: Session::default(),
            bytes: Rate::new(limits.bytes_per_second, now),
            packets: Rate::new(limits.packets_per_second, now),
        }
    }

    /// Until either side closes, something goes wrong, or `stop` is cancelled; then the session is ended.
    pub(super) async fn run(mut self, listener: TcpListener, stop: CancellationToken) {
        let within = self.target.limits.connect_timeout;
        let admitted = tokio::select! {
            () = stop.cancelled() => return,
            admitted = accept::admit(listener, &self.door, within) => admitted,
        };
        let Some(Admitted { mut client, request, body }) = admitted else {
            return self.verdict.give(inside());
        };
        let working = async {
            self.request(request, body).await?;
            self.work(&mut client).await
        };
        let outcome = tokio::select! {
            () = stop.cancelled() => Ok(()),
            outcome = working => outcome,
        };
        if let Err(refusal) = outcome
            && refusal.what != What::Client
        {
            self.verdict.give(refusal);
        }
        drop(client);
        self.tear_down().await;
    }

    async fn work(&mut self, client: &mut Client) -> Result<(), Refusal> {
        loop {
            tokio::select! {
                read = self.camera.read.read_buf(self.camera.reader.buffer()) => match read {
                    Ok(0) | Err(_) if self.session.is_over => return Ok(()),
                    Ok(0) | Err(_) => return Err(status::ended()),
                    Ok(count) => {
                        self.count(count, 0)?;
                        self.take_from_camera(client).await?;
                    }
                },
                read = client.read.read_buf(client.reader.buffer()), if self.pending.is_none() => match read {
                    Ok(0) | Err(_) => return Ok(()),
                    Ok(_) => {}
                },
                datagrams = self.ports.receive() => {
                    for datagram in datagrams {
                        self.count(datagram.data.len(), 1)?;
                        self.deliver(client, datagram.channel, datagram.data).await?;
                    }
                }
            }
            self.take_from_client(client).await?;
            if matches!(&self.deliver, Deliver::Channel(sender) if sender.is_closed()) {
                return Ok(());
            }
        }
    }

    fn count(&mut self, bytes: usize, packets: u64) -> Result<(), Refusal> {
        let now = Instant::now();
        let bytes = u64::try_from(bytes).unwrap_or(u64::MAX);
        let is_fine = self.bytes.add(bytes, now) & self.packets.add(packets, now);
        if is_fine { Ok(()) } else { Err(status::flood()) }
    }

    async fn take_from_camera(&mut self, client: &mut Client) -> Result<(), Refusal> {
        while let Some(item) = self.camera.reader.next().map_err(status::unreadable)? {
            match item {
                Item::Frame(channel, data) => {
                    self.count(0, 1)?;
                    self.deliver(client, channel, data).await?;
                }
                Item::Message(head, body) if head.status().is_some() => {
                    self.answered(client, head, &body).await?;
                }
                Item::Message(head, _) => self.asked(&head).await?,
            }
        }
        for _ in 0..self.camera.reader.take_garbage() {
            self.divert(0, PacketKind::Garbage, Bytes::new()).await;
        }
        Ok(())
    }

    async fn take_from_client(&mut self, client: &mut Client) -> Result<(), Refusal> {
        while self.pending.is_none() {
            match client.reader.next() {
                Ok(Some(Item::Message(head, body))) => self.request(head, body).await?,
                // Reports of the client about what it received.
                Ok(Some(Item::Frame(channel, data))) => self.report(channel, &data).await?,
                Ok(None) => return Ok(()),
                Err(error) => return Err(status::unreadable(error)),
            }
        }
        Ok(())
    }

    /// Sends a request of the client on.
    async fn request(&mut self, mut request: Head, body: Bytes) -> Result<(), Refusal> {
        let parsed = request.request().map(|(method, uri)| (method.to_owned(), uri.to_owned()));
        let (method, uri) = parsed.ok_or_else(inside)?;
        let uri = self.door.rewrite(&uri).unwrap_or(uri);
        request.start = format!("{method} {uri} RTSP/1.0");
        let number = request.get("CSeq").map(ToOwned::to_owned);
        request.set("User-Agent", USER_AGENT);
        let channels = request.get("Transport").and_then(transport::channels);
        if let (Lower::Udp, "SETUP", Some(channels)) = (self.lower, method.as_str(), channels) {
            let (media, reports) = self.ports.open(channels).map_err(|error| {
                Refusal::from(SourceError::temporary(format!("no UDP ports for the camera: {error}")))
            })?;
            request.set("Transport", transport::ask_udp(media, reports));
        }
        match method.as_str() {
            "PLAY" => self.session.uri = Some(uri.clone()),
            "TEARDOWN" => (self.session.id, self.session.is_over) = (None, true),
            _ => {}
        }
        self.pending = Some(Pending { request, body, method, uri, number, logins: 0, channels });
        self.send_pending().await
    }

    /// Sends the request that is waiting, with a number and a login of its own.
    async fn send_pending(&mut self) -> Result<(), Refusal> {
        let Some(pending) = &mut self.pending else { return Ok(()) };
        self.sequence += 1;
        pending.request.set("CSeq", self.sequence.to_string());
        match self.login.authorization(&pending.method, &pending.uri) {
            Some(authorization) => pending.request.set("Authorization", authorization),
            None => pending.request.remove("Authorization"),
        }
        let bytes = pending.request.to_bytes(&pending.body);
        write(&mut self.camera.write, &bytes).await
    }

    /// The camera has answered. It answers one request after the other, so the number is not asked for: some get it wrong.
    async fn answered(&mut self, client: &mut Client, mut head: Head, body: &Bytes) -> Result<(), Refusal> {
        let code = head.status().unwrap_or_default();
        if code < 200 {
            return Ok(());
        }
        let Some(mut pending) = self.pending.take() else { return Ok(()) };
        if status::is_redirect(&head) {
            return Err(status::redirect());
        }
        if code == 401 && (is_of_session(&pending.method) || self.login.is_known()) {
            match self.log_in(&head, &mut pending) {
                Ok(()) => {
                    self.pending = Some(pending);
                    return self.send_pending().await;
                }
                Err(error) if is_of_session(&pending.method) => return Err(error.into()),
                // The session goes on without: the client learns of the refusal.
                Err(_) => {}
            }
        }
        if is_of_session(&pending.method)
            && let Some(refusal) = status::refusal(code, &pending.method)
        {
            self.verdict.give(refusal.in_an_answer());
        }
        if pending.method == "SETUP" && code < 300 {
            self.set_up(&mut head, &pending)?;
        }
        if let Some(number) = pending.number {
            head.set("CSeq", number);
        }
        let body = clean(&mut head, body);
        write(&mut client.write, &head.to_bytes(&body)).await.map_err(of_client)
    }

    /// Takes a challenge, for the request to be repeated.
    fn log_in(&mut self, challenge: &Head, pending: &mut Pending) -> Result<(), SourceError> {
        self.login.challenged(challenge)?;
        pending.logins += 1;
        if pending.logins > LOGINS {
            let text = "the camera asks for the login again and again";
            return Err(SourceError::temporary(text).because(Reason::Unauthorized));
        }
        Ok(())
    }

    /// Notes where the media of a stream will come.
    fn set_up(&mut self, head: &mut Head, pending: &Pending) -> Result<(), Refusal> {
        let id = head.get("Session").and_then(|session| session.split(';').next());
        self.session.id = id.map(|id| id.trim().to_owned()).or(self.session.id.take());
        self.session.uri.get_or_insert_with(|| pending.uri.clone());
        let answer = head.get("Transport").unwrap_or_default();
        let channels = match (self.lower, pending.channels) {
            (Lower::Udp, Some(channels)) => {
                self.ports.answered(transport::server_ports(answer));
                head.set("Transport", transport::told(channels));
                Some(channels)
            }
            _ => transport::channels(answer),
        };
        let refused = || status::refusal(461, "SETUP").unwrap_or_else(inside);
        let channels = channels.ok_or_else(refused)?;
        self.camera.reader.expect_channels(channels.0.max(channels.1).saturating_add(1));
        self.streams.push(channels);
        Ok(())
    }

    /// A request of the camera: what it wants is not done, and told so.
    async fn asked(&mut self, head: &Head) -> Result<(), Refusal> {
        let method = head.request().map(|(method, _)| method);
        if method == Some("REDIRECT") {
            return Err(status::redirect());
        }
        let start =
            if method == Some("OPTIONS") { "RTSP/1.0 200 OK" } else { "RTSP/1.0 501 Not Implemented" };
        let mut answer = Head { start: start.to_owned(), headers: Vec::new() };
        answer.set("CSeq", head.get("CSeq").unwrap_or("0"));
        write(&mut self.camera.write, &answer.to_bytes(&[])).await
    }

    /// Media from the camera. Channels that nobody has asked for are passed over.
    async fn deliver(&mut self, client: &mut Client, channel: u8, data: Bytes) -> Result<(), Refusal> {
        let known = self.streams.iter().enumerate().find_map(|(stream, (media, reports))| match channel {
            _ if channel == *media => Some((stream, PacketKind::Media)),
            _ if channel == *reports => Some((stream, PacketKind::Report)),
            _ => None,
        });
        let Some((stream, kind)) = known else { return Ok(()) };
        if self.to_client.load(Ordering::Relaxed) {
            return forward(&mut client.write, channel, data).await.map_err(of_client);
        }
        self.divert(stream, kind, data).await;
        Ok(())
    }

    async fn divert(&mut self, stream: usize, kind: PacketKind, data: Bytes) {
        let Deliver::Channel(sender) = &self.deliver else { return };
        if self.to_client.load(Ordering::Relaxed) {
            // Nobody reads the channel any more: once it is full, everything would wait for it.
            return;
        }
        // Without a receiver there is nobody to tell; the loop ends.
        drop(sender.send(MediaPacket { stream, kind, data, arrival: Instant::now() }).await);
    }

    async fn report(&mut self, channel: u8, data: &Bytes) -> Result<(), Refusal> {
        if self.lower == Lower::Udp {
            return Ok(());
        }
        forward(&mut self.camera.write, channel, data.clone()).await
    }

    /// Ends the session, so that the camera has a place for the next viewer, and waits a little for the end of the connection.
    async fn tear_down(mut self) {
        let (Some(id), Some(uri)) = (self.session.id.take(), self.session.uri.take()) else { return };
        self.sequence += 1;
        let mut request = Head { start: format!("TEARDOWN {uri} RTSP/1.0"), headers: Vec::new() };
        request.set("CSeq", self.sequence.to_string());
        request.set("Session", id);
        request.set("User-Agent", USER_AGENT);
        if let Some(authorization) = self.login.authorization("TEARDOWN", &uri) {
            request.set("Authorization", authorization);
        }
        let ending = async {
            if self.camera.write.write_all(&request.to_bytes(&[])).await.is_err() {
                return;
            }
            let mut rest = [0; 4096];
            while let Ok(1..) = self.camera.read.read(&mut rest).await {
                if rest.windows(9).any(|window| window == b"RTSP/1.0 ") {
                    return;
                }
            }
        };
        if timeout(TEARDOWN, ending).await.is_err() {
            tracing::debug!("a camera did not confirm the end of its session");
        }
    }
}

pub(super) fn client_side(client: TcpStream) -> Client {
    super::set_up(&client);
    let (read, write) = client.into_split();
    Side { read, write, reader: Reader::new(CLIENT_BODY) }
}

fn is_of_session(method: &str) -> bool {
    matches!(method, "DESCRIBE" | "SETUP" | "PLAY")
}

/// Takes away what the client need not see, and what it would stumble over. Gives the body that goes with it.
fn clean(head: &mut Head, body: &Bytes) -> Bytes {
    head.remove("WWW-Authenticate");
    let session = head.get("Session").map(plain_session);
    if let Some(session) = session {
        head.set("Session", session);
    }
    let is_sdp = |value: &str| value.to_ascii_lowercase().trim_start().starts_with("application/sdp");
    // Without a type it is taken for a description, too.
    if body.is_empty() || !head.get("Content-Type").is_none_or(is_sdp) {
        return body.clone();
    }
    head.set("Content-Type", "application/sdp");
    let plain = description::plain(body);
    head.set("Content-Length", plain.len().to_string());
    plain.into()
}

/// Id and time-out alone.
fn plain_session(value: &str) -> String {
    let mut parts = value.split(';').map(str::trim);
    let id = parts.next().unwrap_or_default();
    let timeout = parts.find_map(|part| part.strip_prefix("timeout=")?.trim().parse::<u32>().ok());
    match timeout.filter(|seconds| *seconds > 1) {
        Some(seconds) => format!("{id};timeout={seconds}"),
        None => id.to_owned(),
    }
}

/// A client that does not read any more has gone, and that is its right.
fn of_client(refusal: Refusal) -> Refusal {
    Refusal { what: What::Client, ..refusal }
}

fn inside() -> Refusal {
    SourceError::temporary("the connection within this machine was disturbed").into()
}

async fn forward<W: AsyncWrite + Unpin>(to: &mut W, channel: u8, data: Bytes) -> Result<(), Refusal> {
    let Ok(length) = u16::try_from(data.len()) else { return Ok(()) };
    let [high, low] = length.to_be_bytes();
    let mut frame = BytesMut::with_capacity(data.remaining() + 4);
    frame.extend_from_slice(&[b'$', channel, high, low]);
    frame.extend_from_slice(&data);
    write(to, &frame).await
}

async fn write<W: AsyncWrite + Unpin>(to: &mut W, bytes: &[u8]) -> Result<(), Refusal> {
    let sent = timeout(WRITE, async {
        to.write_all(bytes).await?;
        to.flush().await
    });
    match sent.await {
        Ok(Ok(())) => Ok(()),
        Ok(Err(_)) => Err(status::ended()),
        Err(_) => {
            let text = "the camera does not take what it is sent";
            Err(SourceError::temporary(text).because(Reason::TimedOut).into())
        }
    }
}
