//! The layer before every gRPC server: who is calling, and may they call this method at all.
//!
//! It sees the method, not the message: where a scope names a resource, the layer checks that the caller may do
//! the action somewhere, and the service checks the resource it was asked about.

use crate::{Authenticator, Identity, TokenError};
use futures_util::future::{self, Either, Ready};
use http::{HeaderMap, Request, Response, header::AUTHORIZATION};
use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
    task::{Context, Poll},
};
use tonic::{Code, Status};
use tonic_types::{ErrorDetails, StatusExt};
use tower::{Layer, Service};

/// Reason of a refusal to somebody whose token is good.
const DENIED: &str = "PERMISSION_DENIED";

/// What a method asks of its caller.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Requirement {
    /// Nothing: health checks.
    Open,
    /// Any valid token.
    AnyToken,
    /// A scope with this service and action, on whatever resource.
    Scope {
        /// Service word.
        service: &'static str,
        /// Action word.
        action: &'static str,
    },
    /// One of these scopes, each a service and an action, on whatever resource.
    AnyScope(&'static [(&'static str, &'static str)]),
}

/// Which method asks what. A method that is not listed is refused.
#[derive(Clone, Debug)]
pub struct MethodScopes {
    domain: &'static str,
    methods: HashMap<&'static str, Requirement>,
    guests: HashSet<&'static str>,
}

impl MethodScopes {
    /// Starts with health checks, open, and reflection, for any token; `domain` is that of the errors' `ErrorInfo`.
    pub fn new(domain: &'static str) -> Self {
        let methods = HashMap::from([
            ("/grpc.health.v1.Health/Check", Requirement::Open),
            ("/grpc.health.v1.Health/List", Requirement::Open),
            ("/grpc.health.v1.Health/Watch", Requirement::Open),
            ("/grpc.reflection.v1.ServerReflection/ServerReflectionInfo", Requirement::AnyToken),
            ("/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo", Requirement::AnyToken),
        ]);
        Self { domain, methods, guests: HashSet::new() }
    }

    /// Adds a method by its path, `/<package>.<Service>/<Method>`.
    #[must_use]
    pub fn method(mut self, path: &'static str, requirement: Requirement) -> Self {
        self.methods.insert(path, requirement);
        self
    }

    /// Lets somebody without a token call a method as a guest, where guests are let in and their policy has what the method asks.
    #[must_use]
    pub fn guests(mut self, path: &'static str) -> Self {
        self.guests.insert(path);
        self
    }

    /// Domain of the errors' `ErrorInfo`.
    pub fn domain(&self) -> &'static str {
        self.domain
    }

    /// Returns what a method asks; `None` for one that is not listed.
    pub fn requirement(&self, path: &str) -> Option<Requirement> {
        self.methods.get(path).copied()
    }
}

/// Tower layer; put it inside grpc-web and outside the routes.
#[derive(Clone)]
pub struct GrpcAuthLayer {
    gate: Arc<Gate>,
}

impl GrpcAuthLayer {
    /// Makes the layer of one server.
    pub fn new(authenticator: Arc<Authenticator>, methods: MethodScopes) -> Self {
        Self { gate: Arc::new(Gate { authenticator, methods }) }
    }
}

impl<S> Layer<S> for GrpcAuthLayer {
    type Service = GrpcAuth<S>;

    fn layer(&self, inner: S) -> Self::Service {
        GrpcAuth { gate: self.gate.clone(), inner }
    }
}

/// What [`GrpcAuthLayer`] makes of a service: requests that pass carry an `Arc<Identity>` in their extensions.
#[derive(Clone)]
pub struct GrpcAuth<S> {
    gate: Arc<Gate>,
    inner: S,
}

