//! REST: the same calls as gRPC, in JSON. Every unary method of the table has a door, beside them are the public keys at
//! `/.well-known/jwks.json`, the digest of a body of any size, and the paths of Vault's Transit engine.
//!
//! Nothing is decided here: each request becomes a call of the gRPC services of this process, behind the same layer that
//! asks who is calling.

mod body;
mod credentials;
mod digest;
mod frame;
mod key_set;
mod metrics;
mod sealed;
mod streams;

use crate::{config::CryptoConfig, core::Core, grpc, seal::Seal, vault};
use axum::{Router, body::Body, middleware::from_fn_with_state, response::IntoResponse};
use credentials::Credentials;
use frame::Frame;
use hyper::body::Incoming;
use metrics::RestMetrics;
use patchbay_auth::{GrpcAuthLayer, Identity};
use patchbay_chassis::{Context, DrainHook, StartError};
use patchbay_tls::Acceptor;
use patchbay_transcode::{Calls, DoorError, Limits, Transcoder};
use std::{sync::Arc, time::Duration};
use tokio::net::TcpListener;
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use tonic::service::Routes;
use tower::{Layer, ServiceExt, util::MapRequestLayer};

/// Time for a call, when the caller asks for no less; the same as gRPC's.
const CALL: Duration = Duration::from_secs(30);

/// Serves REST until the process stops. The hook waits for the requests that are under way then.
pub(crate) fn serve(
    seal: &Arc<Seal>,
    socket: TcpListener,
    tls: Option<Acceptor>,
) -> Result<DrainHook, StartError> {
    let metrics = RestMetrics::register(&seal.context.metrics);
    let open = metrics.connections.clone();
    let closed = sealed::router(seal, metrics)
        .map_err(|error| StartError::failed("make the table of REST paths", error))?;
    let limits = patchbay_http::Limits {
        connections: seal.config.limits.connections,
        patience: seal.config.limits.request_timeout.duration(),
    };
    let serving = TaskTracker::new();
    let server = patchbay_http::Server {
        listener: socket,
        tls,
        limits,
        open,
        serving: serving.clone(),
        context: seal.context.clone(),
    };
    let gate = Arc::clone(seal);
    let answer = move |request: http::Request<Incoming>| {
        let (router, ended) = gate.rest().unwrap_or_else(|| (closed.clone(), CancellationToken::new()));
        let path = request.uri().path().to_owned();
        let answering = router.oneshot(request.map(Body::new));
        async move {
            // The request is asked first, so that one that is answered at once costs nothing more.
            tokio::select! {
                biased;
                answered = answering => answered.into_response(),
                () = ended.cancelled() => sealed::refusal(&path),
            }
        }
    };
    seal.context.tasks.spawn_critical("http", server.run(answer));
    Ok(Box::new(move |_| {
        Box::pin(async move {
            serving.close();
            serving.wait().await;
        })
    }))
}

/// The paths of a replica that is open.
pub(crate) fn router(core: &Arc<Core>, grpc: &Routes) -> Result<Router, DoorError> {
    let metrics = RestMetrics::register(&core.context.metrics);
    let calls = calls(&core.context, grpc);
    let limits = limits(&core.config);
    let credentials = Credentials::new(core, calls.clone());
    let doors = doors(&calls, limits)?
        .merge(digest::router(calls.clone(), limits))
        .merge(streams::router(&calls, limits))
        .merge(key_set::router(calls.clone(), limits))
        .merge(vault::router(core, calls, limits));
    Ok(doors
        .layer(from_fn_with_state(Arc::new(credentials), credentials::admit))
        .layer(from_fn_with_state(Arc::new(Frame::new(&core.config, &core.context, metrics)), frame::around)))
}

/// All methods of the table that have a door.
fn doors(calls: &Calls, limits: Limits) -> Result<Router, DoorError> {
    let table = grpc::METHODS.iter().filter_map(|method| Some((method.path, method.door?)));
    let begun = Transcoder::new(patchbay_proto::DESCRIPTOR_SET, calls.clone(), limits)?;
    let transcoder =
        table.into_iter().try_fold(begun, |made, (rpc, door)| made.door(door.verb, door.path, rpc))?;
    Ok(transcoder.into_router())
}

fn limits(config: &CryptoConfig) -> Limits {
    let limits = &config.limits;
    Limits { body: limits.body.as_usize(), arrival: limits.request_timeout.duration(), call: CALL }
}

/// The gRPC services of this process, behind the layer that asks who is calling.
fn calls(context: &Context, grpc: &Routes) -> Calls {
    let auth = GrpcAuthLayer::new(Arc::clone(&context.auth), grpc::methods());
    patchbay_transcode::calls(auth.layer(MapRequestLayer::new(name_caller).layer(grpc.clone().prepare())))
}

/// Puts who is calling on the request's span.
fn name_caller(request: http::Request<tonic::body::Body>) -> http::Request<tonic::body::Body> {
    if let Some(identity) = request.extensions().get::<Arc<Identity>>() {
        tracing::Span::current().record("enduser.id", &*identity.subject);
    }
    request
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
