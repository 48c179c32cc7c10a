//! The gRPC server of a service: health, reflection, identity, deadlines, panics, traces, grpc-web.
//!
//! Messages that come in are limited to 4 MiB by tonic; a service that needs less says so on its own server type.

mod call;
mod trace;

pub use call::grpc_timeout;
pub use trace::adopt;
pub(crate) use trace::inject;

use crate::{
    readiness::{Condition, Readiness},
    service::{Context, GrpcServices, StartError},
};
use patchbay_auth::{GrpcAuthLayer, Identity};
use std::{sync::Arc, time::Duration};
use tokio::net::TcpListener;
use tonic::{
    body::Body,
    transport::{Server, server::TcpIncoming},
};
use tonic_health::{ServingStatus, server::HealthReporter};
use tower::util::MapRequestLayer;

/// Streams that one connection may have open at once.
const MAX_STREAMS: u32 = 1024;

/// A connection that says nothing is asked for life after this time, and closed when it does not answer in the next.
const KEEPALIVE: Duration = Duration::from_secs(20);
const KEEPALIVE_TIMEOUT: Duration = Duration::from_secs(10);

/// Starts the server on a bound listener.
pub(crate) fn spawn(
    listener: TcpListener,
    services: GrpcServices,
    context: &Context,
) -> Result<(), StartError> {
    let (reporter, health) = tonic_health::server::health_reporter();
    let reflection = tonic_reflection::server::Builder::configure()
        .register_encoded_file_descriptor_set(services.descriptors)
        .register_encoded_file_descriptor_set(tonic_health::pb::FILE_DESCRIPTOR_SET)
        .build_v1()
        .map_err(|error| StartError::failed("read the descriptors for reflection", error))?;
    let calls = call::layer(services.methods.domain(), services.descriptors)
        .map_err(|error| StartError::failed("read the descriptors", error))?;
    let routes = services.routes.add_service(health).add_service(reflection);
    let server = Server::builder()
        .accept_http1(true)
        .max_concurrent_streams(MAX_STREAMS)
        .http2_keepalive_interval(Some(KEEPALIVE))
        .http2_keepalive_timeout(Some(KEEPALIVE_TIMEOUT))
        .layer(tonic_web::GrpcWebLayer::new())
        .layer(calls)
        .layer(GrpcAuthLayer::new(Arc::clone(&context.auth), services.methods))
        .layer(MapRequestLayer::new(name_caller))
        .add_routes(routes);
    let (soft, hard) = (context.shutdown.soft(), context.shutdown.hard());
    // Without it the end of an answer waits 40 ms for the acknowledgement of its beginning.
    let incoming = TcpIncoming::from(listener).with_nodelay(Some(true));
    context.tasks.spawn_critical("grpc", async move {
        let serving = server.serve_with_incoming_shutdown(incoming, soft.cancelled_owned());
        if let Some(Err(error)) = hard.run_until_cancelled(serving).await {
            tracing::error!(error = crate::error::chain(&error), "the gRPC server failed");
        }
    });
    let reporting = report_health(reporter, context.readiness.clone(), context.shutdown.hard());
    context.tasks.spawn("grpc-health", reporting);
    Ok(())
}

/// Puts who is calling on the call's span.
fn name_caller(request: http::Request<Body>) -> http::Request<Body> {
    if let Some(identity) = request.extensions().get::<Arc<Identity>>() {
        tracing::Span::current().record("enduser.id", &*identity.subject);
    }
    request
}

/// Keeps gRPC health at what readiness says.
async fn report_health(
    reporter: HealthReporter,
    readiness: Readiness,
    stop: tokio_util::sync::CancellationToken,
) {
    let mut changes = readiness.changes();
    loop {
        let status = match readiness.condition() {
            Condition::Ready | Condition::Degraded(_) => ServingStatus::Serving,
            Condition::NotReady(_) => ServingStatus::NotServing,
        };
        reporter.set_service_status("", status).await;
        let Some(Ok(())) = stop.run_until_cancelled(changes.changed()).await else { return };
    }
}
