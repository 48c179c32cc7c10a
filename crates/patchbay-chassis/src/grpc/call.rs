//! What happens around every call: a span, a deadline, a panic turned into INTERNAL, and one wide event at its end.

use crate::{error::log_internal, tasks::panic_message};
use futures_util::{FutureExt, future::BoxFuture};
use http::{HeaderMap, HeaderValue, Request, Response};
use hyper::body::{Body as HttpBody, Bytes, Frame, SizeHint};
use std::{
    any::Any,
    collections::HashMap,
    convert::Infallible,
    net::SocketAddr,
    panic::{AssertUnwindSafe, catch_unwind},
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};
use tokio::time::Instant;
use tonic::{Code, Status, body::Body, transport::server::TcpConnectInfo};
use tonic_types::{ErrorDetails, StatusExt};
use tower::{Layer, Service};
use tracing::{Instrument, Span};

/// Time for a call to answer, or a stream to begin, when the caller asks for no less.
const DEADLINE: Duration = Duration::from_secs(30);

/// Makes [`Call`]s; stands outside authentication and inside grpc-web.
#[derive(Clone)]
pub(super) struct CallLayer {
    domain: &'static str,
}

impl CallLayer {
    /// `domain` is that of the errors' `ErrorInfo`.
    pub(super) fn new(domain: &'static str) -> Self {
        Self { domain }
    }
}

impl<S> Layer<S> for CallLayer {
    type Service = Call<S>;

    fn layer(&self, inner: S) -> Call<S> {
        Call { inner, domain: self.domain }
    }
}

/// See [`CallLayer`].
#[derive(Clone)]
pub(super) struct Call<S> {
    inner: S,
    domain: &'static str,
}

impl<S> Service<Request<Body>> for Call<S>
where
    S: Service<Request<Body>, Response = Response<Body>, Error = Infallible> + Clone + Send + 'static,
    S::Future: Send,
{
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = BoxFuture<'static, Result<Response<Body>, Infallible>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        let clone = self.inner.clone();
        let mut ready = std::mem::replace(&mut self.inner, clone);
        let domain = self.domain;
        let span = span(&request);
        let event =
            Event { span: span.clone(), begun: Instant::now(), quiet: is_health(&request), code: None };
        let deadline = deadline(request.headers());
        let answer = async move {
            let guarded = AssertUnwindSafe(async move { ready.call(request).await }).catch_unwind();
            let response = match tokio::time::timeout(deadline, guarded).await {
                Ok(Ok(Ok(response))) => response,
                Ok(Ok(Err(never))) => match never {},
                Ok(Err(panic)) => panicked(&*panic, domain).into_http(),
                Err(_) => too_late(domain).into_http(),
            };
            let mut event = event;
            event.note(response.headers());
            Ok(response.map(|body| Body::new(Watched { body, event, domain })))
        };
        answer.instrument(span).boxed()
    }
}

fn span(request: &Request<Body>) -> Span {
    let client = request.extensions().get::<TcpConnectInfo>().and_then(TcpConnectInfo::remote_addr);
    let span = tracing::info_span!(
        "rpc",
        rpc.system = "grpc",
        rpc.method = request.uri().path(),
        client.address = client.as_ref().map(SocketAddr::to_string),
        enduser.id = tracing::field::Empty,
    );
    super::trace::adopt(&span, request.headers());
    span
}

fn is_health(request: &Request<Body>) -> bool {
    request.uri().path().starts_with("/grpc.health.")
}

