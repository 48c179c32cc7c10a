//! What happens around every request: who sends it, a span, a panic turned into an error, headers that every answer has, and one wide event at its end.

use crate::{core::Core, viewers::ViewerId};
use axum::{extract::State, middleware::Next, response::IntoResponse};
use futures_util::FutureExt;
use http::{HeaderValue, Request, Response, StatusCode, header};
use patchbay_http::{Connection, forwarded};
use patchbay_transcode::Problem;
use std::{
    borrow::Cow,
    net::{IpAddr, Ipv4Addr, SocketAddr},
    panic::AssertUnwindSafe,
    sync::Arc,
};
use tokio::time::Instant;
use tonic::transport::server::TcpConnectInfo;
use tracing::{Instrument, Span};

/// Where a request comes from; every request has it among its extensions.
#[derive(Clone, Debug)]
pub(super) struct Origin {
    /// The client's address.
    pub(super) address: IpAddr,
    /// The authority that it has dialled.
    pub(super) host: Option<Arc<str>>,
    /// Through which way it came.
    pub(super) way: Way,
}

/// Through which way a request came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Way {
    /// From the client itself.
    Direct,
    /// Through a proxy of ours, which may have taken a prefix off the path.
    Proxy,
}

/// Answers one request.
pub(super) async fn around(
    State(core): State<Arc<Core>>,
    mut request: Request<axum::body::Body>,
    next: Next,
) -> Response<axum::body::Body> {
    let origin = origin(&core, &request);
    let address = origin.address;
    // The layer that checks tokens of REST calls counts by it.
    let client = TcpConnectInfo { local_addr: None, remote_addr: Some(SocketAddr::new(address, 0)) };
    request.extensions_mut().insert(client);
    request.extensions_mut().insert(origin);
    // The query is left out: it may hold a token.
    let span = tracing::info_span!(
        "request",
        http.request.method = %request.method(),
        url.path = %loggable(request.uri().path()),
        client.address = %address,
    );
    patchbay_chassis::adopt(&span, request.headers());
    let mut event = Event { span: span.clone(), begun: Instant::now(), status: None };
    let answer = AssertUnwindSafe(next.run(request)).catch_unwind().instrument(span).await;
    let mut response = answer.unwrap_or_else(|_| panicked(&core).into_response());
    event.status = Some(response.status());
    let headers = response.headers_mut();
    headers.entry(header::CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store"));
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.insert(header::REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
    response
}

fn origin(core: &Core, request: &Request<axum::body::Body>) -> Origin {
    let peer =
        request.extensions().get::<Connection>().map_or(Ipv4Addr::UNSPECIFIED.into(), |at| at.peer.ip());
    let trusted = &core.config.listen.trusted_proxies;
    let authority = request.uri().authority().map(http::uri::Authority::as_str);
    Origin {
        address: forwarded::client(trusted, peer, request.headers()),
        host: forwarded::host(trusted, peer, request.headers(), authority).map(Arc::from),
        way: if forwarded::is_trusted(trusted, peer) { Way::Proxy } else { Way::Direct },
    }
}

/// A path as it may be logged: the end of a WHEP session's path is the right to change and end the session, and stays its viewer's own.
fn loggable(path: &str) -> Cow<'_, str> {
    let session = path.strip_prefix("/whep/").and_then(|rest| rest.split_once('/'));
    let Some((camera, session)) = session else { return path.into() };
    let viewer = session.rsplit_once('.').and_then(|(viewer, _)| ViewerId::parse(viewer));
    let viewer = viewer.as_ref().map_or("", ViewerId::as_str);
    format!("/whep/{camera}/{viewer}.***").into()
}

fn panicked(core: &Core) -> Problem {
    let id = core.context.ids.random_hex(16);
    tracing::error!(error_id = id, "a request panicked");
    Problem::new(StatusCode::INTERNAL_SERVER_ERROR, "INTERNAL", format!("internal error, id {id}"))
}

/// Logs the request when it is over, however it ends.
struct Event {
    span: Span,
    begun: Instant,
    /// `None` when the client went away first.
    status: Option<StatusCode>,
}

impl Drop for Event {
    fn drop(&mut self) {
        let _inside = self.span.enter();
        let duration_ms = u64::try_from(self.begun.elapsed().as_millis()).unwrap_or(u64::MAX);
        // 499 is what proxies log for a client that did not wait.
        let status = self.status.map_or(499, |status| status.as_u16());
        tracing::info!(http.response.status_code = status, duration_ms, "request ended");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_only_the_viewer_knows_of_a_session_is_not_logged() {
        let (viewer, secret) = (format!("relay-1.{}", "a".repeat(32)), "b".repeat(32));
        let path = format!("/whep/test/{viewer}.{secret}");
        assert_eq!(loggable(&path), format!("/whep/test/{viewer}.***"));
        for hidden in [
            path.replace(&format!(".{secret}"), &format!("%2E{secret}")),
            format!("/whep/test/{secret}"),
            format!("{path}/x"),
        ] {
            assert!(!loggable(&hidden).contains(&secret), "{hidden}");
        }
        for plain in ["/", "/whep/test", "/snapshot/test.jpg", "/v1/viewers/a.b", "/whep"] {
            assert_eq!(loggable(plain), plain);
        }
    }
}
