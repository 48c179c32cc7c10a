//! The way from the console's origin to the services behind it: HTTP, WebSocket, gRPC and grpc-web, as streams.
//!
//! Called by the server for every path that [`routes`](route::Routes) knows. Bodies go through piece by piece, and
//! trailers with them, so gRPC statuses arrive whole.

mod headers;
mod refusal;
mod route;
mod trust;
mod tunnel;
mod upload;
mod upstream;

pub(crate) use trust::TrustError;

use crate::{config::ConsoleConfig, metrics::ConsoleMetrics};
use axum::{
    body::Body,
    http::{HeaderValue, Request, Response, StatusCode, Version, header},
};
use headers::Peer;
use http_body_util::Limited;
use hyper::body::Incoming;
use hyper_util::{
    client::legacy::Client,
    rt::{TokioExecutor, TokioTimer},
};
use patchbay_chassis::{Context, config::Network};
use patchbay_http::{Connection, Transport};
use refusal::Refusal;
use route::{Protocol, Route, Routes};
use std::{net::IpAddr, sync::Arc, time::Duration};
use trust::Trust;
use tunnel::{Ends, Tunnels};
use upload::Progress;
use upstream::Connector;

/// An idle connection to an upstream is kept for the next request so long.
const IDLE: Duration = Duration::from_mins(1);

/// Idle connections kept for each upstream.
const MOST_IDLE: usize = 32;

/// An upstream's HTTP/2 connection is asked for life after this time, and given up when it does not answer in the next.
const KEEPALIVE: Duration = Duration::from_secs(20);
const KEEPALIVE_TIMEOUT: Duration = Duration::from_secs(10);

/// Passes requests on. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Proxy {
    shared: Arc<Shared>,
}

struct Shared {
    routes: Routes,
    http: Client<Connector, Body>,
    grpc: Client<Connector, Body>,
    trusted: Vec<Network>,
    body_limit: usize,
    answer_timeout: Duration,
    tunnels: Tunnels,
    metrics: ConsoleMetrics,
}

impl Proxy {
    pub(crate) fn new(
        config: &ConsoleConfig,
        context: &Context,
        metrics: ConsoleMetrics,
    ) -> Result<Self, TrustError> {
        let trust = Trust::open(config.upstreams.authority_file.as_deref(), context.data_dir.as_deref())?;
        let connector = Connector::new(trust, config.limits.connect_timeout.duration());
        let mut builder = Client::builder(TokioExecutor::new());
        builder.pool_timer(TokioTimer::new()).pool_idle_timeout(IDLE).pool_max_idle_per_host(MOST_IDLE);
        let http = builder.build(connector.clone());
        builder
            .http2_only(true)
            .timer(TokioTimer::new())
            .http2_keep_alive_interval(KEEPALIVE)
            .http2_keep_alive_timeout(KEEPALIVE_TIMEOUT);
        let shared = Shared {
            routes: Routes::new(&config.upstreams),
            http,
            grpc: builder.build(connector),
            trusted: config.http.trusted_proxies.clone(),
            body_limit: config.limits.body.as_usize(),
            answer_timeout: config.limits.answer_timeout.duration(),
            tunnels: Tunnels::new(context.tasks.clone(), &context.shutdown.hard(), metrics.tunnels.clone()),
            metrics,
        };
        Ok(Self { shared: Arc::new(shared) })
    }

    /// Passes a request on if a service is behind its path, else gives it back.
    pub(crate) async fn answer(
        &self,
        address: IpAddr,
        request: Request<Incoming>,
    ) -> Result<Response<Body>, Request<Incoming>> {
        let Some(route) = self.shared.routes.find(request.uri().path()) else { return Err(request) };
        let answered = self.shared.forward(route, address, request.map(Body::new)).await;
        Ok(answered.unwrap_or_else(|refusal| {
            self.shared.metrics.upstream_failures.inc();
            refusal.into_response()
        }))
    }

