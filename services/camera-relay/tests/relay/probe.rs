//! Looking at sources that are no cameras yet: what is found, what is wrong, who may, and how much at once.

use super::world::{SOON, World, add, fields, file_camera, reason, test_camera, with};
use anyhow::{Context, Result};
use patchbay_chassis::config::{Layer, Value};
use patchbay_proto::camera::v1::{self as pb, camera::Source};
use patchbay_testkit::{
    ports::free_address,
    rtsp::{
        gstreamer::GstCamera,
        scripted::{Media, Script, ScriptedServer, Step, status},
    },
    wait::wait_until,
};
use std::{net::SocketAddr, path::Path, process::Command, sync::Arc, time::Duration};
use tempfile::{TempDir, tempdir};
use tokio::net::TcpListener;

/// May be reached: the machine itself.
fn open_world(name: &str, flags: Layer) -> Layer {
    flags.set(&format!("{name}.cameras.egress.allow"), vec!["127.0.0.0/8"])
}

struct Setting {
    world: World,
    token: String,
    folder: TempDir,
}

async fn setting() -> Result<Setting> {
    setting_with(&open_world).await
}

async fn setting_with(change: super::world::Change<'_>) -> Result<Setting> {
    let folder = tempdir()?;
    let world = World::start_with(folder.path(), change).await?;
    let token = world.token(&["media:write:*"])?;
    Ok(Setting { world, token, folder })
}

impl Setting {
    async fn probe(&mut self, camera: pb::Camera) -> Result<pb::ProbeSourceResponse> {
        self.probe_within(camera, 15).await
    }

    #[expect(clippy::print_stdout, reason = "a test tells what was found")]
    async fn probe_within(&mut self, camera: pb::Camera, seconds: i64) -> Result<pb::ProbeSourceResponse> {
        let request = with(&self.token, asked(camera, seconds));
        let found = self.world.one.client.probe_source(request).await?.into_inner();
        println!("{}", shown(&found));
        Ok(found)
    }

    /// Looks at what is wrong: the step, the reason, and words that must be there.
    async fn fails(
        &mut self,
        camera: pb::Camera,
        expected: (&str, &str, &str),
    ) -> Result<pb::ProbeSourceResponse> {
        let (step, reason, words) = expected;
        let found = self.probe(camera).await?;
        let last = found.steps.last().context("there is a step")?;
        assert!(!found.ok && !last.ok, "{found:?}");
        assert_eq!((last.name.as_str(), found.reason.as_str()), (step, reason), "{found:?}");
        assert!(found.detail.contains(words) && last.detail == found.detail, "{found:?}");
        assert!(found.steps.iter().rev().skip(1).all(|step| step.ok), "{found:?}");
        assert!(!format!("{found:?}").contains("s3cret"), "{found:?}");
        Ok(found)
    }
}

fn asked(camera: pb::Camera, seconds: i64) -> pb::ProbeSourceRequest {
    let timeout = (seconds != 0).then_some(prost_types::Duration { seconds, nanos: 0 });
    pb::ProbeSourceRequest { camera: Some(camera), timeout }
}

fn shown(found: &pb::ProbeSourceResponse) -> String {
    let step = |step: &pb::ProbeStep| {
        let took = step.took.and_then(|took| Duration::try_from(took).ok()).unwrap_or_default();
        format!("  {} {} after {took:.1?}: {}", step.name, step.ok, step.detail)
    };
    let track = |track: &pb::ProbeTrack| {
        let of = track.track.clone().unwrap_or_default();
        format!("  {} {} {}x{} {}", of.codec, track.profile, of.width, of.height, track.delivery)
    };
    let advice = |advice: &String| format!("  - {advice}");
    let lines = found.steps.iter().map(step).chain(found.tracks.iter().map(track));
    lines.chain(found.advice.iter().map(advice)).collect::<Vec<_>>().join("\n")
}

fn steps(found: &pb::ProbeSourceResponse) -> Vec<&str> {
    found.steps.iter().map(|step| step.name.as_str()).collect()
}

fn rtsp(url: impl Into<String>) -> pb::Camera {
    let source = pb::RtspSource { url: url.into(), ..pb::RtspSource::default() };
    pb::Camera { name: "new".into(), source: Some(Source::Rtsp(source)), ..pb::Camera::default() }
}

fn at(address: SocketAddr) -> String {
    format!("rtsp://{address}/live")
}

fn is_jpeg(picture: &[u8]) -> bool {
    picture.starts_with(&[0xff, 0xd8, 0xff]) && picture.ends_with(&[0xff, 0xd9])
}

