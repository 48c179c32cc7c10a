//! The WebSocket door, `/ws`: the one that the pages of the course know, where offer, answer and candidates are JSON messages.
//!
//! The camera is `?camera=`, or else `test`, or else the first one that the visitor may see.

mod places;
mod protocol;
mod session;
mod socket;

use super::{
    Doors,
    visitor::{self, Visitor},
};
use crate::{caller::Action, viewing::ViewError};
use axum::{
    Router,
    body::Body,
    extract::{Request, State},
    response::Response,
    routing,
};
use http::{HeaderMap, HeaderValue, StatusCode, header, request::Parts};
use hyper::upgrade::OnUpgrade;
use patchbay_http::Connection;
use patchbay_transcode::Problem;
use patchbay_websocket::handshake;
pub(super) use places::Places;
use session::Session;
use std::sync::Arc;

/// Camera of a page that names none.
const USUAL: &str = "test";

/// The door.
pub(super) fn router(doors: &Arc<Doors>) -> Router {
    Router::new().route("/ws", routing::get(open)).with_state(Arc::clone(doors))
}

async fn open(State(doors): State<Arc<Doors>>, request: Request) -> Result<Response, Problem> {
    let (mut parts, _) = request.into_parts();
    let core = &doors.viewings.core;
    let accept = accept(&parts.headers)?;
    let upgrade = parts.extensions.remove::<OnUpgrade>().ok_or_else(upgrade_required)?;
    let visitor = Visitor::of(&core.context.auth, &parts)?;
    let camera = choose(&doors, &visitor, parts.uri.query().unwrap_or_default());
    let camera = visitor.may_view(&camera)?;
    core.cameras.get(&camera).map_err(visitor::problem)?;
    judge_origin(&doors, &visitor, &parts)?;
    if doors.viewings.is_stopping() {
        return Err(Problem::from(ViewError::Stopping));
    }
    let place = doors.places.take(visitor.address).map_err(|error| {
        core.metrics.refused_viewers.inc();
        Problem::from(ViewError::from(error))
    })?;
    let connection = parts.extensions.remove::<Connection>();
    let session = Session::new(&doors, visitor, camera);
    drop(core.context.tasks.spawn("websocket-viewer", async move {
        match upgrade.await {
            Ok(upgraded) => session.run(upgraded).await,
            Err(error) => tracing::debug!(%error, "a connection did not become a WebSocket"),
        }
        drop((place, connection));
    }));
    let mut response = Response::new(Body::empty());
    *response.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
    let headers = response.headers_mut();
    headers.insert(header::UPGRADE, HeaderValue::from_static("websocket"));
    headers.insert(header::CONNECTION, HeaderValue::from_static("upgrade"));
    headers.insert(header::SEC_WEBSOCKET_ACCEPT, accept);
    Ok(response)
}

/// The opening handshake (RFC 6455, section 4.2.1).
fn accept(headers: &HeaderMap) -> Result<HeaderValue, Problem> {
    let lists = |name, token: &str| {
        let values = headers.get_all(name).iter().filter_map(|value: &HeaderValue| value.to_str().ok());
        values.flat_map(|value| value.split(',')).any(|listed| listed.trim().eq_ignore_ascii_case(token))
    };
    if !lists(header::UPGRADE, "websocket") || !lists(header::CONNECTION, "upgrade") {
        return Err(upgrade_required());
    }
    let only = |name| {
        let mut values = headers.get_all(name).iter();
        values.next().filter(|_| values.next().is_none()).and_then(|value| value.to_str().ok())
    };
    if only(header::SEC_WEBSOCKET_VERSION) != Some("13") {
        return Err(upgrade_required());
    }
    let accept =
        only(header::SEC_WEBSOCKET_KEY).and_then(handshake::accept).and_then(|text| text.try_into().ok());
    accept
        .ok_or_else(|| Problem::new(StatusCode::BAD_REQUEST, "BAD_REQUEST", "`sec-websocket-key` is no key"))
}

fn upgrade_required() -> Problem {
    Problem::new(
        StatusCode::UPGRADE_REQUIRED,
        "UPGRADE_REQUIRED",
        "this is a WebSocket of version 13, over HTTP/1.1",
    )
}

/// Name of the camera.
fn choose(doors: &Doors, visitor: &Visitor, query: &str) -> String {
    let named = form_urlencoded::parse(query.as_bytes()).find(|(name, _)| name == "camera");
    if let Some((_, camera)) = named {
        return camera.into_owned();
    }
    let all = doors.viewings.core.cameras.all();
    let visible = all.iter().map(|camera| &camera.name).filter(|name| visitor.caller.may(Action::View, name));
    let usual = visible.clone().find(|name| name.as_str() == USUAL);
    let first = usual.or_else(|| visible.clone().next());
    // Nothing to see: whoever asks is told what he lacks for the usual one.
    first.map_or_else(|| USUAL.to_owned(), ToString::to_string)
}

/// Guests may come from any page; for those who have signed in, another page must be configured.
fn judge_origin(doors: &Doors, visitor: &Visitor, parts: &Parts) -> Result<(), Problem> {
    let Some(origin) = parts.headers.get(header::ORIGIN) else { return Ok(()) };
    let origin = origin.to_str().unwrap_or_default();
    let host = visitor.host.as_deref();
    let own = origin
        .split_once("://")
        .is_some_and(|(_, from)| host.is_some_and(|host| from.eq_ignore_ascii_case(host)));
    let allowed = &doors.viewings.core.config.listen.allowed_origins;
    let configured = allowed.iter().any(|known| known == "*" || known.eq_ignore_ascii_case(origin));
    if visitor.is_guest() || own || configured {
        return Ok(());
    }
    let message = "pages of this origin may come as guests only: `listen.allowed_origins` does not name it";
    Err(Problem::new(StatusCode::FORBIDDEN, "ORIGIN", message))
}
