//! What REST has while the replica is sealed: the seal's own calls, and for everything else the word that it is sealed.

use super::{DoorError, calls, frame, frame::Frame, limits, metrics::RestMetrics};
use crate::{
    error::Error,
    grpc,
    seal::{Seal, gate},
    vault,
};
use axum::{
    Router,
    extract::{Request, State},
    http::Method,
    middleware::from_fn_with_state,
    response::{IntoResponse, Response},
    routing,
};
use patchbay_transcode::{Problem, Transcoder};
use std::sync::Arc;
use tonic::Status;

/// What the paths of the seal's calls begin with in the table.
const SEAL: &str = "/patchbay.crypto.v1.Seal/";

/// The paths of a replica that is sealed.
pub(super) fn router(seal: &Arc<Seal>, metrics: RestMetrics) -> Result<Router, DoorError> {
    let (limits, calls) = (limits(&seal.config), calls(&seal.context, &gate::routes(seal)));
    let own = grpc::METHODS.iter().filter(|method| method.path.starts_with(SEAL));
    let table = own.filter_map(|method| Some((method.path, method.door?)));
    let begun = Transcoder::new(patchbay_proto::DESCRIPTOR_SET, calls, limits)?;
    let transcoder =
        table.into_iter().try_fold(begun, |made, (rpc, door)| made.door(door.verb, door.path, rpc))?;
    let frame = Arc::new(Frame::new(&seal.config, &seal.context, metrics));
    Ok(transcoder
        .into_router()
        .route("/v1/sys/health", routing::any(health).with_state(Arc::clone(seal)))
        .route("/v1/sys/seal-status", routing::any(status).with_state(Arc::clone(seal)))
        .fallback(refused)
        .layer(from_fn_with_state(frame, frame::around)))
}

async fn health(State(seal): State<Arc<Seal>>, method: Method) -> Response {
    match seal.told().await {
        Ok(sealed) => vault::sealed_health(method, sealed).await,
        Err(error) => vault::refusal(&Problem::from(&Status::from(error))),
    }
}

async fn status(State(seal): State<Arc<Seal>>, method: Method) -> Response {
    match seal.told().await {
        Ok(sealed) => vault::sealed_status(method, sealed).await,
        Err(error) => vault::refusal(&Problem::from(&Status::from(error))),
    }
}

async fn refused(request: Request) -> Response {
    std::future::ready(refusal(request.uri().path())).await
}

/// That the replica is sealed, in the form of the path's protocol.
pub(super) fn refusal(path: &str) -> Response {
    let problem = Problem::from(&Status::from(Error::Sealed));
    if vault::speaks(path) { vault::refusal(&problem) } else { problem.into_response() }
}
