//! The digest of a body of any size, read as it comes.

use super::body;
use axum::{Json, Router, body::Body, extract::State, response::IntoResponse, routing};
use base64::{Engine, engine::general_purpose::STANDARD};
use bytes::Bytes;
use futures_util::{Stream, StreamExt, stream};
use http::{Request, Response};
use patchbay_proto::crypto::v1::{
    DigestAlgorithm, DigestStreamRequest, DigestStreamResponse, hash_client::HashClient,
};
use patchbay_transcode::{Calls, Limits, Problem, headers_to_pass};
use serde_json::{Value, json};
use std::{sync::Arc, time::Duration};
use tonic::metadata::MetadataMap;

struct Place {
    calls: Calls,
    idle: Duration,
}

/// `POST /v1/digest/stream?algorithm=sha2-256`.
pub(super) fn router(calls: Calls, limits: Limits) -> Router {
    let place = Arc::new(Place { calls, idle: limits.arrival });
    Router::new().route("/v1/digest/stream", routing::any(answer)).with_state(place)
}

async fn answer(State(place): State<Arc<Place>>, request: Request<Body>) -> Response<Body> {
    if request.method() != http::Method::POST {
        return Problem::no_such_method("POST".to_owned()).into_response();
    }
    place.digest(request).await.unwrap_or_else(IntoResponse::into_response)
}

impl Place {
    async fn digest(&self, request: Request<Body>) -> Result<Response<Body>, Problem> {
        let (parts, body) = request.into_parts();
        let wish = Wish::parse(parts.uri.query().unwrap_or_default())?;
        let (chunks, mut breaks) = body::pieces(body, self.idle);
        let messages = wish.messages(chunks);
        let metadata = MetadataMap::from_headers(headers_to_pass(&parts.headers));
        let request = tonic::Request::from_parts(metadata, parts.extensions, messages);
        let mut client = HashClient::new(self.calls.clone());
        // Cancel-safe: whichever ends first, the other is given up. A body that breaks off must not look like one that has ended.
        let answer = tokio::select! {
            answer = client.digest_stream(request) => answer.map_err(|status| Problem::from(&status))?,
            problem = breaks.next() => return Err(problem),
        };
        Ok(Json(to_json(&answer.into_inner())).into_response())
    }
}

/// What the query asks for.
#[derive(Debug, PartialEq, Eq)]
struct Wish {
    algorithms: Vec<i32>,
    allow_unsafe: bool,
}

impl Wish {
    fn parse(query: &str) -> Result<Self, Problem> {
        let mut wish = Self { algorithms: Vec::new(), allow_unsafe: false };
        for (name, value) in form_urlencoded::parse(query.as_bytes()) {
            match &*name {
                "algorithm" | "algorithms" => wish.algorithms.push(algorithm(&value)?),
                "allow_unsafe" => {
                    let problem = || Problem::field("allow_unsafe", "must be true or false");
                    wish.allow_unsafe = value.parse().map_err(|_| problem())?;
                }
                other => return Err(Problem::field(other, "is not a parameter of this path")),
            }
        }
        Ok(wish)
    }

    fn messages(
        self,
        chunks: impl Stream<Item = Bytes> + Send + 'static,
    ) -> impl Stream<Item = DigestStreamRequest> + Send + 'static {
        let first = DigestStreamRequest {
            algorithms: self.algorithms,
            allow_unsafe: self.allow_unsafe,
            chunk: Bytes::new(),
        };
        let rest = chunks.map(|chunk| DigestStreamRequest { chunk, ..Default::default() });
        stream::iter([first]).chain(rest)
    }
}

/// An algorithm by the name of the interface, or as short as `sha256`, `sha2-256` or `blake2b`.
fn algorithm(word: &str) -> Result<i32, Problem> {
    let name = word.to_ascii_uppercase().replace('-', "_");
    let name = match name.as_str() {
        "SHA224" | "SHA256" | "SHA384" | "SHA512" => name.replace("SHA", "SHA2_"),
        "SHA_1" => "SHA1".to_owned(),
        "BLAKE2B" => "BLAKE2B_512".to_owned(),
        "BLAKE2S" => "BLAKE2S_256".to_owned(),
        _ => name,
    };
    let whole = DigestAlgorithm::from_str_name(&name);
    let known = whole.or_else(|| DigestAlgorithm::from_str_name(&format!("DIGEST_ALGORITHM_{name}")));
    known.map(i32::from).ok_or_else(|| {
        Problem::field("algorithm", "must be one such as sha2-256, sha3-512, blake2b-512 or md5")
    })
}

/// As the other doors write it.
fn to_json(answer: &DigestStreamResponse) -> Value {
    let digests: Vec<Value> = answer
        .digests
        .iter()
        .map(|digest| {
            json!({
                "digest": STANDARD.encode(&digest.digest), "hex": digest.hex, "is_unsafe": digest.is_unsafe
            })
        })
        .collect();
    json!({ "digests": digests, "size": answer.size.to_string() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_names_of_algorithms() {
        for (word, expected) in [
            ("sha2-256", DigestAlgorithm::Sha2256),
            ("sha256", DigestAlgorithm::Sha2256),
            ("SHA512", DigestAlgorithm::Sha2512),
            ("sha3-384", DigestAlgorithm::Sha3384),
            ("blake2b", DigestAlgorithm::Blake2b512),
            ("md5", DigestAlgorithm::Md5),
            ("DIGEST_ALGORITHM_SHA1", DigestAlgorithm::Sha1),
        ] {
            assert_eq!(algorithm(word).unwrap(), i32::from(expected), "{word}");
        }
        assert_eq!(algorithm("sha4").unwrap_err().violations[0].0, "algorithm");
        assert!(Wish::parse("algoritm=md5").is_err() && Wish::parse("allow_unsafe=2").is_err());
    }
}
