//! What a browser is told when the service behind a path cannot answer.

use super::route::Route;
use axum::{
    body::Body,
    http::{Response, StatusCode},
};
use http_body_util::LengthLimitError;
use patchbay_chassis::{ErrorCode, ServiceError, error};
use std::error::Error;
use tonic::Code;

/// Why a request was not passed on, or came back without an answer.
#[derive(Debug, thiserror::Error)]
pub(super) enum Refusal {
    #[error("{service} does not answer; it may be starting or stopped")]
    Unreachable { service: &'static str },
    #[error("{service} did not answer in time")]
    Late { service: &'static str },
    #[error("a request may have {limit} bytes at most")]
    TooLarge { limit: usize },
    #[error("the body is larger than a request may be")]
    GrewTooLarge,
    #[error("the address cannot be passed on")]
    BadAddress,
}

impl Refusal {
    pub(super) fn late(route: &Route) -> Self {
        tracing::warn!(upstream = route.service, "an upstream did not answer in time");
        Self::Late { service: route.service }
    }

    pub(super) fn failed(route: &Route, error: &hyper_util::client::legacy::Error) -> Self {
        if is_caused_by_limit(error) {
            return Self::GrewTooLarge;
        }
        tracing::warn!(upstream = route.service, error = error::chain(error), "an upstream does not answer");
        Self::Unreachable { service: route.service }
    }

    pub(super) fn into_response(self) -> Response<Body> {
        error::to_response("console", &self)
    }
}

impl ServiceError for Refusal {
    fn code(&self) -> ErrorCode {
        let (grpc, http, reason) = match self {
            Self::Unreachable { .. } => (Code::Unavailable, StatusCode::BAD_GATEWAY, "UPSTREAM_UNREACHABLE"),
            Self::Late { .. } => (Code::DeadlineExceeded, StatusCode::GATEWAY_TIMEOUT, "UPSTREAM_LATE"),
            Self::TooLarge { .. } | Self::GrewTooLarge => {
                (Code::ResourceExhausted, StatusCode::PAYLOAD_TOO_LARGE, "TOO_LARGE")
            }
            Self::BadAddress => (Code::InvalidArgument, StatusCode::BAD_REQUEST, "BAD_ADDRESS"),
        };
        ErrorCode { grpc, http, reason }
    }
}

fn is_caused_by_limit(error: &dyn Error) -> bool {
    let mut cause = error.source();
    while let Some(error) = cause {
        if error.is::<LengthLimitError>() {
            return true;
        }
        cause = error.source();
    }
    false
}
