//! The port for operators: health, metrics, version, effective configuration, log level.
//!
//! It stands on loopback outside containers and is never published; only what changes something needs a token.

use crate::{
    VERSION,
    config::Shown,
    metrics::Metrics,
    readiness::{Condition, Readiness},
    telemetry::LogControl,
};
use axum::{
    Json, Router,
    extract::{DefaultBodyLimit, State},
    http::{HeaderMap, StatusCode, header},
    response::{IntoResponse, Response},
    routing::{get, put},
};
use patchbay_auth::Authenticator;
use serde_json::{Value, json};
use std::{sync::Arc, time::Duration};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use tower_http::timeout::TimeoutLayer;

/// Longest request line for a new filter; bodies are a few words.
const BODY_LIMIT: usize = 4096;

/// Time in which a request must be answered.
const TIMEOUT: Duration = Duration::from_secs(5);

/// What the routes read.
pub(crate) struct Ops {
    pub(crate) name: &'static str,
    pub(crate) services: Vec<&'static str>,
    pub(crate) readiness: Readiness,
    pub(crate) metrics: Metrics,
    pub(crate) auth: Arc<Authenticator>,
    pub(crate) log: LogControl,
    pub(crate) configuration: Vec<Shown>,
}

/// Serves until `stop`.
pub(crate) async fn serve(listener: TcpListener, ops: Ops, stop: CancellationToken) {
    let served = axum::serve(listener, router(Arc::new(ops)));
    if let Some(Err(error)) = stop.run_until_cancelled(served.into_future()).await {
        tracing::error!(%error, "the port for operators failed");
    }
}

fn router(ops: Arc<Ops>) -> Router {
    Router::new()
        .route("/livez", get(async || "ok\n"))
        .route("/readyz", get(readyz))
        .route("/metrics", get(metrics))
        .route("/version", get(version))
        .route("/config", get(async |State(ops): State<Arc<Ops>>| Json(ops.configuration.clone())))
        .route("/log-level", put(log_level))
        .layer(DefaultBodyLimit::max(BODY_LIMIT))
        .layer(TimeoutLayer::with_status_code(StatusCode::REQUEST_TIMEOUT, TIMEOUT))
        .with_state(ops)
}

/// 200 when clients may come, 503 when not; the body names every component either way.
async fn readyz(State(ops): State<Arc<Ops>>) -> Response {
    let process = ops.readiness.process_condition();
    let status = match process {
        Condition::Ready | Condition::Degraded(_) => StatusCode::OK,
        Condition::NotReady(_) => StatusCode::SERVICE_UNAVAILABLE,
    };
    let conditions = ops.readiness.conditions();
    let waiting = conditions.iter().filter(|(_, condition)| matches!(condition, Condition::NotReady(_)));
    let waiting: Vec<String> =
        waiting.map(|((service, component), _)| format!("{service}/{component}")).collect();
    let components = conditions.iter().map(|((service, component), condition)| {
        let (status, reason) = (condition.word(), condition.reason());
        json!({ "service": service, "component": component, "status": status, "reason": reason })
    });
    let body = json!({
        "status": process.word(),
        "version": VERSION,
        "services": ops.services,
        "waiting_for": waiting,
        "components": components.collect::<Vec<_>>(),
    });
    (status, Json(body)).into_response()
}

async fn metrics(State(ops): State<Arc<Ops>>) -> Response {
    const OPEN_METRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";
    match ops.metrics.render() {
        Ok(text) => ([(header::CONTENT_TYPE, OPEN_METRICS)], text).into_response(),
        Err(_) => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
    }
}

async fn version(State(ops): State<Arc<Ops>>) -> Json<Value> {
    Json(json!({ "name": ops.name, "version": VERSION, "services": ops.services }))
}

/// Sets the log filter; the body is the filter. Needs a token with scope `<program>:operate:*`.
async fn log_level(State(ops): State<Arc<Ops>>, headers: HeaderMap, filter: String) -> Response {
    let token = headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
    let token = token.and_then(|value| value.strip_prefix("Bearer ")).unwrap_or_default();
    let identity = match ops.auth.verify(token) {
        Ok(identity) => identity,
        Err(error) => return (StatusCode::UNAUTHORIZED, format!("{error}\n")).into_response(),
    };
    if !identity.allows(ops.name, "operate", "log-level") {
        let needed = format!("a scope `{}:operate:log-level` is required\n", ops.name);
        return (StatusCode::FORBIDDEN, needed).into_response();
    }
    match ops.log.set(filter.trim()) {
        Ok(()) => {
            tracing::warn!(subject = %identity.subject, filter = filter.trim(), "log filter changed");
            StatusCode::NO_CONTENT.into_response()
        }
        Err(error) => (StatusCode::BAD_REQUEST, format!("{error}\n")).into_response(),
    }
}
