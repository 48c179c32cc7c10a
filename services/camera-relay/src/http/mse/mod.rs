//! MSE over WebSocket, `/ws/mse/{camera}`: fragmented MP4 for pages that WebRTC does not reach.
//!
//! The page says which codecs its `MediaSource` takes; it is told what comes, and gets an init segment and fragments as binary messages, from the newest
//! key frame on. `protocol` has the messages, `playing` makes the fragments, `session` is one page. The player is `page/mse-player.js`.

mod black;
mod counters;
mod lane;
mod live;
mod playing;
mod protocol;
mod session;

use super::{Doors, websocket::Opening};
use axum::{
    Router,
    extract::{Path, Request, State},
    response::Response,
    routing,
};
use patchbay_transcode::Problem;
use session::Session;
use std::sync::Arc;

/// The door.
pub(super) fn router(doors: &Arc<Doors>) -> Router {
    Router::new().route("/ws/mse/{camera}", routing::get(open)).with_state(Arc::clone(doors))
}

async fn open(
    State(doors): State<Arc<Doors>>,
    Path(camera): Path<String>,
    request: Request,
) -> Result<Response, Problem> {
    let opening = std::future::ready(Opening::of(&doors, request, |_, _| camera)).await?;
    let session = Session::new(&doors, opening.visitor.clone(), opening.camera.clone());
    Ok(opening.serve(&doors, "mse-viewer", |upgraded| session.run(upgraded)))
}
