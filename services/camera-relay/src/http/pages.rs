//! The viewer page: `/` for all cameras that the visitor may see, `/view/{camera}` for one, and the few files and figures that it asks for.

use super::{Doors, visitor::Visitor};
use crate::caller::Action;
use axum::{
    Json, Router,
    extract::{Request, State},
    response::{IntoResponse, Response},
    routing,
};
use http::{HeaderName, HeaderValue, header};
use patchbay_transcode::Problem;
use serde::Serialize;
use std::sync::Arc;

const PAGE: &str = include_str!("page/index.html");

/// Path, type and text of the page's files.
const FILES: [(&str, &str, &str); 8] = [
    ("/viewer.css", "text/css; charset=utf-8", include_str!("page/viewer.css")),
    ("/viewer.js", SCRIPT, include_str!("page/viewer.js")),
    ("/whep.js", SCRIPT, include_str!("page/whep.js")),
    ("/mse-player.js", SCRIPT, include_str!("page/mse-player.js")),
    ("/picture.js", SCRIPT, include_str!("page/picture.js")),
    ("/timecode.js", SCRIPT, include_str!("page/timecode.js")),
    ("/figures.js", SCRIPT, include_str!("page/figures.js")),
    ("/texts.js", SCRIPT, include_str!("page/texts.js")),
];
const SCRIPT: &str = "text/javascript; charset=utf-8";

/// Where the page's files are, seen from the page: it may stand behind a prefix that we do not know.
const ROOT: &str = "{root}";

/// How long the page waits for WebRTC, in milliseconds.
const MSE_AFTER: &str = "{mse_after}";

/// Nothing from elsewhere and nothing inline; `data:` is the page's empty icon. Other pages may frame it: nothing goes by cookies, and its buttons change
/// nothing outside of the page.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; \
    media-src 'self' blob:; base-uri 'none'; form-action 'none'";

/// The page and what belongs to it.
pub(super) fn router(doors: &Arc<Doors>) -> Router {
    let files = FILES.into_iter().fold(Router::new(), |router, (path, kind, text)| {
        router.route(path, routing::get(move || std::future::ready(file(kind, text))))
    });
    files
        .route("/", routing::get(|State(doors): State<Arc<Doors>>| std::future::ready(page(&doors, ""))))
        .route(
            "/view/{camera}",
            routing::get(|State(doors): State<Arc<Doors>>| std::future::ready(page(&doors, "../"))),
        )
        .route("/cameras.json", routing::get(cameras))
        .route("/clock", routing::get(clock))
        .with_state(Arc::clone(doors))
}

fn page(doors: &Doors, root: &str) -> Response {
    let after = doors.viewings.core.config.mse.fallback_after.duration().as_millis();
    let page = PAGE.replace(ROOT, root).replace(MSE_AFTER, &after.to_string());
    let mut response = file("text/html; charset=utf-8", page);
    response.headers_mut().insert(header::CONTENT_SECURITY_POLICY, HeaderValue::from_static(POLICY));
    response
}

fn file(kind: &'static str, text: impl IntoResponse) -> Response {
    let mut response = text.into_response();
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(kind));
    // Looked for again each time: they are small, and change with the service.
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    headers.insert(
        HeaderName::from_static("cross-origin-resource-policy"),
        HeaderValue::from_static("same-origin"),
    );
    response
}

#[derive(Serialize)]
struct Listed {
    cameras: Vec<Shown>,
}

#[derive(Serialize)]
struct Shown {
    name: String,
    title: String,
}

/// The cameras that the visitor may look at.
async fn cameras(State(doors): State<Arc<Doors>>, request: Request) -> Result<Response, Problem> {
    let (parts, _) = request.into_parts();
    let core = &doors.viewings.core;
    let visitor = std::future::ready(Visitor::of(&core.context.auth, &parts)).await?;
    let all = core.cameras.all();
    let visible = all.iter().filter(|camera| visitor.caller.may(Action::View, &camera.name));
    let shown =
        visible.map(|camera| Shown { name: camera.name.to_string(), title: camera.spec.title.clone() });
    Ok(Json(Listed { cameras: shown.collect() }).into_response())
}

#[derive(Serialize)]
struct Clock {
    now: u64,
}

/// Milliseconds since 1970, by which a page tells how old a picture is.
async fn clock(State(doors): State<Arc<Doors>>) -> impl IntoResponse {
    let now = doors.viewings.core.context.clock.now_millis();
    std::future::ready(Json(Clock { now })).await
}
