//! gRPC clients: balanced over every address of a name, signed, traced, bounded in time.
//!
//! HTTP/2 keeps one connection, so a client that resolves a name once stays with one replica for good. Here the name
//! is resolved again every few seconds; what appears is added and what vanished is dropped. A call that was never
//! sent, because its replica had just died, is tried once more on another.

use crate::{grpc::inject, tasks::Tasks};
use futures_util::{FutureExt, future::BoxFuture};
use http::{HeaderValue, Request, Response, Uri, header::AUTHORIZATION};
use hyper::body::{Body as HttpBody, Bytes, Frame, SizeHint};
use patchbay_auth::ServiceTokens;
use std::{
    collections::BTreeSet,
    net::SocketAddr,
    pin::Pin,
    sync::{Arc, Mutex, PoisonError},
    task::{Context, Poll},
    time::Duration,
};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
use tonic::{
    Status,
    body::Body,
    transport::{Channel, Endpoint, channel::Change},
};
use tower::{Service, ServiceExt};

/// How often a name is resolved again.
const RESOLVE_EVERY: Duration = Duration::from_secs(5);

/// Time for one resolution.
const RESOLVE_TIMEOUT: Duration = Duration::from_secs(3);

/// Time for a TCP connection.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(2);

/// Time for a call to answer, or a stream to begin; a caller may set a shorter `grpc-timeout`.
const DEADLINE: Duration = Duration::from_secs(30);

/// Makes clients that call as one service.
#[derive(Clone)]
pub(crate) struct Connector {
    pub(crate) tokens: ServiceTokens,
    pub(crate) stop: CancellationToken,
}

/// A target that cannot be called.
#[derive(Debug, thiserror::Error)]
#[error("`{0}` is not a target such as `http://host:port` or `dns://host:port`")]
pub struct TargetError(String);

impl Connector {
    /// Makes a client and spawns the task that keeps its addresses fresh.
    pub(crate) fn connect(
        &self,
        name: &'static str,
        target: &str,
        tasks: &Tasks,
    ) -> Result<Client, TargetError> {
        let host_and_port = host_and_port(target).ok_or_else(|| TargetError(target.to_owned()))?;
        // Room for the changes of one resolution; a resolver that is ahead of the balancer waits.
        let (channel, changes) = Channel::balance_channel(64);
        let resolver = Resolver { name, host_and_port, known: BTreeSet::new(), changes };
        let stop = self.stop.clone();
        tasks.spawn("resolve", async move {
            stop.run_until_cancelled(resolver.run()).await;
        });
        Ok(Client { channel, tokens: self.tokens.clone() })
    }
}

fn host_and_port(target: &str) -> Option<String> {
    let rest = target.strip_prefix("http://").or_else(|| target.strip_prefix("dns://"))?;
    let authority: http::uri::Authority = rest.trim_end_matches('/').parse().ok()?;
    authority.port_u16()?;
    Some(authority.as_str().to_owned())
}

/// Keeps the balancer's addresses at what the name resolves to.
struct Resolver {
    name: &'static str,
    host_and_port: String,
    known: BTreeSet<SocketAddr>,
    changes: mpsc::Sender<Change<SocketAddr, Endpoint>>,
}

impl Resolver {
    async fn run(mut self) {
        let mut ticks = tokio::time::interval(RESOLVE_EVERY);
        ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            ticks.tick().await;
            if let Some(found) = self.resolve().await
                && self.update(found).await.is_err()
            {
                // The last client was dropped.
                return;
            }
        }
    }

    /// A name that cannot be resolved keeps its addresses: DNS being away is no reason to stop calling.
    async fn resolve(&self) -> Option<BTreeSet<SocketAddr>> {
        let lookup = tokio::net::lookup_host(&self.host_and_port);
        match tokio::time::timeout(RESOLVE_TIMEOUT, lookup).await {
            Ok(Ok(addresses)) => Some(addresses.collect()),
            Ok(Err(error)) => {
                tracing::warn!(client = self.name, target = self.host_and_port, %error, "could not resolve");
                None
            }
            Err(_) => {
                tracing::warn!(client = self.name, target = self.host_and_port, "resolving took too long");
                None
            }
        }
    }

    async fn update(
        &mut self,
        found: BTreeSet<SocketAddr>,
    ) -> Result<(), mpsc::error::SendError<Change<SocketAddr, Endpoint>>> {
        for gone in self.known.difference(&found) {
            self.changes.send(Change::Remove(*gone)).await?;
        }
        for new in found.difference(&self.known) {
            if let Some(endpoint) = endpoint(*new) {
                self.changes.send(Change::Insert(*new, endpoint)).await?;
            }
        }
        self.known = found;
        Ok(())
    }
}

