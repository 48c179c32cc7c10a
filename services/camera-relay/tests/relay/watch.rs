//! Changes as they happen.

use super::world::{SOON, World, add, test_camera, with};
use anyhow::{Context, Result};
use patchbay_proto::camera::v1 as pb;
use tempfile::tempdir;
use tokio::time::timeout;
use tonic::Streaming;

async fn next(watch: &mut Streaming<pb::WatchCamerasResponse>) -> Result<pb::WatchCamerasResponse> {
    timeout(SOON, watch.message()).await.context("nothing came")??.context("it ended")
}

#[tokio::test]
async fn cameras_come_change_and_go() -> Result<()> {
    let folder = tempdir()?;
    let mut world = World::start(folder.path()).await?;
    let token = world.token(&["media:read:*", "media:write:*"])?;
    let all = world.other.client.watch_cameras(with(&token, pb::WatchCamerasRequest::default())).await?;
    let mut all = all.into_inner();
    let narrow = world.token(&["media:read:door"])?;
    let nothing = world.other.client.watch_cameras(with(&narrow, pb::WatchCamerasRequest::default())).await?;
    let mut nothing = nothing.into_inner();

    add(&mut world.one, &token, test_camera("yard")).await?;
    let came = next(&mut all).await?.camera.unwrap_or_default();
    assert_eq!(came.name, "yard");
    let camera = pb::Camera { title: "Yard".into(), ..test_camera("yard") };
    let update = pb::UpdateCameraRequest { name: "yard".into(), camera: Some(camera) };
    world.one.client.update_camera(with(&token, update)).await?;
    let changed = next(&mut all).await?.camera.unwrap_or_default();
    assert!(changed.title == "Yard" && changed.revision > came.revision, "{changed:?}");
    world.one.client.remove_camera(with(&token, pb::RemoveCameraRequest { name: "yard".into() })).await?;
    let gone = next(&mut all).await?;
    assert!(gone.removed);
    assert_eq!(gone.camera.map(|camera| camera.name).as_deref(), Some("yard"));

    // What came for others did not come for one whose scopes do not cover it.
    add(&mut world.one, &token, test_camera("door")).await?;
    let came = next(&mut nothing).await?.camera.unwrap_or_default();
    assert_eq!(came.name, "door");
    world.stop().await
}
