//! Cameras outside of the process, from a real RTSP server to a viewer on another stack: how soon there is a picture, and what viewers see while a camera is
//! away.

use anyhow::{Context, Result, ensure};
use integration_tests::{
    camera::{HERE, OPERATOR, Relay, SDP, header, open_settings},
    report::report,
    verdict::TestResult,
};
use patchbay_proto::camera::v1 as pb;
use patchbay_testkit::{
    keys::Keys,
    ports::free_address,
    rtsp::gstreamer::GstCamera,
    wait::{wait_for, wait_until},
    webrtc::{ForeignPeer, Frame, Happened, Swarm, Wants},
};
use std::{
    net::SocketAddr,
    process::{Child, Command, Stdio},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::{Duration, Instant},
};
use str0m::media::MediaKind;
use tempfile::TempDir;

/// Goal for pictures after a source is back.
const BACK: Duration = Duration::from_secs(3);

struct World {
    relay: Relay,
    keys: Keys,
    folder: TempDir,
}

impl World {
    async fn start() -> Result<Self> {
        let folder = tempfile::tempdir()?;
        let keys = Keys::create(folder.path())?;
        let settings = open_settings()
            .set("cameras.egress.allow", r#"["127.0.0.0/8"]"#)
            .set("cameras.capture.stall_timeout", "3s");
        let relay = Relay::start(folder.path(), "relay", &keys, settings).await?;
        Ok(Self { relay, keys, folder })
    }

    async fn add(&self, name: &str, address: SocketAddr) -> Result<()> {
        let url = format!("rtsp://{address}/live");
        self.add_source(name, pb::camera::Source::Rtsp(pb::RtspSource { url, ..pb::RtspSource::default() }))
            .await
    }

    async fn add_source(&self, name: &str, source: pb::camera::Source) -> Result<()> {
        let mut client = self.relay.client(&self.keys.token("operator", &OPERATOR)?)?;
        let camera = pb::Camera { name: name.to_owned(), source: Some(source), ..pb::Camera::default() };
        client.add_camera(pb::AddCameraRequest { camera: Some(camera) }).await?;
        Ok(())
    }

    async fn status(&self, name: &str) -> Result<pb::CameraStatus> {
        let mut client = self.relay.client(&self.keys.token("operator", &OPERATOR)?)?;
        let camera = client.get_camera(pb::GetCameraRequest { name: name.to_owned() }).await?.into_inner();
        camera.camera.and_then(|camera| camera.status).context("no status")
    }

    async fn camera(&self, address: SocketAddr, options: &[&str]) -> Result<GstCamera> {
        let port = address.port().to_string();
        GstCamera::start(self.folder.path(), &[&["--port", port.as_str()], options].concat()).await
    }
}

/// A viewer that watches on a thread of its own, and what it has seen.
struct Viewer {
    seen: Arc<Mutex<Seen>>,
    stop: Arc<AtomicBool>,
    thread: Option<thread::JoinHandle<Result<()>>>,
}

#[derive(Clone, Debug, Default)]
struct Seen {
    pictures: Vec<Picture>,
    sounds: usize,
    torn: usize,
    gone: bool,
}

#[derive(Clone, Copy, Debug)]
struct Picture {
    at: Instant,
    timestamp: u64,
    bytes: usize,
    key: bool,
}

impl Seen {
    fn take(&mut self, happened: Happened) {
        let frame = match happened {
            Happened::Frame(frame) => frame,
            Happened::Disconnected => {
                self.gone = true;
                return;
            }
            _ => return,
        };
        if frame.kind == MediaKind::Audio {
            self.sounds += 1;
            return;
        }
        self.torn += usize::from(!frame.contiguous);
        self.pictures.push(Picture::of(&frame));
    }
}

impl Picture {
    fn of(frame: &Frame) -> Self {
        // An IDR picture (ITU-T H.264, table 7-1) behind a start code.
        let key = frame.data.windows(4).any(|bytes| bytes[..3] == [0, 0, 1] && bytes[3] & 0x1f == 5);
        Self { at: frame.received, timestamp: frame.timestamp, bytes: frame.data.len(), key }
    }
}

impl Viewer {
    /// Posts an offer; tells what the answer took.
    async fn join(relay: &Relay, camera: &str, wants: Wants) -> Result<Self> {
        let (mut peer, offer) = ForeignPeer::offer(HERE, wants)?;
        let answer = relay.ask("POST", &format!("/whep/{camera}"), &[SDP], &offer).await?;
        ensure!(answer.status == 201, "{}: {}", answer.status, answer.body);
        ensure!(header(&answer, "location").is_some());
        peer.accept(&answer.body)?;
        let (seen, stop) = (Arc::<Mutex<Seen>>::default(), Arc::<AtomicBool>::default());
        let (told, ended) = (Arc::clone(&seen), Arc::clone(&stop));
        let thread = thread::spawn(move || {
            let mut swarm = Swarm::new()?;
            swarm.add(peer)?;
            swarm.run_until(Duration::from_mins(2), |_, happened| {
                if let Some((_, happened)) = happened {
                    told.lock().unwrap_or_else(PoisonError::into_inner).take(happened);
                }
                ended.load(Ordering::Relaxed)
            })
        });
        Ok(Self { seen, stop, thread: Some(thread) })
    }

