//! Pictures over plain HTTP: `/snapshot/{camera}.jpg`, and `/mjpeg/{camera}`, JPEG after JPEG for what knows nothing better.

mod reel;
mod stream;

use super::{
    Doors,
    visitor::{self, Visitor},
};
use crate::{
    cameras::CameraName,
    core::Core,
    error::Error,
    snapshot::{self, Jpeg, Width},
    viewers::{Newcomer, ViewerKind},
};
use axum::{
    Router,
    body::Body,
    extract::{Path, Request, State},
    response::{IntoResponse, Response},
    routing,
};
use http::{HeaderValue, StatusCode, header, request::Parts};
use patchbay_media::hub;
use patchbay_transcode::Problem;
use reel::Reels;
use std::{sync::Arc, time::Duration};
use stream::Stream;
use tokio::sync::OnceCell;

const JPEG: HeaderValue = HeaderValue::from_static("image/jpeg");

/// What is shown by MJPEG of a camera that has no picture yet: the size of one of which nothing is known.
const BLACK: (u32, u32) = (640, 480);

/// What both doors share.
pub(super) struct Pictures {
    reels: Reels,
    black: OnceCell<Jpeg>,
}

impl Pictures {
    pub(super) fn new(core: &Arc<Core>) -> Self {
        Self { reels: Reels::new(core), black: OnceCell::new() }
    }
}

/// The doors.
pub(super) fn router(doors: &Arc<Doors>) -> Router {
    Router::new()
        .route("/snapshot/{file}", routing::get(single))
        .route("/mjpeg/{camera}", routing::get(many))
        .with_state(Arc::clone(doors))
}

/// A visitor who may look at a camera that is there.
fn admit(doors: &Doors, parts: &Parts, camera: &str) -> Result<(Visitor, CameraName), Problem> {
    let core = &doors.viewings.core;
    let visitor = Visitor::of(&core.context.auth, parts)?;
    let camera = visitor.may_view(camera)?;
    core.cameras.get(&camera).map_err(visitor::problem)?;
    Ok((visitor, camera))
}

async fn single(
    State(doors): State<Arc<Doors>>,
    Path(file): Path<String>,
    request: Request,
) -> Result<Response, Problem> {
    let (parts, _) = request.into_parts();
    let Some(camera) = file.strip_suffix(".jpg") else { return Err(Problem::no_such_path()) };
    let (visitor, camera) = admit(&doors, &parts, camera)?;
    let width = width(&parts)?;
    let taken = snapshot::take(&doors.viewings.core, &visitor.caller, &camera, width).await;
    let jpeg = taken.map_err(visitor::problem)?;
    Ok(([(header::CONTENT_TYPE, JPEG)], jpeg.data).into_response())
}

async fn many(
    State(doors): State<Arc<Doors>>,
    Path(camera): Path<String>,
    request: Request,
) -> Result<Response, Problem> {
    let (parts, _) = request.into_parts();
    let (visitor, camera) = admit(&doors, &parts, &camera)?;
    let core = &doors.viewings.core;
    let (width, fps) = (width(&parts)?, rate(&parts, core.config.mjpeg.fps)?);
    let identity = Arc::clone(visitor.caller.identity());
    let newcomer =
        Newcomer { camera: camera.clone(), kind: ViewerKind::Mjpeg, identity, address: visitor.address };
    let registration = doors.viewings.admit(newcomer)?;
    let mut frames = doors.pictures.reels.join(&camera, width);
    // The first one is waited for, so that a camera that must be changed first is told as an error and not as an empty page.
    let patience = core.config.cameras.slate_after.duration();
    let first = match tokio::time::timeout(patience, frames.next()).await {
        Ok(first) => first,
        Err(_) => black(&doors, &camera).await,
    };
    let first = first.ok_or_else(|| visitor::problem(no_picture(&doors, &visitor, &camera)))?;
    let stream = Stream::new(registration, frames, doors.viewings.farewell(), Duration::from_secs(1) / fps);
    let mut response = Response::new(Body::from_stream(stream.beginning_with(first)));
    *response.status_mut() = StatusCode::OK;
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(stream::CONTENT_TYPE));
    Ok(response)
}

/// Black, where the camera may still come.
async fn black(doors: &Doors, camera: &CameraName) -> Option<Jpeg> {
    let core = &doors.viewings.core;
    let state = core.hub.state(&crate::cameras::stream_of(camera))?;
    if state.state == hub::State::Failed && state.again_at.is_none() {
        return None;
    }
    let (quality, now) = (core.config.mjpeg.quality, core.context.clock.now_millis());
    let made = doors.pictures.black.get_or_try_init(|| async move {
        let made = tokio::task::spawn_blocking(move || Jpeg::black(BLACK, quality, now)).await;
        made.map_err(Error::internal).flatten()
    });
    made.await.inspect_err(|error| tracing::error!(%error, "no black picture could be made")).ok().cloned()
}

fn no_picture(doors: &Doors, visitor: &Visitor, camera: &CameraName) -> Error {
    let Some(state) = doors.viewings.core.hub.state(&crate::cameras::stream_of(camera)) else {
        return Error::NoCamera(camera.clone());
    };
    let detail = visitor.caller.told_words(camera, state.detail, state.reason);
    let detail = Some(detail).filter(|detail| !detail.is_empty());
    Error::NoPicture(detail.unwrap_or_else(|| "it has brought none in time".to_owned()))
}

fn width(parts: &Parts) -> Result<Width, Problem> {
    Width::parse(number(parts, "width")?.unwrap_or(0)).map_err(visitor::problem)
}

/// Pictures a second, as many as there may be where nothing is asked for.
fn rate(parts: &Parts, most: u32) -> Result<u32, Problem> {
    match number(parts, "fps")? {
        None => Ok(most),
        Some(0) => Err(Problem::field("fps", "must be at least 1")),
        Some(fps) => Ok(fps.min(most)),
    }
}

fn number(parts: &Parts, field: &str) -> Result<Option<u32>, Problem> {
    let query = parts.uri.query().unwrap_or_default();
    let found = form_urlencoded::parse(query.as_bytes()).find(|(name, _)| name == field);
    found
        .map(|(_, text)| text.parse())
        .transpose()
        .map_err(|_| Problem::field(field, "must be a whole number"))
}
