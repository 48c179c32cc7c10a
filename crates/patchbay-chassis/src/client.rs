//! gRPC clients: balanced over every address of a name, signed, traced, bounded in time.
//!
//! HTTP/2 keeps one connection, so a client that resolves a name once stays with one replica for good. Here the name
//! is resolved again every few seconds; what appears is added and what vanished is dropped. Calls go round all
//! addresses. An address that cannot be reached rests for a while, and the call, which was never sent, is tried once
//! more elsewhere: tonic's own balancer would fail the dead replica's share of the calls until DNS forgets it.

use crate::{grpc::inject, tasks::Tasks};
use futures_util::{FutureExt, future::BoxFuture};
use http::{HeaderValue, Request, Response, Uri, header::AUTHORIZATION};
use hyper::body::{Body as HttpBody, Bytes, Frame, SizeHint};
use patchbay_auth::ServiceTokens;
use std::{
    collections::BTreeSet,
    net::SocketAddr,
    pin::Pin,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    task::{Context, Poll},
    time::Duration,
};
use tokio::{sync::watch, time::Instant};
use tokio_util::sync::CancellationToken;
use tonic::{
    Status,
    body::Body,
    transport::{Channel, Endpoint},
};
use tower::{Service, ServiceExt};

/// How often a name is resolved again.
const RESOLVE_EVERY: Duration = Duration::from_secs(5);

/// Time for one resolution.
const RESOLVE_TIMEOUT: Duration = Duration::from_secs(3);

/// How long an address that could not be reached gets no calls while there are others.
const REST: Duration = Duration::from_secs(5);

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
        let replicas = watch::Sender::new(Replicas::default());
        let client = Client::new(replicas.subscribe(), self.tokens.clone());
        let stop = self.stop.clone();
        tasks.spawn("resolve", async move {
            stop.run_until_cancelled(Resolver { name, host_and_port, replicas }.run()).await;
        });
        Ok(client)
    }
}

fn host_and_port(target: &str) -> Option<String> {
    let rest = target.strip_prefix("http://").or_else(|| target.strip_prefix("dns://"))?;
    let authority: http::uri::Authority = rest.trim_end_matches('/').parse().ok()?;
    authority.port_u16()?;
    Some(authority.as_str().to_owned())
}

/// Every address of a target.
type Replicas = Arc<[Arc<Replica>]>;

struct Replica {
    address: SocketAddr,
    channel: Channel,
    rests_until: Mutex<Option<Instant>>,
}

impl Replica {
    fn new(address: SocketAddr) -> Option<Arc<Self>> {
        let uri: Uri = format!("http://{address}").parse().ok()?;
        let endpoint = Endpoint::from(uri)
            .connect_timeout(CONNECT_TIMEOUT)
            .http2_keep_alive_interval(Duration::from_secs(10))
            .keep_alive_timeout(Duration::from_secs(5))
            .keep_alive_while_idle(true);
        Some(Arc::new(Self { address, channel: endpoint.connect_lazy(), rests_until: Mutex::new(None) }))
    }

    fn rest(&self) {
        *self.rests_until.lock().unwrap_or_else(PoisonError::into_inner) = Some(Instant::now() + REST);
    }

    fn is_resting(&self) -> bool {
        let until = *self.rests_until.lock().unwrap_or_else(PoisonError::into_inner);
        until.is_some_and(|until| Instant::now() < until)
    }
}

/// Keeps a client's addresses at what the name resolves to, until the last client is dropped.
struct Resolver {
    name: &'static str,
    host_and_port: String,
    replicas: watch::Sender<Replicas>,
}

impl Resolver {
    async fn run(self) {
        let mut ticks = tokio::time::interval(RESOLVE_EVERY);
        ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            // Cancel-safe: a tick that is lost only ends the task.
            tokio::select! {
                () = self.replicas.closed() => return,
                _ = ticks.tick() => {}
            }
            if let Some(found) = self.resolve().await {
                update(&self.replicas, &found);
            }
        }
    }

    /// A name that cannot be resolved keeps its addresses: DNS being away is no reason to stop calling.
    async fn resolve(&self) -> Option<BTreeSet<SocketAddr>> {
        let lookup = tokio::net::lookup_host(&self.host_and_port);
        let error = match tokio::time::timeout(RESOLVE_TIMEOUT, lookup).await {
            Ok(Ok(addresses)) => return Some(addresses.collect()),
            Ok(Err(error)) => error.to_string(),
            Err(_) => "it took too long".to_owned(),
        };
        tracing::warn!(client = self.name, target = self.host_and_port, error, "could not resolve");
        None
    }
}

/// Keeps the connections of addresses that stay.
fn update(replicas: &watch::Sender<Replicas>, found: &BTreeSet<SocketAddr>) {
    replicas.send_if_modified(|known| {
        if known.iter().map(|replica| replica.address).eq(found.iter().copied()) {
            return false;
        }
        let kept = |address: &SocketAddr| known.iter().find(|replica| replica.address == *address).cloned();
        *known =
            found.iter().filter_map(|address| kept(address).or_else(|| Replica::new(*address))).collect();
        true
    });
}

/// A balanced client; give it to a generated one: `ChatAdminClient::new(context.connect("chat", url)?)`.
#[derive(Clone)]
pub struct Client {
    replicas: watch::Receiver<Replicas>,
    turn: Arc<AtomicUsize>,
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
        let request = self.prepare(request);
        async move {
            let request = request?;
            let answer = tokio::time::timeout(DEADLINE, client.send(request)).await;
            answer.unwrap_or_else(|_| Err(Status::deadline_exceeded("the service did not answer in time")))
        }
        .boxed()
    }
}

impl Client {
    fn new(replicas: watch::Receiver<Replicas>, tokens: ServiceTokens) -> Self {
        Self { replicas, turn: Arc::default(), tokens }
    }

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
    async fn send(mut self, request: Request<Body>) -> Result<Response<Body>, Status> {
        let (parts, body) = request.into_parts();
        let unsent = Unsent::new(body);
        let attempt = async |replica: &Replica| {
            let request = Request::from_parts(parts.clone(), Body::new(unsent.clone()));
            replica.channel.clone().oneshot(request).await
        };
        let replica = self.pick().await?;
        match attempt(&replica).await {
            Err(error) if !unsent.is_touched() => {
                tracing::debug!(address = %replica.address, %error, "a call was not sent, trying once more");
                replica.rest();
                let other = self.pick().await?;
                attempt(&other).await.map_err(|error| unavailable(&error))
            }
            answer => answer.map_err(|error| unavailable(&error)),
        }
    }

    /// The next address in turn that does not rest; the next one anyhow when all do. Waits for the first address.
    async fn pick(&mut self) -> Result<Arc<Replica>, Status> {
        let gone = || Status::unavailable("the client is stopping");
        let replicas = self.replicas.wait_for(|replicas| !replicas.is_empty()).await.map_err(|_| gone())?;
        let turn = self.turn.fetch_add(1, Ordering::Relaxed);
        let count = replicas.len();
        let mut in_turn = (0..count).filter_map(|step| replicas.get(turn.wrapping_add(step) % count));
        let next = in_turn.clone().next();
        in_turn.find(|replica| !replica.is_resting()).or(next).cloned().ok_or_else(gone)
    }
}

fn unavailable(error: &tonic::transport::Error) -> Status {
    Status::unavailable(crate::error::chain(error))
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

#[cfg(test)]
#[path = "client_tests.rs"]
mod tests;
