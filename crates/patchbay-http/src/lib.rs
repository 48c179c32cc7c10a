//! Accepts HTTP/1 and HTTP/2 connections, and closes those whose peers do nothing.
//!
//! hyper limits the time for an HTTP/1 head, but only once it knows which version a client speaks, and it keeps an HTTP/2
//! connection without requests for as long as its pings are answered. Here one rule is over all of them: a connection on
//! which nobody waits for us is closed after [`Limits::patience`], be it that nothing has been asked or that an answer is
//! not taken.
//!
//! Where the listener has TLS, the handshake is made in the connection's own task, and what comes out of it is served in the same way.

pub mod forwarded;
mod gauge;
mod owed;

pub use gauge::Raised;

use axum::body::Body;
use http::{HeaderValue, header::STRICT_TRANSPORT_SECURITY};
use hyper::{Request, Response, body::Incoming, service::service_fn};
use hyper_util::{
    rt::{TokioExecutor, TokioIo, TokioTimer},
    server::conn::auto,
};
use owed::Owed;
use patchbay_chassis::Context;
use patchbay_tls::Acceptor;
use prometheus_client::metrics::gauge::Gauge;
use std::{convert::Infallible, net::SocketAddr, sync::Arc, time::Duration};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::{TcpListener, TcpStream},
    sync::{OwnedSemaphorePermit, Semaphore},
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

/// What [`Server`] speaks over TLS, most wanted first.
pub const PROTOCOLS: &[&[u8]] = &[b"h2", b"http/1.1"];

/// Streams that one HTTP/2 connection may have open at once.
const MAX_STREAMS: u32 = 256;

/// Bytes that wait in the kernel before it has sent them; by itself it would take some megabytes.
#[cfg(target_os = "linux")]
const UNSENT: u32 = 128 * 1024;

/// Bytes of a request's head.
const MAX_HEAD: usize = 64 * 1024;

/// Pause after a failed accept: the system is out of descriptors, and asking again at once would not help.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// Bounds on connections.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Open connections; more wait in the system's backlog.
    pub connections: usize,
    /// Time for a request's head to arrive, for an idle connection to send one, and for a piece of an answer to be taken.
    pub patience: Duration,
}

/// The connection that a request came on; every request has it among its extensions.
#[derive(Clone, Debug)]
pub struct Connection {
    /// The other end; an IPv4 address is told as one, whatever the socket.
    pub peer: SocketAddr,
    /// How it came.
    pub transport: Transport,
    /// Its place among those that may be open. What takes the connection over, such as a tunnel, keeps a clone.
    _place: Arc<OwnedSemaphorePermit>,
}

/// How a connection came, and so how its peer writes the addresses of what is here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Transport {
    /// In plain text.
    Plain,
    /// In TLS that ends here.
    Tls,
}

impl Transport {
    /// `http` or `https`.
    pub fn scheme(self) -> &'static str {
        match self {
            Self::Plain => "http",
            Self::Tls => "https",
        }
    }
}

/// The accept loop and what its connections share.
pub struct Server {
    /// Where connections come.
    pub listener: TcpListener,
    /// Their TLS, for [`PROTOCOLS`]; nothing for plain text.
    pub tls: Option<Acceptor>,
    /// Their bounds.
    pub limits: Limits,
    /// How many are open; those that were taken over are not counted.
    pub open: Gauge,
    /// Has ended once no connection is left after `soft`; closed and waited for by whoever drains.
    pub serving: TaskTracker,
    /// The process.
    pub context: Context,
}

type Builder = auto::Builder<TokioExecutor>;

impl Server {
    /// Serves until `soft`; connections that are there finish what they are answering, until `hard`.
    pub async fn run<A, F>(self, answer: A)
    where
        A: Fn(Request<Incoming>) -> F + Clone + Send + Sync + 'static,
        F: Future<Output = Response<Body>> + Send + 'static,
    {
        let soft = self.context.shutdown.soft();
        let _accepting = self.serving.token();
        let room = Arc::new(Semaphore::new(self.limits.connections));
        let builder = builder(self.limits.patience);
        let hsts = self
            .tls
            .as_ref()
            .and_then(Acceptor::hsts)
            .and_then(|time| HeaderValue::from_str(&format!("max-age={}", time.as_secs())).ok());
        loop {
            let Some(accepted) = soft.run_until_cancelled(self.accept(&room)).await else { return };
            let Some((stream, connection)) = accepted else { continue };
            let (builder, answer, hsts) = (builder.clone(), answer.clone(), hsts.clone());
            let (soft, hard) = (self.context.shutdown.soft(), self.context.shutdown.hard());
            let patience = self.limits.patience;
            let conversation = Conversation { builder, connection, answer, hsts, soft, hard, patience };
            self.context.tasks.spawn_light(self.serve(stream, conversation));
        }
    }

