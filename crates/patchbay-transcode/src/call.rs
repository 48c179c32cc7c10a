//! One unary call in process, as bytes.

use bytes::{Buf, BufMut, Bytes};
use http::{HeaderMap, HeaderName, Request, Response, header, uri::PathAndQuery};
use patchbay_chassis::grpc_timeout;
use std::{convert::Infallible, time::Duration};
use tonic::{
    Status,
    body::Body,
    codec::{Codec, DecodeBuf, Decoder, EncodeBuf, Encoder},
    metadata::MetadataMap,
};
use tower::{Service, util::BoxCloneSyncService};

/// What answers gRPC in this process. Clients that are generated take it in a channel's place.
pub type Calls = BoxCloneSyncService<Request<Body>, Response<Body>, Infallible>;

/// Makes [`Calls`] of a service, such as `tonic::service::Routes` behind the layer that checks tokens.
pub fn calls<S>(service: S) -> Calls
where
    S: Service<Request<Body>, Response = Response<Body>, Error = Infallible> + Clone + Send + Sync + 'static,
    S::Future: Send + 'static,
{
    BoxCloneSyncService::new(service)
}

/// Headers of HTTP that a call keeps: who asks, for which trace, and how long the answer is waited for.
const PASSED: [HeaderName; 4] = [
    header::AUTHORIZATION,
    HeaderName::from_static("traceparent"),
    HeaderName::from_static("tracestate"),
    HeaderName::from_static("grpc-timeout"),
];

/// Takes the headers out that a call keeps. Two of a kind stay two: the layer that checks tokens refuses them.
pub fn headers_to_pass(headers: &HeaderMap) -> HeaderMap {
    let mut passed = HeaderMap::new();
    for name in &PASSED {
        for value in headers.get_all(name) {
            passed.append(name, value.clone());
        }
    }
    passed
}

/// How long a call may take.
#[derive(Clone, Copy, Debug)]
pub struct Deadline(Duration);

impl Deadline {
    /// What `grpc-timeout` asks for, and never more than `most`.
    pub fn of(headers: &HeaderMap, most: Duration) -> Self {
        Self(grpc_timeout(headers).map_or(most, |asked| asked.min(most)))
    }

    /// Waits for a call; one that takes longer is dropped.
    pub async fn limit<T>(self, call: impl Future<Output = Result<T, Status>>) -> Result<T, Status> {
        let late = |_| Err(Status::deadline_exceeded("the call took too long"));
        tokio::time::timeout(self.0, call).await.unwrap_or_else(late)
    }
}

/// Calls a method with an encoded message, and returns the encoded answer.
pub(crate) async fn unary(
    calls: Calls,
    path: PathAndQuery,
    message: Bytes,
    headers: HeaderMap,
    extensions: http::Extensions,
) -> Result<Bytes, Status> {
    let mut client = tonic::client::Grpc::new(calls);
    client.ready().await.map_err(|never| -> Status { match never {} })?;
    let request = tonic::Request::from_parts(MetadataMap::from_headers(headers), extensions, message);
    client.unary(request, path, RawCodec).await.map(tonic::Response::into_inner)
}

/// Messages that are encoded already.
#[derive(Clone, Copy, Debug, Default)]
struct RawCodec;

impl Codec for RawCodec {
    type Encode = Bytes;
    type Decode = Bytes;
    type Encoder = Self;
    type Decoder = Self;

    fn encoder(&mut self) -> Self {
        Self
    }

    fn decoder(&mut self) -> Self {
        Self
    }
}

impl Encoder for RawCodec {
    type Item = Bytes;
    type Error = Status;

    fn encode(&mut self, item: Bytes, buffer: &mut EncodeBuf<'_>) -> Result<(), Status> {
        buffer.put(item);
        Ok(())
    }
}

impl Decoder for RawCodec {
    type Item = Bytes;
    type Error = Status;

    fn decode(&mut self, buffer: &mut DecodeBuf<'_>) -> Result<Option<Bytes>, Status> {
        Ok(Some(buffer.copy_to_bytes(buffer.remaining())))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_shorter_deadline_holds() {
        let check = |text: &str, expected: u64| {
            let headers =
                HeaderMap::from_iter([(HeaderName::from_static("grpc-timeout"), text.parse().unwrap())]);
            assert_eq!(
                Deadline::of(&headers, Duration::from_secs(30)).0,
                Duration::from_millis(expected),
                "{text}"
            );
        };
        check("100m", 100);
        check("5S", 5000);
        for odd in ["", "S", "1H", "999999999S", "-1S", "5x"] {
            check(odd, 30_000);
        }
    }
}
