//! Adding, reading, changing and removing cameras; what is kept over a restart.

use super::world::{SOON, World, add, fields, file_camera, get, names, reason, test_camera, with};
use anyhow::Result;
use patchbay_chassis::config::Layer;
use patchbay_proto::camera::v1 as pb;
use patchbay_testkit::{http, ports::free_address, wait::wait_until};
use serde_json::Value;
use std::net::SocketAddr;
use tempfile::tempdir;

fn update(name: &str, camera: pb::Camera) -> pb::UpdateCameraRequest {
    pb::UpdateCameraRequest { name: name.into(), camera: Some(camera) }
}

#[tokio::test]
async fn a_camera_is_added_read_changed_and_removed() -> Result<()> {
    let folder = tempdir()?;
    let mut world = World::start(folder.path()).await?;
    let token = world.token(&["media:read:*", "media:write:*"])?;
    let one = &mut world.one;
    let added = add(one, &token, test_camera("yard")).await?;
    assert!(added.revision > 0 && !added.configured);
    let Some(pb::camera::Source::Test(test)) = &added.source else { panic!("{added:?}") };
    // What was left open has its default.
    assert_eq!((test.width, test.bitrate), (320, 1_500_000));
    assert_eq!(test.key_frame_interval.as_ref().map(|interval| interval.seconds), Some(2));
    assert_eq!(get(one, &token, "yard").await?, added);
    let status = added.status.clone().unwrap_or_default();
    assert_eq!((status.state(), status.captures, status.viewers), (pb::CameraState::Idle, 0, 0));
    assert_eq!(names(one, &token).await?, ["test", "yard"]);

    // The same again changes nothing; another source under the name is refused.
    assert_eq!(add(one, &token, test_camera("yard")).await?.revision, added.revision);
    let other = pb::Camera {
        source: Some(pb::camera::Source::Test(pb::TestSource { width: 640, ..pb::TestSource::default() })),
        ..test_camera("yard")
    };
    assert_eq!(reason(add(one, &token, other.clone()).await), "ALREADY_EXISTS");

    // An update names what it has read, or nothing.
    let titled = pb::Camera { title: "院子".into(), revision: added.revision, ..other };
    let updated = one.client.update_camera(with(&token, update("yard", titled.clone()))).await?.into_inner();
    let updated = updated.camera.unwrap_or_default();
    assert!(updated.revision > added.revision && updated.title == "院子", "{updated:?}");
    assert_eq!(
        reason(one.client.update_camera(with(&token, update("yard", titled.clone()))).await),
        "CONFLICT"
    );
    let anyway = pb::Camera { revision: 0, always_on: true, ..titled };
    let anyway = one.client.update_camera(with(&token, update("yard", anyway))).await?.into_inner();
    assert!(anyway.camera.is_some_and(|camera| camera.always_on));

    let remove = || with(&token, pb::RemoveCameraRequest { name: "yard".into() });
    one.client.remove_camera(remove()).await?;
    assert_eq!(reason(one.client.remove_camera(remove()).await), "NOT_FOUND");
    assert_eq!(reason(get(one, &token, "yard").await), "NOT_FOUND");
    assert_eq!(names(one, &token).await?, ["test"]);
    world.stop().await
}

#[tokio::test]
async fn what_is_wrong_is_told_field_by_field() -> Result<()> {
    let folder = tempdir()?;
    let mut world = World::start(folder.path()).await?;
    let token = world.token(&["media:read:*", "media:write:*"])?;
    let one = &mut world.one;
    let test = pb::TestSource { width: 161, height: 2000, fps: 61, bitrate: 1, ..pb::TestSource::default() };
    let wrong = pb::Camera {
        title: "x".repeat(129),
        source: Some(pb::camera::Source::Test(test)),
        ..test_camera("wrong")
    };
    let expected =
        ["camera.title", "camera.test.height", "camera.test.fps", "camera.test.bitrate", "camera.test.width"];
    assert_eq!(fields(add(one, &token, wrong).await), expected);
    assert_eq!(fields(add(one, &token, test_camera("a/b")).await), ["camera.name"]);
    let nothing = pb::Camera { source: None, ..test_camera("none") };
    assert_eq!(fields(add(one, &token, nothing).await), ["camera.test"]);
    assert_eq!(fields(add(one, &token, file_camera("none", "a.mp4")).await), ["camera.file.path"]);
    let renamed = update("yard", test_camera("other"));
    assert_eq!(fields(one.client.update_camera(with(&token, renamed)).await), ["camera.name"]);
    assert_eq!(
        fields(one.client.add_camera(with(&token, pb::AddCameraRequest { camera: None })).await),
        ["camera"]
    );
    world.stop().await
}