#[tokio::test(flavor = "multi_thread")]
async fn a_source_that_works_is_described() -> Result<()> {
    let mut setting = setting().await?;
    let found = setting.probe(test_camera("new")).await?;
    assert!(found.ok && found.reason.is_empty() && found.detail.is_empty(), "{found:?}");
    assert_eq!(steps(&found), ["open", "tracks", "key_frame", "pictures"]);
    assert!(found.steps.iter().all(|step| step.ok && step.took.is_some()), "{found:?}");
    let [video] = &*found.tracks else { panic!("{found:?}") };
    let track = video.track.clone().unwrap_or_default();
    assert_eq!((track.codec.as_str(), track.width, track.height), ("H264", 320, 240));
    assert!((10.0..20.0).contains(&track.rate) && track.bitrate > 10_000, "{track:?}");
    assert_eq!(track.key_frame_interval.map(|interval| interval.seconds), Some(2));
    assert!(video.passes_through && video.profile.starts_with("H.264 "), "{video:?}");
    assert!(is_jpeg(&found.picture));
    // It is silent, and says so.
    assert!(found.advice.len() == 1 && found.advice[0].contains("no sound"), "{:?}", found.advice);
    assert_eq!(found.advice_codes, ["NO_SOUND"]);
    // Nothing of it is a camera, and nothing of it runs on.
    assert!(setting.world.one.core.cameras.get(&"new".parse()?).is_err());
    setting.world.stop().await
}

