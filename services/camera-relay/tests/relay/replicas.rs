//! Two replicas on one backplane act as one.

use super::world::{SOON, World, add, get, names, reason, somebody, test_camera, with};
use anyhow::Result;
use camera_relay::viewers::{Figures, Newcomer, Registration, SentAway, ViewerKind};
use patchbay_proto::camera::v1 as pb;
use patchbay_testkit::wait::{wait_for, wait_until};
use std::sync::Arc;
use tempfile::tempdir;

fn viewer(world: &World, replica: &super::world::Replica, camera: &str) -> Result<Registration> {
    let newcomer = Newcomer {
        camera: camera.parse()?,
        kind: ViewerKind::Whep,
        identity: somebody(world)?.identity().clone(),
        address: "192.0.2.1".parse()?,
    };
    let viewer = replica.core.viewers.register(newcomer)?;
    viewer.measure(Arc::new(|| Figures {
        packets_sent: 7,
        bytes_sent: 700,
        connected: true,
        ..Figures::default()
    }));
    Ok(viewer)
}

#[tokio::test]
async fn what_one_adds_the_other_has() -> Result<()> {
    let folder = tempdir()?;
    let mut world = World::start(folder.path()).await?;
    let token = world.token(&["media:read:*", "media:write:*"])?;
    add(&mut world.one, &token, test_camera("yard")).await?;
    let other = &mut world.other;
    let took = wait_until("the other has it", SOON, async || {
        names(other, &token).await.is_ok_and(|names| names.contains(&"yard".to_owned()))
    })
    .await?;
    println!("the other replica had the camera after {took:?}");
    // Its hub has it too, so that somebody may look.
    let stream = camera_relay::cameras::stream_of(&"yard".parse()?);
    assert!(world.other.core.hub.state(&stream).is_some());
    let looker = viewer(&world, &world.other, "yard")?;
    world.one.client.remove_camera(with(&token, pb::RemoveCameraRequest { name: "yard".into() })).await?;
    let why = tokio::time::timeout(SOON, looker.sent_away()).await?;
    assert_eq!(why, SentAway::CameraRemoved);
    assert!(world.other.core.hub.state(&stream).is_none());
    drop(looker);
    world.stop().await
}

#[tokio::test]
async fn two_that_change_one_camera_do_not_overwrite_each_other() -> Result<()> {
    let folder = tempdir()?;
    let mut world = World::start(folder.path()).await?;
    let token = world.token(&["media:read:*", "media:write:*"])?;
    let added = add(&mut world.one, &token, test_camera("yard")).await?;
    let titled = |title: &str| {
        let camera = pb::Camera { title: title.into(), revision: added.revision, ..test_camera("yard") };
        with(&token, pb::UpdateCameraRequest { name: "yard".into(), camera: Some(camera) })
    };
    let (mut one, mut other) = (world.one.client.clone(), world.other.client.clone());
    let (first, second) =
        tokio::join!(one.update_camera(titled("first")), other.update_camera(titled("second")));
    let (won, lost, title) = match (first, second) {
        (Ok(won), lost) => (won, lost, "first"),
        (lost, Ok(won)) => (won, lost, "second"),
        (first, second) => panic!("both were refused: {first:?}, {second:?}"),
    };
    assert_eq!(reason(lost), "CONFLICT");
    assert_eq!(won.into_inner().camera.unwrap_or_default().title, title);
    assert_eq!(get(&mut world.one, &token, "yard").await?.title, title);
    world.stop().await
}

#[tokio::test]
async fn viewers_of_both_are_counted_listed_and_kicked() -> Result<()> {
    let folder = tempdir()?;
    let mut world = World::start(folder.path()).await?;
    let token = world.token(&["media:read:*", "media:write:*"])?;
    let here: Vec<_> = (0..3).map(|_| viewer(&world, &world.one, "test")).collect::<Result<_>>()?;
    let there: Vec<_> = (0..2).map(|_| viewer(&world, &world.other, "test")).collect::<Result<_>>()?;
    let one = &mut world.one;
    let (statistics, took) = wait_for("both are counted", SOON, async || {
        let request = with(&token, pb::GetStatisticsRequest { name: "test".into() });
        let statistics = one.client.get_statistics(request).await.ok()?.into_inner();
        statistics.status.as_ref().is_some_and(|status| status.viewers == 5).then_some(statistics)
    })
    .await?;
    println!("viewers of the other replica were counted after {took:?}");
    assert_eq!((statistics.packets_sent, statistics.bytes_sent), (35, 3500));

    let (mut seen, mut page_token) = (Vec::new(), String::new());
    loop {
        let request = pb::ListViewersRequest { camera: "test".into(), page_size: 2, page_token };
        let page = world.one.client.list_viewers(with(&token, request)).await?.into_inner();
        seen.extend(page.viewers);
        page_token = page.next_page_token;
        if page_token.is_empty() {
            break;
        }
    }
    assert_eq!(seen.len(), 5);
    assert!(seen.is_sorted_by(|a, b| a.id < b.id));
    let replicas: std::collections::BTreeSet<_> = seen.iter().map(|viewer| viewer.replica.clone()).collect();
    assert_eq!(replicas.len(), 2);
    assert!(seen.iter().all(|viewer| viewer.user == "ada" && viewer.packets_sent == 7 && viewer.connected));
    // Whose scopes cover no camera of theirs sees none of them.
    let narrow = world.token(&["media:read:yard"])?;
    let none = world.one.client.list_viewers(with(&narrow, pb::ListViewersRequest::default())).await?;
    assert!(none.into_inner().viewers.is_empty());

    let id = there[0].id().as_str().to_owned();
    world.one.client.kick_viewer(with(&token, pb::KickViewerRequest { id })).await?;
    assert_eq!(tokio::time::timeout(SOON, there[0].sent_away()).await?, SentAway::Kicked);
    let gone = format!("camera-relay-gone.{}", "0".repeat(32));
    assert_eq!(
        reason(world.one.client.kick_viewer(with(&token, pb::KickViewerRequest { id: gone })).await),
        "NOT_FOUND"
    );
    drop((here, there));
    world.stop().await
}
