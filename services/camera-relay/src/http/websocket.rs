//! The WebSocket door, `/ws`: the one that the pages of the course know, where offer, answer and candidates are JSON messages.
//!
//! The camera is `?camera=`, or else `test`, or else the first one that the visitor may see.

mod opening;
mod places;
mod protocol;
mod session;
mod socket;

use super::{Doors, visitor::Visitor};
use crate::caller::Action;
use axum::{
    Router,
    extract::{Request, State},
    response::Response,
    routing,
};
pub(super) use opening::Opening;
use patchbay_transcode::Problem;
pub(super) use places::Places;
use session::Session;
pub(super) use socket::{Came, Close, Socket, pings};
use std::sync::Arc;

/// Camera of a page that names none.
const USUAL: &str = "test";

/// The door.
pub(super) fn router(doors: &Arc<Doors>) -> Router {
    Router::new().route("/ws", routing::get(open)).with_state(Arc::clone(doors))
}

async fn open(State(doors): State<Arc<Doors>>, request: Request) -> Result<Response, Problem> {
    let opening = std::future::ready(Opening::of(&doors, request, |visitor, parts| {
        choose(&doors, visitor, parts.uri.query().unwrap_or_default())
    }))
    .await?;
    let session = Session::new(&doors, opening.visitor.clone(), opening.camera.clone());
    Ok(opening.serve(&doors, "websocket-viewer", |upgraded| session.run(upgraded)))
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
