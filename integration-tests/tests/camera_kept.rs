//! Cameras that calls have added outlive the process that took them, however it ends, and replicas have the same ones.

use anyhow::{Context, Result};
use integration_tests::{
    camera::{self, Client, OPERATOR, Relay, open_settings, test_camera},
    report::report,
    verdict::TestResult,
};
use patchbay_proto::camera::v1 as pb;
use patchbay_testkit::{
    keys::Keys,
    redis::{Persistence, RedisServer},
    wait::{wait_for, wait_until},
    webrtc::{Happened, Swarm, Wants},
};
use serde_json::{Value, json};
use std::{collections::BTreeMap, time::Duration};

/// Kills in a row.
const ROUNDS: usize = 5;

async fn list(client: &mut Client) -> Result<BTreeMap<String, (String, u64)>> {
    let request = pb::ListCamerasRequest { page_size: 500, ..pb::ListCamerasRequest::default() };
    let cameras = client.list_cameras(request).await?.into_inner().cameras;
    Ok(cameras.into_iter().map(|camera| (camera.name, (camera.title, camera.revision))).collect())
}

/// Adds cameras and changes them until the connection breaks; what was acknowledged, and what was under way.
async fn write_until_it_breaks(
    mut client: Client,
    round: usize,
) -> (BTreeMap<String, String>, Option<String>) {
    let mut acknowledged = BTreeMap::new();
    for number in 0.. {
        let name = format!("r{round}-{number}");
        let camera = pb::Camera { title: format!("title of {name}"), ..test_camera(&name) };
        let request = pb::AddCameraRequest { camera: Some(camera.clone()) };
        let Ok(added) = client.add_camera(request).await else { return (acknowledged, Some(name)) };
        let revision = added.into_inner().camera.unwrap_or_default().revision;
        acknowledged.insert(name.clone(), camera.title.clone());
        let changed = pb::Camera { title: format!("{} again", camera.title), revision, ..camera };
        let request = pb::UpdateCameraRequest { name: name.clone(), camera: Some(changed.clone()) };
        if client.update_camera(request).await.is_err() {
            return (acknowledged, Some(name));
        }
        acknowledged.insert(name, changed.title);
    }
    (acknowledged, None)
}

#[tokio::test]
async fn what_was_acknowledged_is_there_after_kill_9() -> TestResult {
    let folder = tempfile::tempdir()?;
    let keys = Keys::create(folder.path())?;
    let file = folder.path().join("backplane.redb");
    let settings = open_settings().set("backplane.file", &file.display()).set("cameras.max", &5000);
    let mut relay = Relay::start(folder.path(), "relay", &keys, settings).await?;
    let token = keys.token("operator", &OPERATOR)?;
    let mut expected = BTreeMap::new();
    for round in 0..ROUNDS {
        let (writer, mut client) = (relay.client(&token)?, relay.client(&token)?);
        let killing = async {
            let enough = 10 * (round + 1);
            let written = async || list(&mut client).await.is_ok_and(|all| all.len() > enough);
            wait_until("some are written", camera::SOON, written).await?;
            relay.process.kill()
        };
        let ((acknowledged, torn), killed) = tokio::join!(write_until_it_breaks(writer, round), killing);
        killed?;
        relay.restart().await?;
        let found = list(&mut relay.client(&token)?).await?;
        expected.extend(acknowledged);
        for (name, title) in &expected {
            let (found, _) = found.get(name).with_context(|| format!("{name} is gone after kill {round}"))?;
            // The one that was under way may be changed or not.
            let may_differ = torn.as_ref() == Some(name) && found.starts_with(title.as_str());
            assert!(found == title || may_differ, "{name} is `{found}`, `{title}` was acknowledged");
        }
        if let Some(torn) = torn
            && let Some((title, _)) = found.get(&torn)
        {
            expected.insert(torn, title.clone());
        }
    }
    report(&format!("{} cameras were acknowledged over {ROUNDS} kills, and all are there", expected.len()));
    assert!(expected.len() >= 10 * ROUNDS);
    let removed = expected.keys().next().context("none")?.clone();
    relay.client(&token)?.remove_camera(pb::RemoveCameraRequest { name: removed.clone() }).await?;
    relay.process.kill()?;
    relay.restart().await?;
    assert!(
        !list(&mut relay.client(&token)?).await?.contains_key(&removed),
        "a removed camera has come back"
    );
    Ok(())
}

