//! The public keys with which tokens are verified (RFC 7517), where other software looks for them.

use axum::{
    Router,
    body::Body,
    extract::State,
    response::{IntoResponse, Response},
    routing,
};
use http::{HeaderValue, Method, Request, header};
use patchbay_proto::crypto::v1::{GetKeySetRequest, tokens_client::TokensClient};
use patchbay_transcode::{Calls, Deadline, Limits, Problem, headers_to_pass};
use std::sync::Arc;
use tonic::metadata::MetadataMap;

struct Place {
    calls: Calls,
    limits: Limits,
}

/// `GET /.well-known/jwks.json`, for pages of any origin.
pub(super) fn router(calls: Calls, limits: Limits) -> Router {
    let place = Arc::new(Place { calls, limits });
    Router::new().route("/.well-known/jwks.json", routing::any(answer)).with_state(place)
}

async fn answer(State(place): State<Arc<Place>>, request: Request<Body>) -> Response {
    if request.method() != Method::GET {
        return Problem::no_such_method("GET".to_owned()).into_response();
    }
    match place.key_set(request).await {
        Ok(jwks) => with_headers(jwks),
        Err(problem) => problem.into_response(),
    }
}

impl Place {
    async fn key_set(&self, request: Request<Body>) -> Result<String, Problem> {
        let (parts, _) = request.into_parts();
        let metadata = MetadataMap::from_headers(headers_to_pass(&parts.headers));
        let asked = tonic::Request::from_parts(metadata, parts.extensions, GetKeySetRequest {});
        let mut client = TokensClient::new(self.calls.clone());
        let deadline = Deadline::of(&parts.headers, self.limits.call);
        let answer = deadline.limit(client.get_key_set(asked)).await;
        answer.map(|answer| answer.into_inner().jwks_json).map_err(|status| Problem::from(&status))
    }
}

fn with_headers(jwks: String) -> Response {
    let headers = [
        (header::CONTENT_TYPE, HeaderValue::from_static("application/json")),
        (header::CACHE_CONTROL, HeaderValue::from_static("public, max-age=60")),
        (header::ACCESS_CONTROL_ALLOW_ORIGIN, HeaderValue::from_static("*")),
    ];
    (headers, jwks).into_response()
}
