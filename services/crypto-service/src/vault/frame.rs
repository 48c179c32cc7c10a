//! Answers and errors in Vault's form.

use super::wipe::wipe;
use axum::{
    Json,
    response::{IntoResponse, Response},
};
use http::{StatusCode, header};
use patchbay_auth::TokenError;
use patchbay_chassis::Ids;
use patchbay_transcode::Problem;
use serde::Serialize;
use serde_json::{Map, Value, json};
use std::{fmt, time::Duration};
use tonic::Status;

/// What is told when something was done. It may be a plaintext or a key: it is not shown, and it is wiped.
#[derive(PartialEq, Eq)]
pub(super) struct Answer {
    status: StatusCode,
    data: Option<Value>,
    warnings: Vec<String>,
}

impl Answer {
    /// Data in the usual frame.
    pub(super) fn data(data: Value) -> Self {
        Self { status: StatusCode::OK, data: Some(data), warnings: Vec::new() }
    }

    /// A map of fields in the usual frame.
    pub(super) fn map(data: Map<String, Value>) -> Self {
        Self::data(Value::Object(data))
    }

    /// Nothing to say.
    pub(super) fn empty() -> Self {
        Self { status: StatusCode::NO_CONTENT, data: None, warnings: Vec::new() }
    }

    pub(super) fn with_status(mut self, status: StatusCode) -> Self {
        self.status = status;
        self
    }

    pub(super) fn with_warning(mut self, warning: String) -> Self {
        self.warnings.push(warning);
        self
    }

    pub(super) fn into_response(self, ids: &Ids) -> Response {
        let Some(data) = &self.data else { return self.status.into_response() };
        let frame = Frame {
            request_id: request_id(ids),
            lease_id: "",
            renewable: false,
            lease_duration: 0,
            data,
            wrap_info: (),
            warnings: Some(&*self.warnings).filter(|warnings| !warnings.is_empty()),
            auth: (),
        };
        (self.status, Json(frame)).into_response()
    }
}

impl fmt::Debug for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Answer").field("status", &self.status).finish_non_exhaustive()
    }
}

impl Drop for Answer {
    fn drop(&mut self) {
        self.data.iter_mut().for_each(wipe);
    }
}

/// What stands around all data.
#[derive(Serialize)]
struct Frame<'a> {
    request_id: String,
    lease_id: &'static str,
    renewable: bool,
    lease_duration: u32,
    data: &'a Value,
    wrap_info: (),
    warnings: Option<&'a [String]>,
    auth: (),
}

/// A UUID of version 4 (RFC 9562).
fn request_id(ids: &Ids) -> String {
    let hex = ids.random_hex(30);
    let part = |from: usize, to: usize| hex.get(from..to).unwrap_or_default();
    format!("{}-{}-4{}-8{}-{}", part(0, 8), part(8, 12), part(12, 15), part(15, 18), part(18, 30))
}

/// What is told when something was not done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Refusal {
    status: StatusCode,
    errors: Vec<String>,
    retry_after: Option<Duration>,
}

impl Refusal {
    fn new(status: StatusCode, errors: Vec<String>) -> Self {
        Self { status, errors, retry_after: None }
    }