#[tokio::test]
async fn a_viewer_who_comes_back_after_kill_9_sees_an_added_camera() -> TestResult {
    let folder = tempfile::tempdir()?;
    let keys = Keys::create(folder.path())?;
    let settings = open_settings().set("backplane.file", &folder.path().join("backplane.redb").display());
    let mut relay = Relay::start(folder.path(), "relay", &keys, settings).await?;
    let token = keys.token("operator", &OPERATOR)?;
    relay.client(&token)?.add_camera(pb::AddCameraRequest { camera: Some(test_camera("yard")) }).await?;
    for round in ["before", "after"] {
        let mut swarm = Swarm::new()?;
        swarm.add(relay.viewer("yard", Wants::Video).await?.0)?;
        let mut pictures = 0;
        let watched = tokio::task::spawn_blocking(move || {
            swarm.run_until(camera::SOON, |_, happened| {
                pictures += usize::from(matches!(happened, Some((_, Happened::Frame(_)))));
                pictures >= 30
            })
        });
        watched.await?.with_context(|| format!("{round} the kill"))?;
        if round == "before" {
            relay.process.kill()?;
            relay.restart().await?;
        }
    }
    Ok(())
}

#[tokio::test]
async fn replicas_have_the_same_cameras_and_tell_of_each_others_viewers() -> TestResult {
    let folder = tempfile::tempdir()?;
    let keys = Keys::create(folder.path())?;
    let redis = RedisServer::start(Persistence::Always).await?;
    let settings = open_settings().set("backplane.url", &redis.url());
    let mut one = Relay::start(folder.path(), "one", &keys, settings.clone()).await?;
    let two = Relay::start(folder.path(), "two", &keys, settings).await?;
    let token = keys.token("operator", &OPERATOR)?;
    one.client(&token)?.add_camera(pb::AddCameraRequest { camera: Some(test_camera("yard")) }).await?;
    let mut other = two.client(&token)?;
    let took = wait_until("the other replica has it", camera::SOON, async || {
        list(&mut other).await.is_ok_and(|all| all.contains_key("yard"))
    })
    .await?;
    report(&format!("a camera was on the other replica after {took:?}"));

    let mut swarm = Swarm::new()?;
    swarm.add(one.viewer("yard", Wants::Video).await?.0)?;
    let watching = tokio::task::spawn_blocking(move || {
        let mut pictures = 0;
        swarm.run_until(camera::SOON, |_, happened| {
            pictures += usize::from(matches!(happened, Some((_, Happened::Frame(_)))));
            pictures >= 20
        })?;
        Ok::<_, anyhow::Error>(swarm)
    });
    let _swarm = watching.await??;
    let (viewer, took) = wait_for("the other replica tells of the viewer", camera::SOON, async || {
        let listed = other.list_viewers(pb::ListViewersRequest::default()).await.ok()?.into_inner().viewers;
        listed.into_iter().find(|viewer| viewer.connected)
    })
    .await?;
    report(&format!("a viewer of one was told of by two after {took:?}"));
    assert_eq!((viewer.camera.as_str(), viewer.kind()), ("yard", pb::ViewerKind::Whep));
    other.kick_viewer(pb::KickViewerRequest { id: viewer.id }).await?;
    let took = wait_until("it is gone from both", camera::SOON, async || {
        let listed = other.list_viewers(pb::ListViewersRequest::default()).await;
        listed.is_ok_and(|listed| listed.into_inner().viewers.is_empty())
    })
    .await?;
    report(&format!("a viewer of one, kicked by two, was gone after {took:?}"));

    one.process.kill()?;
    other.remove_camera(pb::RemoveCameraRequest { name: "yard".to_owned() }).await?;
    one.restart().await?;
    assert!(
        !list(&mut one.client(&token)?).await?.contains_key("yard"),
        "what was removed while it was down came back"
    );
    Ok(())
}

