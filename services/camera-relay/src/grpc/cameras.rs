//! `patchbay.camera.v1.Cameras`: who may do what. What is done stands in `cameras`, `viewers`, `replicas` and `snapshot`.

use super::{convert, describe, motion, page, probe, viewers, watch};
use crate::{
    caller::{Action, Caller},
    cameras::CameraName,
    core::Core,
    error::Error,
    snapshot,
    viewers::ViewerId,
};
use patchbay_proto::camera::v1::{self as pb, cameras_server};
use std::sync::Arc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Request, Response, Status};

/// Cameras of a page where the caller does not say how many, and at most.
const PAGE: usize = 100;
const MAX_PAGE: usize = 500;

/// Viewers of a page at most.
const MAX_VIEWERS: usize = 1000;

/// The service.
pub(crate) struct Calls {
    pub(super) core: Arc<Core>,
}

#[tonic::async_trait]
impl cameras_server::Cameras for Calls {
    async fn list_cameras(
        &self,
        request: Request<pb::ListCamerasRequest>,
    ) -> Result<Response<pb::ListCamerasResponse>, Status> {
        let caller = Caller::of(&request)?;
        let pb::ListCamerasRequest { page_size, page_token } = request.into_inner();
        let size = page::size(page_size, PAGE, MAX_PAGE)?;
        let after = match page_token.as_str() {
            "" => None,
            token => Some(name("page_token", token)?),
        };
        let all = self.core.cameras.all().into_iter();
        let visible = all.filter(|camera| {
            after.as_ref().is_none_or(|after| camera.name > *after) && caller.may(Action::Read, &camera.name)
        });
        // One more than asked for tells whether another page follows.
        let mut found: Vec<_> = visible.take(size + 1).collect();
        let next_page_token = page::cut(&mut found, size, |camera| camera.name.to_string());
        let cameras = found.iter().map(|camera| convert::camera(&self.core, &caller, camera)).collect();
        Ok(Response::new(pb::ListCamerasResponse { cameras, next_page_token }))
    }

    async fn get_camera(
        &self,
        request: Request<pb::GetCameraRequest>,
    ) -> Result<Response<pb::GetCameraResponse>, Status> {
        let name = allowed(&request, Action::Read, &request.get_ref().name)?;
        let (caller, camera) = (Caller::of(&request)?, self.core.cameras.get(&name)?);
        let camera = convert::camera(&self.core, &caller, &camera);
        Ok(Response::new(pb::GetCameraResponse { camera: Some(camera) }))
    }

    async fn add_camera(
        &self,
        request: Request<pb::AddCameraRequest>,
    ) -> Result<Response<pb::AddCameraResponse>, Status> {
        let caller = Caller::of(&request)?;
        let camera = request.into_inner().camera.ok_or_else(|| Error::bad("camera", "must be set"))?;
        let name = name("camera.name", &camera.name)?;
        caller.require(Action::Write, &name)?;
        let added = self.core.cameras.add(&name, convert::spec(camera)?).await?;
        tracing::info!(camera = %name, by = %caller.identity().subject, "camera added");
        let camera = convert::camera(&self.core, &caller, &added);
        Ok(Response::new(pb::AddCameraResponse { camera: Some(camera) }))
    }

    async fn update_camera(
        &self,
        request: Request<pb::UpdateCameraRequest>,
    ) -> Result<Response<pb::UpdateCameraResponse>, Status> {
        let name = allowed(&request, Action::Write, &request.get_ref().name)?;
        let caller = Caller::of(&request)?;
        let camera = request.into_inner().camera.ok_or_else(|| Error::bad("camera", "must be set"))?;
        if !camera.name.is_empty() && camera.name != name.as_str() {
            return Err(
                Error::bad("camera.name", "must be empty or the same: a camera keeps its name").into()
            );
        }
        let expected = (camera.revision != 0).then_some(camera.revision);
        let updated = self.core.cameras.update(&name, convert::spec(camera)?, expected).await?;
        tracing::info!(camera = %name, by = %caller.identity().subject, "camera changed");
        let camera = convert::camera(&self.core, &caller, &updated);
        Ok(Response::new(pb::UpdateCameraResponse { camera: Some(camera) }))
    }

    async fn remove_camera(
        &self,
        request: Request<pb::RemoveCameraRequest>,
    ) -> Result<Response<pb::RemoveCameraResponse>, Status> {
        let name = allowed(&request, Action::Write, &request.get_ref().name)?;
        let caller = Caller::of(&request)?;
        self.core.cameras.remove(&name).await?;
        motion::forget(&self.core, &name).await;
        tracing::info!(camera = %name, by = %caller.identity().subject, "camera removed");
        Ok(Response::new(pb::RemoveCameraResponse {}))
    }