    /// The request is wrong.
    pub(super) fn bad(message: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, vec![message.into()])
    }

    /// What is read is not there; Vault says nothing more.
    pub(super) fn absent() -> Self {
        Self::new(StatusCode::NOT_FOUND, Vec::new())
    }

    /// There is no such path.
    pub(super) fn no_route(path: &[&str]) -> Self {
        let message = format!("no handler for route \"transit/{}\". route entry not found.", path.join("/"));
        Self::new(StatusCode::NOT_FOUND, vec![message])
    }

    /// The path is there, but not for this method.
    pub(super) fn unsupported() -> Self {
        Self::new(StatusCode::METHOD_NOT_ALLOWED, vec!["unsupported operation".to_owned()])
    }

    /// Vault has it, this service has not.
    pub(super) fn not_offered(message: &str) -> Self {
        Self::new(StatusCode::NOT_IMPLEMENTED, vec![message.to_owned()])
    }

    /// An item of a batch, or the only one.
    pub(super) fn of_item(reason: &str, message: &str) -> Self {
        let status = match reason {
            "PERMISSION_DENIED" => StatusCode::FORBIDDEN,
            "BUSY" => StatusCode::TOO_MANY_REQUESTS,
            "UNAVAILABLE" => StatusCode::SERVICE_UNAVAILABLE,
            "INTERNAL" => StatusCode::INTERNAL_SERVER_ERROR,
            _ => StatusCode::BAD_REQUEST,
        };
        Self::new(status, errors(status, message))
    }

    /// Whether the whole request is refused for it, and not one item.
    pub(super) fn is_of_the_request(&self) -> bool {
        self.status != StatusCode::BAD_REQUEST
    }

    /// A read of something that is not there is answered with nothing.
    pub(super) fn of_read(status: &Status) -> Self {
        if status.code() == tonic::Code::NotFound { Self::absent() } else { Self::from(status) }
    }

    /// The first thing that is said.
    pub(super) fn first(self) -> String {
        self.errors.into_iter().next().unwrap_or_default()
    }

    /// HTTP status.
    #[cfg(test)]
    pub(super) fn status(&self) -> StatusCode {
        self.status
    }
}

/// Clients look for Vault's own words where permission is missing.
fn errors(status: StatusCode, message: &str) -> Vec<String> {
    match status {
        StatusCode::FORBIDDEN => vec!["permission denied".to_owned(), message.to_owned()],
        _ => vec![message.to_owned()],
    }
}

impl From<&Status> for Refusal {
    fn from(status: &Status) -> Self {
        Self::from(&Problem::from(status))
    }
}

impl From<Status> for Refusal {
    fn from(status: Status) -> Self {
        Self::from(&status)
    }
}

impl From<TokenError> for Refusal {
    fn from(error: TokenError) -> Self {
        Self::from(&Problem::new(StatusCode::UNAUTHORIZED, error.reason(), error.to_string()))
    }
}

impl From<&Problem> for Refusal {
    fn from(problem: &Problem) -> Self {
        let status = match problem.http {
            // Vault has no other answer to a token that is missing or wrong.
            StatusCode::UNAUTHORIZED => StatusCode::FORBIDDEN,
            // What is not there, or is not so that it can be done, is a bad request there.
            StatusCode::NOT_FOUND | StatusCode::CONFLICT => StatusCode::BAD_REQUEST,
            other => other,
        };
        let errors = errors(status, &problem.message);
        Self { status, errors, retry_after: problem.retry_after }
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let mut response = (self.status, Json(json!({ "errors": self.errors }))).into_response();
        if let Some(after) = self.retry_after {
            response.headers_mut().insert(header::RETRY_AFTER, after.as_secs().max(1).into());
        }
        response
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn request_ids_are_uuids() {
        let id = request_id(&Ids::random());
        let lengths: Vec<usize> = id.split('-').map(str::len).collect();
        assert_eq!(lengths, [8, 4, 4, 4, 12]);
        assert_ne!(id, request_id(&Ids::random()));
    }

    #[test]
    fn statuses_are_vaults() {
        let check =
            |status: Status, expected: u16| assert_eq!(Refusal::from(&status).status.as_u16(), expected);
        check(Status::unauthenticated(""), 403);
        check(Status::permission_denied(""), 403);
        check(Status::not_found(""), 400);
        check(Status::failed_precondition(""), 400);
        check(Status::already_exists(""), 400);
        check(Status::invalid_argument(""), 400);
        check(Status::unavailable(""), 503);
        check(Status::resource_exhausted(""), 429);
        check(Status::internal(""), 500);
        assert_eq!(Refusal::of_read(&Status::not_found("x")), Refusal::absent());
    }
}
