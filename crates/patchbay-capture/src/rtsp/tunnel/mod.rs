//! The one connection to a camera, and a door to it on loopback.
//!
//! RTSP clients connect by themselves, look names up by themselves, speak plain TCP and keep whatever a server sends. So they are given an address on 127.0.0.1, behind which
//! [`relay`] stands on a connection that the guard of `patchbay-egress` has made: it ends TLS, writes the camera's own address into requests, logs in, bounds every message, refuses
//! redirects, and receives UDP where the client thinks that media comes over TCP. The door opens once, for who knows its secret path, whoever else has found it before.

mod accept;
mod description;
mod login;
mod ports;
mod relay;
mod status;
mod transport;

use crate::{CaptureLimits, Credentials, Trust, failure, tls};
use bytes::Bytes;
use parking_lot::Mutex;
use patchbay_egress::{Guard, Host};
use patchbay_media::{
    Spawn,
    hub::{Reason, SourceError},
};
use std::{
    fmt, io,
    net::{Ipv4Addr, SocketAddr},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Instant,
};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::{TcpListener, TcpStream},
    sync::mpsc,
};
use tokio_util::sync::{CancellationToken, DropGuard};
use url::Url;

/// Port of RTSP (RFC 2326), and of RTSP over TLS (RFC 7826).
const PORT: u16 = 554;
const TLS_PORT: u16 = 322;

/// A camera to connect to. What prints it leaves logins and tokens out.
#[derive(Clone)]
pub struct Target {
    /// `rtsp://` or `rtsps://`, without a login.
    pub url: Url,
    /// Login.
    pub credentials: Option<Credentials>,
    /// How it proves who it is, with `rtsps://`.
    pub trust: Trust,
    /// Bounds.
    pub limits: CaptureLimits,
}

impl fmt::Debug for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Target").field("url", &crate::redacted(&self.url)).finish_non_exhaustive()
    }
}

/// How media comes from the camera. The client behind the door always asks for TCP.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lower {
    /// In the connection.
    Tcp,
    /// In datagrams, put in order here.
    Udp,
}

/// Where media goes.
#[derive(Debug)]
pub enum Deliver {
    /// To the client behind the door, in the connection.
    Client,
    /// Into this channel; a full one holds up the connection. The client sees none of it.
    Channel(mpsc::Sender<MediaPacket>),
}

/// A packet of media.
#[derive(Clone, Debug)]
pub struct MediaPacket {
    /// Which of the streams, in the order in which they were set up.
    pub stream: usize,
    /// Media or reports.
    pub kind: PacketKind,
    /// The whole packet.
    pub data: Bytes,
    /// When it came.
    pub arrival: Instant,
}

/// What a packet is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PacketKind {
    /// RTP.
    Media,
    /// RTCP.
    Report,
    /// None: bytes came that are neither, and were stepped over.
    Garbage,
}

/// A way to a camera. When it is dropped, the session is ended and the connection closed.
pub struct Tunnel {
    url: Url,
    verdict: Arc<Verdict>,
    to_client: Arc<AtomicBool>,
    _open: DropGuard,
}

impl fmt::Debug for Tunnel {
    /// Its address is a secret.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tunnel").finish_non_exhaustive()
    }
}

impl Tunnel {
    /// Connects to the camera and opens the door.
    pub async fn open(
        target: Target,
        lower: Lower,
        deliver: Deliver,
        guard: &Guard,
        spawn: &dyn Spawn,
    ) -> Result<Self, SourceError> {
        let (camera, peer, local) = connect(&target, guard).await?;
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.map_err(|error| of_io(&error))?;
        let address = listener.local_addr().map_err(|error| of_io(&error))?;
        let door = Door::new(&target.url, address)?;
        let (verdict, stop) = (Arc::new(Verdict::default()), CancellationToken::new());
        let to_client = Arc::new(AtomicBool::new(matches!(deliver, Deliver::Client)));
        let url = Url::parse(&door.outside).map_err(|_| address_error("it is not an address"))?;
        let relay = relay::Relay::new(relay::Parts {
            camera,
            peer,
            local,
            door,
            target,
            lower,
            deliver,
            verdict: Arc::clone(&verdict),
            to_client: Arc::clone(&to_client),
        });
        let open = stop.clone().drop_guard();
        spawn.spawn("rtsp-tunnel", Box::pin(relay.run(listener, stop)));
        Ok(Self { url, verdict, to_client, _open: open })
    }

    /// Where a client on this machine connects to: `rtsp://127.0.0.1:…/…`.
    pub fn url(&self) -> &Url {
        &self.url
    }

    /// From now on media goes to the client, as with [`Deliver::Client`]; the channel has to be kept all the same.
    pub(super) fn deliver_to_client(&self) {
        self.to_client.store(true, Ordering::Relaxed);
    }

    /// What went wrong between the tunnel and the camera, once something has.
    pub fn failure(&self) -> Option<SourceError> {
        self.verdict.0.lock().as_ref().map(|refusal| refusal.error.clone())
    }

