//! What happens around every request: a span, the client's address, a panic turned into an error, headers that every answer
//! has, and one wide event and one count at its end.

use super::metrics::RestMetrics;
use crate::{core::Core, grpc::host};
use axum::{extract::State, middleware::Next, response::IntoResponse};
use futures_util::FutureExt;
use http::{HeaderMap, HeaderName, HeaderValue, Request, Response, StatusCode, header};
use patchbay_chassis::{Ids, config::Network};
use patchbay_http::Connection;
use patchbay_transcode::Problem;
use std::{
    net::{IpAddr, SocketAddr},
    panic::AssertUnwindSafe,
    sync::Arc,
};
use tokio::time::Instant;
use tonic::transport::server::TcpConnectInfo;
use tracing::{Instrument, Span};

const X_FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");

/// What all requests share.
pub(super) struct Frame {
    trusted: Vec<Network>,
    ids: Ids,
    metrics: RestMetrics,
}

impl Frame {
    pub(super) fn new(core: &Core, metrics: RestMetrics) -> Self {
        let trusted = core.config.listen.trusted_proxies.clone();
        Self { trusted, ids: core.context.ids.clone(), metrics }
    }

    /// The client's address: what the nearest trusted proxy says it is, else the peer's.
    fn client(&self, peer: SocketAddr, headers: &HeaderMap) -> SocketAddr {
        let trusted = |address: IpAddr| self.trusted.iter().any(|network| network.contains(address));
        if !trusted(peer.ip()) {
            return peer;
        }
        let values: Vec<_> =
            headers.get_all(X_FORWARDED_FOR).iter().filter_map(|value| value.to_str().ok()).collect();
        let hops = values.iter().rev().flat_map(|value| value.rsplit(','));
        // What stands before something that is no address may be the client's own invention.
        let mut named = hops.map_while(|hop| host(hop.trim()));
        named.find(|&address| !trusted(address)).map_or(peer, |address| SocketAddr::new(address, 0))
    }

    fn panicked(&self) -> Problem {
        let id = self.ids.random_hex(16);
        tracing::error!(error_id = id, "a request panicked");
        let message = format!("internal error, id {id}");
        Problem::new(StatusCode::INTERNAL_SERVER_ERROR, "INTERNAL", message)
    }
}

/// Answers one request.
pub(super) async fn around(
    State(frame): State<Arc<Frame>>,
    mut request: Request<axum::body::Body>,
    next: Next,
) -> Response<axum::body::Body> {
    let peer = request.extensions().get::<Connection>();
    let peer = peer.map_or_else(|| ([0, 0, 0, 0], 0).into(), |connection| connection.peer);
    let client = frame.client(peer, request.headers());
    request.extensions_mut().insert(TcpConnectInfo { local_addr: None, remote_addr: Some(client) });
    // The query is left out: nothing secret belongs there, but somebody may put it there.
    let span = tracing::info_span!(
        "request",
        http.request.method = %request.method(),
        url.path = request.uri().path(),
        client.address = %client.ip(),
        enduser.id = tracing::field::Empty,
    );
    patchbay_chassis::adopt(&span, request.headers());
    let metrics = frame.metrics.clone();
    let mut event = Event { span: span.clone(), begun: Instant::now(), status: None, metrics };
    let answer = AssertUnwindSafe(next.run(request)).catch_unwind().instrument(span).await;
    let mut response = answer.unwrap_or_else(|_| frame.panicked().into_response());
    event.status = Some(response.status());
    let headers = response.headers_mut();
    headers.entry(header::CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store"));
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    response
}

/// Logs and counts the request when it is over, however it ends.
struct Event {
    span: Span,
    begun: Instant,
    /// `None` when the client went away first.
    status: Option<StatusCode>,
    metrics: RestMetrics,
}

impl Drop for Event {
    fn drop(&mut self) {
        let _inside = self.span.enter();
        let duration_ms = u64::try_from(self.begun.elapsed().as_millis()).unwrap_or(u64::MAX);
        // 499 is what proxies log for a client that did not wait.
        let status = self.status.map_or(499, |status| status.as_u16());
        self.metrics.answered(status);
        tracing::info!(http.response.status_code = status, duration_ms, "request ended");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_trusted_proxy_says_who_the_client_is() {
        let frame = Frame {
            trusted: vec!["10.0.0.0/8".parse().unwrap()],
            ids: Ids::random(),
            metrics: RestMetrics::default(),
        };
        let client = |peer: &str, forwarded: &[&str]| {
            let mut headers = HeaderMap::new();
            for value in forwarded {
                headers.append(X_FORWARDED_FOR, value.parse().unwrap());
            }
            frame.client(peer.parse().unwrap(), &headers).ip().to_string()
        };
        assert_eq!(client("192.0.2.1:5", &["203.0.113.9"]), "192.0.2.1");
        assert_eq!(client("10.0.0.1:5", &["203.0.113.9"]), "203.0.113.9");
        assert_eq!(client("10.0.0.1:5", &["198.51.100.1, 203.0.113.9, 10.0.0.7"]), "203.0.113.9");
        assert_eq!(client("10.0.0.1:5", &["198.51.100.1", "203.0.113.9"]), "203.0.113.9");
        assert_eq!(client("10.0.0.1:5", &["203.0.113.9, unknown"]), "10.0.0.1");
        assert_eq!(client("10.0.0.1:5", &["203.0.113.9:4711"]), "203.0.113.9");
        assert_eq!(client("10.0.0.1:5", &[]), "10.0.0.1");
        assert_eq!(client("[::ffff:10.0.0.1]:5", &["203.0.113.9"]), "203.0.113.9");
    }
}