    async fn accept(&self, room: &Arc<Semaphore>) -> Option<(TcpStream, Connection)> {
        let permit = Arc::clone(room).acquire_owned().await.ok()?;
        match self.listener.accept().await {
            Ok((stream, peer)) => {
                let peer = SocketAddr::new(peer.ip().to_canonical(), peer.port());
                let transport = if self.tls.is_some() { Transport::Tls } else { Transport::Plain };
                Some((stream, Connection { peer, transport, _place: Arc::new(permit) }))
            }
            Err(error) => {
                tracing::warn!(%error, "could not accept a connection");
                tokio::time::sleep(ACCEPT_PAUSE).await;
                None
            }
        }
    }

    fn serve<A, F>(
        &self,
        stream: TcpStream,
        conversation: Conversation<A>,
    ) -> impl Future<Output = ()> + Send + 'static
    where
        A: Fn(Request<Incoming>) -> F + Send + Sync + 'static,
        F: Future<Output = Response<Body>> + Send + 'static,
    {
        let held = (Raised::new(&self.open), self.serving.token());
        let tls = self.tls.clone();
        async move {
            tune(&stream);
            match tls {
                None => conversation.go_on(stream).await,
                Some(tls) => conversation.begin(&tls, stream).await,
            }
            drop(held);
        }
    }
}

/// Small answers go at once, and little waits unsent: what is sent live would be old when it arrives, and who reads slowly would be noticed late.
fn tune(stream: &TcpStream) {
    if let Err(error) = stream.set_nodelay(true) {
        tracing::debug!(%error, "could not set TCP_NODELAY");
    }
    #[cfg(target_os = "linux")]
    if let Err(error) = socket2::SockRef::from(stream).set_tcp_notsent_lowat(UNSENT) {
        tracing::debug!(%error, "could not set TCP_NOTSENT_LOWAT");
    }
}

/// One connection and what it needs.
struct Conversation<A> {
    builder: Builder,
    connection: Connection,
    answer: A,
    /// The header that asks browsers to come by HTTPS.
    hsts: Option<HeaderValue>,
    soft: CancellationToken,
    hard: CancellationToken,
    patience: Duration,
}

impl<A, F> Conversation<A>
where
    A: Fn(Request<Incoming>) -> F + Send + Sync + 'static,
    F: Future<Output = Response<Body>> + Send + 'static,
{
    /// A handshake that is not made when the process drains is not made at all: nothing was asked yet.
    async fn begin(self, tls: &Acceptor, stream: TcpStream) {
        let peer = self.connection.peer;
        match self.soft.run_until_cancelled(tls.accept(stream)).await {
            Some(Ok(stream)) => self.go_on(stream).await,
            Some(Err(error)) => {
                let error = patchbay_chassis::error::chain(&error);
                tracing::debug!(%peer, error, "no TLS");
            }
            None => tracing::debug!(%peer, "a handshake was cut"),
        }
    }

    async fn go_on(self, stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static) {
        let Self { builder, connection, answer, hsts, soft, hard, patience } = self;
        let (peer, owed) = (connection.peer, Owed::default());
        let debts = owed.clone();
        let service = service_fn(move |mut request: Request<Incoming>| {
            request.extensions_mut().insert(connection.clone());
            let (debt, answering, hsts) = (debts.incur(), answer(request), hsts.clone());
            async move {
                let mut answered = answering.await;
                if let Some(hsts) = hsts {
                    answered.headers_mut().insert(STRICT_TRANSPORT_SECURITY, hsts);
                }
                Ok::<_, Infallible>(debt.carry(answered))
            }
        });
        let serving = builder.serve_connection_with_upgrades(TokioIo::new(stream), service);
        tokio::pin!(serving);
        // Cancel-safe: the connection is polled on in any case, a token loses nothing, and time begins anew.
        let mut ended = tokio::select! {
            ended = serving.as_mut() => Some(ended),
            () = soft.cancelled() => None,
            () = owed.none_for(patience) => None,
        };
        if ended.is_none() {
            serving.as_mut().graceful_shutdown();
            // A peer that does not take the farewell either is not waited for. Cancel-safe: nothing is used afterwards.
            ended = tokio::select! {
                ended = serving.as_mut() => Some(ended),
                () = hard.cancelled() => None,
                () = owed.none_for(patience) => None,
            };
        }
        match ended {
            Some(Ok(())) => {}
            Some(Err(error)) => tracing::debug!(%peer, %error, "a connection broke"),
            None => tracing::debug!(%peer, "a connection was cut"),
        }
    }
}

fn builder(patience: Duration) -> Builder {
    let mut builder = auto::Builder::new(TokioExecutor::new());
    builder.http1().timer(TokioTimer::new()).header_read_timeout(patience).max_buf_size(MAX_HEAD);
    builder
        .http2()
        .timer(TokioTimer::new())
        .max_concurrent_streams(MAX_STREAMS)
        .max_header_list_size(u32::try_from(MAX_HEAD).unwrap_or(u32::MAX))
        .keep_alive_interval(Some(patience))
        .keep_alive_timeout(patience);
    builder
}