    fn seen(&self) -> Seen {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Waits for a picture after that moment which is of the camera and not of the slate, and tells when it came.
    async fn picture_after(&self, what: &str, moment: Instant) -> Result<Picture> {
        let found = async || {
            self.seen().pictures.into_iter().find(|picture| picture.at > moment && picture.bytes > 1500)
        };
        Ok(wait_for(what, BACK * 4, found).await?.0)
    }

    fn end(mut self) -> Result<Seen> {
        self.stop.store(true, Ordering::Relaxed);
        self.thread.take().context("it ends once")?.join().expect("the viewer's thread did not panic")?;
        Ok(self.seen())
    }
}

#[tokio::test]
async fn an_rtsp_camera_is_seen_and_heard() -> TestResult {
    let world = World::start().await?;
    let gst = world.camera(free_address(), &["--audio", "aac"]).await?;
    world.add("door", gst.address()).await?;
    let begun = Instant::now();
    let viewer = Viewer::join(&world.relay, "door", Wants::VideoAndAudio).await?;
    let answered = begun.elapsed();
    let first = viewer.picture_after("the first picture", begun).await?;
    report(&format!("answered after {answered:?}, first picture after {:?}", first.at - begun));
    assert!(first.key, "it begins with a key frame");
    let enough = || viewer.seen().pictures.len() > 50 && viewer.seen().sounds > 50;
    wait_until("pictures and sound", Duration::from_secs(30), async || enough()).await?;
    let tracks = world.status("door").await?.tracks;
    let made: Vec<_> = tracks.iter().filter(|track| track.transcoded).map(|track| &track.codec).collect();
    assert_eq!(made, ["opus"], "pictures pass through, AAC does not: {tracks:?}");
    let seen = viewer.end()?;
    assert_eq!(seen.torn, 0);
    assert!(seen.pictures.is_sorted_by_key(|picture| picture.timestamp), "time never goes back");
    Ok(())
}

#[tokio::test]
async fn a_source_that_is_killed_and_comes_back_is_seen_again_by_the_same_viewer() -> TestResult {
    let world = World::start().await?;
    let address = free_address();
    let mut gst = world.camera(address, &[]).await?;
    world.add("door", address).await?;
    let viewer = Viewer::join(&world.relay, "door", Wants::Video).await?;
    viewer.picture_after("the first picture", Instant::now()).await?;
    gst.process().kill()?;
    let away =
        async || world.status("door").await.is_ok_and(|status| status.state() == pb::CameraState::Failed);
    wait_until("the camera is away", Duration::from_secs(30), away).await?;
    let status = world.status("door").await?;
    report(&format!("while it is away: {} ({})", status.detail, status.reason));
    assert!(["REFUSED", "ENDED"].contains(&status.reason.as_str()), "{status:?}");
    let _gst = world.camera(address, &[]).await?;
    let back = Instant::now();
    let picture = viewer.picture_after("pictures again", back).await?;
    report(&format!(
        "pictures again {:?} after the server listened again (goal {BACK:?})",
        picture.at - back
    ));
    assert!(picture.at - back < BACK * 3);
    let seen = viewer.end()?;
    assert!(!seen.gone, "the viewer stayed connected");
    assert!(seen.pictures.is_sorted_by_key(|picture| picture.timestamp), "time never goes back");
    Ok(())
}

#[tokio::test]
async fn who_comes_while_a_camera_is_away_sees_black_and_then_the_camera() -> TestResult {
    let world = World::start().await?;
    let address = free_address();
    world.add("door", address).await?;
    let begun = Instant::now();
    let viewer = Viewer::join(&world.relay, "door", Wants::VideoAndAudio).await?;
    let black = async || viewer.seen().pictures.first().copied();
    let (black, _) = wait_for("a black picture", Duration::from_secs(20), black).await?;
    report(&format!("black of {} bytes {:?} after the offer", black.bytes, black.at - begun));
    assert!(black.key && black.bytes < 1500, "{black:?}");
    let _gst = world.camera(address, &["--audio", "aac"]).await?;
    let listens = Instant::now();
    let picture = viewer.picture_after("the camera", listens).await?;
    report(&format!("the camera {:?} after its server listened", picture.at - listens));
    wait_until("sound", Duration::from_secs(30), async || viewer.seen().sounds > 20).await?;
    let seen = viewer.end()?;
    assert!(!seen.gone && seen.pictures.is_sorted_by_key(|picture| picture.timestamp));
    Ok(())
}

/// A program that ends with the test.
struct Running(Child);

impl Running {
    fn start(command: &mut Command) -> Result<Self> {
        let child = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn();
        Ok(Self(child.context("cannot start it; scripts/test installs it")?))
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // Both fail only if it has ended already.
        drop(self.0.kill());
        drop(self.0.wait());
    }
}

fn ffmpeg(arguments: &str) -> Command {
    let mut command = Command::new("ffmpeg");
    command.args(["-loglevel", "error", "-re", "-f", "lavfi", "-i", "testsrc2=size=320x240:rate=25"]);
    command.args(arguments.split_whitespace());
    command
}

#[tokio::test]
async fn a_live_hls_playlist_passes_through() -> TestResult {
    let world = World::start().await?;
    let (web, address) = (world.folder.path().join("web"), free_address());
    std::fs::create_dir(&web)?;
    let list = web.join("live.m3u8");
    let hls = "-c:v libx264 -preset ultrafast -tune zerolatency -g 25 -f hls -hls_time 1 -hls_list_size 5 -hls_flags delete_segments";
    let _ffmpeg = Running::start(ffmpeg(hls).arg(&list))?;
    let mut server = Command::new("python3");
    server.args(["-m", "http.server", "--bind", "127.0.0.1", &address.port().to_string(), "--directory"]);
    let _server = Running::start(server.arg(&web))?;
    wait_until("there are segments", Duration::from_secs(30), async || {
        std::fs::read_to_string(&list).is_ok_and(|list| list.matches(".ts").count() >= 3)
    })
    .await?;
    let url = format!("http://{address}/live.m3u8");
    world
        .add_source("yard", pb::camera::Source::Url(pb::UrlSource { url, ..pb::UrlSource::default() }))
        .await?;
    let begun = Instant::now();
    let viewer = Viewer::join(&world.relay, "yard", Wants::Video).await?;
    let first = viewer.picture_after("the first picture", begun).await?;
    report(&format!("first picture of an HLS playlist after {:?}", first.at - begun));
    wait_until("pictures", Duration::from_mins(1), async || viewer.seen().pictures.len() > 150).await?;
    let tracks = world.status("yard").await?.tracks;
    assert!(tracks.iter().all(|track| !track.transcoded && track.codec == "H264"), "{tracks:?}");
    let seen = viewer.end()?;
    assert_eq!(seen.torn, 0);
    assert!(seen.pictures.is_sorted_by_key(|picture| picture.timestamp), "time never goes back");
    let rate = f64::from(u32::try_from(seen.pictures.len())?)
        / seen.pictures.last().map_or(1.0, |last| (last.at - first.at).as_secs_f64());
    report(&format!("{rate:.1} pictures a second of 25"));
    assert!((15.0..40.0).contains(&rate), "segments come at once, pictures in their own time");
    Ok(())
}

#[tokio::test]
async fn jpeg_over_http_becomes_h264() -> TestResult {
    let world = World::start().await?;
    let address = free_address();
    let url = format!("http://{address}/video");
    // One connection, as long as the camera is captured. Where it does not listen yet, the camera is tried again.
    let mjpeg =
        "-c:v mjpeg -q:v 5 -f mpjpeg -content_type multipart/x-mixed-replace;boundary=ffmpeg -listen 1";
    let _ffmpeg = Running::start(ffmpeg(mjpeg).arg(&url))?;
    world
        .add_source("shed", pb::camera::Source::Mjpeg(pb::MjpegSource { url, ..pb::MjpegSource::default() }))
        .await?;
    let begun = Instant::now();
    let viewer = Viewer::join(&world.relay, "shed", Wants::Video).await?;
    let first = viewer.picture_after("the first picture", begun).await?;
    report(&format!("first picture of MJPEG over HTTP after {:?}", first.at - begun));
    wait_until("pictures", Duration::from_mins(1), async || viewer.seen().pictures.len() > 50).await?;
    let tracks = world.status("shed").await?.tracks;
    assert!(matches!(&tracks[..], [track] if track.codec == "H264" && track.width == 320), "{tracks:?}");
    assert!(viewer.end()?.pictures.is_sorted_by_key(|picture| picture.timestamp), "time never goes back");
    Ok(())
}

#[tokio::test]
async fn addresses_outside_of_the_allowed_networks_are_refused_in_words() -> TestResult {
    let folder = tempfile::tempdir()?;
    let keys = Keys::create(folder.path())?;
    let relay = Relay::start(folder.path(), "relay", &keys, open_settings()).await?;
    let world = World { relay, keys, folder };
    for (name, host) in [("loop", "127.0.0.1:6379"), ("meta", "169.254.169.254"), ("lan", "192.168.1.9")] {
        let url = format!("rtsp://{host}/live");
        let source = pb::camera::Source::Rtsp(pb::RtspSource { url, ..pb::RtspSource::default() });
        world.add_source(name, source).await?;
        let snapshot = world.relay.ask("GET", &format!("/snapshot/{name}.jpg"), &[], "").await?;
        assert_eq!(snapshot.status, 409, "{}", snapshot.body);
        let status = world.status(name).await?;
        report(&format!("{host}: {} ({})", status.detail, status.reason));
        assert_eq!(status.reason, "FORBIDDEN");
        assert!(status.detail.contains("cameras.egress.allow"), "{}", status.detail);
    }
    Ok(())
}
