//! The test camera as a picture: it starts when it is asked for, once, and stops by itself.

use super::world::{SOON, World, get, reason, somebody, with};
use anyhow::Result;
use camera_relay::{cameras::stream_of, snapshot};
use patchbay_media::hub::Wanted;
use patchbay_proto::camera::v1 as pb;
use patchbay_testkit::wait::{wait_for, wait_until};
use std::time::Instant;
use tempfile::tempdir;

fn request(token: &str, width: u32) -> tonic::Request<pb::GetSnapshotRequest> {
    with(token, pb::GetSnapshotRequest { name: "test".into(), width })
}

#[tokio::test]
async fn a_snapshot_starts_the_camera_and_shows_it() -> Result<()> {
    let folder = tempdir()?;
    let short = |name: &str, flags: patchbay_chassis::config::Layer| {
        flags.set(&format!("{name}.cameras.linger"), "2s").set(&format!("{name}.snapshot.min_interval"), "0s")
    };
    let mut world = World::start_with(folder.path(), &short).await?;
    let token = world.token(&["media:read:*", "media:view:*"])?;
    let begun = Instant::now();
    let first = world.one.client.get_snapshot(request(&token, 0)).await?.into_inner();
    println!("a cold snapshot took {:?}", begun.elapsed());
    assert_eq!((first.width, first.height), (640, 480));
    assert!(
        first.jpeg.starts_with(&[0xff, 0xd8, 0xff]) && first.jpeg.ends_with(&[0xff, 0xd9]),
        "it is a JPEG"
    );
    assert!(first.time.is_some());

    let mut times = Vec::new();
    for _ in 0..10 {
        let begun = Instant::now();
        let small = world.one.client.get_snapshot(request(&token, 320)).await?.into_inner();
        times.push(begun.elapsed());
        assert_eq!((small.width, small.height), (320, 240));
    }
    times.sort_unstable();
    println!("warm snapshots took {:?} (median), {:?} (longest)", times[5], times[9]);
    assert_eq!(reason(world.one.client.get_snapshot(request(&token, 15)).await), "BAD_REQUEST");

    let live = get(&mut world.one, &token, "test").await?.status.unwrap_or_default();
    assert_eq!((live.state(), live.captures), (pb::CameraState::Live, 1), "{live:?}");
    assert_eq!(live.owner, world.one.core.context.node.to_string());
    assert_eq!(live.tracks.first().map(|track| track.codec.as_str()), Some("H264"));
    // The other replica tells the same.
    let other = &mut world.other;
    let (seen, took) = wait_for("the other replica sees it", SOON, async || {
        let status = get(other, &token, "test").await.ok()?.status?;
        (status.state() == pb::CameraState::Live).then_some(status)
    })
    .await?;
    println!("the other replica knew after {took:?}");
    assert_eq!((seen.captures, seen.owner), (1, live.owner));

    let one = &mut world.one;
    let took = wait_until("the camera stops", SOON, async || {
        let camera = get(one, &token, "test").await.ok();
        camera.and_then(|camera| camera.status).is_some_and(|status| status.state() == pb::CameraState::Idle)
    })
    .await?;
    println!("the camera was idle after {took:?}");
    world.stop().await
}

#[tokio::test]
async fn many_who_look_and_take_pictures_are_one_capture() -> Result<()> {
    let folder = tempdir()?;
    let world = World::start(folder.path()).await?;
    let core = &world.one.core;
    let (camera, caller) = ("test".parse()?, somebody(&world)?);
    let mut lookers: Vec<_> = (0..50)
        .map(|_| core.hub.subscribe(&stream_of(&camera), Wanted::anything()))
        .collect::<Result<_, _>>()?;
    for looker in &mut lookers {
        let selected = tokio::time::timeout(SOON, looker.tracks()).await??;
        assert!(selected.video.is_some() && selected.audio.is_some());
    }
    let taken = futures_util::future::join_all((0..20).map(|index| {
        let width = snapshot::Width::parse(160 + 32 * (index % 3)).expect("it is allowed");
        snapshot::take(core, &caller, &camera, width)
    }));
    for jpeg in taken.await {
        assert!(!jpeg?.data.is_empty());
    }
    let state = core.hub.state(&stream_of(&camera)).expect("it is there");
    assert_eq!((state.starts, state.encoders, state.consumers), (1, 0, 50), "{state:?}");
    let report = core.own_report(&*core.cameras.get(&camera)?);
    assert_eq!((report.captures, report.encoders), (1, 1));
    drop(lookers);
    world.stop().await
}
