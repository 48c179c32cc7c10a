//! What stands before every WebSocket of the doors: the handshake, who asks, from which page, and whether there is a place.

use super::places::Place;
use crate::{
    cameras::CameraName,
    http::{
        Doors,
        visitor::{self, Visitor},
    },
    viewing::ViewError,
};
use axum::{body::Body, extract::Request, response::Response};
use http::{HeaderMap, HeaderValue, StatusCode, header, request::Parts};
use hyper::upgrade::{OnUpgrade, Upgraded};
use patchbay_http::Connection;
use patchbay_transcode::Problem;
use patchbay_websocket::handshake;

/// A connection that may become a WebSocket.
pub(in crate::http) struct Opening {
    /// Who asks.
    pub(in crate::http) visitor: Visitor,
    /// What it may look at.
    pub(in crate::http) camera: CameraName,
    accept: HeaderValue,
    upgrade: OnUpgrade,
    place: Place,
    connection: Option<Connection>,
}

impl Opening {
    /// Admits who may look at the camera that `choose` names; an error is what it is told.
    pub(in crate::http) fn of(
        doors: &Doors,
        request: Request,
        choose: impl FnOnce(&Visitor, &Parts) -> String,
    ) -> Result<Self, Problem> {
        let (mut parts, _) = request.into_parts();
        let core = &doors.viewings.core;
        let accept = accept(&parts.headers)?;
        let upgrade = parts.extensions.remove::<OnUpgrade>().ok_or_else(upgrade_required)?;
        let visitor = Visitor::of(&core.context.auth, &parts)?;
        let camera = visitor.may_view(&choose(&visitor, &parts))?;
        core.cameras.get(&camera).map_err(visitor::problem)?;
        judge_origin(doors, &visitor, &parts)?;
        if doors.viewings.is_stopping() {
            return Err(Problem::from(ViewError::Stopping));
        }
        let place = doors.places.take(visitor.address).map_err(|error| {
            core.metrics.refused_viewers.inc();
            Problem::from(ViewError::from(error))
        })?;
        let connection = parts.extensions.remove::<Connection>();
        Ok(Self { visitor, camera, accept, upgrade, place, connection })
    }

    /// Answers, and serves the WebSocket in a task of its own.
    pub(in crate::http) fn serve<F>(
        self,
        doors: &Doors,
        task: &'static str,
        session: impl FnOnce(Upgraded) -> F + Send + 'static,
    ) -> Response
    where
        F: Future<Output = ()> + Send,
    {
        let Self { accept, upgrade, place, connection, .. } = self;
        drop(doors.viewings.core.context.tasks.spawn(task, async move {
            match upgrade.await {
                Ok(upgraded) => session(upgraded).await,
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
        response
    }
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
