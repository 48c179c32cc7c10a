//! What is secret in the address of a camera gets to the camera, and to no other place: not to the store, nor to what is logged, counted, told and answered.

use anyhow::{Context, Result, ensure};
use integration_tests::{
    camera::{OPERATOR, Relay, SOON, open_settings},
    report::report,
    verdict::TestResult,
};
use patchbay_backplane::{BackplaneConfig, Change, Expect, Name};
use patchbay_proto::camera::v1 as pb;
use patchbay_testkit::{
    http,
    keys::Keys,
    redis::{Persistence, RedisServer},
    rtsp::scripted::{Answer, Media, Script, ScriptedServer, status},
    wait::wait_until,
};
use std::net::SocketAddr;
use tempfile::TempDir;
use tokio_util::{sync::CancellationToken, task::TaskTracker};

const SECRET: &str = "c4nary-in-the-address";

const SDP: &str = "v=0\r\no=- 0 0 IN IP4 127.0.0.1\r\ns=Camera\r\nc=IN IP4 0.0.0.0\r\nt=0 0\r\na=control:*\r\nm=video 0 RTP/AVP 96\r\na=rtpmap:96 H264/90000\r\na=control:trackID=0\r\n";

/// A camera that knows nobody without the secret.
fn camera() -> Result<ScriptedServer> {
    let media = "-f lavfi -i testsrc2=size=320x240:rate=25 -g 25 -c:v libx264 -preset ultrafast -tune zerolatency -x264-params repeat-headers=1";
    let media = Media::Ffmpeg(media.split(' ').map(str::to_owned).collect());
    ScriptedServer::start(Script::new(SDP, media).answering(|method, _, request| {
        let is_known = method != "DESCRIBE" || request.uri.ends_with(&format!("password={SECRET}"));
        if is_known { Answer::Usual } else { status(404, "Not Found") }
    }))
}

fn rtsp(name: &str, url: impl Into<String>) -> pb::Camera {
    let (url, transport) = (url.into(), pb::RtspTransport::Udp.into());
    let source = pb::RtspSource { url, transport, ..pb::RtspSource::default() };
    pb::Camera { name: name.into(), source: Some(pb::camera::Source::Rtsp(source)), ..pb::Camera::default() }
}

struct World {
    folder: TempDir,
    redis: RedisServer,
    keys: Keys,
    token: String,
}

impl World {
    async fn start() -> Result<Self> {
        let folder = tempfile::tempdir()?;
        let keys = Keys::create(folder.path())?;
        keys.share_identity("camera-relay", &folder.path().join("service.pem"), &["media:relay:camera/*"])?;
        let token = keys.token("operator", &OPERATOR)?;
        Ok(Self { folder, redis: RedisServer::start(Persistence::Always).await?, keys, token })
    }

