//! Who may do what: each method once allowed and once denied.

use super::world::{World, reason, test_camera, with};
use anyhow::Result;
use camera_relay::{Guests, METHODS, viewers};
use patchbay_auth::Requirement;
use patchbay_proto::camera::v1 as pb;
use std::collections::BTreeSet;
use tempfile::tempdir;
use tonic::{Code, Request, Status};

/// Calls a method about the camera `yard`, which is not there, and tells how it ended.
async fn call(world: &mut World, method: &str, token: Option<&str>) -> Result<String, Status> {
    fn of<T>(token: Option<&str>, message: T) -> Request<T> {
        match token {
            Some(token) => with(token, message),
            None => Request::new(message),
        }
    }
    let (name, client) = ("yard".to_owned(), &mut world.one.client);
    let camera = Some(test_camera("yard"));
    let nobody = format!("camera-relay-x.{}", "0".repeat(32));
    let done = match method {
        "ListCameras" => client.list_cameras(of(token, pb::ListCamerasRequest::default())).await.map(drop),
        "GetCamera" => client.get_camera(of(token, pb::GetCameraRequest { name })).await.map(drop),
        "AddCamera" => client.add_camera(of(token, pb::AddCameraRequest { camera })).await.map(drop),
        "UpdateCamera" => {
            client.update_camera(of(token, pb::UpdateCameraRequest { name, camera })).await.map(drop)
        }
        "RemoveCamera" => client.remove_camera(of(token, pb::RemoveCameraRequest { name })).await.map(drop),
        "GetSnapshot" => {
            client.get_snapshot(of(token, pb::GetSnapshotRequest { name, width: 0 })).await.map(drop)
        }
        "GetStatistics" => {
            client.get_statistics(of(token, pb::GetStatisticsRequest { name })).await.map(drop)
        }
        "WatchCameras" => {
            client.watch_cameras(of(token, pb::WatchCamerasRequest { names: vec![name] })).await.map(drop)
        }
        "ListViewers" => {
            let request = pb::ListViewersRequest { camera: name, ..pb::ListViewersRequest::default() };
            client.list_viewers(of(token, request)).await.map(drop)
        }
        "ListMotion" => {
            let request = pb::ListMotionRequest { name, ..pb::ListMotionRequest::default() };
            client.list_motion(of(token, request)).await.map(drop)
        }
        "GetMotionPicture" => {
            let request = pb::GetMotionPictureRequest { name, ..pb::GetMotionPictureRequest::default() };
            client.get_motion_picture(of(token, request)).await.map(drop)
        }
        "ProbeSource" => {
            let request = pb::ProbeSourceRequest { camera, timeout: Some(seconds(2)) };
            client.probe_source(of(token, request)).await.map(drop)
        }
        "DiscoverSources" => {
            let request = pb::DiscoverSourcesRequest { timeout: Some(seconds(1)) };
            client.discover_sources(of(token, request)).await.map(drop)
        }
        "DescribeDevice" => {
            // A refusal of the address is an answer too.
            let request = pb::DescribeDeviceRequest { address: "127.0.0.1".into(), ..Default::default() };
            client.describe_device(of(token, request)).await.map(drop)
        }
        "KickViewer" => client.kick_viewer(of(token, pb::KickViewerRequest { id: nobody })).await.map(drop),
        other => panic!("{other} is not tried here"),
    };
    match done {
        Ok(()) => Ok("DONE".to_owned()),
        Err(status) => Ok(reason(Err::<(), _>(status))),
    }
}

fn seconds(seconds: i64) -> prost_types::Duration {
    prost_types::Duration { seconds, nanos: 0 }
}

/// The methods, each with the scope that it takes.
fn methods() -> Vec<(&'static str, &'static str, Guests)> {
    let of = |method: &camera_relay::Method| {
        let Requirement::Scope { service: "media", action } = method.requirement else {
            panic!("{} asks something else", method.path)
        };
        (method.path.rsplit('/').next().expect("a path has a name"), action, method.guests)
    };
    METHODS.iter().map(of).collect()
}

