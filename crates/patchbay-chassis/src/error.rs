//! One mapping of a service's errors to gRPC and HTTP, so that both doors tell the same.
//!
//! What a caller may know is in the error's code and its text. What only operators may know is logged with an id,
//! and the caller gets the id.

use axum::{
    Json,
    response::{IntoResponse, Response},
};
use http::StatusCode;
use std::{collections::HashMap, error::Error, fmt::Write as _, time::Duration};
use tonic::{Code, Status};
use tonic_types::{ErrorDetails, FieldViolation, StatusExt};

/// What an error is to a caller.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ErrorCode {
    /// gRPC status.
    pub grpc: Code,
    /// HTTP status.
    pub http: StatusCode,
    /// Stable word for programs, such as `ROOM_FULL`; documented.
    pub reason: &'static str,
}

impl ErrorCode {
    /// A code whose HTTP status is the usual one for its gRPC status.
    pub const fn new(grpc: Code, reason: &'static str) -> Self {
        let http = match grpc {
            Code::Ok => StatusCode::OK,
            Code::InvalidArgument | Code::OutOfRange => StatusCode::BAD_REQUEST,
            Code::Unauthenticated => StatusCode::UNAUTHORIZED,
            Code::PermissionDenied => StatusCode::FORBIDDEN,
            Code::NotFound => StatusCode::NOT_FOUND,
            Code::AlreadyExists | Code::Aborted | Code::FailedPrecondition => StatusCode::CONFLICT,
            Code::ResourceExhausted => StatusCode::TOO_MANY_REQUESTS,
            Code::Unimplemented => StatusCode::NOT_IMPLEMENTED,
            Code::Unavailable => StatusCode::SERVICE_UNAVAILABLE,
            Code::DeadlineExceeded => StatusCode::GATEWAY_TIMEOUT,
            Code::Cancelled | Code::Unknown | Code::Internal | Code::DataLoss => {
                StatusCode::INTERNAL_SERVER_ERROR
            }
        };
        Self { grpc, http, reason }
    }

    fn is_internal(self) -> bool {
        matches!(self.grpc, Code::Internal | Code::Unknown | Code::DataLoss)
    }
}

/// An error that a service shows to its callers.
pub trait ServiceError: Error {
    /// What it is to a caller. The text of an internal one is not sent.
    fn code(&self) -> ErrorCode;

    /// Fields of the request that are wrong, with what is wrong with each.
    fn violations(&self) -> Vec<(String, String)> {
        Vec::new()
    }

    /// When it is worth trying again.
    fn retry_after(&self) -> Option<Duration> {
        None
    }
}

/// The error as a gRPC status with `ErrorInfo`, and `BadRequest` or `RetryInfo` where they say something.
pub fn to_status<E: ServiceError>(service: &str, error: &E) -> Status {
    let code = error.code();
    let mut details = ErrorDetails::with_error_info(
        code.reason,
        format!("{service}.patchbay"),
        HashMap::<String, String>::new(),
    );
    let violations = error.violations();
    if !violations.is_empty() {
        let violations = violations.into_iter().map(|(field, what)| FieldViolation::new(field, what));
        details.set_bad_request(violations.collect::<Vec<_>>());
    }
    if let Some(after) = error.retry_after() {
        details.set_retry_info(Some(after));
    }
    Status::with_error_details(code.grpc, public_message(service, error), details)
}

/// The error as an HTTP response: `{"error": {"reason", "message", "violations"}}`.
pub fn to_response<E: ServiceError>(service: &str, error: &E) -> Response {
    let code = error.code();
    let violations = error.violations().into_iter();
    let violations: Vec<_> = violations
        .map(|(field, message)| serde_json::json!({ "field": field, "message": message }))
        .collect();
    let message = public_message(service, error);
    let body = serde_json::json!({
        "error": { "reason": code.reason, "message": message, "violations": violations }
    });
    let mut response = (code.http, Json(body)).into_response();
    if let Some(after) = error.retry_after() {
        response.headers_mut().insert(http::header::RETRY_AFTER, after.as_secs().max(1).into());
    }
    response
}

/// Logs an error with its causes under a new id, and returns what a caller may read: the id.
pub(crate) fn log_internal(service: &str, error: &str) -> String {
    let id = crate::Ids::random().random_hex(16);
    tracing::error!(service, error_id = id, error, "internal error");
    format!("internal error, id {id}")
}

/// An error and its causes in one line.
pub fn chain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        write!(text, ": {cause}").expect("writing to a string cannot fail");
        source = cause.source();
    }
    text
}

fn public_message<E: ServiceError>(service: &str, error: &E) -> String {
    if error.code().is_internal() { log_internal(service, &chain(error)) } else { error.to_string() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, thiserror::Error)]
    enum Example {
        #[error("the room is full")]
        Full,
        #[error("could not read the store")]
        Store(#[source] std::io::Error),
    }

    impl ServiceError for Example {
        fn code(&self) -> ErrorCode {
            match self {
                Self::Full => ErrorCode::new(Code::ResourceExhausted, "ROOM_FULL"),
                Self::Store(_) => ErrorCode::new(Code::Internal, "INTERNAL"),
            }
        }

        fn violations(&self) -> Vec<(String, String)> {
            match self {
                Self::Full => vec![("room".to_owned(), "has 10 people".to_owned())],
                Self::Store(_) => Vec::new(),
            }
        }
    }

    #[test]
    fn status_carries_reason_and_violations() {
        let status = to_status("chat-gateway", &Example::Full);
        assert_eq!((status.code(), status.message()), (Code::ResourceExhausted, "the room is full"));
        let details = status.get_error_details();
        let info = details.error_info().unwrap();
        assert_eq!((info.reason.as_str(), info.domain.as_str()), ("ROOM_FULL", "chat-gateway.patchbay"));
        assert_eq!(details.bad_request().unwrap().field_violations[0].field, "room");
        assert_eq!(to_response("chat-gateway", &Example::Full).status(), StatusCode::TOO_MANY_REQUESTS);
    }

    #[test]
    fn internal_detail_is_not_sent() {
        let error = Example::Store(std::io::Error::other("/secret/path is gone"));
        let status = to_status("chat-gateway", &error);
        assert!(!status.message().contains("secret") && !status.message().contains("store"), "{status}");
        assert!(status.message().starts_with("internal error, id "));
    }
}
