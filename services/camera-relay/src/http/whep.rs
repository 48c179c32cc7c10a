//! WHEP (draft-ietf-wish-whep, in the footsteps of RFC 9725): a viewer posts an offer and gets the answer, and a session that it may change and end.
//!
//! `POST /whep/{camera}` begins a session at `/whep/{camera}/{session}`; `PATCH` there takes candidates and restarts ICE, `DELETE` ends it. Pages of any
//! origin may come: nothing here goes by cookies.

mod conditions;
mod cors;
mod distant;
mod session;

use super::visitor::Visitor;
use crate::{
    http::{Doors, body, frame::Way},
    replicas::{SessionAct, SessionRequest},
    viewers::{Newcomer, ViewerKind},
    viewing::{Asked, ViewError},
};
use axum::{
    Router,
    extract::{Path, Request, State},
    middleware,
    response::{IntoResponse, Response},
    routing,
};
use conditions::Unmet;
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use patchbay_rtc::sdp::Offer;
use patchbay_transcode::Problem;
use session::{Found, Handle, Restart, SessionId};
use std::sync::Arc;

pub(super) use session::Sessions;

/// Offers and answers (RFC 8866, section 8.1).
const SDP: &str = "application/sdp";
/// Candidates and new credentials (RFC 8840, section 9).
const FRAGMENT: &str = "application/trickle-ice-sdpfrag";

const ACCEPT_PATCH: HeaderName = HeaderName::from_static("accept-patch");
const ACCEPT_POST: HeaderName = HeaderName::from_static("accept-post");

/// The door.
pub(super) fn router(doors: &Arc<Doors>) -> Router {
    let offers = routing::post(offer).options(offers_options).fallback(|| no_such_method("OPTIONS, POST"));
    let sessions = routing::patch(change)
        .delete(end)
        .options(session_options)
        .fallback(|| no_such_method("DELETE, OPTIONS, PATCH"));
    Router::new()
        .route("/whep/{camera}", offers)
        .route("/whep/{camera}/{session}", sessions)
        .layer(middleware::map_response(cors::allow))
        .with_state(Arc::clone(doors))
}

async fn no_such_method(allow: &'static str) -> Problem {
    std::future::ready(Problem::no_such_method(allow.to_owned())).await
}

async fn offer(
    State(doors): State<Arc<Doors>>,
    Path(camera): Path<String>,
    request: Request,
) -> Result<Response, Problem> {
    let (parts, body) = request.into_parts();
    let core = &doors.viewings.core;
    let visitor = Visitor::of(&core.context.auth, &parts)?;
    let camera = visitor.may_view(&camera)?;
    core.cameras.get(&camera).map_err(super::visitor::problem)?;
    require_type(&parts.headers, SDP)?;
    doors.take_offer(visitor.address)?;
    let offer = body::read_text(body, core).await?;
    let identity = Arc::clone(visitor.caller.identity());
    let newcomer = Newcomer { camera, kind: ViewerKind::Whep, identity, address: visitor.address };
    let asked = Asked { newcomer, host: visitor.host.as_deref(), offer: &offer };
    let (viewing, answer) = doors.viewings.answer(asked).await?;
    let camera = viewing.registration().camera().clone();
    let (id, tag) = doors.sessions.begin(viewing);
    let location = match visitor.way {
        Way::Direct => format!("/whep/{camera}/{id}"),
        // The proxy may have taken a prefix off; what is relative to the request's own address holds with and without.
        Way::Proxy => format!("{camera}/{id}"),
    };
    let mut response = (StatusCode::CREATED, answer).into_response();
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(SDP));
    headers.insert(ACCEPT_PATCH, HeaderValue::from_static(FRAGMENT));
    insert_text(headers, header::LOCATION, &location);
    insert_text(headers, header::ETAG, &tag);
    headers.extend(doors.links.iter().map(|link| (header::LINK, link.clone())));
    Ok(response)
}

