//! `ProbeSource` and `DiscoverSources`.

use crate::core::Core;
use patchbay_proto::camera::v1 as pb;
use std::sync::Arc;
use tonic::{Request, Response, Status};

#[expect(clippy::unused_async, reason = "the interface is there before what stands behind it")]
pub(super) async fn probe(
    _: &Arc<Core>,
    _: Request<pb::ProbeSourceRequest>,
) -> Result<Response<pb::ProbeSourceResponse>, Status> {
    Err(Status::unimplemented("sources cannot be probed yet"))
}

#[expect(clippy::unused_async, reason = "the interface is there before what stands behind it")]
pub(super) async fn discover(
    _: &Arc<Core>,
    _: Request<pb::DiscoverSourcesRequest>,
) -> Result<Response<pb::DiscoverSourcesResponse>, Status> {
    Err(Status::unimplemented("sources cannot be discovered yet"))
}
