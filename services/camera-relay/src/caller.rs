//! Who calls, and whether he may: by token, or as a guest where the guest policy says so.

use crate::{cameras::CameraName, error::Error};
use patchbay_auth::{Identity, IdentityKind};
use std::sync::Arc;
use tonic::Request;

/// The service's word in scopes.
const SERVICE: &str = "media";

/// What somebody wants of a camera.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// See that it is there, how it is and who looks at it.
    Read,
    /// Add, change and remove it, and send its viewers away.
    Write,
    /// See its pictures.
    View,
}

impl Action {
    /// Its word in scopes.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Write => "write",
            Self::View => "view",
        }
    }
}

/// The caller of an rpc, or of a door.
#[derive(Clone, Debug)]
pub struct Caller(Arc<Identity>);

impl From<Arc<Identity>> for Caller {
    /// For a door that has asked the authenticator itself.
    fn from(identity: Arc<Identity>) -> Self {
        Self(identity)
    }
}

impl Caller {
    /// Takes the identity that the layer before every rpc has put on the request.
    pub fn of<T>(request: &Request<T>) -> Result<Self, Error> {
        request.extensions().get::<Arc<Identity>>().cloned().map(Self).ok_or(Error::TokenMissing)
    }

    /// Everything known of the caller.
    pub fn identity(&self) -> &Arc<Identity> {
        &self.0
    }

    /// Whether something may be done with a camera.
    pub fn may(&self, action: Action, camera: &CameraName) -> bool {
        self.0.allows(SERVICE, action.word(), camera.as_str())
    }

    /// Requires `media:<action>:<camera>`. A guest who may not is told that a token is missing: with one he might.
    pub fn require(&self, action: Action, camera: &CameraName) -> Result<(), Error> {
        match self.0.kind {
            _ if self.may(action, camera) => Ok(()),
            IdentityKind::Guest => Err(Error::TokenMissing),
            _ => Err(Error::Denied(format!("{SERVICE}:{}:{camera}", action.word()))),
        }
    }
}
