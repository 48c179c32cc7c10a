//! gRPC: the interface of the service, and the table of who may call what.

mod cameras;
mod convert;
mod methods;
mod page;
mod viewers;
mod watch;

use crate::core::Core;
pub use methods::{Door, Guests, METHODS, Method};

use patchbay_auth::MethodScopes;
use patchbay_proto::camera::v1::cameras_server::CamerasServer;
use std::sync::Arc;
use tonic::service::Routes;

/// Domain of the errors' `ErrorInfo`.
const DOMAIN: &str = "camera-relay.patchbay";

/// The services behind one server.
pub(crate) fn routes(core: &Arc<Core>) -> Routes {
    Routes::new(CamerasServer::new(cameras::Calls { core: Arc::clone(core) }))
}

/// What the layer before all methods asks; the camera is checked in the method.
pub(crate) fn methods() -> MethodScopes {
    METHODS.iter().fold(MethodScopes::new(DOMAIN), |methods, method| {
        let methods = methods.method(method.path, method.requirement);
        match method.guests {
            Guests::Welcome => methods.guests(method.path),
            Guests::Refused => methods,
        }
    })
}