fn endpoint(address: SocketAddr) -> Option<Endpoint> {
    let uri: Uri = format!("http://{address}").parse().ok()?;
    let endpoint = Endpoint::from(uri)
        .connect_timeout(CONNECT_TIMEOUT)
        .http2_keep_alive_interval(Duration::from_secs(10))
        .keep_alive_timeout(Duration::from_secs(5))
        .keep_alive_while_idle(true);
    Some(endpoint)
}

/// A balanced client; give it to a generated one: `ChatAdminClient::new(context.connect("chat", url)?)`.
#[derive(Clone)]
pub struct Client {
    channel: Channel,
    tokens: ServiceTokens,
}

impl Service<Request<Body>> for Client {
    type Response = Response<Body>;
    type Error = Status;
    type Future = BoxFuture<'static, Result<Response<Body>, Status>>;

    /// Always ready: waiting for an address is part of the call, so that its deadline covers it.
    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Status>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        let client = self.clone();
        async move {
            let request = client.prepare(request)?;
            let answer = tokio::time::timeout(DEADLINE, client.send(request)).await;
            answer.unwrap_or_else(|_| Err(Status::deadline_exceeded("the service did not answer in time")))
        }
        .boxed()
    }
}

impl Client {
    /// Adds the service's token, unless the call carries one, and the trace.
    fn prepare(&self, mut request: Request<Body>) -> Result<Request<Body>, Status> {
        let headers = request.headers_mut();
        if !headers.contains_key(AUTHORIZATION) {
            let token = self.tokens.header().map_err(|error| {
                tracing::error!(%error, "cannot sign the service's token");
                Status::internal("cannot sign the service's token")
            })?;
            let mut value = HeaderValue::from_bytes(token.as_bytes())
                .map_err(|_| Status::internal("the service's token is no header value"))?;
            value.set_sensitive(true);
            headers.insert(AUTHORIZATION, value);
        }
        inject(headers);
        Ok(request)
    }

    /// Sends, and sends once more what was not sent.
    async fn send(&self, request: Request<Body>) -> Result<Response<Body>, Status> {
        let (parts, body) = request.into_parts();
        let unsent = Unsent::new(body);
        let attempt = || {
            let request = Request::from_parts(parts.clone(), Body::new(unsent.clone()));
            self.channel.clone().oneshot(request)
        };
        match attempt().await {
            Err(error) if !unsent.is_touched() => {
                tracing::debug!(%error, "a call was not sent, trying once more");
                attempt().await.map_err(unavailable)
            }
            answer => answer.map_err(unavailable),
        }
    }
}

fn unavailable(error: tonic::transport::Error) -> Status {
    Status::unavailable(crate::error::chain(&error))
}

/// A body that can be given to a second request as long as the first has read nothing of it: a call whose message
/// was never read was never made.
#[derive(Clone)]
struct Unsent(Arc<Mutex<Reading>>);

struct Reading {
    body: Body,
    is_touched: bool,
}

impl Unsent {
    fn new(body: Body) -> Self {
        Self(Arc::new(Mutex::new(Reading { body, is_touched: false })))
    }

    fn is_touched(&self) -> bool {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).is_touched
    }
}

impl HttpBody for Unsent {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        let mut reading = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        reading.is_touched = true;
        Pin::new(&mut reading.body).poll_frame(cx)
    }

    fn is_end_stream(&self) -> bool {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).body.size_hint()
    }
}
