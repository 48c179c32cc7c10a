//! The table of doors and the router made of it.

use crate::{
    Calls, Problem,
    call::{self, Deadline},
    message::{self, Builder, MessageError},
};
use axum::{
    Router,
    body::Body,
    extract::{RawPathParams, Request, State},
    response::{IntoResponse, Response},
    routing,
};
use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Method, StatusCode, header, uri::PathAndQuery};
use http_body_util::{BodyExt, LengthLimitError, Limited};
use prost::Message;
use prost_reflect::{DescriptorPool, DynamicMessage, MessageDescriptor};
use std::{collections::BTreeMap, sync::Arc, time::Duration};
use tonic::Status;

/// Bounds on a request.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Bytes of a body.
    pub body: usize,
    /// Time for a body to arrive.
    pub arrival: Duration,
    /// Time for a call, when the caller asks for no less with `grpc-timeout`.
    pub call: Duration,
}

/// Why a table of doors cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum DoorError {
    /// The descriptors cannot be read.
    #[error("the descriptor set cannot be read")]
    Descriptors(#[from] prost_reflect::DescriptorError),
    /// A method is not in the descriptors.
    #[error("{0} is not a method of the descriptor set")]
    NoSuchMethod(String),
    /// A method streams.
    #[error("{0} is not unary")]
    Streams(String),
    /// A verb is no HTTP method.
    #[error("{0} is not an HTTP method")]
    Verb(String),
    /// Two methods have one door.
    #[error("{0} {1} is there twice")]
    Twice(String, String),
    /// Two paths differ in nothing but the names of their fields, so that no request could tell them apart.
    #[error("{0} and {1} are the same path with other names of fields")]
    SamePlace(String, String),
}

/// Makes a router of doors.
pub struct Transcoder {
    pool: DescriptorPool,
    calls: Calls,
    limits: Limits,
    paths: BTreeMap<String, Vec<Door>>,
}

impl Transcoder {
    /// Begins without doors. `descriptors` is an encoded `FileDescriptorSet`.
    pub fn new(descriptors: &[u8], calls: Calls, limits: Limits) -> Result<Self, DoorError> {
        Ok(Self { pool: DescriptorPool::decode(descriptors)?, calls, limits, paths: BTreeMap::new() })
    }

    /// Adds a door. In `path`, `{field}` is a field of the request message; `rpc` is `/<package>.<Service>/<Method>`.
    pub fn door(mut self, verb: &str, path: &str, rpc: &'static str) -> Result<Self, DoorError> {
        let unknown = || DoorError::NoSuchMethod(rpc.to_owned());
        let (service, method) = rpc.trim_start_matches('/').split_once('/').ok_or_else(unknown)?;
        let service = self.pool.get_service_by_name(service).ok_or_else(unknown)?;
        let method = service.methods().find(|known| known.name() == method).ok_or_else(unknown)?;
        if method.is_client_streaming() || method.is_server_streaming() {
            return Err(DoorError::Streams(rpc.to_owned()));
        }
        let verb: Method = verb.parse().map_err(|_| DoorError::Verb(verb.to_owned()))?;
        let same = |known: &&String| known.as_str() != path && shape(known) == shape(path);
        if let Some(known) = self.paths.keys().find(same) {
            return Err(DoorError::SamePlace(known.clone(), path.to_owned()));
        }
        let doors = self.paths.entry(path.to_owned()).or_default();
        if doors.iter().any(|door| door.verb == verb) {
            return Err(DoorError::Twice(verb.to_string(), path.to_owned()));
        }
        let (input, output) = (method.input(), method.output());
        doors.push(Door { verb, rpc: PathAndQuery::from_static(rpc), input, output });
        Ok(self)
    }

    /// The router; paths that it does not have are answered with a JSON error.
    pub fn into_router(self) -> Router {
        let (calls, limits) = (self.calls, self.limits);
        let router = self.paths.into_iter().fold(Router::new(), |router, (path, doors)| {
            let place = Arc::new(Place { calls: calls.clone(), limits, doors });
            router.route(&path, routing::any(answer).with_state(place))
        });
        router.fallback(|| async { Problem::no_such_path() })
    }
}

