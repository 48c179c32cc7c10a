//! Accepts HTTP connections and gives their requests to the router.

use crate::config::Limits;
use axum::{Router, body::Body};
use hyper::{Request, body::Incoming, service::service_fn};
use hyper_util::{
    rt::{TokioExecutor, TokioIo, TokioTimer},
    server::conn::auto,
};
use patchbay_chassis::Context;
use std::{net::SocketAddr, sync::Arc, time::Duration};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::{OwnedSemaphorePermit, Semaphore},
};
use tower::ServiceExt;

/// Streams that one HTTP/2 connection may have open at once.
const MAX_STREAMS: u32 = 256;

/// Bytes of a request's head.
const MAX_HEAD: usize = 64 * 1024;

/// Pause after a failed accept: the system is out of descriptors, and asking again at once would not help.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// Address of the other end of the connection that a request came on.
#[derive(Clone, Copy, Debug)]
pub(super) struct Peer(pub(super) SocketAddr);

/// The accept loop and what its connections share.
pub(super) struct Server {
    pub(super) listener: TcpListener,
    pub(super) router: Router,
    pub(super) limits: Limits,
    pub(super) context: Context,
}

impl Server {
    /// Serves until `soft`; connections that are there finish what they are answering.
    pub(super) async fn run(self) {
        let soft = self.context.shutdown.soft();
        // Connections over the limit wait in the system's backlog.
        let room = Arc::new(Semaphore::new(self.limits.connections));
        let builder = builder(&self.limits);
        loop {
            let Some(accepted) = soft.run_until_cancelled(self.accept(&room)).await else { return };
            let Some((permit, stream, peer)) = accepted else { continue };
            self.context.tasks.spawn_light(self.connection(&builder, permit, stream, peer));
        }
    }

    async fn accept(&self, room: &Arc<Semaphore>) -> Option<(OwnedSemaphorePermit, TcpStream, SocketAddr)> {
        let permit = Arc::clone(room).acquire_owned().await.ok()?;
        match self.listener.accept().await {
            Ok((stream, peer)) => Some((permit, stream, peer)),
            Err(error) => {
                tracing::warn!(%error, "could not accept a connection");
                tokio::time::sleep(ACCEPT_PAUSE).await;
                None
            }
        }
    }

    fn connection(
        &self,
        builder: &auto::Builder<TokioExecutor>,
        permit: OwnedSemaphorePermit,
        stream: TcpStream,
        peer: SocketAddr,
    ) -> impl Future<Output = ()> + Send + 'static {
        let (router, builder) = (self.router.clone(), builder.clone());
        let (soft, hard) = (self.context.shutdown.soft(), self.context.shutdown.hard());
        async move {
            if let Err(error) = stream.set_nodelay(true) {
                tracing::debug!(%error, "could not set TCP_NODELAY");
            }
            let service = service_fn(move |request: Request<Incoming>| {
                let mut request = request.map(Body::new);
                request.extensions_mut().insert(Peer(peer));
                router.clone().oneshot(request)
            });
            let connection = builder.serve_connection(TokioIo::new(stream), service);
            tokio::pin!(connection);
            // Cancel-safe: the connection is polled on in any case, and a token loses nothing.
            let ended = tokio::select! {
                ended = connection.as_mut() => Some(ended),
                () = soft.cancelled() => {
                    connection.as_mut().graceful_shutdown();
                    hard.run_until_cancelled(connection.as_mut()).await
                }
            };
            if let Some(Err(error)) = ended {
                tracing::debug!(%peer, %error, "a connection broke");
            }
            drop(permit);
        }
    }
}

fn builder(limits: &Limits) -> auto::Builder<TokioExecutor> {
    let patience = limits.request_timeout.duration();
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
