//! Gives each request to the proxy or to the pages.

use crate::{assets, metrics::ConsoleMetrics, proxy::Proxy};
use axum::{
    body::Body,
    http::{Request, Response},
};
use hyper::body::Incoming;
use patchbay_http::Connection;
use std::net::{IpAddr, Ipv4Addr};

/// What answers requests.
pub(crate) struct App {
    pub(crate) proxy: Proxy,
    pub(crate) metrics: ConsoleMetrics,
}

impl App {
    pub(crate) async fn answer(&self, request: Request<Incoming>) -> Response<Body> {
        let peer = request.extensions().get::<Connection>();
        let peer = peer.map_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED), |connection| connection.peer.ip());
        self.metrics.requests.inc();
        tracing::debug!(%peer, method = %request.method(), path = request.uri().path(), "a request");
        match self.proxy.answer(peer, request).await {
            Ok(response) => response,
            Err(request) => assets::respond(request.method(), request.uri().path(), request.headers()),
        }
    }
}