    /// A replica whose key is in the file of that name.
    async fn relay(&self, name: &str, key: &str) -> Result<Relay> {
        let settings = open_settings()
            .set("log.level", "trace")
            .set("backplane.url", &self.redis.url())
            .set("auth.service_key_file", &self.folder.path().join("service.pem").display())
            .set("announce.after", "1s")
            .set("cameras.egress.allow", r#"["127.0.0.0/8"]"#)
            .set("cameras.login_key_file", &self.folder.path().join(key).display());
        Relay::start(self.folder.path(), name, &self.keys, settings).await
    }

    async fn add(&self, relay: &Relay, camera: pb::Camera) -> Result<pb::Camera> {
        let request = pb::AddCameraRequest { camera: Some(camera) };
        let added = relay.client(&self.token)?.add_camera(request).await?;
        added.into_inner().camera.context("no camera")
    }

    async fn get(&self, relay: &Relay, name: &str) -> Result<pb::Camera> {
        let request = pb::GetCameraRequest { name: name.into() };
        let found = relay.client(&self.token)?.get_camera(request).await?;
        found.into_inner().camera.context("no camera")
    }

    /// Changes the title of a camera, with its source as it is shown.
    async fn entitle(&self, relay: &Relay, title: &str, shown: pb::Camera) -> Result<pb::Camera> {
        let (name, camera) = (shown.name.clone(), pb::Camera { title: title.into(), status: None, ..shown });
        let request = pb::UpdateCameraRequest { name, camera: Some(camera) };
        let updated = relay.client(&self.token)?.update_camera(request).await?;
        updated.into_inner().camera.context("no camera")
    }

    async fn probe(&self, relay: &Relay, camera: pb::Camera) -> Result<pb::ProbeSourceResponse> {
        let request = pb::ProbeSourceRequest { camera: Some(camera), timeout: None };
        Ok(relay.client(&self.token)?.probe_source(request).await?.into_inner())
    }

    /// All that is on Redis; what is no text does not matter to those who look for texts.
    async fn stored(&self) -> Result<String> {
        Ok(String::from_utf8_lossy(&self.redis.contents().await?).into_owned())
    }

    async fn is_stored(&self, text: &str) -> Result<bool> {
        Ok(self.stored().await?.contains(text))
    }

    /// Whatever a replica says of itself and of its cameras.
    async fn said(&self, relay: &Relay) -> Result<String> {
        let mut said = relay.process.log();
        ensure!(said.contains(r#""level":"TRACE""#), "everything is logged");
        said.push_str(&http::get(relay.ops, "/metrics", &[]).await?.body);
        let mut client = relay.client(&self.token)?;
        let statistics = client.get_statistics(pb::GetStatisticsRequest { name: "door".into() }).await?;
        let listed = client.list_cameras(pb::ListCamerasRequest::default()).await?;
        Ok(format!("{said}{statistics:?}{listed:?}"))
    }
}

async fn plays(relay: &Relay, name: &str) -> Result<()> {
    let path = format!("/snapshot/{name}.jpg");
    let is_there = async || relay.ask("GET", &path, &[], "").await.is_ok_and(|answer| answer.status == 200);
    let took = wait_until("there is a picture", SOON, is_there).await?;
    report(&format!("a picture of {name} from {} after {took:?}", relay.name));
    Ok(())
}

fn given(camera: SocketAddr) -> String {
    format!("rtsp://{camera}/live?user=u&password={SECRET}")
}

fn shown(camera: SocketAddr) -> String {
    format!("rtsp://{camera}/live?user=u&password=***")
}

fn url(camera: &pb::Camera) -> &str {
    let Some(pb::camera::Source::Rtsp(rtsp)) = &camera.source else { panic!("{camera:?}") };
    &rtsp.url
}

#[tokio::test]
async fn a_secret_in_an_address_gets_to_the_camera_and_nowhere_else() -> TestResult {
    let (world, camera) = (World::start().await?, camera()?);
    let (one, two) = (world.relay("one", "cameras.key").await?, world.relay("two", "cameras.key").await?);
    let wrong =
        world.probe(&one, rtsp("door", format!("rtsp://{}/live?password=wrong", camera.address()))).await?;
    assert_eq!(wrong.reason, "NOT_FOUND", "the camera asks for the secret");
    let always = pb::Camera { always_on: true, ..rtsp("door", given(camera.address())) };
    let added = world.add(&one, always.clone()).await?;
    assert_eq!(url(&added), shown(camera.address()));
    assert_eq!(world.add(&two, always).await?.revision, added.revision, "the same again changes nothing");
    plays(&one, "door").await?;
    plays(&two, "door").await?;

    // Both replicas open it, also where it comes back as it is shown.
    let updated = world.entitle(&two, "Door", added).await?;
    for relay in [&one, &two] {
        let found = world.probe(relay, pb::Camera { status: None, ..updated.clone() }).await?;
        assert!(found.ok, "{}: {found:?}", relay.name);
    }
    plays(&one, "door").await?;

    let stored = world.stored().await?;
    assert!(stored.contains(&shown(camera.address())), "the camera is among what was read");
    assert!(!stored.contains(SECRET));
    drop(camera);
    let told = async || world.is_stored("camera.offline").await.is_ok_and(|is_stored| is_stored);
    let took = wait_until("it is told that the camera is away", SOON, told).await?;
    report(&format!("told that the camera is away after {took:?}"));
    assert!(!world.is_stored(SECRET).await?, "an event tells it");
    for relay in [&one, &two] {
        let said = world.said(relay).await?;
        let line = said.lines().find(|line| line.contains(SECRET));
        assert_eq!(line, None, "{} has said it", relay.name);
    }
    Ok(())
}

#[tokio::test]
async fn a_replica_with_another_key_says_what_is_wrong() -> TestResult {
    let (world, camera) = (World::start().await?, camera()?);
    let one = world.relay("one", "cameras.key").await?;
    let added = world.add(&one, rtsp("door", given(camera.address()))).await?;
    let other = world.relay("other", "another.key").await?;
    let found = world.probe(&other, pb::Camera { status: None, ..added.clone() }).await?;
    report(&format!("{}: {}", found.reason, found.detail));
    assert_eq!((found.ok, found.reason.as_str()), (false, "UNAUTHORIZED"));
    assert!(found.detail.contains("cannot be read with this service's key"), "{found:?}");
    assert!(!camera.was_asked("DESCRIBE"), "it does not try with what is shown");
    // Given anew, it is read by the key of who took it.
    let again = pb::Camera { revision: added.revision, ..rtsp("door", given(camera.address())) };
    world.entitle(&other, "Door", again).await?;
    plays(&other, "door").await?;
    Ok(())
}

#[tokio::test]
async fn a_row_of_an_older_version_is_read_and_sealed_when_it_is_written() -> TestResult {
    let (world, camera) = (World::start().await?, camera()?);
    let row = format!(
        r#"{{"title":"","source":{{"rtsp":{{"url":"{}","login":null,"transport":"udp","certificate_fingerprint":null}}}},"capture":"on_demand"}}"#,
        given(camera.address())
    );
    let stop = CancellationToken::new();
    let _stop = stop.clone().drop_guard();
    let config = BackplaneConfig { url: Some(world.redis.url()), ..BackplaneConfig::default() };
    let backplane = patchbay_backplane::connect(config, TaskTracker::new(), stop).await?;
    let (table, value) = (Name::new("camera", "cameras", "store"), Some(row.into()));
    backplane.commit(vec![Change { table, key: "door".into(), expect: Expect::Absent, value }]).await?;
    assert!(world.is_stored(SECRET).await?, "the scan finds what is there");

    let one = world.relay("one", "cameras.key").await?;
    wait_until("it is read", SOON, async || world.get(&one, "door").await.is_ok()).await?;
    plays(&one, "door").await?;
    let read = world.get(&one, "door").await?;
    assert_eq!(url(&read), shown(camera.address()));
    let same = world.add(&one, rtsp("door", given(camera.address()))).await?;
    assert_eq!(same.revision, read.revision, "the same again changes nothing");
    world.entitle(&one, "Door", read).await?;
    assert!(!world.is_stored(SECRET).await?);
    plays(&one, "door").await?;
    Ok(())
}
