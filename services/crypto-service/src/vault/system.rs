//! What clients look at before they begin: whether there is a server, and who they are.

use super::{
    frame::{Answer, Refusal},
    session::Session,
};
use axum::{
    Json,
    response::{IntoResponse, Response},
};
use http::{Method, StatusCode};
use jiff::Timestamp;
use serde_json::json;

/// `GET` or `HEAD /v1/sys/health` of a replica that is open.
pub(super) async fn health(method: Method) -> Response {
    let health = json!({
        "initialized": true, "sealed": false, "standby": false, "performance_standby": false,
        "version": patchbay_chassis::VERSION, "cluster_name": "patchbay"
    });
    std::future::ready(answer(&method, health)).await
}

/// `GET /v1/sys/seal-status`.
pub(super) async fn seal_status(method: Method) -> Response {
    let status = json!({
        "type": "patchbay", "initialized": true, "sealed": false, "t": 0, "n": 0, "progress": 0, "nonce": "",
        "version": patchbay_chassis::VERSION, "migration": false, "recovery_seal": false, "storage_type": "patchbay"
    });
    std::future::ready(answer(&method, status)).await
}

/// How a sealed replica is.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Sealed {
    /// Whether the store has a seal key.
    pub(crate) is_initialized: bool,
    pub(crate) shares: u8,
    pub(crate) threshold: u8,
    /// Shares that have been brought.
    pub(crate) progress: usize,
}

/// `GET` or `HEAD /v1/sys/health` of a replica that is sealed: 503, or 501 where the store has no key yet, as Vault answers then.
pub(crate) async fn sealed_health(method: Method, sealed: Sealed) -> Response {
    let health = json!({
        "initialized": sealed.is_initialized, "sealed": true, "standby": false, "performance_standby": false,
        "version": patchbay_chassis::VERSION, "cluster_name": "patchbay"
    });
    let mut response = std::future::ready(answer(&method, health)).await;
    if response.status().is_success() {
        *response.status_mut() =
            if sealed.is_initialized { StatusCode::SERVICE_UNAVAILABLE } else { StatusCode::NOT_IMPLEMENTED };
    }
    response
}

/// `GET /v1/sys/seal-status` of a replica that is sealed.
pub(crate) async fn sealed_status(method: Method, sealed: Sealed) -> Response {
    let Sealed { is_initialized, shares, threshold, progress } = sealed;
    let status = json!({
        "type": "patchbay", "initialized": is_initialized, "sealed": true, "t": threshold, "n": shares,
        "progress": progress, "nonce": "", "version": patchbay_chassis::VERSION, "migration": false,
        "recovery_seal": false, "storage_type": "patchbay"
    });
    std::future::ready(answer(&method, status)).await
}

fn answer(method: &Method, body: serde_json::Value) -> Response {
    match *method {
        Method::GET | Method::HEAD => Json(body).into_response(),
        _ => Refusal::unsupported().into_response(),
    }
}

/// `GET /v1/auth/token/lookup-self`: who the caller is. Scopes stand where Vault has policies.
pub(super) fn lookup_self(session: &Session) -> Answer {
    let identity = session.identity();
    let now = session.now();
    let ends = identity.expires_at.unwrap_or(now);
    let scopes: Vec<String> = identity.scopes.iter().map(ToString::to_string).collect();
    let end = i64::try_from(ends).ok().and_then(|ends| Timestamp::from_second(ends).ok()).unwrap_or_default();
    Answer::data(json!({
        "accessor": "",
        "creation_time": 0,
        "creation_ttl": 0,
        "display_name": identity.name.as_deref().unwrap_or(&identity.subject),
        "entity_id": identity.subject,
        "expire_time": end.to_string(),
        "explicit_max_ttl": 0,
        "id": "",
        "meta": null,
        "num_uses": 0,
        "orphan": true,
        "path": "auth/token",
        "policies": scopes,
        "renewable": false,
        "ttl": ends.saturating_sub(now),
        "type": "service"
    }))
}