/// A path without the names of its fields.
fn shape(path: &str) -> Vec<&str> {
    path.split('/').map(|segment| if segment.starts_with('{') { "{}" } else { segment }).collect()
}

/// One method of one path.
struct Door {
    verb: Method,
    rpc: PathAndQuery,
    input: MessageDescriptor,
    output: MessageDescriptor,
}

/// One path.
struct Place {
    calls: Calls,
    limits: Limits,
    doors: Vec<Door>,
}

async fn answer(State(place): State<Arc<Place>>, parameters: RawPathParams, request: Request) -> Response {
    place.answer(&parameters, request).await.unwrap_or_else(IntoResponse::into_response)
}

impl Place {
    async fn answer(&self, parameters: &RawPathParams, request: Request) -> Result<Response, Problem> {
        let door = self.door(request.method())?;
        let (parts, body) = request.into_parts();
        let body = self.read(&parts.headers, body).await?;
        let query = parts.uri.query().unwrap_or_default();
        let message = build(door, parameters, query, &body).map_err(|error| refusal(&error))?;
        let deadline = Deadline::of(&parts.headers, self.limits.call);
        let headers = call::headers_to_pass(&parts.headers);
        let encoded = message.encode_to_vec().into();
        let call = call::unary(self.calls.clone(), door.rpc.clone(), encoded, headers, parts.extensions);
        let answer = deadline.limit(call).await.map_err(|status| Problem::from(&status))?;
        json(door, answer).map_err(|status| Problem::from(&status))
    }

    fn door(&self, verb: &Method) -> Result<&Door, Problem> {
        let allow = || self.doors.iter().map(|door| door.verb.as_str()).collect::<Vec<_>>().join(", ");
        self.doors.iter().find(|door| door.verb == *verb).ok_or_else(|| Problem::no_such_method(allow()))
    }

    async fn read(&self, headers: &HeaderMap, body: Body) -> Result<Bytes, Problem> {
        let limited = Limited::new(body, self.limits.body).collect();
        let read =
            tokio::time::timeout(self.limits.arrival, limited).await.map_err(|_| Problem::too_slow())?;
        let body = read.map_err(|error| {
            if error.is::<LengthLimitError>() {
                return Problem::too_large(self.limits.body);
            }
            Problem::new(StatusCode::BAD_REQUEST, "BAD_REQUEST", "the body broke off")
        })?;
        let body = body.to_bytes();
        if !body.is_empty() && !is_json(headers) {
            let message = "the body must be JSON: set `content-type: application/json`";
            return Err(Problem::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, "NOT_JSON", message));
        }
        Ok(body)
    }
}

fn is_json(headers: &HeaderMap) -> bool {
    let kind = headers.get(header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or_default();
    kind.split(';').next().unwrap_or_default().trim().eq_ignore_ascii_case("application/json")
}

fn build(
    door: &Door,
    parameters: &RawPathParams,
    query: &str,
    body: &[u8],
) -> Result<DynamicMessage, MessageError> {
    let mut builder = Builder::new(door.input.clone(), body)?;
    for (field, text) in parameters {
        builder.set(field, text)?;
    }
    for (field, text) in form_urlencoded::parse(query.as_bytes()) {
        builder.set(&field, &text)?;
    }
    builder.finish()
}

fn refusal(error: &MessageError) -> Problem {
    match error {
        MessageError::UnknownField(field) => Problem::field(field, "is not a field of this request"),
        MessageError::GivenTwice(field) => Problem::field(field, "is given twice"),
        MessageError::Value { field, problem } => Problem::field(field, problem),
        other => Problem::new(StatusCode::BAD_REQUEST, "BAD_REQUEST", other.to_string()),
    }
}

fn json(door: &Door, answer: Bytes) -> Result<Response, Status> {
    let unreadable = || Status::internal("the answer cannot be written as JSON");
    let message = DynamicMessage::decode(door.output.clone(), answer).map_err(|_| unreadable())?;
    let json = message::to_json(&message).map_err(|_| unreadable())?;
    let kind = HeaderValue::from_static("application/json");
    Ok(([(header::CONTENT_TYPE, kind)], json).into_response())
}

#[cfg(test)]
#[path = "doors_tests.rs"]
mod tests;
