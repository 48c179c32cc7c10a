//! Motions as calls show them: of one replica's camera, asked at the other.

use super::world::{Replica, World, add, fields, reason, test_camera, with};
use anyhow::{Context, Result};
use patchbay_proto::camera::v1 as pb;
use patchbay_testkit::wait::{wait_for, wait_until};
use std::time::Duration;
use tempfile::tempdir;
use tonic::{Response, Status};

/// The time in which a picture is learned, and three times that.
const SEEN: Duration = Duration::from_secs(40);

type Listed = Result<Response<pb::ListMotionResponse>, Status>;

async fn list(replica: &mut Replica, token: &str, request: pb::ListMotionRequest) -> Listed {
    replica.client.list_motion(with(token, request)).await
}

fn of(name: &str) -> pb::ListMotionRequest {
    pb::ListMotionRequest { name: name.to_owned(), ..pb::ListMotionRequest::default() }
}

fn time(seconds: i64) -> prost_types::Timestamp {
    prost_types::Timestamp { seconds, nanos: 0 }
}

/// The test picture never stands still.
#[tokio::test]
async fn what_moves_is_listed_until_the_camera_goes() -> Result<()> {
    let folder = tempdir()?;
    let mut world = World::start(folder.path()).await?;
    let token = world.token(&["media:read:*", "media:write:*", "media:view:*"])?;
    let motion = Some(pb::MotionDetection::default());
    let camera = add(&mut world.one, &token, pb::Camera { motion, ..test_camera("yard") }).await?;
    let (motion, took) = wait_for("a motion is listed", SEEN, async || {
        let listed = list(&mut world.other, &token, of("yard")).await.ok()?.into_inner();
        listed.motions.into_iter().next()
    })
    .await?;
    println!("measured: a motion was listed after {took:?}");
    assert!(motion.ended.is_none() && motion.has_picture && motion.zones.is_empty(), "{motion:?}");
    let request = pb::GetMotionPictureRequest { name: "yard".to_owned(), id: motion.id.clone() };
    let picture = world.other.client.get_motion_picture(with(&token, request.clone())).await?.into_inner();
    assert!(picture.jpeg.starts_with(&[0xff, 0xd8]), "no JPEG");
    assert_eq!(picture.time, motion.began);

    // Without the search for motion what goes on ends.
    let still = pb::Camera { motion: None, status: None, ..camera };
    let update = pb::UpdateCameraRequest { name: "yard".to_owned(), camera: Some(still) };
    world.other.client.update_camera(with(&token, update)).await?;
    wait_until("the motion has ended", SEEN, async || {
        let listed = list(&mut world.one, &token, of("yard")).await;
        listed.is_ok_and(|listed| listed.get_ref().motions.iter().all(|motion| motion.ended.is_some()))
    })
    .await?;

    let remove = pb::RemoveCameraRequest { name: "yard".to_owned() };
    world.one.client.remove_camera(with(&token, remove)).await?;
    assert_eq!(reason(list(&mut world.one, &token, of("yard")).await), "NOT_FOUND");
    add(&mut world.one, &token, test_camera("yard")).await?;
    let listed = list(&mut world.one, &token, of("yard")).await?.into_inner();
    assert_eq!(listed.motions, [], "another camera of that name has no motions");
    let gone = world.one.client.get_motion_picture(with(&token, request)).await;
    assert_eq!(reason(gone), "NO_PICTURE");
    world.stop().await
}

#[tokio::test]
async fn what_cannot_be_asked_is_told_with_its_field() -> Result<()> {
    let folder = tempdir()?;
    let mut world = World::start(folder.path()).await?;
    let token = world.token(&["media:read:*", "media:view:*"])?;
    let one = &mut world.one;
    let empty = list(one, &token, of("test")).await?.into_inner();
    assert_eq!((empty.motions.len(), empty.next_page_token.as_str()), (0, ""));
    for (field, request) in [
        ("name", of("no/name")),
        ("page_size", pb::ListMotionRequest { page_size: 501, ..of("test") }),
        ("page_token", pb::ListMotionRequest { page_token: "x".to_owned(), ..of("test") }),
        ("from", pb::ListMotionRequest { from: Some(time(20)), until: Some(time(10)), ..of("test") }),
        (
            "until",
            pb::ListMotionRequest {
                until: Some(prost_types::Timestamp { seconds: 1, nanos: -1 }),
                ..of("test")
            },
        ),
    ] {
        assert_eq!(fields(list(one, &token, request).await), [field]);
    }
    for id in ["", "1", "../../etc/passwd"] {
        let request = pb::GetMotionPictureRequest { name: "test".to_owned(), id: id.to_owned() };
        let refused = one.client.get_motion_picture(with(&token, request)).await;
        assert_eq!(fields(refused), ["id"], "{id}");
    }
    let far = pb::ListMotionRequest { from: Some(time(i64::MIN)), until: Some(time(i64::MAX)), ..of("test") };
    list(one, &token, far).await.context("the longest time there is")?;
    world.stop().await
}
