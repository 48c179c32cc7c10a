//! What happens around every request: a span, the client's address, a panic turned into an error, headers that every answer
//! has, and one wide event and one count at its end.

use super::metrics::RestMetrics;
use crate::config::CryptoConfig;
use axum::{extract::State, middleware::Next, response::IntoResponse};
use futures_util::FutureExt;
use http::{HeaderValue, Request, Response, StatusCode, header};
use patchbay_chassis::{Context, Ids, config::Network};
use patchbay_http::{Connection, forwarded};
use patchbay_transcode::Problem;
use std::{
    net::{Ipv4Addr, SocketAddr},
    panic::AssertUnwindSafe,
    sync::Arc,
};
use tokio::time::Instant;
use tonic::transport::server::TcpConnectInfo;
use tracing::{Instrument, Span};

/// What all requests share.
pub(super) struct Frame {
    trusted: Vec<Network>,
    ids: Ids,
    metrics: RestMetrics,
}

impl Frame {
    pub(super) fn new(config: &CryptoConfig, context: &Context, metrics: RestMetrics) -> Self {
        let trusted = config.listen.trusted_proxies.clone();
        Self { trusted, ids: context.ids.clone(), metrics }
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
    let peer = peer.map_or(Ipv4Addr::UNSPECIFIED.into(), |connection| connection.peer.ip());
    let client = forwarded::client(&frame.trusted, peer, request.headers());
    let remote_addr = Some(SocketAddr::new(client, 0));
    request.extensions_mut().insert(TcpConnectInfo { local_addr: None, remote_addr });
    // The query is left out: nothing secret belongs there, but somebody may put it there.
    let span = tracing::info_span!(
        "request",
        http.request.method = %request.method(),
        url.path = request.uri().path(),
        client.address = %client,
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