impl<S, B, R> Service<Request<B>> for GrpcAuth<S>
where
    S: Service<Request<B>, Response = Response<R>>,
    R: Default,
{
    type Response = Response<R>;
    type Error = S::Error;
    type Future = Either<S::Future, Ready<Result<Response<R>, S::Error>>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, mut request: Request<B>) -> Self::Future {
        match self.gate.admit(request.uri().path(), request.headers()) {
            Ok(Some(identity)) => {
                request.extensions_mut().insert(identity);
                Either::Left(self.inner.call(request))
            }
            Ok(None) => Either::Left(self.inner.call(request)),
            Err(refusal) => Either::Right(future::ready(Ok(self.gate.status(&refusal).into_http()))),
        }
    }
}

struct Gate {
    authenticator: Arc<Authenticator>,
    methods: MethodScopes,
}

/// Why a call is not let through.
enum Refusal {
    Token(TokenError),
    /// None of these.
    Scopes(Vec<(&'static str, &'static str)>),
    Unlisted,
}

impl Gate {
    fn admit(&self, path: &str, headers: &HeaderMap) -> Result<Option<Arc<Identity>>, Refusal> {
        let requirement = self.methods.requirement(path);
        if requirement == Some(Requirement::Open) {
            return Ok(None);
        }
        let identity = match bearer(headers).and_then(|token| self.authenticator.verify(token)) {
            Ok(identity) => identity,
            Err(error) => return self.guest(path, requirement, error).map(Some).ok_or(Refusal::Token(error)),
        };
        let asked = match requirement {
            None => return Err(Refusal::Unlisted),
            Some(Requirement::Open | Requirement::AnyToken) => return Ok(Some(identity)),
            Some(Requirement::Scope { service, action }) => vec![(service, action)],
            Some(Requirement::AnyScope(scopes)) => scopes.to_vec(),
        };
        let has_one = asked.iter().any(|(service, action)| identity.allows_somewhere(service, action));
        if has_one { Ok(Some(identity)) } else { Err(Refusal::Scopes(asked)) }
    }

    /// The guest, where a token is missing and the method takes guests who may do what it asks. A token that is bad makes nobody a guest.
    fn guest(
        &self,
        path: &str,
        requirement: Option<Requirement>,
        error: TokenError,
    ) -> Option<Arc<Identity>> {
        let is_open = error == TokenError::Missing && self.methods.guests.contains(path);
        let guest = self.authenticator.guest().filter(|_| is_open)?;
        let may = match requirement? {
            Requirement::Open | Requirement::AnyToken => true,
            Requirement::Scope { service, action } => guest.allows_somewhere(service, action),
            Requirement::AnyScope(scopes) => {
                scopes.iter().any(|(service, action)| guest.allows_somewhere(service, action))
            }
        };
        may.then_some(guest)
    }

    fn status(&self, refusal: &Refusal) -> Status {
        let (code, reason, message) = match refusal {
            Refusal::Token(error) => (Code::Unauthenticated, error.reason(), error.to_string()),
            Refusal::Scopes(scopes) => {
                let words: Vec<_> =
                    scopes.iter().map(|(service, action)| format!("`{service}:{action}:...`")).collect();
                (Code::PermissionDenied, DENIED, format!("a scope {} is required", words.join(" or ")))
            }
            Refusal::Unlisted => (Code::PermissionDenied, DENIED, "nobody may call this method".to_owned()),
        };
        let details = ErrorDetails::with_error_info(reason, self.methods.domain, HashMap::new());
        Status::with_error_details(code, message, details)
    }
}

/// Takes the token out of `authorization: Bearer <token>` (RFC 6750); more than one header is refused.
pub fn bearer(headers: &HeaderMap) -> Result<&str, TokenError> {
    let mut values = headers.get_all(AUTHORIZATION).iter();
    let value = values.next().ok_or(TokenError::Missing)?;
    if values.next().is_some() {
        return Err(TokenError::Malformed);
    }
    let text = value.to_str().map_err(|_| TokenError::Malformed)?;
    let (scheme, token) = text.split_once(' ').ok_or(TokenError::Malformed)?;
    if !scheme.eq_ignore_ascii_case("bearer") {
        return Err(TokenError::Missing);
    }
    Ok(token.trim())
}

#[cfg(test)]
#[path = "grpc_tests.rs"]
mod tests;
