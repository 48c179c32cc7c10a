//! Cameras that fail on two replicas: both tell the same, and the one that waits does not wait for longer than the other.

use super::world::{Replica, SOON, World, add, get, with};
use anyhow::{Context as _, Result, bail};
use camera_relay::cameras::stream_of;
use patchbay_chassis::config::Layer;
use patchbay_media::hub::{Again, NotStarted, Reason, SourceError, StreamName, Subscription, Wanted};
use patchbay_proto::camera::v1::{self as pb, camera::Source};
use patchbay_testkit::{
    http,
    ports::free_address,
    rtsp::{
        gstreamer::GstCamera,
        scripted::{Answer, Media, Script, ScriptedServer},
    },
    wait::{wait_for, wait_until},
};
use std::{
    sync::{Arc, OnceLock},
    time::{Duration, Instant},
};
use tempfile::tempdir;
use tokio::time::timeout;

const OFFER: &str = include_str!("../../../../crates/patchbay-rtc/testdata/offers/chromium_recvonly.sdp");

/// How soon pictures are there when a camera is back.
const BACK: Duration = Duration::from_secs(3);

/// Cameras may be on the machine itself.
fn with_loopback(name: &str, flags: Layer) -> Layer {
    flags.set(&format!("{name}.cameras.egress.allow"), vec!["127.0.0.0/8"])
}

/// Adds a camera, and waits until both replicas have it.
async fn door(world: &mut World, token: &str, url: String) -> Result<StreamName> {
    let source = Source::Rtsp(pb::RtspSource { url, ..pb::RtspSource::default() });
    let camera = pb::Camera { name: "door".into(), source: Some(source), ..pb::Camera::default() };
    add(&mut world.one, token, camera).await?;
    let stream = stream_of(&"door".parse()?);
    let other = &world.other.core.hub;
    wait_until("the other replica has the camera", SOON, async || other.state(&stream).is_some()).await?;
    Ok(stream)
}

fn watch(replica: &Replica, stream: &StreamName) -> Result<Subscription> {
    Ok(replica.core.hub.subscribe(stream, Wanted::anything())?)
}

async fn failure(subscription: &mut Subscription) -> Result<SourceError> {
    match timeout(SOON, subscription.tracks_or_failure()).await? {
        Err(NotStarted::Failed(error)) => Ok(error),
        other => bail!("{other:?}"),
    }
}

/// Refuses every login, but none before the gate is open.
fn refusing(gate: &Arc<OnceLock<()>>) -> Script {
    let gate = Arc::clone(gate);
    Script::new("", Media::None).answering(move |method, _, _| {
        if method != "DESCRIBE" {
            return Answer::Usual;
        }
        gate.wait();
        let challenge = "WWW-Authenticate: Digest realm=\"camera\", nonce=\"1\"";
        Answer::Raw(
            format!("RTSP/1.0 401 Unauthorized\r\nCSeq: {{cseq}}\r\n{challenge}\r\n\r\n").into_bytes(),
        )
    })
}

/// How a replica says that the camera is, without what only the time decides.
async fn told(replica: &mut Replica, token: &str) -> Result<pb::CameraStatus> {
    get(replica, token, "door").await?.status.context("a status")
}

