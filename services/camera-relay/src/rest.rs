//! REST: the same calls as gRPC, in JSON, on the port of the doors for viewers. Every unary method of the table has a path.

use crate::{core::Core, grpc};
use axum::{Router, body::Body, response::IntoResponse};
use hyper::body::Incoming;
use patchbay_auth::GrpcAuthLayer;
use patchbay_chassis::DrainHook;
use patchbay_tls::Acceptor;
use patchbay_transcode::{Calls, DoorError, Limits, Transcoder};
use prometheus_client::metrics::gauge::Gauge;
use std::{sync::Arc, time::Duration};
use tokio::net::TcpListener;
use tokio_util::task::TaskTracker;
use tonic::service::Routes;
use tower::{Layer, ServiceExt};

/// Time for a call, when the caller asks for no less; the same as gRPC's.
const CALL: Duration = Duration::from_secs(30);

/// The paths below `/v1`, and the answer to paths that are not there.
pub(crate) fn router(core: &Core, grpc: &Routes) -> Result<Router, DoorError> {
    let auth = GrpcAuthLayer::new(Arc::clone(&core.context.auth), grpc::methods());
    let limits = &core.config.limits;
    let limits =
        Limits { body: limits.body.as_usize(), arrival: limits.request_timeout.duration(), call: CALL };
    doors(&patchbay_transcode::calls(auth.layer(grpc.clone().prepare())), limits)
}

/// All methods of the table that have a door.
fn doors(calls: &Calls, limits: Limits) -> Result<Router, DoorError> {
    let table = grpc::METHODS.iter().filter_map(|method| Some((method.path, method.door?)));
    let begun = Transcoder::new(patchbay_proto::DESCRIPTOR_SET, calls.clone(), limits)?;
    let transcoder =
        table.into_iter().try_fold(begun, |made, (rpc, door)| made.door(door.verb, door.path, rpc))?;
    Ok(transcoder.into_router())
}

/// Serves until the process stops. The hook waits for the requests that are under way then.
pub(crate) fn serve(
    core: &Arc<Core>,
    socket: TcpListener,
    tls: Option<Acceptor>,
    router: Router,
) -> DrainHook {
    let limits = patchbay_http::Limits {
        connections: core.config.limits.connections,
        patience: core.config.limits.request_timeout.duration(),
    };
    let serving = TaskTracker::new();
    let open = core.context.metrics.register("connections", "Open HTTP connections", Gauge::default());
    let context = core.context.clone();
    let server =
        patchbay_http::Server { listener: socket, tls, limits, open, serving: serving.clone(), context };
    let answer = move |request: http::Request<Incoming>| {
        let answering = router.clone().oneshot(request.map(Body::new));
        async move { answering.await.into_response() }
    };
    core.context.tasks.spawn_critical("http", server.run(answer));
    Box::new(move |_| {
        Box::pin(async move {
            serving.close();
            serving.wait().await;
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_method_of_the_table_has_a_place() {
        let nowhere = patchbay_transcode::calls(Routes::default());
        let limits = Limits { body: 1, arrival: CALL, call: CALL };
        drop(doors(&nowhere, limits).expect("the table fits the descriptors"));
    }
}
