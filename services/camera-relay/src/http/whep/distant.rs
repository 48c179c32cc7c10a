//! Requests for sessions of other replicas: behind an edge that knows nothing of replicas, any of them may get a viewer's `PATCH` or `DELETE`.

use super::{
    change_here, not_found,
    session::{Found, Keeper, Restart, SessionId},
};
use crate::{
    http::{Doors, visitor},
    replicas::{SessionAct, SessionAnswer, SessionKeeper, SessionRequest},
};
use futures_util::future::{BoxFuture, FutureExt as _};
use http::StatusCode;
use patchbay_transcode::Problem;

/// Asks the replica that has the session.
pub(super) async fn ask(doors: &Doors, replica: &str, request: SessionRequest) -> Result<Restart, Problem> {
    let answer = doors.viewings.core.ask_session(replica, request).await.map_err(visitor::problem)?;
    match answer {
        Some(SessionAnswer::Done) => Ok(Restart::No),
        Some(SessionAnswer::Restarted { fragment, tag }) => {
            Ok(Restart::Done { answer: fragment, tag: tag.into() })
        }
        Some(SessionAnswer::Refused { status, reason, message }) => {
            let status = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
            Err(Problem::new(status, &reason, message))
        }
        None => Err(not_found(&format!("the session was on the replica `{replica}`, which is gone"))),
    }
}

impl SessionKeeper for Keeper {
    fn obey(&self, request: SessionRequest) -> BoxFuture<'static, SessionAnswer> {
        let found = SessionId::parse(&request.session).map_or(Found::Unknown, |id| self.find(&id));
        async move {
            match obey(found, request).await {
                Ok(Restart::No) => SessionAnswer::Done,
                Ok(Restart::Done { answer, tag }) => {
                    SessionAnswer::Restarted { fragment: answer, tag: tag.to_string() }
                }
                Err(Problem { http, reason, message, .. }) => {
                    SessionAnswer::Refused { status: http.as_u16(), reason, message }
                }
            }
        }
        .boxed()
    }
}

async fn obey(found: Found, request: SessionRequest) -> Result<Restart, Problem> {
    let session = match (found, &request.act) {
        (Found::Open(session), _) if session.camera() == request.camera => session,
        (Found::Open(_), _) => return Err(not_found("the session is of another camera")),
        (Found::Ended, SessionAct::End) => return Ok(Restart::No),
        (Found::Ended, SessionAct::Change { .. }) => return Err(not_found("the session has ended")),
        (Found::Unknown, _) => return Err(not_found("the session has ended, or never was")),
    };
    match request.act {
        SessionAct::End => {
            session.end().await;
            Ok(Restart::No)
        }
        SessionAct::Change { tags, fragment } => change_here(&session, &tags, &fragment).await,
    }
}
