//! What happens around every call: a span, a deadline, a panic turned into INTERNAL, and one wide event at its end.

use crate::{error::log_internal, tasks::panic_message};
use futures_util::{FutureExt, future::BoxFuture};
use http::{HeaderMap, HeaderValue, Request, Response};
use hyper::body::{Body as HttpBody, Bytes, Frame, SizeHint};
use prost::{DecodeError, Message};
use prost_types::{FileDescriptorSet, MethodDescriptorProto};
use std::{
    any::Any,
    collections::{HashMap, HashSet},
    convert::Infallible,
    net::SocketAddr,
    panic::{AssertUnwindSafe, catch_unwind},
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};
use tokio::time::Instant;
use tonic::{Code, Status, body::Body, transport::server::TcpConnectInfo};
use tonic_types::{ErrorDetails, StatusExt};
use tower::{Layer, Service, layer::layer_fn};
use tracing::{Instrument, Span};

/// Time for a call to answer, or an answered stream to begin, when the caller asks for no less.
const DEADLINE: Duration = Duration::from_secs(30);

/// Makes [`Call`]s; stands outside authentication and inside grpc-web. `domain` is that of the errors' `ErrorInfo`;
/// `descriptors` tell which methods take a stream: those may take as long as they are sent something, and bound that themselves.
pub(super) fn layer<S>(
    domain: &'static str,
    descriptors: &[u8],
) -> Result<impl Layer<S, Service = Call<S>> + Clone + use<S>, DecodeError> {
    let mut streams = HashSet::new();
    for file in FileDescriptorSet::decode(descriptors)?.file {
        for service in &file.service {
            let methods = service.method.iter().filter(|method| method.client_streaming());
            let path = |method: &MethodDescriptorProto| {
                format!("/{}.{}/{}", file.package(), service.name(), method.name())
            };
            streams.extend(methods.map(path));
        }
    }
    let streams = Arc::new(streams);
    Ok(layer_fn(move |inner| Call { inner, domain, streams: Arc::clone(&streams) }))
}

/// See [`layer`].
#[derive(Clone)]
pub(super) struct Call<S> {
    inner: S,
    domain: &'static str,
    /// Paths of the methods that take a stream.
    streams: Arc<HashSet<String>>,
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
        let path = request.uri().path();
        let quiet = path.starts_with("/grpc.health.");
        let event = Event { span: span.clone(), begun: Instant::now(), quiet, code: None };
        let longest = if self.streams.contains(path) { Duration::MAX } else { DEADLINE };
        let deadline = deadline(request.headers(), longest);
        let answer = async move {
            let guarded = AssertUnwindSafe(async move { ready.call(request).await }).catch_unwind();
            let response = match tokio::time::timeout(deadline, guarded).await {
                Ok(Ok(Ok(response))) => response,
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

/// The caller's time where it is shorter than ours.
fn deadline(headers: &HeaderMap, longest: Duration) -> Duration {
    grpc_timeout(headers).map_or(longest, |asked| asked.min(longest))
}

/// The time that a caller gives: `grpc-timeout`, up to eight digits and a unit. What cannot be read is as if it were not there.
pub fn grpc_timeout(headers: &HeaderMap) -> Option<Duration> {
    let text = headers.get("grpc-timeout")?.to_str().ok()?;
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
    use super::*;
    use tower::{ServiceExt, service_fn};

    const LONG: &str = "/patchbay.crypto.v1.Hash/DigestStream";
    const SHORT: &str = "/patchbay.crypto.v1.Hash/Digest";

    #[test]
    fn the_shorter_deadline_holds() {
        let check = |text: &str, longest: Duration, expected: Duration| {
            let headers = HeaderMap::from_iter([(
                http::HeaderName::from_static("grpc-timeout"),
                text.parse().unwrap(),
            )]);
            assert_eq!(deadline(&headers, longest), expected, "{text}");
        };
        check("100m", DEADLINE, Duration::from_millis(100));
        check("5S", DEADLINE, Duration::from_secs(5));
        check("99999999H", Duration::MAX, Duration::from_hours(99_999_999));
        for odd in ["", "S", "1H", "99999999999S", "-1S", "5x", "ü"] {
            check(odd, DEADLINE, DEADLINE);
        }
    }

    /// Calls a method that answers after a time.
    async fn answered(path: &str, after: Duration, timeout: Option<&'static str>) -> Option<Code> {
        let slow = service_fn(move |_: Request<Body>| async move {
            tokio::time::sleep(after).await;
            Ok::<_, Infallible>(Status::ok("").into_http::<Body>())
        });
        let service = layer("test.patchbay", patchbay_proto::DESCRIPTOR_SET).unwrap().layer(slow);
        let mut request = Request::builder().uri(path);
        if let Some(timeout) = timeout {
            request = request.header("grpc-timeout", timeout);
        }
        let response = service.oneshot(request.body(Body::empty()).unwrap()).await.unwrap();
        Some(Code::from_bytes(response.headers().get("grpc-status")?.as_bytes()))
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_sent_as_a_stream_may_take_as_long_as_it_comes() {
        let hour = Duration::from_hours(1);
        assert_eq!(answered(SHORT, hour, None).await, Some(Code::DeadlineExceeded));
        assert_eq!(answered(SHORT, hour, Some("2H")).await, Some(Code::DeadlineExceeded));
        assert_eq!(answered(LONG, hour, None).await, Some(Code::Ok));
        assert_eq!(answered(LONG, hour, Some("2H")).await, Some(Code::Ok));
        assert_eq!(answered(LONG, hour, Some("59M")).await, Some(Code::DeadlineExceeded));
        let answers_a_stream = "/patchbay.crypto.v1.Admin/Backup";
        assert_eq!(answered(answers_a_stream, hour, None).await, Some(Code::DeadlineExceeded));
        assert_eq!(answered("/patchbay.crypto.v1.Admin/Restore", hour, None).await, Some(Code::Ok));
    }
}
