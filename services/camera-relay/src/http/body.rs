//! Bodies of requests, within their limits.

use crate::core::Core;
use axum::body::Body;
use http::StatusCode;
use http_body_util::{BodyExt, LengthLimitError, Limited};
use patchbay_transcode::Problem;

/// A body as text.
pub(super) async fn read_text(body: Body, core: &Core) -> Result<String, Problem> {
    let limits = &core.config.limits;
    let limit = limits.body.as_usize();
    let collecting = Limited::new(body, limit).collect();
    let collected = tokio::time::timeout(limits.request_timeout.duration(), collecting).await;
    let body = collected.map_err(|_| Problem::too_slow())?.map_err(|error| broken(&*error, limit))?;
    String::from_utf8(body.to_bytes().into())
        .map_err(|_| Problem::new(StatusCode::UNPROCESSABLE_ENTITY, "BAD_OFFER", "the body is not UTF-8"))
}

fn broken(error: &(dyn std::error::Error + Send + Sync + 'static), limit: usize) -> Problem {
    if error.is::<LengthLimitError>() {
        return Problem::too_large(limit);
    }
    Problem::new(StatusCode::BAD_REQUEST, "BAD_REQUEST", "the body did not arrive whole")
}
