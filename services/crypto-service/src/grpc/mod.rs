//! gRPC: the interface of the service, and the table of who may call what.

mod accounts;
mod admin;
mod agreement;
mod client;
mod data;
mod encoding;
mod hash;
mod keys;
mod methods;
mod passwords;
pub(crate) mod pieces;
mod refusal;
mod seal;
mod streams;
mod tls;
mod tokens;

use crate::{core::Core, error::Error};
pub use methods::{Door, METHODS, Method};
pub(crate) use seal::server as seal_server;

use axum::{body::Body, response::Response};
use patchbay_auth::MethodScopes;
use patchbay_proto::crypto::v1 as pb;
use std::sync::Arc;
use tonic::service::Routes;
use tower::util::MapResponseLayer;

/// Domain of the errors' `ErrorInfo`.
pub(crate) const DOMAIN: &str = "crypto-service.patchbay";

/// The services behind one server. What they refuse is counted here, whichever door it came by.
pub(crate) fn routes(core: &Arc<Core>) -> Routes {
    let counting = Arc::clone(core);
    let counted = MapResponseLayer::new(move |response: Response<Body>| {
        counting.metrics.answered(&response);
        response
    });
    let routes = Routes::default()
        .add_service(accounts::server(Arc::clone(core)))
        .add_service(tokens::server(Arc::clone(core)))
        .add_service(admin::server(Arc::clone(core)))
        .add_service(agreement::server(Arc::clone(core)))
        .add_service(data::server(Arc::clone(core)))
        .add_service(encoding::server(Arc::clone(core)))
        .add_service(hash::server(Arc::clone(core)))
        .add_service(keys::server(core))
        .add_service(streams::server(Arc::clone(core)))
        .add_service(tls::server(Arc::clone(core)))
        .add_service(passwords::server(core));
    routes.into_axum_router().layer(counted).into()
}

/// What the layer before all methods asks; where a scope names a resource, the method checks that.
pub(crate) fn methods() -> MethodScopes {
    METHODS
        .iter()
        .fold(MethodScopes::new(DOMAIN), |methods, method| methods.method(method.path, method.requirement))
}

/// Whether the answers of a method may come one by one. Streams are what has no place in REST's table.
pub(crate) fn is_stream(path: &str) -> bool {
    METHODS.iter().any(|method| method.door.is_none() && method.path == path)
}

/// What is wrong with one item of a batch, in the words of a whole call's error, and counted like that. Causes of internal ones are
/// logged, not told.
pub(crate) fn item_error(core: &Core, error: &Error) -> pb::ItemError {
    core.metrics.item_refused(error);
    let message = match error {
        Error::Internal(cause) => {
            tracing::error!(%cause, "an item of a batch failed");
            "internal error".to_owned()
        }
        error => error.to_string(),
    };
    pb::ItemError { reason: error.reason().to_owned(), message }
}