/// What somebody is answered who wants to look.
async fn refusal(replica: &Replica, token: &str) -> Result<(u16, String)> {
    let token = format!("Bearer {token}");
    let headers = [("content-type", "application/sdp"), ("authorization", token.as_str())];
    let answer = http::post(replica.http, "/whep/door", &headers, OFFER).await?;
    Ok((answer.status, answer.body))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_login_is_told_alike_on_both_replicas_and_tried_once() -> Result<()> {
    let folder = tempdir()?;
    let mut world = World::start_with(folder.path(), &with_loopback).await?;
    let token = world.token(&["media:read:*", "media:write:*"])?;
    let gate = Arc::<OnceLock<()>>::default();
    let server = ScriptedServer::start(refusing(&gate))?;
    let url = format!("rtsp://admin:wr0ng@{}/live", server.address());
    let stream = door(&mut world, &token, url).await?;
    let request = with(&token, pb::WatchCamerasRequest::default());
    let mut watched = world.other.client.watch_cameras(request).await?.into_inner();

    let mut here = watch(&world.one, &stream)?;
    wait_until("the camera is asked", SOON, async || server.was_asked("DESCRIBE")).await?;
    let mut there = watch(&world.other, &stream)?;
    let both = async || world.one.core.hub.state(&stream).is_some_and(|state| state.consumers == 2);
    wait_until("the other replica has subscribed", SOON, both).await?;
    gate.get_or_init(|| ());
    let (error, other) = tokio::try_join!(failure(&mut here), failure(&mut there))?;
    assert_eq!((error.reason(), error.again()), (Reason::Unauthorized, Again::No), "{error}");
    assert_eq!(error, other, "what the one has seen, the other is told");

    let alike = async || {
        let [one, other] = [&mut world.one, &mut world.other].map(|replica| told(replica, &token));
        let (one, other) = tokio::try_join!(one, other).ok()?;
        (one == other && one.state() == pb::CameraState::Failed).then_some(one)
    };
    let (status, took) = wait_for("both say the same", SOON, alike).await?;
    println!("both said after {took:?}: {} ({})", status.detail, status.reason);
    assert_eq!((status.reason.as_str(), status.next_try), ("UNAUTHORIZED", None));
    assert_eq!(status.detail, error.to_string());
    let seen = async {
        loop {
            let change = watched.message().await?.context("the watch has ended")?;
            let status = change.camera.unwrap_or_default().status.unwrap_or_default();
            if status.state() == pb::CameraState::Failed {
                return Ok::<_, anyhow::Error>(status);
            }
        }
    };
    assert_eq!(timeout(SOON, seen).await??.reason, "UNAUTHORIZED");

    // Whoever comes is told at once, and the camera, which may lock out, does not hear of it.
    let (asked, viewer) = (server.connections(), world.token(&["media:view:door"])?);
    for _ in 0..5 {
        let (one, other) = tokio::try_join!(refusal(&world.one, &viewer), refusal(&world.other, &viewer))?;
        assert_eq!((one.0, &one.1), (503, &other.1));
        assert!(one.1.contains("the camera does not accept its login"), "{}", one.1);
    }
    assert_eq!(server.connections(), asked);
    // Whoever has mended the camera itself saves it again.
    let camera = Some(get(&mut world.one, &token, "door").await?);
    let update = pb::UpdateCameraRequest { name: "door".into(), camera };
    world.one.client.update_camera(with(&token, update)).await?;
    let took = wait_until("it is asked again", SOON, async || server.connections() > asked).await?;
    println!("asked again {took:?} after it was saved");
    drop((here, there));
    world.stop().await
}

#[tokio::test(flavor = "multi_thread")]
async fn who_waits_on_one_replica_has_the_pictures_when_the_other_has() -> Result<()> {
    let folder = tempdir()?;
    // The other replica would try again once, and then after two minutes only.
    let patient = |name: &str, flags: Layer| {
        let wait = if name == "replica" { "2m" } else { "1s" };
        with_loopback(name, flags)
            .set(&format!("{name}.cameras.retry"), vec!["1s", wait])
            .set(&format!("{name}.cameras.retry_watched"), wait)
    };
    let mut world = World::start_with(folder.path(), &patient).await?;
    let token = world.token(&["media:read:*", "media:write:*"])?;
    let address = free_address();
    let stream = door(&mut world, &token, format!("rtsp://{address}/live")).await?;
    let mut there = watch(&world.other, &stream)?;
    assert_eq!(failure(&mut there).await?.reason(), Reason::Refused);
    let mut here = watch(&world.one, &stream)?;
    failure(&mut here).await?;
    let is_patient = async || {
        let again_at = world.other.core.hub.state(&stream).and_then(|state| state.again_at);
        again_at.is_some_and(|at| at > tokio::time::Instant::now() + Duration::from_mins(1))
    };
    wait_until("the other replica waits for long", SOON, is_patient).await?;

    let port = address.port().to_string();
    let _camera = GstCamera::start(folder.path(), &["--port", &port]).await?;
    let begun = Instant::now();
    timeout(BACK * 3, here.tracks()).await??;
    println!("tracks on the replica that captures {:?} after the camera listened", begun.elapsed());
    timeout(BACK * 3, there.tracks()).await??;
    println!("tracks on the other replica {:?} after the camera listened (goal {BACK:?})", begun.elapsed());
    assert_eq!([&world.one, &world.other].map(|replica| replica.core.owners.count()), [1, 0]);
    drop((here, there));
    world.stop().await
}