#[tokio::test]
async fn the_configuration_alone_changes_what_it_has() -> Result<()> {
    let folder = tempdir()?;
    let mut world = World::start(folder.path()).await?;
    let token = world.token(&["media:read:*", "media:write:*"])?;
    let one = &mut world.one;
    let test = get(one, &token, "test").await?;
    assert!(test.configured && test.revision == 0);
    assert_eq!(reason(add(one, &token, test_camera("test")).await), "ALREADY_EXISTS");
    assert_eq!(add(one, &token, test.clone()).await?.name, "test");
    assert_eq!(reason(one.client.update_camera(with(&token, update("test", test))).await), "CONFIGURED");
    let remove = pb::RemoveCameraRequest { name: "test".into() };
    assert_eq!(reason(one.client.remove_camera(with(&token, remove)).await), "CONFIGURED");
    world.stop().await
}

#[tokio::test]
async fn cameras_are_there_after_a_restart() -> Result<()> {
    let folder = tempdir()?;
    let mut world = World::start(folder.path()).await?;
    let token = world.token(&["media:read:*", "media:write:*"])?;
    let added = add(&mut world.one, &token, test_camera("Yard")).await?;
    let lower = add(&mut world.one, &token, test_camera("yard")).await?;
    assert_ne!(added.revision, lower.revision);
    world.stop().await?;
    let mut world = World::start(folder.path()).await?;
    let token = world.token(&["media:read:*", "media:write:*"])?;
    let kept = get(&mut world.one, &token, "Yard").await?;
    assert_eq!((kept.revision, kept.source), (added.revision, added.source));
    assert_eq!(names(&mut world.one, &token).await?, ["Yard", "test", "yard"]);
    world.stop().await
}

#[tokio::test]
async fn there_are_only_so_many() -> Result<()> {
    let folder = tempdir()?;
    let limited =
        |name: &str, flags: patchbay_chassis::config::Layer| flags.set(&format!("{name}.cameras.max"), 3);
    let mut world = World::start_with(folder.path(), &limited).await?;
    let token = world.token(&["media:read:*", "media:write:*"])?;
    add(&mut world.one, &token, test_camera("a")).await?;
    add(&mut world.other, &token, test_camera("b")).await?;
    assert_eq!(reason(add(&mut world.one, &token, test_camera("c")).await), "LIMIT");
    // What is there already is no more than it was.
    add(&mut world.one, &token, test_camera("b")).await?;
    world.stop().await
}

#[tokio::test]
async fn a_camera_of_the_list_can_be_seen_though_there_are_more_than_may_be() -> Result<()> {
    let folder = tempdir()?;
    let mut world = World::start(folder.path()).await?;
    let token = world.token(&["media:write:*"])?;
    add(&mut world.one, &token, test_camera("yard")).await?;
    world.stop().await?;
    // The test camera of the configuration is the one.
    let one =
        |name: &str, flags: patchbay_chassis::config::Layer| flags.set(&format!("{name}.cameras.max"), 1);
    let mut world = World::start_with(folder.path(), &one).await?;
    let token = world.token(&["media:view:*", "media:read:*", "media:write:*"])?;
    assert_eq!(names(&mut world.one, &token).await?, ["test", "yard"]);
    let request = pb::GetSnapshotRequest { name: "yard".into(), width: 160 };
    let seen = world.one.client.get_snapshot(with(&token, request)).await?.into_inner();
    assert_eq!((seen.width, seen.height), (160, 120));
    assert_eq!(reason(add(&mut world.one, &token, test_camera("c")).await), "LIMIT");
    world.stop().await
}

#[tokio::test]
async fn lists_come_in_pages() -> Result<()> {
    let folder = tempdir()?;
    let mut world = World::start(folder.path()).await?;
    let token = world.token(&["media:read:*", "media:write:*"])?;
    for name in ["a", "b", "c"] {
        add(&mut world.one, &token, test_camera(name)).await?;
    }
    let (mut seen, mut page_token) = (Vec::new(), String::new());
    loop {
        let request = pb::ListCamerasRequest { page_size: 2, page_token };
        let page = world.one.client.list_cameras(with(&token, request)).await?.into_inner();
        assert!(page.cameras.len() <= 2);
        seen.extend(page.cameras.into_iter().map(|camera| camera.name));
        page_token = page.next_page_token;
        if page_token.is_empty() {
            break;
        }
    }
    assert_eq!(seen, ["a", "b", "c", "test"]);
    let large = pb::ListCamerasRequest { page_size: 501, ..pb::ListCamerasRequest::default() };
    assert_eq!(fields(world.one.client.list_cameras(with(&token, large)).await), ["page_size"]);
    // Another whose scopes cover one camera sees that one.
    let narrow = world.token(&["media:read:b"])?;
    assert_eq!(names(&mut world.one, &narrow).await?, ["b"]);
    world.stop().await
}

