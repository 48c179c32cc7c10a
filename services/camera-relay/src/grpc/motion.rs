//! `ListMotion` and `GetMotionPicture`.

use crate::core::Core;
use patchbay_proto::camera::v1 as pb;
use std::sync::Arc;
use tonic::{Request, Response, Status};

#[expect(clippy::unused_async, reason = "the interface is there before what stands behind it")]
pub(super) async fn list(
    _: &Arc<Core>,
    _: Request<pb::ListMotionRequest>,
) -> Result<Response<pb::ListMotionResponse>, Status> {
    Err(Status::unimplemented("motions are not kept yet"))
}

#[expect(clippy::unused_async, reason = "the interface is there before what stands behind it")]
pub(super) async fn picture(
    _: &Arc<Core>,
    _: Request<pb::GetMotionPictureRequest>,
) -> Result<Response<pb::GetMotionPictureResponse>, Status> {
    Err(Status::unimplemented("motions are not kept yet"))
}
