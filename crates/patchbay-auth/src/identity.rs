//! A caller whose token has been verified, or a guest.

use crate::{SERVICE_SUBJECT_PREFIX, Scope};
use std::sync::Arc;

/// What kind of caller an identity is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum IdentityKind {
    /// Somebody with a token.
    User,
    /// Somebody without one, under the guest policy.
    Guest,
    /// One of the suite's services.
    Service,
}

/// Who is calling and what they may do. Denied by default.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    /// Stable id; for a service `svc:<name>`, for guests `guest` (services append the connection's id).
    pub subject: Arc<str>,
    /// Display name.
    pub name: Option<Arc<str>>,
    /// Address of a picture.
    pub avatar: Option<Arc<str>>,
    /// What is allowed.
    pub scopes: Arc<[Scope]>,
    /// When this ends, in Unix seconds; guests have no end.
    pub expires_at: Option<u64>,
    /// Id of the token, by which it can be revoked; tokens of other issuers' tools may have none.
    pub token_id: Option<Arc<str>>,
    /// Session that the token belongs to, by which all tokens of a session can be revoked.
    pub session: Option<Arc<str>>,
    /// When the token was issued, in Unix milliseconds; a token that tells only seconds counts from their beginning.
    /// 0 for guests.
    pub issued_at_ms: u64,
    /// What kind of caller it is.
    pub kind: IdentityKind,
}

impl Identity {
    /// Makes the identity that all guests share.
    pub fn guest(scopes: &[Scope]) -> Self {
        Self {
            subject: "guest".into(),
            name: None,
            avatar: None,
            scopes: scopes.into(),
            expires_at: None,
            token_id: None,
            session: None,
            issued_at_ms: 0,
            kind: IdentityKind::Guest,
        }
    }

    /// Tells whether the action on the resource is allowed.
    pub fn allows(&self, service: &str, action: &str, resource: &str) -> bool {
        self.scopes.iter().any(|scope| scope.allows(service, action, resource))
    }

    /// Tells whether the action is allowed on any resource at all; the resource must still be checked.
    pub fn allows_somewhere(&self, service: &str, action: &str) -> bool {
        self.scopes.iter().any(|scope| scope.allows_somewhere(service, action))
    }

    /// Tells whether everything is allowed.
    pub fn is_admin(&self) -> bool {
        self.scopes.contains(&Scope::Admin)
    }
}

/// Tells the kind from a token's subject.
pub(crate) fn kind_of(subject: &str) -> IdentityKind {
    if subject.starts_with(SERVICE_SUBJECT_PREFIX) { IdentityKind::Service } else { IdentityKind::User }
}