/// One life of a camera by gRPC and the same by REST: the same words.
#[tokio::test]
async fn grpc_and_rest_say_the_same() -> TestResult {
    let folder = tempfile::tempdir()?;
    let keys = Keys::create(folder.path())?;
    let relay = Relay::start(folder.path(), "relay", &keys, open_settings()).await?;
    let token = keys.token("operator", &OPERATOR)?;
    let mut client = relay.client(&token)?;
    let camera = json!({"camera": {"name": "yard", "title": "Yard", "test": {"width": 320, "height": 240}}});
    let (status, added) = relay.rest(&token, "POST", "/v1/cameras", &camera).await?;
    assert_eq!(status, 200, "{added}");
    let read = client.get_camera(pb::GetCameraRequest { name: "yard".into() }).await?.into_inner();
    let read = read.camera.context("no camera")?;
    assert_eq!((read.title.as_str(), read.configured), ("Yard", false));
    assert_eq!(added["camera"]["revision"], json!(read.revision.to_string()));

    // Somebody who has read an older one is refused, by both.
    let changed = pb::Camera { title: "Back yard".into(), status: None, ..read.clone() };
    client.update_camera(pb::UpdateCameraRequest { name: "yard".into(), camera: Some(changed) }).await?;
    let stale = json!({"camera": {"name": "yard", "revision": read.revision.to_string(), "test": {}}});
    let (status, refused) = relay.rest(&token, "PUT", "/v1/cameras/yard", &stale).await?;
    assert_eq!((status, reason(&refused)), (409, "CONFLICT".to_owned()), "{refused}");
    for (method, path, body, status, why) in [
        ("GET", "/v1/cameras/none", Value::Null, 404, "NOT_FOUND"),
        ("DELETE", "/v1/cameras/test", Value::Null, 409, "CONFIGURED"),
        ("POST", "/v1/cameras", json!({"camera": {"name": "a b", "test": {}}}), 400, "BAD_REQUEST"),
        ("POST", "/v1/cameras", json!({"camera": {"name": "ab"}}), 400, "BAD_REQUEST"),
        (
            "POST",
            "/v1/cameras",
            json!({"camera": {"name": "ab", "file": {"path": "../etc/passwd"}}}),
            400,
            "BAD_REQUEST",
        ),
        ("POST", "/v1/cameras", json!({"camera": {"name": "ab", "test": {"fps": 1000}}}), 400, "BAD_REQUEST"),
    ] {
        let (found, body) = relay.rest(&token, method, path, &body).await?;
        assert_eq!((found, reason(&body)), (status, why.to_owned()), "{method} {path}: {body}");
    }
    let (status, gone) = relay.rest(&token, "DELETE", "/v1/cameras/yard", &Value::Null).await?;
    assert_eq!(status, 200, "{gone}");
    let after = client.get_camera(pb::GetCameraRequest { name: "yard".into() }).await;
    assert_eq!(after.err().map(|status| status.code()), Some(tonic::Code::NotFound));
    Ok(())
}

fn reason(body: &Value) -> String {
    body["error"]["reason"].as_str().or(body["reason"].as_str()).unwrap_or_default().to_owned()
}

/// Told to stop, it sends its viewers away and ends.
#[tokio::test]
async fn a_stopped_relay_sends_its_viewers_away() -> TestResult {
    let folder = tempfile::tempdir()?;
    let keys = Keys::create(folder.path())?;
    let mut relay = Relay::start(folder.path(), "relay", &keys, open_settings()).await?;
    let mut swarm = Swarm::new()?;
    swarm.add(relay.viewer("test", Wants::Video).await?.0)?;
    let mut pictures = 0;
    let watching = tokio::task::spawn_blocking(move || {
        swarm.run_until(camera::SOON, |_, happened| {
            pictures += usize::from(matches!(happened, Some((_, Happened::Frame(_)))));
            pictures >= 10
        })
    });
    watching.await??;
    relay.process.terminate()?;
    let begun = std::time::Instant::now();
    assert_eq!(relay.process.wait_exit(Duration::from_secs(15)).await?, Some(0));
    report(&format!("a relay with a viewer ended {:?} after SIGTERM", begun.elapsed()));
    Ok(())
}
