//! Messages of any size as plain octets: the body goes in, and what becomes of it comes out while it is on its way. A client that does not read while it sends
//! is cut off when the system's buffers are full, as any that does not take its answer is.

use super::body::{self, Breaks};
use axum::{
    Router,
    body::Body,
    extract::{Path, State, rejection::PathRejection},
    response::IntoResponse,
    routing,
};
use base64::{
    Engine, alphabet,
    engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig},
};
use bytes::Bytes;
use futures_util::{Stream, StreamExt, stream};
use http::{HeaderValue, Method, Request, Response, StatusCode, Version, header};
use patchbay_proto::crypto::v1::{self as pb, streams_client::StreamsClient};
use patchbay_transcode::{Calls, Limits, Problem, headers_to_pass};
use std::{io, sync::Arc, time::Duration};
use tonic::{Status, Streaming, metadata::MetadataMap};

/// Header of an answer: the version of the key.
const KEY_VERSION: &str = "patchbay-key-version";

/// Base64 for a query, with or without padding.
const URL_SAFE: GeneralPurpose = GeneralPurpose::new(
    &alphabet::URL_SAFE,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

#[derive(Clone)]
struct Place {
    calls: Calls,
    idle: Duration,
}

/// `POST /v1/keys/{key}/encrypt-stream` and `POST /v1/keys/{key}/decrypt-stream`.
pub(super) fn router(calls: &Calls, limits: Limits) -> Router {
    let place = Arc::new(Place { calls: calls.clone(), idle: limits.arrival });
    Router::new()
        .route("/v1/keys/{name}/encrypt-stream", routing::any(encrypt))
        .route("/v1/keys/{name}/decrypt-stream", routing::any(decrypt))
        .with_state(place)
}

async fn encrypt(State(place): State<Arc<Place>>, key: Named, request: Request<Body>) -> Response<Body> {
    place.encrypt(key, request).await.unwrap_or_else(IntoResponse::into_response)
}

async fn decrypt(State(place): State<Arc<Place>>, key: Named, request: Request<Body>) -> Response<Body> {
    place.decrypt(key, request).await.unwrap_or_else(IntoResponse::into_response)
}

impl Place {
    async fn encrypt(&self, key: Named, request: Request<Body>) -> Result<Response<Body>, Problem> {
        let key = name(key)?;
        let wish = Wish::parse(&request, &["associated_data", "key_version"])?;
        let first = pb::EncryptStreamRequest {
            key,
            associated_data: wish.associated_data,
            key_version: wish.key_version,
            chunk: Bytes::new(),
        };
        let (chunks, mut breaks, asked) = self.taken_apart(request);
        let messages = chunks.map(|chunk| pb::EncryptStreamRequest { chunk, ..Default::default() });
        let asked = asked.map(|()| stream::iter([first]).chain(messages));
        let mut client = StreamsClient::new(self.calls.clone());
        let answers = unless_broken(&mut breaks, client.encrypt_stream(asked)).await?.into_inner();
        answered(answers, breaks, |answer| (answer.chunk, answer.key_version)).await
    }

    async fn decrypt(&self, key: Named, request: Request<Body>) -> Result<Response<Body>, Problem> {
        let key = name(key)?;
        let wish = Wish::parse(&request, &["associated_data", "offset", "length"])?;
        let range = wish.range();
        let first = pb::DecryptStreamRequest {
            key,
            associated_data: wish.associated_data,
            range,
            chunk: Bytes::new(),
        };
        let (chunks, mut breaks, asked) = self.taken_apart(request);
        let messages = chunks.map(|chunk| pb::DecryptStreamRequest { chunk, ..Default::default() });
        let asked = asked.map(|()| stream::iter([first]).chain(messages));
        let mut client = StreamsClient::new(self.calls.clone());
        let answers = unless_broken(&mut breaks, client.decrypt_stream(asked)).await?.into_inner();
        answered(answers, breaks, |answer| (answer.chunk, answer.key_version)).await
    }

    /// The body in pieces, and the rest of the request as of a call.
    fn taken_apart(
        &self,
        request: Request<Body>,
    ) -> (impl Stream<Item = Bytes> + Send + 'static, Breaks, tonic::Request<()>) {
        let (parts, body) = request.into_parts();
        let (chunks, breaks) = body::pieces(body, self.idle);
        let metadata = MetadataMap::from_headers(headers_to_pass(&parts.headers));
        (chunks, breaks, tonic::Request::from_parts(metadata, parts.extensions, ()))
    }
}

/// A key as the path names it.
type Named = Result<Path<String>, PathRejection>;

fn name(key: Named) -> Result<String, Problem> {
    key.map(|Path(name)| name).map_err(|_| Problem::field("key", "must be UTF-8"))
}

/// What the query asks for.
#[derive(Debug, Default, PartialEq, Eq)]
struct Wish {
    associated_data: Bytes,
    key_version: u32,
    offset: Option<u64>,
    length: u64,
}

impl Wish {
    fn parse<T>(request: &Request<T>, known: &[&str]) -> Result<Self, Problem> {
        if request.method() != Method::POST {
            return Err(Problem::no_such_method("POST".to_owned()));
        }
        check_version(request.version())?;
        let mut wish = Self::default();
        for (name, value) in form_urlencoded::parse(request.uri().query().unwrap_or_default().as_bytes()) {
            match &*name {
                _ if !known.contains(&&*name) => {
                    return Err(Problem::field(&name, "is not a parameter of this path"));
                }
                "associated_data" => {
                    let decoded = URL_SAFE.decode(&*value);
                    let problem =
                        || Problem::field("associated_data", "must be Base64 as for a URL (`-` and `_`)");
                    wish.associated_data = decoded.map_err(|_| problem())?.into();
                }
                "key_version" => wish.key_version = number("key_version", &value)?,
                "offset" => wish.offset = Some(number("offset", &value)?),
                _ => wish.length = number("length", &value)?,
            }
        }
        Ok(wish)
    }

    fn range(&self) -> Option<pb::StreamRange> {
        let is_part = self.offset.is_some() || self.length > 0;
        is_part.then(|| pb::StreamRange { offset: self.offset.unwrap_or_default(), length: self.length })
    }
}

/// An answer by HTTP/1.0 ends with its connection, so that one that was broken off looks as one that is whole.
fn check_version(version: Version) -> Result<(), Problem> {
    if version >= Version::HTTP_11 {
        return Ok(());
    }
    let problem = "by HTTP/1.0 nobody can tell a part from the whole: use HTTP/1.1 or later, also between a proxy and this service";
    Err(Problem::new(StatusCode::HTTP_VERSION_NOT_SUPPORTED, "HTTP_VERSION", problem))
}

fn number<T: std::str::FromStr>(field: &str, value: &str) -> Result<T, Problem> {
    value.parse().map_err(|_| Problem::field(field, "must be a whole number that is not negative"))
}

/// What a call has answered. A body that breaks off must not look like one that has ended, so that the call goes on for ever then, and is given up here.
async fn unless_broken<T>(
    breaks: &mut Breaks,
    call: impl Future<Output = Result<T, Status>>,
) -> Result<T, Problem> {
    // Cancel-safe: whichever ends first, the other is given up.
    tokio::select! {
        answer = call => answer.map_err(|status| Problem::from(&status)),
        problem = breaks.next() => Err(problem),
    }
}

/// Answers with what comes. What goes wrong before the first bytes is an error as of any call; afterwards all that can be done is to break the answer off, which every client
/// of HTTP notices.
async fn answered<T: Send + 'static>(
    mut answers: Streaming<T>,
    mut breaks: Breaks,
    taken: impl Fn(T) -> (Bytes, u32) + Send + 'static,
) -> Result<Response<Body>, Problem> {
    let first = unless_broken(&mut breaks, answers.message()).await?;
    let (chunk, version) = first.map(&taken).unwrap_or_default();
    let rest = stream::try_unfold((answers, breaks, taken), |(mut answers, mut breaks, taken)| async move {
        let next = unless_broken(&mut breaks, answers.message()).await;
        let next = next.map_err(|problem| io::Error::other(problem.message))?;
        Ok::<_, io::Error>(next.map(|answer| (taken(answer).0, (answers, breaks, taken))))
    });
    let body = Body::from_stream(stream::iter([Ok(chunk)]).chain(rest));
    let headers = [
        (header::CONTENT_TYPE.as_str(), HeaderValue::from_static("application/octet-stream")),
        (KEY_VERSION, HeaderValue::from(version)),
    ];
    Ok((headers, body).into_response())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wish(query: &str, known: &[&str]) -> Result<Wish, Problem> {
        let request = Request::post(format!("/v1/keys/k/decrypt-stream?{query}")).body(()).unwrap();
        Wish::parse(&request, known)
    }

    #[test]
    fn reads_the_query() {
        let known = ["associated_data", "offset", "length"];
        let found = wish("associated_data=_-8&offset=5&length=7", &known).unwrap();
        assert_eq!(found.associated_data, [0xff, 0xef][..]);
        assert_eq!(found.range(), Some(pb::StreamRange { offset: 5, length: 7 }));
        assert_eq!(wish("associated_data=_-8%3D", &known).unwrap().range(), None);
        for (query, field) in [
            ("associated_data=*", "associated_data"),
            ("offset=-1", "offset"),
            ("length=x", "length"),
            ("key_version=1", "key_version"),
        ] {
            assert_eq!(wish(query, &known).unwrap_err().violations[0].0, field, "{query}");
        }
    }
}