    /// Forgets a refusal after which the session can go on; false where it cannot.
    pub(super) fn forgive(&self) -> bool {
        let mut verdict = self.verdict.0.lock();
        let is_refusal = verdict.as_ref().is_some_and(|refusal| refusal.what == What::Answer);
        is_refusal && verdict.take().is_some()
    }

    /// True when the camera refused the way in which media should come.
    pub(super) fn refuses_transport(&self) -> bool {
        self.verdict.0.lock().as_ref().is_some_and(|refusal| refusal.what == What::Transport)
    }
}

/// The first thing that went wrong, which is the one to tell.
#[derive(Debug, Default)]
struct Verdict(Mutex<Option<Refusal>>);

impl Verdict {
    fn give(&self, refusal: Refusal) {
        self.0.lock().get_or_insert(refusal);
    }
}

/// Why the camera cannot be used.
#[derive(Clone, Debug)]
struct Refusal {
    error: SourceError,
    what: What,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum What {
    /// The way in which media should come.
    Transport,
    /// A request, in an answer after which the connection is as it was.
    Answer,
    /// Nothing: the client has gone.
    Client,
    /// The connection cannot go on.
    Other,
}

impl Refusal {
    /// The same, with the connection as it was.
    fn in_an_answer(self) -> Self {
        let what = if self.what == What::Transport { What::Transport } else { What::Answer };
        Self { what, ..self }
    }
}

impl From<SourceError> for Refusal {
    fn from(error: SourceError) -> Self {
        Self { error, what: What::Other }
    }
}

/// The address outside and the one inside.
struct Door {
    /// What the client uses, with a secret in its path.
    outside: String,
    /// What the camera sees.
    inside: String,
}

impl Door {
    fn new(url: &Url, address: SocketAddr) -> Result<Self, SourceError> {
        let mut secret = [0_u8; 16];
        aws_lc_rs::rand::fill(&mut secret)
            .map_err(|_| SourceError::temporary("the machine has no randomness"))?;
        let secret = u128::from_be_bytes(secret);
        let inside = url.as_str().to_owned();
        // Clients join paths to the address as a text: both must end alike.
        let end = if inside.ends_with('/') { "/" } else { "" };
        Ok(Self { outside: format!("rtsp://{address}/{secret:032x}{end}"), inside })
    }

    /// The camera's form of an address that the client uses; none when it does not begin with the secret.
    fn rewrite(&self, address: &str) -> Option<String> {
        let bare = self.outside.trim_end_matches('/');
        let rest = address.strip_prefix(&self.outside).or_else(|| address.strip_prefix(bare))?;
        Some(format!("{}{rest}", self.inside))
    }
}

/// A connection in plain or under TLS.
trait Connection: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Connection for T {}

type Boxed = Box<dyn Connection>;

/// Connects; gives the camera's address and our own.
async fn connect(target: &Target, guard: &Guard) -> Result<(Boxed, SocketAddr, SocketAddr), SourceError> {
    let tls = match target.url.scheme() {
        "rtsp" => false,
        "rtsps" => true,
        _ => return Err(address_error("it must begin with rtsp:// or rtsps://")),
    };
    let host: Host = target
        .url
        .host_str()
        .unwrap_or_default()
        .parse()
        .map_err(|error: patchbay_egress::HostError| address_error(&error.to_string()))?;
    let port = target.url.port().unwrap_or(if tls { TLS_PORT } else { PORT });
    let within = target.limits.connect_timeout;
    let (stream, peer) =
        guard.connect(&host, port, within).await.map_err(|error| failure::of_egress(&error))?;
    let local = stream.local_addr().map_err(|error| of_io(&error))?;
    set_up(&stream);
    if !tls {
        return Ok((Box::new(stream), peer, local));
    }
    let stream = tls::connect(stream, &host, target.trust, within).await?;
    Ok((Box::new(stream), peer, local))
}

/// Requests are small and shall not wait for each other.
fn set_up(stream: &TcpStream) {
    if let Err(error) = stream.set_nodelay(true) {
        tracing::debug!(%error, "a connection to a camera cannot be set to send at once");
    }
}

fn address_error(what: &str) -> SourceError {
    SourceError::permanent(format!("the address of the camera cannot be used: {what}"))
}

fn of_io(error: &io::Error) -> SourceError {
    SourceError::temporary(format!("the connection to the camera failed: {error}"))
        .because(Reason::Unreachable)
}

#[cfg(test)]
#[path = "tunnel_tests.rs"]
mod wire_tests;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_rewritten_both_with_and_without_a_slash_at_the_end() {
        for inside in ["rtsp://cam/live", "rtsps://cam:322/live/?a=b", "rtsp://cam/live/"] {
            let url = Url::parse(inside).unwrap();
            let door = Door::new(&url, "127.0.0.1:9".parse().unwrap()).unwrap();
            assert_eq!(door.rewrite(&door.outside).as_deref(), Some(inside));
            let track = format!("{}/trackID=1", door.outside.trim_end_matches('/'));
            let expected = format!("{}/trackID=1", inside.trim_end_matches('/'));
            assert_eq!(door.rewrite(&track).as_deref(), Some(&*expected));
            assert_eq!(door.rewrite("rtsp://127.0.0.1:9/"), None, "the secret is missing");
        }
    }
}