#[tokio::test]
async fn each_method_asks_its_scope() -> Result<()> {
    let folder = tempdir()?;
    let mut world = World::start(folder.path()).await?;
    let mut cells = 0;
    for (method, action, _) in methods() {
        // What is discovered has no name yet.
        let is_nameless = ["DiscoverSources", "DescribeDevice"].contains(&method);
        let what = if is_nameless { "*" } else { "yard" };
        let enough = world.token(&[&format!("media:{action}:{what}")])?;
        let elsewhere = world.token(&[&format!("media:{action}:door")])?;
        let others: BTreeSet<_> =
            ["read", "write", "view"].into_iter().filter(|other| *other != action).collect();
        let others: Vec<_> = others.into_iter().map(|other| format!("media:{other}:*")).collect();
        let others = world.token(&others.iter().map(String::as_str).collect::<Vec<_>>())?;
        let allowed = call(&mut world, method, Some(&enough)).await?;
        assert!(["DONE", "NOT_FOUND"].contains(&allowed.as_str()), "{method}: {allowed}");
        assert_eq!(call(&mut world, method, Some(&others)).await?, "PERMISSION_DENIED", "{method}");
        assert_eq!(call(&mut world, method, None).await?, "TOKEN_MISSING", "{method}");
        if method == "AddCamera" {
            // What was added shall not be there for the next.
            call(&mut world, "RemoveCamera", Some(&enough)).await?;
        }
        let denied = call(&mut world, method, Some(&elsewhere)).await?;
        match method {
            "ListCameras" => assert_eq!(denied, "DONE", "it shows what the scope covers"),
            // Whose viewer it is, is known only once it is found.
            "KickViewer" => assert_eq!(denied, "NOT_FOUND"),
            _ => assert_eq!(denied, "PERMISSION_DENIED", "{method}"),
        }
        cells += 4;
    }
    println!("{cells} cells of {} methods", METHODS.len());
    world.stop().await
}

#[tokio::test]
async fn guests_may_what_their_policy_says_and_nothing_else() -> Result<()> {
    let folder = tempdir()?;
    let guests = |_: &str, flags: patchbay_chassis::config::Layer| {
        flags
            .set("auth.guest.enabled", true)
            .set("auth.guest.scopes", vec!["media:read:yard", "media:view:yard", "media:write:yard"])
    };
    let mut world = World::start_with(folder.path(), &guests).await?;
    for (method, _, welcome) in methods() {
        let answer = call(&mut world, method, None).await?;
        match welcome {
            Guests::Welcome => {
                assert!(["DONE", "NOT_FOUND"].contains(&answer.as_str()), "{method}: {answer}");
            }
            Guests::Refused => assert_eq!(answer, "TOKEN_MISSING", "{method}"),
        }
    }
    // A camera that the policy does not name might be seen with a token.
    let other = world.one.client.get_camera(pb::GetCameraRequest { name: "test".into() }).await;
    assert_eq!(other.as_ref().map_err(Status::code).err(), Some(Code::Unauthenticated));
    assert_eq!(reason(other), "TOKEN_MISSING");
    // A token that is bad makes nobody a guest.
    let bad = world.one.client.get_camera(with("x", pb::GetCameraRequest { name: "yard".into() })).await;
    assert_eq!(reason(bad), "TOKEN_MALFORMED");
    world.stop().await
}

#[tokio::test]
async fn a_viewer_is_kicked_by_whoever_may_change_its_camera() -> Result<()> {
    let folder = tempdir()?;
    let mut world = World::start(folder.path()).await?;
    let newcomer = viewers::Newcomer {
        camera: "test".parse()?,
        kind: viewers::ViewerKind::Whep,
        identity: super::world::somebody(&world)?.identity().clone(),
        address: "192.0.2.1".parse()?,
    };
    let viewer = world.one.core.viewers.register(newcomer)?;
    let kick = || pb::KickViewerRequest { id: viewer.id().as_str().to_owned() };
    let others = world.token(&["media:write:yard", "media:read:*", "media:view:*"])?;
    assert_eq!(reason(world.one.client.kick_viewer(with(&others, kick())).await), "PERMISSION_DENIED");
    let enough = world.token(&["media:write:test"])?;
    world.one.client.kick_viewer(with(&enough, kick())).await?;
    assert_eq!(viewer.sent_away().await, viewers::SentAway::Kicked);
    drop(viewer);
    world.stop().await
}