async fn change(
    State(doors): State<Arc<Doors>>,
    Path((camera, id)): Path<(String, String)>,
    request: Request,
) -> Result<Response, Problem> {
    let (parts, body) = request.into_parts();
    let place = find(&doors, &camera, &id)?;
    require_type(&parts.headers, FRAGMENT)?;
    let tags = parts.headers.get_all(header::IF_MATCH).iter().filter_map(|value| value.to_str().ok());
    let tags = tags.map(str::to_owned).collect::<Vec<_>>();
    let restart = match place {
        Place::Here(session) => {
            conditions::check(&tags, &session.tag()).map_err(unmet)?;
            let text = body::read_text(body, &doors.viewings.core).await?;
            change_here(&session, &tags, &text).await?
        }
        Place::Ended => return Err(not_found("the session has ended")),
        Place::At(replica) => {
            let fragment = body::read_text(body, &doors.viewings.core).await?;
            let act = SessionAct::Change { tags, fragment };
            distant::ask(&doors, &replica, SessionRequest { camera, session: id, act }).await?
        }
    };
    match restart {
        Restart::No => Ok(StatusCode::NO_CONTENT.into_response()),
        Restart::Done { answer, tag } => {
            let mut response = answer.into_response();
            response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(FRAGMENT));
            insert_text(response.headers_mut(), header::ETAG, &tag);
            Ok(response)
        }
    }
}

async fn end(
    State(doors): State<Arc<Doors>>,
    Path((camera, id)): Path<(String, String)>,
) -> Result<StatusCode, Problem> {
    match find(&doors, &camera, &id)? {
        Place::Here(session) => session.end().await,
        Place::Ended => {}
        Place::At(replica) => {
            let request = SessionRequest { camera, session: id, act: SessionAct::End };
            distant::ask(&doors, &replica, request).await?;
        }
    }
    Ok(StatusCode::OK)
}

/// Has a session take a fragment, if the tags are right.
async fn change_here(session: &Handle, tags: &[String], text: &str) -> Result<Restart, Problem> {
    conditions::check(tags, &session.tag()).map_err(unmet)?;
    let fragment = Offer::parse_fragment(text).map_err(ViewError::from)?;
    session.change(fragment).await
}

async fn offers_options() -> impl IntoResponse {
    std::future::ready((StatusCode::NO_CONTENT, [(ACCEPT_POST, SDP)])).await
}

async fn session_options() -> impl IntoResponse {
    std::future::ready((StatusCode::NO_CONTENT, [(ACCEPT_PATCH, FRAGMENT)])).await
}

/// Where a session is.
enum Place {
    /// Here.
    Here(Handle),
    /// It was here, and has ended lately.
    Ended,
    /// On another replica, if anywhere.
    At(String),
}

/// A session by its path. Its id is the right to change it: nobody is told it but the viewer.
fn find(doors: &Doors, camera: &str, id: &str) -> Result<Place, Problem> {
    let parsed = SessionId::parse(id).ok_or_else(|| not_found("there is no such session"))?;
    match doors.sessions.find(&parsed) {
        Found::Open(session) if session.camera() != camera => {
            Err(not_found("the session is of another camera"))
        }
        Found::Open(session) => Ok(Place::Here(session)),
        Found::Ended => Ok(Place::Ended),
        Found::Unknown if *parsed.replica() == *doors.viewings.core.context.node.0 => {
            Err(not_found("the session has ended, or never was"))
        }
        Found::Unknown => Ok(Place::At(parsed.replica().to_owned())),
    }
}

fn not_found(message: &str) -> Problem {
    Problem::new(StatusCode::NOT_FOUND, "NOT_FOUND", message)
}

fn require_type(headers: &HeaderMap, expected: &'static str) -> Result<(), Problem> {
    let given = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
    let given = given.map(|value| value.split(';').next().unwrap_or_default().trim());
    if given.is_some_and(|given| given.eq_ignore_ascii_case(expected)) {
        return Ok(());
    }
    let message = format!("send `content-type: {expected}`");
    Err(Problem::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, "WRONG_TYPE", message))
}

fn unmet(unmet: Unmet) -> Problem {
    let status = match unmet {
        Unmet::Missing => StatusCode::PRECONDITION_REQUIRED,
        Unmet::Stale => StatusCode::PRECONDITION_FAILED,
    };
    Problem::new(status, "ENTITY_TAG", unmet.to_string())
}

/// For texts that we have made of plain characters.
fn insert_text(headers: &mut HeaderMap, name: HeaderName, text: &str) {
    if let Ok(value) = HeaderValue::try_from(text) {
        headers.insert(name, value);
    }
}