    async fn get_snapshot(
        &self,
        request: Request<pb::GetSnapshotRequest>,
    ) -> Result<Response<pb::GetSnapshotResponse>, Status> {
        let name = allowed(&request, Action::View, &request.get_ref().name)?;
        let width = snapshot::Width::parse(request.get_ref().width)?;
        let jpeg = snapshot::take(&self.core, &Caller::of(&request)?, &name, width).await?;
        Ok(Response::new(pb::GetSnapshotResponse {
            jpeg: jpeg.data,
            time: Some(convert::timestamp(jpeg.time)),
            width: jpeg.width,
            height: jpeg.height,
        }))
    }

    async fn get_statistics(
        &self,
        request: Request<pb::GetStatisticsRequest>,
    ) -> Result<Response<pb::GetStatisticsResponse>, Status> {
        let name = allowed(&request, Action::Read, &request.get_ref().name)?;
        let (caller, camera) = (Caller::of(&request)?, self.core.cameras.get(&name)?);
        Ok(Response::new(convert::statistics(&self.core, &caller, &camera)))
    }

    type WatchCamerasStream = ReceiverStream<Result<pb::WatchCamerasResponse, Status>>;

    async fn watch_cameras(
        &self,
        request: Request<pb::WatchCamerasRequest>,
    ) -> Result<Response<Self::WatchCamerasStream>, Status> {
        let caller = Caller::of(&request)?;
        let texts = request.into_inner().names;
        let names = texts.iter().map(|text| name("names", text)).collect::<Result<Vec<_>, _>>()?;
        for name in &names {
            caller.require(Action::Read, name)?;
            self.core.cameras.get(name)?;
        }
        Ok(Response::new(watch::start(&self.core, caller, names)))
    }

    async fn list_viewers(
        &self,
        request: Request<pb::ListViewersRequest>,
    ) -> Result<Response<pb::ListViewersResponse>, Status> {
        let caller = Caller::of(&request)?;
        let pb::ListViewersRequest { camera, page_size, page_token } = request.into_inner();
        let size = page::size(page_size, PAGE, MAX_VIEWERS)?;
        let camera = match camera.as_str() {
            "" => None,
            text => Some(name("camera", text)?),
        };
        if let Some(camera) = &camera {
            caller.require(Action::Read, camera)?;
            self.core.cameras.get(camera)?;
        }
        let after = match page_token.as_str() {
            "" => None,
            token => {
                Some(ViewerId::parse(token).ok_or_else(|| Error::bad("page_token", "is not one of ours"))?)
            }
        };
        let listed = viewers::list(&self.core, &caller, camera.as_ref(), after, size).await?;
        Ok(Response::new(listed))
    }

    async fn probe_source(
        &self,
        request: Request<pb::ProbeSourceRequest>,
    ) -> Result<Response<pb::ProbeSourceResponse>, Status> {
        probe::probe(&self.core, request).await
    }

    async fn discover_sources(
        &self,
        request: Request<pb::DiscoverSourcesRequest>,
    ) -> Result<Response<pb::DiscoverSourcesResponse>, Status> {
        probe::discover(&self.core, request).await
    }

    async fn describe_device(
        &self,
        request: Request<pb::DescribeDeviceRequest>,
    ) -> Result<Response<pb::DescribeDeviceResponse>, Status> {
        describe::describe(&self.core, request).await
    }

    async fn list_motion(
        &self,
        request: Request<pb::ListMotionRequest>,
    ) -> Result<Response<pb::ListMotionResponse>, Status> {
        motion::list(&self.core, request).await
    }

    async fn get_motion_picture(
        &self,
        request: Request<pb::GetMotionPictureRequest>,
    ) -> Result<Response<pb::GetMotionPictureResponse>, Status> {
        motion::picture(&self.core, request).await
    }

    async fn kick_viewer(
        &self,
        request: Request<pb::KickViewerRequest>,
    ) -> Result<Response<pb::KickViewerResponse>, Status> {
        let caller = Caller::of(&request)?;
        viewers::kick(&self.core, &caller, &request.get_ref().id).await?;
        Ok(Response::new(pb::KickViewerResponse {}))
    }
}

pub(super) fn name(field: &'static str, text: &str) -> Result<CameraName, Error> {
    text.parse().map_err(|error| Error::bad(field, format!("{error}")))
}

/// The camera that a request names, where the caller may do this with it. Whether it is there is told only to those who may.
pub(super) fn allowed<T>(request: &Request<T>, action: Action, text: &str) -> Result<CameraName, Error> {
    let caller = Caller::of(request)?;
    let name = name("name", text)?;
    caller.require(action, &name)?;
    Ok(name)
}
