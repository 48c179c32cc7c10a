//! What a client of HTTP is told when something is refused: the same body as `patchbay_chassis::error::to_response` makes.

use axum::{
    Json,
    response::{IntoResponse, Response},
};
use http::{HeaderValue, StatusCode, header};
use patchbay_chassis::ErrorCode;
use serde_json::json;
use std::time::Duration;
use tonic::{Code, Status};
use tonic_types::StatusExt;

/// An error on its way to a client.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// HTTP status.
    pub http: StatusCode,
    /// Stable word for programs.
    pub reason: String,
    /// Text for people.
    pub message: String,
    /// Fields that are wrong, with what is wrong with each.
    pub violations: Vec<(String, String)>,
    /// When it is worth trying again.
    pub retry_after: Option<Duration>,
    /// Methods that the path has, where the one asked for is not among them.
    pub allow: Option<String>,
}

impl Problem {
    /// One without fields.
    pub fn new(http: StatusCode, reason: &str, message: impl Into<String>) -> Self {
        Self {
            http,
            reason: reason.to_owned(),
            message: message.into(),
            violations: Vec::new(),
            retry_after: None,
            allow: None,
        }
    }

    /// A field that is wrong.
    pub fn field(field: &str, problem: &str) -> Self {
        let mut this = Self::new(StatusCode::BAD_REQUEST, "BAD_REQUEST", format!("`{field}` {problem}"));
        this.violations.push((field.to_owned(), problem.to_owned()));
        this
    }

    /// A path that is not there.
    pub fn no_such_path() -> Self {
        Self::new(StatusCode::NOT_FOUND, "NO_SUCH_PATH", "there is nothing at this path")
    }

    /// A path that has other methods.
    pub fn no_such_method(allow: String) -> Self {
        let message = format!("this path has only {allow}");
        let mut this = Self::new(StatusCode::METHOD_NOT_ALLOWED, "METHOD_NOT_ALLOWED", message);
        this.allow = Some(allow);
        this
    }

    /// A body that is too large.
    pub fn too_large(limit: usize) -> Self {
        let message = format!("the body is larger than {limit} bytes");
        Self::new(StatusCode::PAYLOAD_TOO_LARGE, "TOO_LARGE", message)
    }

    /// A body that does not arrive.
    pub fn too_slow() -> Self {
        Self::new(StatusCode::REQUEST_TIMEOUT, "REQUEST_TIMEOUT", "the body did not arrive in time")
    }

    /// A call that takes too long.
    pub fn too_late() -> Self {
        Self::new(StatusCode::GATEWAY_TIMEOUT, "DEADLINE_EXCEEDED", "the call took too long")
    }
}

impl From<&Status> for Problem {
    fn from(status: &Status) -> Self {
        let details = status.get_error_details();
        let reason = details.error_info().map_or_else(|| word(status.code()), |info| &info.reason);
        let fields = details.bad_request().map(|bad| bad.field_violations.as_slice()).unwrap_or_default();
        Self {
            http: ErrorCode::new(status.code(), "").http,
            reason: reason.to_owned(),
            message: if status.message().is_empty() { status.code().description() } else { status.message() }
                .to_owned(),
            violations: fields.iter().map(|field| (field.field.clone(), field.description.clone())).collect(),
            retry_after: details.retry_info().and_then(|info| info.retry_delay),
            allow: None,
        }
    }
}

/// Reason of a status that has none, such as one that the gRPC library itself has made.
fn word(code: Code) -> &'static str {
    match code {
        Code::Ok => "OK",
        Code::Cancelled => "CANCELLED",
        Code::InvalidArgument => "INVALID_ARGUMENT",
        Code::DeadlineExceeded => "DEADLINE_EXCEEDED",
        Code::NotFound => "NOT_FOUND",
        Code::AlreadyExists => "ALREADY_EXISTS",
        Code::PermissionDenied => "PERMISSION_DENIED",
        Code::ResourceExhausted => "RESOURCE_EXHAUSTED",
        Code::FailedPrecondition => "FAILED_PRECONDITION",
        Code::Aborted => "ABORTED",
        Code::OutOfRange => "OUT_OF_RANGE",
        Code::Unimplemented => "UNIMPLEMENTED",
        Code::Unavailable => "UNAVAILABLE",
        Code::Unauthenticated => "UNAUTHENTICATED",
        Code::Unknown | Code::Internal | Code::DataLoss => "INTERNAL",
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let violations = self.violations.iter();
        let violations: Vec<_> =
            violations.map(|(field, message)| json!({ "field": field, "message": message })).collect();
        let body =
            json!({ "error": { "reason": self.reason, "message": self.message, "violations": violations } });
        let mut response = (self.http, Json(body)).into_response();
        let headers = response.headers_mut();
        if let Some(after) = self.retry_after {
            headers.insert(header::RETRY_AFTER, after.as_secs().max(1).into());
        }
        if self.http == StatusCode::UNAUTHORIZED {
            headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        if let Some(allow) = self.allow.and_then(|allow| HeaderValue::try_from(allow).ok()) {
            headers.insert(header::ALLOW, allow);
        }
        response
    }
}
