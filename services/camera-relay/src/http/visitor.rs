//! Who stands at a door: a token as `Authorization: Bearer` or as `?access_token=`, or a guest.

use super::frame::{Origin, Way};
use crate::{
    caller::{Action, Caller},
    cameras::CameraName,
    error::Error,
};
use http::{HeaderMap, StatusCode, header, request::Parts};
use patchbay_auth::{Authenticator, IdentityKind};
use patchbay_transcode::Problem;
use std::{
    net::{IpAddr, Ipv4Addr},
    sync::Arc,
};
use tonic::Status;

/// Name of the query's field (RFC 6750, section 2.3): pages cannot set headers of a WebSocket, nor of an `<img>`.
const FIELD: &str = "access_token";

/// Somebody at a door.
#[derive(Clone, Debug)]
pub(super) struct Visitor {
    /// Its address.
    pub(super) address: IpAddr,
    /// The authority that it has dialled.
    pub(super) host: Option<Arc<str>>,
    /// Through which way it came.
    pub(super) way: Way,
    /// Who it is.
    pub(super) caller: Caller,
}

impl Visitor {
    /// Finds out who sends a request; an error is what it is told.
    pub(super) fn of(auth: &Authenticator, request: &Parts) -> Result<Self, Problem> {
        let query = request.uri.query().unwrap_or_default();
        let caller = match token(&request.headers, query)? {
            Some(token) => {
                auth.verify(&token).map_err(|error| unauthorized("TOKEN_INVALID", &error.to_string()))?
            }
            None => auth.guest().ok_or_else(|| problem(Error::TokenMissing))?,
        };
        let origin = request.extensions.get::<Origin>().cloned();
        let origin =
            origin.unwrap_or(Origin { address: Ipv4Addr::UNSPECIFIED.into(), host: None, way: Way::Direct });
        Ok(Self { address: origin.address, host: origin.host, way: origin.way, caller: caller.into() })
    }

    /// Reads the name of a camera and requires that the visitor may look at it.
    pub(super) fn may_view(&self, camera: &str) -> Result<CameraName, Problem> {
        let nowhere = |_| Problem::new(StatusCode::NOT_FOUND, "NOT_FOUND", "there is no camera of that name");
        let camera: CameraName = camera.parse().map_err(nowhere)?;
        self.caller.require(Action::View, &camera).map_err(problem)?;
        Ok(camera)
    }

    /// Nobody in particular.
    pub(super) fn is_guest(&self) -> bool {
        self.caller.identity().kind == IdentityKind::Guest
    }
}

/// What an error of a call is at a door.
pub(super) fn problem(error: Error) -> Problem {
    Problem::from(&Status::from(error))
}

fn unauthorized(reason: &str, message: &str) -> Problem {
    Problem::new(StatusCode::UNAUTHORIZED, reason, message)
}

/// The token, which must stand in one place only (RFC 6750, section 2).
fn token(headers: &HeaderMap, query: &str) -> Result<Option<String>, Problem> {
    let mut found = Vec::new();
    for value in headers.get_all(header::AUTHORIZATION) {
        let text = value.to_str().ok().and_then(|text| text.split_once(' '));
        let bearer =
            text.filter(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer")).map(|(_, token)| token.trim());
        let bearer =
            bearer.ok_or_else(|| unauthorized("TOKEN_MALFORMED", "send `authorization: Bearer <token>`"))?;
        found.push(bearer.to_owned());
    }
    let fields = form_urlencoded::parse(query.as_bytes());
    found.extend(fields.filter(|(name, _)| name == FIELD).map(|(_, token)| token.into_owned()));
    found.retain(|token| !token.is_empty());
    if found.len() > 1 {
        let message = "send one token, as `authorization: Bearer` or as `?access_token=`";
        return Err(Problem::new(StatusCode::BAD_REQUEST, "TWO_TOKENS", message));
    }
    Ok(found.pop())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(authorization: &[&str], query: &str) -> Result<Option<String>, u16> {
        let mut headers = HeaderMap::new();
        for value in authorization {
            headers.append(header::AUTHORIZATION, value.parse().unwrap());
        }
        token(&headers, query).map_err(|problem| problem.http.as_u16())
    }

    #[test]
    fn a_token_stands_in_one_place() {
        let abc = Ok(Some("abc".to_owned()));
        assert_eq!(read(&["Bearer abc"], ""), abc);
        assert_eq!(read(&["bearer  abc"], "camera=x"), abc);
        assert_eq!(read(&[], "camera=x&access_token=a%62c"), abc);
        for nothing in ["", "access_token=", "token=abc"] {
            assert_eq!(read(&[], nothing), Ok(None), "{nothing}");
        }
        assert_eq!(read(&["Bearer abc"], "access_token=abc"), Err(400));
        assert_eq!(read(&["Bearer abc", "Bearer xyz"], ""), Err(400));
        assert_eq!(read(&["Basic abc"], ""), Err(401));
        assert_eq!(read(&["Bearer"], ""), Err(401));
    }
}