    /// Waits until no tunnel is left, or for `grace`, and cuts the rest.
    pub(crate) async fn close_tunnels(&self, grace: Duration) {
        self.shared.tunnels.close(grace).await;
    }
}

impl Shared {
    async fn forward(
        &self,
        route: &Route,
        address: IpAddr,
        mut request: Request<Body>,
    ) -> Result<Response<Body>, Refusal> {
        let upgrade = route.upgrade(&request).then(|| hyper::upgrade::on(&mut request));
        let connection = request.extensions().get::<Connection>().cloned();
        let progress = Progress::new();
        let outgoing = self.outgoing(route, address, request, upgrade.is_some())?;
        let outgoing = outgoing.map(|body| progress.watch(body));
        let client = match route.protocol {
            Protocol::Http => &self.http,
            Protocol::Grpc => &self.grpc,
        };
        let answer = progress.answer(client.request(outgoing), self.answer_timeout).await;
        let mut response =
            answer.map_err(|_| Refusal::late(route))?.map_err(|error| Refusal::failed(route, &error))?;
        let switched = upgrade.zip(switched_to(&response));
        headers::strip_hop_by_hop(response.headers_mut());
        if let Some((browser, protocol)) = switched {
            let upstream = hyper::upgrade::on(&mut response);
            self.tunnels.join(Ends { service: route.service, peer: address, browser, upstream }, connection);
            headers::ask_upgrade(response.headers_mut(), protocol);
        }
        *response.version_mut() = Version::HTTP_11;
        Ok(response.map(Body::new))
    }

    /// The request as the upstream gets it.
    fn outgoing(
        &self,
        route: &Route,
        address: IpAddr,
        request: Request<Body>,
        upgrades: bool,
    ) -> Result<Request<Body>, Refusal> {
        let (mut parts, body) = request.into_parts();
        let transport = parts.extensions.get::<Connection>();
        let transport = transport.map_or(Transport::Plain, |connection| connection.transport);
        let trusted = self.trusted.iter().any(|network| network.contains(address));
        let peer = Peer { address, transport, trusted };
        let authority = parts.uri.authority().cloned();
        let takes_any_size = route.takes_any_size(parts.uri.path());
        parts.uri = route.target(&parts.uri).map_err(|_| Refusal::BadAddress)?;
        let upgrade = upgrades.then(|| parts.headers.get(header::UPGRADE).cloned()).flatten();
        headers::forward(&mut parts.headers, peer, authority.as_ref());
        if let Some(upgrade) = upgrade {
            headers::ask_upgrade(&mut parts.headers, upgrade);
        }
        let body = match route.protocol {
            Protocol::Http => {
                parts.version = Version::HTTP_11;
                if takes_any_size { body } else { self.limited(&parts.headers, body)? }
            }
            Protocol::Grpc => {
                parts.version = Version::HTTP_2;
                parts.headers.remove(header::HOST);
                parts.headers.insert(header::TE, headers::TRAILERS);
                body
            }
        };
        // They are about the browser's connection.
        parts.extensions.clear();
        Ok(Request::from_parts(parts, body))
    }

    fn limited(&self, headers: &http::HeaderMap, body: Body) -> Result<Body, Refusal> {
        let told = headers
            .get(header::CONTENT_LENGTH)
            .and_then(|length| length.to_str().ok()?.parse::<usize>().ok());
        if told.is_some_and(|length| length > self.body_limit) {
            return Err(Refusal::TooLarge { limit: self.body_limit });
        }
        Ok(Body::new(Limited::new(body, self.body_limit)))
    }
}

/// The protocol that an upstream has switched to.
fn switched_to(response: &Response<Incoming>) -> Option<HeaderValue> {
    let switched = response.status() == StatusCode::SWITCHING_PROTOCOLS;
    switched.then(|| response.headers().get(header::UPGRADE).cloned()).flatten()
}