#[tokio::test]
async fn rest_says_the_same() -> Result<()> {
    let folder = tempdir()?;
    let world = World::start(folder.path()).await?;
    let token = format!("Bearer {}", world.token(&["media:read:*"])?);
    let headers = [("authorization", token.as_str())];
    let listed = http::get(world.one.http, "/v1/cameras", &headers).await?;
    assert_eq!(listed.status, 200, "{listed:?}");
    let listed: Value = serde_json::from_str(&listed.body)?;
    assert_eq!(listed["cameras"][0]["name"], "test");
    assert_eq!(listed["cameras"][0]["status"]["state"], "CAMERA_STATE_IDLE");
    for (path, status) in [
        ("/v1/cameras/test", 200),
        ("/v1/cameras/none", 404),
        ("/v1/cameras/test/statistics", 200),
        ("/v1/viewers?camera=test", 200),
        ("/v1/cameras/test/snapshot", 403),
        ("/v1/nothing", 404),
    ] {
        let answer = http::get(world.one.http, path, &headers).await?;
        assert_eq!(answer.status, status, "{path}: {answer:?}");
    }
    assert_eq!(http::get(world.one.http, "/v1/cameras", &[]).await?.status, 401);
    world.stop().await
}

/// A camera where nobody listens, whose address holds a secret.
fn away(name: &str, address: SocketAddr) -> pb::Camera {
    let url = format!("rtsp://{address}/live?password=s3cret");
    let source = pb::camera::Source::Rtsp(pb::RtspSource { url, ..pb::RtspSource::default() });
    pb::Camera { name: name.into(), source: Some(source), always_on: true, ..pb::Camera::default() }
}

fn reached(name: &str, flags: Layer) -> Layer {
    flags.set(&format!("{name}.cameras.egress.allow"), vec!["127.0.0.0/8"])
}

#[tokio::test]
async fn a_camera_is_changed_as_it_is_shown_though_its_address_hides_a_secret() -> Result<()> {
    let folder = tempdir()?;
    let mut world = World::start(folder.path()).await?;
    let token = world.token(&["media:read:*", "media:write:*"])?;
    let shown = add(&mut world.one, &token, away("yard", free_address())).await?;
    assert!(!format!("{shown:?}").contains("s3cret"), "{shown:?}");
    let cameras = &world.one.core.cameras;
    let before = cameras.get(&"yard".parse()?)?;
    let camera = Some(pb::Camera { title: "Yard".into(), ..shown });
    let update = pb::UpdateCameraRequest { name: "yard".into(), camera: camera.clone() };
    world.one.client.update_camera(with(&token, update)).await?;
    let after = cameras.get(&"yard".parse()?)?;
    assert!(after.spec.title == "Yard" && after.spec.source == before.spec.source, "{after:?}");
    // Where there is no such camera, nothing is meant by it.
    let camera = camera.map(|camera| pb::Camera { name: "other".into(), ..camera });
    let refused = world.one.client.add_camera(with(&token, pb::AddCameraRequest { camera })).await;
    assert_eq!(fields(refused), ["camera.rtsp.url"]);
    world.stop().await
}

#[tokio::test]
async fn who_may_not_change_a_camera_is_not_told_where_it_is() -> Result<()> {
    let folder = tempdir()?;
    let mut world = World::start_with(folder.path(), &reached).await?;
    let [writes, reads, views] =
        [&["media:read:*", "media:write:*"][..], &["media:read:*"], &["media:view:*"]]
            .map(|scopes| world.token(scopes));
    let (writes, reads, views) = (writes?, reads?, views?);
    let address = free_address();
    add(&mut world.one, &writes, away("yard", address)).await?;
    let place = address.to_string();
    let status = |camera: pb::Camera| camera.status.unwrap_or_default();
    let one = &mut world.one;
    let took = wait_until("the camera has failed", SOON, async || {
        get(one, &writes, "yard").await.is_ok_and(|camera| status(camera).detail.contains(&place))
    })
    .await?;
    let seen = get(one, &reads, "yard").await?;
    println!("after {took:?}: {}", status(seen.clone()).detail);
    assert!(!format!("{seen:?}").contains("127.0.0.1"), "{seen:?}");
    assert_eq!(status(seen).detail, "the camera cannot be reached");
    let request = with(&reads, pb::GetStatisticsRequest { name: "yard".into() });
    let statistics = one.client.get_statistics(request).await?.into_inner();
    assert!(!format!("{statistics:?}").contains("127.0.0.1"), "{statistics:?}");
    let request = with(&views, pb::GetSnapshotRequest { name: "yard".into(), width: 0 });
    let refused = one.client.get_snapshot(request).await.expect_err("there is no picture");
    assert!(!refused.message().contains("127.0.0.1"), "{refused:?}");
    world.stop().await
}
