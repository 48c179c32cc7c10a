//! gRPC: the interface of the service, and the table of who may call what.

mod cameras;
mod convert;
mod describe;
mod methods;
mod motion;
mod page;
mod probe;
mod viewers;
mod watch;

use crate::{core::Core, relay};
pub use methods::{Door, Guests, METHODS, Method};

use patchbay_auth::MethodScopes;
use patchbay_proto::{camera::v1::cameras_server::CamerasServer, media::v1::relay_server::RelayServer};
use std::sync::Arc;
use tonic::service::Routes;

/// A request for a stream at most.
const MAX_REQUEST: usize = 16 * 1024;

/// Domain of the errors' `ErrorInfo`.
const DOMAIN: &str = "camera-relay.patchbay";

/// The services behind one server.
pub(crate) fn routes(core: &Arc<Core>) -> Routes {
    let relays = RelayServer::new(relay::Relays { core: Arc::clone(core) });
    Routes::new(CamerasServer::new(cameras::Calls { core: Arc::clone(core) }))
        .add_service(relays.max_decoding_message_size(MAX_REQUEST))
}

/// What the layer before all methods asks; the camera is checked in the method.
pub(crate) fn methods() -> MethodScopes {
    let between = MethodScopes::new(DOMAIN).method(relay::METHOD, relay::REQUIREMENT);
    METHODS.iter().fold(between, |methods, method| {
        let methods = methods.method(method.path, method.requirement);
        match method.guests {
            Guests::Welcome => methods.guests(method.path),
            Guests::Refused => methods,
        }
    })
}
