//! Who calls, and whether he may.

use crate::{accounts::secrets, error::Error};
use patchbay_auth::{Identity, IdentityKind};
use std::sync::Arc;
use tonic::Request;

/// Operations on keys that `keys:use:<name>` stands for.
const USES: [&str; 8] = ["encrypt", "decrypt", "rewrap", "datakey", "sign", "verify", "hmac", "agree"];

/// Operations on keys that `keys:manage:<name>` stands for.
const MANAGES: [&str; 7] = ["create", "import", "read", "list", "rotate", "trim", "csr"];

/// The caller of an rpc.
#[derive(Clone, Debug)]
pub struct Caller(Arc<Identity>);

impl From<Arc<Identity>> for Caller {
    /// For what stands before the rpcs and has asked the authenticator itself.
    fn from(identity: Arc<Identity>) -> Self {
        Self(identity)
    }
}

impl Caller {
    /// Takes the identity that the layer before every rpc has put on the request.
    pub fn of<T>(request: &Request<T>) -> Result<Self, Error> {
        request.extensions().get::<Arc<Identity>>().cloned().map(Self).ok_or(Error::TokenMissing)
    }

    /// Subject of the token.
    pub fn subject(&self) -> &str {
        &self.0.subject
    }

    /// Everything known of the caller.
    pub fn identity(&self) -> &Identity {
        &self.0
    }

    /// Name of the account, for a caller that has one: neither a service nor a guest.
    pub fn account(&self) -> Option<&str> {
        (self.0.kind == IdentityKind::User).then_some(&*self.0.subject)
    }

    /// As [`Self::account`], for a token that a sign-in or an API key of the account has given. One that somebody else has minted
    /// under its name is not the account's.
    pub fn member(&self) -> Option<&str> {
        self.account().filter(|_| self.0.session.is_some())
    }

    /// As [`Self::account`], for a token that a sign-in has given. An API key's is not enough to make other keys: they would outlive it.
    pub fn signed_in(&self) -> Option<&str> {
        self.account().filter(|_| self.0.session.as_deref().is_some_and(secrets::is_id))
    }

    /// Requires `<service>:<action>:<resource>`.
    pub fn require(&self, service: &str, action: &str, resource: &str) -> Result<(), Error> {
        let allowed = self.0.allows(service, action, resource);
        allowed.then_some(()).ok_or_else(|| Error::Denied(format!("{service}:{action}:{resource}")))
    }

    /// Whether an operation on a key is allowed, by its own word or by the one that stands for several.
    pub fn may(&self, operation: &str, key: &str) -> bool {
        let stands_for = |word: &str, operations: &[&str]| {
            operations.contains(&operation) && self.0.allows("keys", word, key)
        };
        self.0.allows("keys", operation, key) || stands_for("use", &USES) || stands_for("manage", &MANAGES)
    }

    /// Requires an operation on a key.
    pub fn require_key(&self, operation: &str, key: &str) -> Result<(), Error> {
        let refused = || Error::Denied(format!("keys:{operation}:{key}"));
        self.may(operation, key).then_some(()).ok_or_else(refused)
    }
}