fn clip(folder: &Path) -> Result<()> {
    let made = Command::new("ffmpeg")
        .args(["-v", "error", "-f", "lavfi", "-i", "testsrc=size=320x240:rate=25"])
        .args(["-f", "lavfi", "-i", "sine", "-t", "6", "-c:v", "libx264", "-preset", "ultrafast"])
        .args(["-bf", "2", "-g", "125", "-sc_threshold", "0", "-pix_fmt", "yuv420p", "-c:a", "aac"])
        .arg(folder.join("clip.mp4"))
        .status()?;
    anyhow::ensure!(made.success(), "ffmpeg makes a clip");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn what_browsers_cannot_take_is_said_in_words() -> Result<()> {
    let media = tempdir()?;
    clip(media.path())?;
    let folder = media.path().display().to_string();
    let change =
        |name: &str, flags: Layer| flags.set(&format!("{name}.cameras.media_folder"), folder.clone());
    let mut setting = setting_with(&change).await?;
    let found = setting.probe(file_camera("new", "clip.mp4")).await?;
    assert!(found.ok && is_jpeg(&found.picture), "{found:?}");
    let [video, sound] = &*found.tracks else { panic!("{found:?}") };
    assert!(!video.passes_through && video.delivery.contains("B-frames"), "{video:?}");
    assert!(!sound.passes_through && sound.delivery.contains("AAC"), "{sound:?}");
    for words in ["5.0 s apart", "B-frames"] {
        assert!(found.advice.iter().any(|advice| advice.contains(words)), "{words}: {:?}", found.advice);
    }
    setting.world.stop().await
}

#[tokio::test(flavor = "multi_thread")]
async fn what_keeps_from_reaching_a_camera_is_told_apart() -> Result<()> {
    let mut setting = setting().await?;
    let none = ("resolve", "NAME_NOT_FOUND", "camera.invalid has no address");
    setting.fails(rtsp("rtsp://admin:s3cret@camera.invalid/live"), none).await?;
    let forbidden = ("resolve", "FORBIDDEN", "an operator may add it to `cameras.egress.allow`");
    setting.fails(rtsp("rtsp://admin:s3cret@192.168.77.1/live"), forbidden).await?;
    let odd = ("resolve", "NAME_NOT_FOUND", "write an address as four decimal numbers");
    setting.fails(rtsp("rtsp://127.1/live"), odd).await?;
    let refused = ("connect", "REFUSED", "RTSP is mostly at 554");
    let found = setting.fails(rtsp(at(free_address())), refused).await?;
    assert_eq!(steps(&found), ["resolve", "connect"]);
    let silent = TcpListener::bind("127.0.0.1:0").await?;
    let address = silent.local_addr()?;
    let no_tls = ("tls", "TLS", "TLS");
    let found = setting.fails(rtsp(format!("rtsps://{address}/live")), no_tls).await?;
    assert_eq!(steps(&found), ["resolve", "connect", "tls"]);
    setting.world.stop().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_real_camera_is_described_with_and_without_its_login() -> Result<()> {
    let mut setting = setting().await?;
    let login = ["--auth", "digest", "--user", "admin", "--password", "s3cret", "--audio", "aac"];
    let camera = GstCamera::start(setting.folder.path(), &login).await?;
    let address = camera.address();
    let found = setting.probe(rtsp(format!("rtsp://admin:s3cret@{address}/live"))).await?;
    assert!(found.ok && is_jpeg(&found.picture) && found.tracks.len() == 2, "{found:?}");
    assert_eq!(steps(&found), ["resolve", "connect", "open", "tracks", "key_frame", "pictures"]);
    assert!(found.advice.iter().any(|advice| advice.contains("unencrypted")), "{:?}", found.advice);
    assert!(!format!("{found:?}").contains("s3cret"), "{found:?}");

    setting.fails(rtsp(at(address)), ("open", "UNAUTHORIZED", "asks for a login")).await?;
    let wrong = rtsp(format!("rtsp://admin:wr0ng@{address}/live"));
    let found = setting.fails(wrong, ("open", "UNAUTHORIZED", "does not accept this login")).await?;
    assert!(!format!("{found:?}").contains("wr0ng"), "{found:?}");

    // The password of a camera that is there need not be given again.
    let kept = rtsp(format!("rtsp://admin:s3cret@{address}/live"));
    add(&mut setting.world.one, &setting.token, kept).await?;
    let login = Some(pb::Login { username: "admin".into(), has_password: true, ..pb::Login::default() });
    let source = pb::RtspSource { url: at(address), login, ..pb::RtspSource::default() };
    let again = pb::Camera { source: Some(Source::Rtsp(source.clone())), ..rtsp("") };
    assert!(setting.probe(again).await?.ok);
    // It is given to nobody else.
    let elsewhere = pb::RtspSource { url: at(free_address()), ..source };
    let elsewhere = pb::Camera { source: Some(Source::Rtsp(elsewhere)), ..rtsp("") };
    let request = with(&setting.token, asked(elsewhere, 5));
    assert_eq!(fields(setting.world.one.client.probe_source(request).await), ["camera.rtsp.login"]);
    setting.world.stop().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_path_a_codec_and_an_answer_that_never_comes_are_told_apart() -> Result<()> {
    let mut setting = setting().await?;
    let camera = GstCamera::start(setting.folder.path(), &[]).await?;
    let wrong = rtsp(format!("rtsp://{}/nothing", camera.address()));
    let found = setting.fails(wrong, ("open", "NOT_FOUND", "nothing under this path")).await?;
    assert!(found.advice.iter().any(|advice| advice.contains("/Streaming/Channels/101")), "{found:?}");

    let codec = sdp("a=rtpmap:96 theora/90000\r\n");
    let server = ScriptedServer::start(Script::new(codec, Media::None))?;
    setting.fails(rtsp(at(server.address())), ("tracks", "CODEC", "set its video to H.264")).await?;

    let sound = GstCamera::start(setting.folder.path(), &["--video", "none", "--audio", "opus"]).await?;
    setting.fails(rtsp(at(sound.address())), ("tracks", "NO_TRACKS", "a camera needs some")).await?;

    let broken = Script::new("", Media::None).with("DESCRIBE", status(500, "Internal Server Error"));
    let server = ScriptedServer::start(broken)?;
    let found = setting.probe(rtsp(at(server.address()))).await?;
    assert!(!found.ok && !found.reason.is_empty(), "{found:?}");
    setting.world.stop().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_camera_of_the_configuration_is_looked_at_with_its_password_file() -> Result<()> {
    let files = tempdir()?;
    let login = ["--auth", "digest", "--user", "admin", "--password", "s3cret"];
    let camera = GstCamera::start(files.path(), &login).await?;
    let (url, password) = (at(camera.address()), files.path().join("password"));
    std::fs::write(&password, "s3cret\n")?;
    let login = format!(r#"{{username="admin",password_file="{}"}}"#, password.display());
    let configured: Value = format!(r#"[{{name="door",rtsp={{url="{url}",login={login}}}}}]"#).parse()?;
    let change = |name: &str, flags: Layer| {
        open_world(name, flags).set(&format!("{name}.cameras.configured"), configured.clone())
    };
    let mut setting = setting_with(&change).await?;
    let request = with(&setting.token, pb::GetCameraRequest { name: "door".into() });
    assert_eq!(reason(setting.world.one.client.get_camera(request).await), "PERMISSION_DENIED");
    let token = setting.world.token(&["media:read:*", "media:write:*"])?;
    let request = with(&token, pb::GetCameraRequest { name: "door".into() });
    let shown = setting.world.one.client.get_camera(request).await?.into_inner().camera;
    let found = setting.probe(shown.context("it is there")?).await?;
    assert!(found.ok && !format!("{found:?}").contains("s3cret"), "{found:?}");
    setting.world.stop().await
}

/// A session with one stream of pictures; `lines` describe it.
fn sdp(lines: &str) -> String {
    format!(
        "v=0\r\no=- 0 0 IN IP4 127.0.0.1\r\ns=Camera\r\nc=IN IP4 0.0.0.0\r\nt=0 0\r\na=control:*\r\nm=video 0 RTP/AVP 96\r\n{lines}a=control:trackID=0\r\n"
    )
}

/// Pictures of which each needs the one before.
fn endless_middle() -> Script {
    let described = "a=rtpmap:96 H264/90000\r\na=fmtp:96 packetization-mode=1;sprop-parameter-sets=Z0LADdkBQfsBEAAAAwAQAAADAyDxQqSA,aMuDyyA=\r\n";
    let film = |number: u64| {
        let stamp = u32::try_from(number * 3600).unwrap_or_default().to_be_bytes();
        let sequence = u16::try_from(number % 65_536).unwrap_or_default().to_be_bytes();
        // A slice of type P that is not an IDR picture's.
        let packet =
            [&[0x80, 0xe0][..], &sequence, &stamp, &[1, 2, 3, 4], &[0x41, 0x9a, 0x24, 0x6c, 0x41, 0x80]];
        vec![Step::Until(Duration::from_millis(number * 40)), Step::Packet(packet.concat())]
    };
    Script::new(sdp(described), Media::Film(Arc::new(film)))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_camera_without_key_frames_is_told_so() -> Result<()> {
    let mut setting = setting().await?;
    let server = ScriptedServer::start(endless_middle())?;
    let found = setting.fails(rtsp(at(server.address())), ("key_frame", "NO_KEY_FRAME", "interval")).await?;
    assert_eq!(steps(&found), ["resolve", "connect", "open", "tracks", "key_frame"]);
    setting.world.stop().await
}

#[tokio::test(flavor = "multi_thread")]
async fn who_may_not_and_what_is_no_question_is_refused() -> Result<()> {
    let mut setting = setting().await?;
    let one = &mut setting.world.one;
    let narrow = setting.world.keys.token("ada", &["media:write:other", "media:read:*"])?;
    let probe = |token: &str, camera| with(token, asked(camera, 2));
    assert_eq!(
        reason(one.client.probe_source(probe(&narrow, test_camera("new"))).await),
        "PERMISSION_DENIED"
    );
    assert_eq!(
        fields(one.client.probe_source(probe(&setting.token, test_camera("a/b"))).await),
        ["camera.name"]
    );
    let nothing = pb::Camera { source: None, ..test_camera("new") };
    assert_eq!(fields(one.client.probe_source(probe(&setting.token, nothing)).await), ["camera.test"]);
    assert_eq!(
        fields(one.client.probe_source(probe(&setting.token, rtsp("ftp://x/"))).await),
        ["camera.rtsp.url"]
    );
    for seconds in [-1, 1, 61] {
        let asked = with(&setting.token, asked(test_camera("new"), seconds));
        assert_eq!(fields(one.client.probe_source(asked).await), ["timeout"], "{seconds}");
    }
    let search = |token: &str, seconds| {
        let timeout = Some(prost_types::Duration { seconds, nanos: 0 });
        with(token, pb::DiscoverSourcesRequest { timeout })
    };
    assert_eq!(reason(one.client.discover_sources(search(&narrow, 1)).await), "PERMISSION_DENIED");
    let some = setting.world.keys.token("ada", &["media:write:cam-*"])?;
    assert_eq!(reason(one.client.discover_sources(search(&some, 1)).await), "PERMISSION_DENIED");
    assert_eq!(fields(one.client.discover_sources(search(&setting.token, 11)).await), ["timeout"]);
    setting.world.stop().await
}

#[tokio::test(flavor = "multi_thread")]
async fn only_so_many_are_looked_at_and_those_who_go_make_room() -> Result<()> {
    let one_place =
        |name: &str, flags: Layer| open_world(name, flags).set(&format!("{name}.probe.concurrent"), 1);
    let mut setting = setting_with(&one_place).await?;
    let server = ScriptedServer::start(endless_middle())?;
    let slow = rtsp(at(server.address()));
    let mut client = setting.world.one.client.clone();
    let request = with(&setting.token, asked(slow, 20));
    let mut waiting = Box::pin(client.probe_source(request));
    tokio::select! {
        answer = &mut waiting => panic!("it takes longer: {answer:?}"),
        seen = wait_until("the camera is played", SOON, async || server.was_asked("PLAY")) => drop(seen?),
    }
    let busy = with(&setting.token, asked(test_camera("new"), 5));
    assert_eq!(reason(setting.world.one.client.probe_source(busy).await), "BUSY");
    // As when a caller hangs up.
    drop(waiting);
    let token = setting.token.clone();
    let one = &mut setting.world.one.client;
    let took = wait_until("there is room again", SOON, async || {
        one.probe_source(with(&token, asked(test_camera("new"), 5))).await.is_ok()
    })
    .await?;
    println!("there was room {took:?} after the caller had gone");
    setting.world.stop().await
}

fn mjpeg(url: String) -> pb::Camera {
    let source = pb::MjpegSource { url, ..pb::MjpegSource::default() };
    pb::Camera { source: Some(Source::Mjpeg(source)), ..rtsp("") }
}

#[tokio::test(flavor = "multi_thread")]
async fn jpeg_pictures_over_http_are_described_like_others() -> Result<()> {
    let mut setting = setting().await?;
    add(&mut setting.world.one, &setting.token, test_camera("yard")).await?;
    let (http, viewer) = (setting.world.one.http, setting.world.token(&["media:view:yard"])?);
    let good = format!("http://{http}/mjpeg/yard?access_token={viewer}");
    let found = setting.probe(mjpeg(good.clone())).await?;
    assert!(found.ok && is_jpeg(&found.picture), "{found:?}");
    assert_eq!(steps(&found), ["resolve", "connect", "open", "tracks", "key_frame", "pictures"]);
    assert!(found.advice.iter().any(|advice| advice.contains("encodes")), "{found:?}");
    assert!(!format!("{found:?}").contains(&viewer), "a token in the address is not told");
    let stranger = mjpeg(format!("http://{http}/mjpeg/yard"));
    setting.fails(stranger, ("open", "UNAUTHORIZED", "login")).await?;
    let nothing = mjpeg(good.replace("/mjpeg/yard", "/nothing"));
    let found = setting.fails(nothing, ("open", "NOT_FOUND", "path")).await?;
    assert!(found.advice.is_empty(), "the makers' paths are of RTSP: {found:?}");
    setting.world.stop().await
}

/// A certificate of its own for an address, as cameras have.
fn certificate(folder: &Path) -> Result<(String, String)> {
    let path = |name: &str| folder.join(name).display().to_string();
    let (key, certificate) = (path("key.pem"), path("certificate.pem"));
    let made = Command::new("openssl")
        .args(["req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "30", "-subj", "/CN=camera"])
        .args(["-addext", "subjectAltName=IP:127.0.0.1", "-keyout", &key, "-out", &certificate])
        .output()?;
    anyhow::ensure!(made.status.success(), "openssl makes a certificate: {made:?}");
    Ok((key, certificate))
}

/// The first fingerprint in a text.
fn fingerprint(text: &str) -> Option<&str> {
    let is_pairs = |word: &&str| word.len() == 95 && word.split(':').all(|pair| pair.len() == 2);
    text.split([' ', ';', '.', ',']).map(|word| word.trim_end_matches(':')).find(is_pairs)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_certificate_of_the_cameras_own_is_told_and_can_be_pinned() -> Result<()> {
    let mut setting = setting().await?;
    let (key, certificate) = certificate(setting.folder.path())?;
    let camera = GstCamera::start(setting.folder.path(), &["--cert", &certificate, "--key", &key]).await?;
    let url = format!("rtsps://{}/live", camera.address());
    let found = setting.fails(rtsp(&url), ("tls", "TLS", "pin it")).await?;
    let came = fingerprint(&found.detail).context("the fingerprint is told")?.to_owned();
    let pinned = |certificate_fingerprint: String| {
        let source =
            pb::RtspSource { url: url.clone(), certificate_fingerprint, ..pb::RtspSource::default() };
        pb::Camera { source: Some(Source::Rtsp(source)), ..rtsp("") }
    };
    let found = setting.probe(pinned(came.clone())).await?;
    assert!(found.ok, "{found:?}");
    assert_eq!(steps(&found).get(2), Some(&"tls"));
    let other = "00".repeat(32);
    let found = setting.fails(pinned(other), ("tls", "TLS", "another certificate")).await?;
    assert_eq!(fingerprint(&found.detail), Some(came.as_str()));
    setting.world.stop().await
}