/// The caller's `grpc-timeout` where it is shorter than ours: up to eight digits and a unit.
fn deadline(headers: &HeaderMap) -> Duration {
    let asked = headers.get("grpc-timeout").and_then(|value| value.to_str().ok()).and_then(|text| {
        let (digits, unit) = text.split_at_checked(text.len().checked_sub(1)?)?;
        let count: u64 = digits.parse().ok().filter(|_| digits.len() <= 8)?;
        match unit {
            "H" => Some(Duration::from_secs(count * 3600)),
            "M" => Some(Duration::from_secs(count * 60)),
            "S" => Some(Duration::from_secs(count)),
            "m" => Some(Duration::from_millis(count)),
            "u" => Some(Duration::from_micros(count)),
            "n" => Some(Duration::from_nanos(count)),
            _ => None,
        }
    });
    asked.map_or(DEADLINE, |asked| asked.min(DEADLINE))
}

fn panicked(panic: &(dyn Any + Send), domain: &str) -> Status {
    let message = log_internal(domain, &format!("panic: {}", panic_message(panic)));
    refusal(Code::Internal, "INTERNAL", message, domain)
}

fn too_late(domain: &str) -> Status {
    refusal(Code::DeadlineExceeded, "DEADLINE_EXCEEDED", "the call took too long".to_owned(), domain)
}

fn refusal(code: Code, reason: &str, message: String, domain: &str) -> Status {
    let details = ErrorDetails::with_error_info(reason, domain, HashMap::<String, String>::new());
    Status::with_error_details(code, message, details)
}

/// Logs the call when it is over, however it ends.
struct Event {
    span: Span,
    begun: Instant,
    quiet: bool,
    /// What was told in the trailers, or in the headers when there was no message.
    code: Option<Code>,
}

impl Event {
    fn note(&mut self, headers: &HeaderMap) {
        if let Some(code) = headers.get("grpc-status") {
            self.code = Some(Code::from_bytes(code.as_bytes()));
        }
    }
}

impl Drop for Event {
    fn drop(&mut self) {
        let _inside = self.span.enter();
        let duration_ms = u64::try_from(self.begun.elapsed().as_millis()).unwrap_or(u64::MAX);
        // No status was sent: the caller went away.
        let code = self.code.unwrap_or(Code::Cancelled);
        if self.quiet {
            tracing::debug!(rpc.grpc.status_code = ?code, duration_ms, "call ended");
        } else {
            tracing::info!(rpc.grpc.status_code = ?code, duration_ms, "call ended");
        }
    }
}

/// A response's body that reads the status as it passes and survives a panic in a stream.
struct Watched {
    body: Body,
    event: Event,
    domain: &'static str,
}

impl HttpBody for Watched {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        let Self { body, event, domain } = self.get_mut();
        let polled = catch_unwind(AssertUnwindSafe(|| {
            let _inside = event.span.enter();
            Pin::new(&mut *body).poll_frame(cx)
        }));
        let polled = polled.unwrap_or_else(|panic| {
            *body = Body::empty();
            Poll::Ready(Some(Ok(Frame::trailers(trailers(&panicked(&*panic, domain))))))
        });
        if let Poll::Ready(Some(Ok(frame))) = &polled
            && let Some(trailers) = frame.trailers_ref()
        {
            event.note(trailers);
        }
        polled
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

fn trailers(status: &Status) -> HeaderMap {
    let mut headers = HeaderMap::new();
    if status.add_header(&mut headers).is_err() {
        headers.insert("grpc-status", HeaderValue::from_static("13"));
    }
    headers
}

#[cfg(test)]
mod tests {
    use super::{DEADLINE, deadline};
    use http::HeaderMap;
    use std::time::Duration;

    #[test]
    fn the_shorter_deadline_holds() {
        let check = |text: &str, expected: Duration| {
            let headers = HeaderMap::from_iter([(
                http::HeaderName::from_static("grpc-timeout"),
                text.parse().unwrap(),
            )]);
            assert_eq!(deadline(&headers), expected, "{text}");
        };
        check("100m", Duration::from_millis(100));
        check("5S", Duration::from_secs(5));
        for odd in ["", "S", "1H", "99999999999S", "-1S", "5x", "ü"] {
            check(odd, DEADLINE);
        }
    }
}
