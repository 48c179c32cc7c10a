//! What the suite sees before its cameras, and tells: motions with their pictures, masks, the clock, and cameras that go and come.

use anyhow::{Context, Result, ensure};
use base64::{Engine, prelude::BASE64_STANDARD};
use integration_tests::{
    camera::{self, OPERATOR, Relay, exchange, open_settings},
    gateway::Settings,
    report::report,
    verdict::TestResult,
};
use patchbay_auth::{KeyOwner, Signer};
use patchbay_backplane::{BackplaneConfig, Cursor, Name, SharedBackplane};
use patchbay_testkit::{
    binaries::binary,
    keys::Keys,
    ports::free_address,
    process::{Launch, Process},
    redis::{Persistence, RedisServer},
    rtsp::gstreamer::GstCamera,
    wait::{wait_for, wait_until},
};
use serde_json::{Value, json};
use std::{
    collections::BTreeSet,
    io::Write,
    net::SocketAddr,
    path::Path,
    process::{Command, Stdio},
    time::Duration,
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

/// Until something that moves again and again was seen: the time in which the picture is learned, a round of what moves, and three times that.
const SEEN: Duration = Duration::from_mins(1);

/// How long a lease holds on a camera, the time in which the other learns the picture, and three times that.
const TAKEN_OVER: Duration = Duration::from_mins(2);

/// Light of the background of the clip.
const GREY: u8 = 112;

/// Writes a clip of 16 s: a grey yard with noise, in which a white box crosses the middle for two of each eight seconds, and another one moves all the time in the lower right corner, which
/// is white otherwise.
fn yard(path: &Path) -> Result<()> {
    film(
        path,
        "[0][1]overlay=x='if(between(mod(t,8),3,5),(mod(t,8)-3)*360-80,-200)':y=120[a];[a][2]overlay=x=500+30*sin(4*t):y=270",
    )
}

/// A clip in which a box never stops.
fn busy_yard(path: &Path) -> Result<()> {
    film(path, "[0][1]overlay=x=280+250*sin(1.6*t):y=120[a];[a][2]overlay=x=500:y=270")
}

fn film(path: &Path, moves: &str) -> Result<()> {
    let ground = "color=c=0x707070:size=640x360:rate=25,drawbox=x=460:y=240:w=180:h=120:color=white:t=fill,noise=alls=5:allf=t";
    let mut command = Command::new("ffmpeg");
    command.args(["-hide_banner", "-loglevel", "error", "-nostdin", "-y", "-f", "lavfi", "-i", ground]);
    for thing in ["color=c=white:size=80x90:rate=25", "color=c=black:size=40x50:rate=25"] {
        command.args(["-f", "lavfi", "-i", thing]);
    }
    command.args(["-filter_complex", moves, "-t", "16", "-c:v", "libx264", "-preset", "veryfast"]);
    command.args(["-bf", "0", "-g", "50", "-pix_fmt", "yuv420p"]).arg(path);
    let output = command.output().context("cannot start ffmpeg; scripts/test installs it")?;
    ensure!(output.status.success(), "ffmpeg: {}", String::from_utf8_lossy(&output.stderr));
    Ok(())
}

/// A camera with all that can be asked for: the corner in which it moves all the time is masked.
fn watched(name: &str) -> Value {
    let corners = |left: f64, top: f64, right: f64, bottom: f64| json!([{"x": left, "y": top}, {"x": right, "y": top}, {"x": right, "y": bottom}, {"x": left, "y": bottom}]);
    json!({ "camera": {
        "name": name,
        "file": { "path": "yard.mp4" },
        "processing": {
            "overlay": { "time_zone": "Europe/Berlin", "title": name },
            "height": 180,
            "masks": [{ "points": corners(0.7, 0.6, 1.0, 1.0) }],
        },
        "motion": {
            "zones": [
                { "name": "path", "points": corners(0.0, 0.2, 1.0, 0.6) },
                { "name": "corner", "points": corners(0.7, 0.65, 1.0, 1.0), "sensitivity": 90 },
            ],
            "hold": "1s",
        },
    }})
}

/// What was told, by the stream of events of the suite.
struct Told {
    backplane: SharedBackplane,
    _stop: tokio_util::sync::DropGuard,
}

impl Told {
    async fn on(redis: &RedisServer) -> Result<Self> {
        let stop = CancellationToken::new();
        let config = BackplaneConfig { url: Some(redis.url()), ..BackplaneConfig::default() };
        let backplane = patchbay_backplane::connect(config, TaskTracker::new(), stop.clone()).await?;
        Ok(Self { backplane, _stop: stop.drop_guard() })
    }

    /// All events of a type, oldest first.
    async fn events(&self, kind: &str) -> Result<Vec<Value>> {
        let stream = Name::new("events", "stream", "suite");
        let page = self.backplane.read(&stream, Cursor::After(0), 1000).await?;
        let all = page.entries.iter().map(|entry| Ok(serde_json::from_slice::<Value>(&entry.payload)?));
        let all = all.collect::<Result<Vec<_>>>()?;
        Ok(all.into_iter().filter(|event| event["type"] == kind).collect())
    }

    /// Waits for so many.
    async fn wait(&self, kind: &str, count: usize, patience: Duration) -> Result<(Vec<Value>, Duration)> {
        wait_for(&format!("{count} of {kind}"), patience, async || {
            self.events(kind).await.ok().filter(|events| events.len() >= count)
        })
        .await
    }

    /// Whether it is known how a camera is, so that a change would be told.
    async fn knows(&self, camera: &str) -> bool {
        let table = Name::new("camera", "announced", "store");
        let rows = self.backplane.records(&table, vec![camera.to_owned()]).await;
        rows.is_ok_and(|rows| rows.into_iter().flatten().count() == 1)
    }
}

/// Width and height of a JPEG, from its frame header (ISO/IEC 10918-1, B.2.2).
fn jpeg_size(jpeg: &[u8]) -> Result<(u16, u16)> {
    let header = jpeg.windows(9).find(|bytes| matches!(bytes, [0xff, 0xc0..=0xc2, _, 17, 8, ..]));
    let [.., high, low, wide, narrow] = header.context("no frame header")? else { unreachable!() };
    Ok((u16::from_be_bytes([*wide, *narrow]), u16::from_be_bytes([*high, *low])))
}

/// The light of a JPEG, as another decoder sees it.
struct Light {
    width: usize,
    pixels: Vec<u8>,
}

impl Light {
    fn of(jpeg: &[u8]) -> Result<Self> {
        let mut decoder = Command::new("ffmpeg")
            .args(["-loglevel", "error", "-f", "mjpeg", "-i", "-", "-f", "rawvideo", "-pix_fmt", "gray", "-"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()?;
        decoder.stdin.take().context("no input")?.write_all(jpeg)?;
        let pixels = decoder.wait_with_output()?.stdout;
        let (width, height) = jpeg_size(jpeg)?;
        let width = usize::from(width);
        ensure!(pixels.len() == width * usize::from(height), "{} bytes are no picture", pixels.len());
        Ok(Self { width, pixels })
    }

    /// The brightest of what `watched` has masked.
    fn masked(&self) -> u8 {
        self.range([0.72, 0.98], [0.63, 0.98]).1
    }

    /// Least and greatest light within parts of width and height.
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "parts of a small picture")]
    fn range(&self, across: [f64; 2], down: [f64; 2]) -> (u8, u8) {
        let place =
            |part: f64, length: usize| (part * f64::from(u32::try_from(length).unwrap_or(0))) as usize;
        let height = self.pixels.len() / self.width;
        let rows = self.pixels.chunks(self.width).take(place(down[1], height)).skip(place(down[0], height));
        let [from, to] = across.map(|part| place(part, self.width));
        rows.flat_map(|row| &row[from..to])
            .fold((u8::MAX, 0), |(least, most), light| (least.min(*light), most.max(*light)))
    }
}

/// Asks with a token, in JSON.
async fn rest(http: SocketAddr, token: &str, method: &str, path: &str, body: &Value) -> Result<Value> {
    let bearer = format!("Bearer {token}");
    let headers = [("authorization", bearer.as_str()), ("content-type", "application/json")];
    let body = if body.is_null() { String::new() } else { body.to_string() };
    let answer = exchange(http, method, path, &headers, &body).await?;
    ensure!(answer.status == 200, "{method} {path}: {} {}", answer.status, answer.body);
    Ok(serde_json::from_str(&answer.body)?)
}

async fn jpeg(http: SocketAddr, token: &str, path: &str) -> Result<Vec<u8>> {
    let answer = rest(http, token, "GET", path, &Value::Null).await?;
    Ok(BASE64_STANDARD.decode(answer["jpeg"].as_str().context("no picture")?)?)
}

fn motions(listed: &Value) -> &[Value] {
    listed["motions"].as_array().map(Vec::as_slice).unwrap_or_default()
}

/// The whole suite in one process, with a clip that a camera can be made of.
struct Suite {
    http: SocketAddr,
    token: String,
    told: Told,
    _process: Process,
    _redis: RedisServer,
}

/// Listeners that no test asks: anywhere.
const LISTENERS: [&str; 9] = [
    "CHAT_GATEWAY__LISTEN__HTTP",
    "CHAT_GATEWAY__GRPC__LISTEN",
    "CONSOLE__HTTP__LISTEN",
    "CONSOLE__GRPC__LISTEN",
    "CAMERA_RELAY__GRPC__LISTEN",
    "CAMERA_RELAY__MEDIA__UDP",
    "CAMERA_RELAY__MEDIA__TCP",
    "CRYPTO_SERVICE__LISTEN__HTTP",
    "CRYPTO_SERVICE__GRPC__LISTEN",
];

impl Suite {
    async fn start(folder: &Path) -> Result<Self> {
        let redis = RedisServer::start(Persistence::Always).await?;
        let data = folder.join("data");
        std::fs::create_dir_all(data.join("media"))?;
        yard(&data.join("media/yard.mp4"))?;
        let (ops, http) = (free_address(), free_address());
        let launch = Launch::binary("patchbay", "patchbay", folder)?;
        let launch = ["run", "--services", "all", "--dev"].into_iter().fold(launch, Launch::arg);
        let launch = launch
            .env("PATCHBAY_DATA__DIR", &data)
            .env("PATCHBAY_BACKPLANE__URL", redis.url())
            .env("PATCHBAY_OPS__LISTEN", ops.to_string())
            .env("PATCHBAY_CAMERA_RELAY__LISTEN__HTTP", http.to_string());
        let launch = LISTENERS
            .into_iter()
            .fold(launch, |launch, key| launch.env(format!("PATCHBAY_{key}"), free_address().to_string()));
        let process = launch.start_ready(ops).await?;
        let (token, told) = (token(&data)?, Told::on(&redis).await?);
        Ok(Self { http, token, told, _process: process, _redis: redis })
    }

    async fn get(&self, path: &str) -> Result<Value> {
        rest(self.http, &self.token, "GET", path, &Value::Null).await
    }

    async fn picture(&self, path: &str) -> Result<Vec<u8>> {
        jpeg(self.http, &self.token, path).await
    }

    /// The event of a motion names its zone, and has a picture: of the camera's own size, of what moved, and without what is masked.
    async fn check_motion(&self, event: &Value) -> Result<()> {
        let zones = &event["data"]["zones"];
        assert_eq!((&event["subject"], zones), (&json!("yard"), &json!(["path"])), "{event}");
        let score = event["data"]["score"].as_f64();
        assert!(score.is_some_and(|score| (0.3..=1.0).contains(&score)), "{event}");
        let picture = self.picture(event["data"]["picture"].as_str().context("no picture")?).await?;
        assert_eq!(jpeg_size(&picture)?, (640, 360), "as the camera gives it");
        let light = Light::of(&picture)?;
        assert!(light.masked() < 40, "what is masked is black in the picture of a motion");
        assert!(light.range([0.0, 1.0], [0.3, 0.6]).1 > 200, "what moved is in the picture");
        Ok(())
    }
}

/// A snapshot is as small as was asked for, has the clock, and nothing of what is masked.
fn check_snapshot(snapshot: &[u8]) -> Result<()> {
    assert_eq!(jpeg_size(snapshot)?, (320, 180));
    let light = Light::of(snapshot)?;
    assert!(light.masked() < 40, "what is masked is black in a snapshot");
    let (dark, bright) = light.range([0.0, 0.4], [0.0, 0.1]);
    assert!(dark < 60 && bright > 190, "the clock is white on dark: {dark} to {bright}");
    let (dark, bright) = light.range([0.1, 0.6], [0.75, 0.95]);
    assert!(dark > GREY - 40 && bright < GREY + 40, "the ground is as it was: {dark} to {bright}");
    Ok(())
}

#[tokio::test]
async fn the_all_in_one_tells_of_motion_and_shows_no_more_than_it_may() -> TestResult {
    let folder = tempfile::tempdir()?;
    let suite = Suite::start(folder.path()).await?;
    rest(suite.http, &suite.token, "POST", "/v1/cameras", &watched("yard")).await?;
    let (events, took) = suite.told.wait("camera.motion", 2, SEEN).await?;
    report(&format!("two motions were told {took:?} after the camera was added"));
    for event in &events {
        suite.check_motion(event).await?;
    }
    check_snapshot(&suite.picture("/v1/cameras/yard/snapshot").await?)?;

    let listed = suite.get("/v1/cameras/yard/motion").await?;
    let ids: Vec<_> = motions(&listed).iter().rev().map(|motion| motion["id"].clone()).collect();
    let events = suite.told.events("camera.motion").await?;
    let told_of: Vec<_> = events.iter().map(|event| event["data"]["id"].clone()).collect();
    assert!(told_of.starts_with(&ids) || ids.starts_with(&told_of), "{ids:?} and {told_of:?}");
    let first = motions(&listed).last().context("no motion")?;
    assert!(first["ended"].is_string(), "a box that is gone has ended: {first}");
    Ok(())
}

/// Runs `patchbay token create` as an operator would.
fn token(data: &Path) -> Result<String> {
    let mut command = Command::new(binary("patchbay")?);
    command.args(["token", "create", "--sub", "ada", "--data"]).arg(data);
    for scope in OPERATOR {
        command.args(["--scope", scope]);
    }
    let output = command.output()?;
    ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    Ok(String::from_utf8(output.stdout)?.lines().last().context("no output")?.to_owned())
}

/// Two replicas on one Redis, which know each other.
struct Pair {
    replicas: Vec<Relay>,
    told: Told,
    token: String,
    _redis: RedisServer,
    _folder: tempfile::TempDir,
}

impl Pair {
    async fn start(settings: Settings) -> Result<Self> {
        let folder = tempfile::tempdir()?;
        let keys = Keys::create(folder.path())?;
        let identity = folder.path().join("service.pem");
        let signer = Signer::load_or_generate(&identity, KeyOwner::Service("camera-relay".to_owned()))?;
        let mut jwks = keys.signer().jwks();
        jwks.merge(signer.jwks().allowing(&["media:relay:camera/*".parse()?]));
        jwks.write(keys.jwks())?;
        let media = folder.path().join("media");
        std::fs::create_dir(&media)?;
        busy_yard(&media.join("yard.mp4"))?;
        let redis = RedisServer::start(Persistence::Always).await?;
        let settings = settings
            .set("backplane.url", &redis.url())
            .set("auth.service_key_file", &identity.display())
            .set("cameras.media_folder", &media.display());
        let mut replicas = Vec::new();
        for name in ["one", "two"] {
            replicas.push(Relay::start(folder.path(), name, &keys, settings.clone()).await?);
        }
        let (told, token) = (Told::on(&redis).await?, keys.token("operator", &OPERATOR)?);
        Ok(Self { replicas, told, token, _redis: redis, _folder: folder })
    }

    async fn ask(&self, replica: usize, path: &str) -> Result<Value> {
        rest(self.replicas[replica].http, &self.token, "GET", path, &Value::Null).await
    }

    /// The replica that captures.
    async fn owner(&self) -> Result<usize> {
        let what = "somebody captures the camera";
        let (owner, _) = wait_for(what, camera::SOON, async || {
            for replica in 0..self.replicas.len() {
                let text =
                    patchbay_testkit::http::get(self.replicas[replica].ops, "/metrics", &[]).await.ok()?;
                let line =
                    text.body.lines().find(|line| line.starts_with("patchbay_camera_relay_captures "))?;
                // The test camera is not captured: nobody looks.
                if line.ends_with(" 1") {
                    return Some(replica);
                }
            }
            None
        })
        .await?;
        Ok(owner)
    }
}

#[tokio::test]
async fn a_replica_that_is_killed_in_the_middle_of_a_motion_loses_nothing_that_was_told() -> TestResult {
    let mut pair = Pair::start(open_settings()).await?;
    let camera = json!({ "camera": { "name": "yard", "file": { "path": "yard.mp4" }, "motion": {} } });
    rest(pair.replicas[0].http, &pair.token, "POST", "/v1/cameras", &camera).await?;
    let (events, took) = pair.told.wait("camera.motion", 1, SEEN).await?;
    report(&format!("a motion was told after {took:?}"));
    let first = events[0]["data"]["id"].as_str().context("no id")?.to_owned();
    let owner = pair.owner().await?;
    let other = 1 - owner;
    for replica in [owner, other] {
        let listed = pair.ask(replica, "/v1/cameras/yard/motion").await?;
        let [motion] = motions(&listed) else { panic!("{listed}") };
        assert_eq!(
            (&motion["id"], motion.get("ended")),
            (&json!(first), None),
            "it goes on, for all: {motion}"
        );
        let moving = async || {
            let shown = pair.ask(replica, "/v1/cameras/yard").await;
            shown.is_ok_and(|shown| shown["camera"]["status"]["motion"] == true)
        };
        wait_until("its status says so", camera::SOON, moving).await?;
    }

    pair.replicas[owner].process.kill()?;
    let (_, took) = pair.told.wait("camera.motion", 2, TAKEN_OVER).await?;
    report(&format!("the other replica told of a motion {took:?} after kill -9 of the one that captured"));
    let listed = pair.ask(other, "/v1/cameras/yard/motion").await?;
    let [second, before] = motions(&listed) else { panic!("{listed}") };
    assert_eq!(before["id"], json!(first));
    assert!(before["ended"].is_string(), "it ended with its last sign of life: {before}");
    assert!(before["ended"].as_str() >= before["began"].as_str(), "{before}");
    assert!(before["ended"].as_str() < second["began"].as_str(), "{before} {second}");
    let path = format!("/v1/cameras/yard/motion/{first}/picture");
    let picture = jpeg(pair.replicas[other].http, &pair.token, &path).await?;
    assert_eq!(jpeg_size(&picture)?, (640, 360), "its picture is there");

    // Again by the one that comes back, which must tell nothing that was told.
    pair.replicas[owner].restart().await?;
    let listed = pair.ask(owner, "/v1/cameras/yard/motion").await?;
    let events = pair.told.events("camera.motion").await?;
    let ids: BTreeSet<_> = events.iter().map(|event| event["id"].to_string()).collect();
    assert_eq!((ids.len(), events.len()), (motions(&listed).len(), 2), "{events:?}");
    assert_eq!(
        pair.told.events("camera.offline").await?,
        Vec::<Value>::new(),
        "a camera that is taken over is not away"
    );
    Ok(())
}

#[tokio::test]
async fn a_camera_that_goes_and_comes_is_told_of_once_each() -> TestResult {
    let folder = tempfile::tempdir()?;
    let settings = open_settings()
        .set("cameras.egress.allow", r#"["127.0.0.0/8"]"#)
        .set("cameras.capture.stall_timeout", "2s")
        .set("announce.after", "2s");
    let pair = Pair::start(settings).await?;
    let mut source = GstCamera::start(folder.path(), &[]).await?;
    let (address, port) = (source.address(), source.address().port().to_string());
    let url = format!("rtsp://{address}/live");
    let door = json!({ "camera": { "name": "door", "rtsp": { "url": url }, "always_on": true } });
    rest(pair.replicas[0].http, &pair.token, "POST", "/v1/cameras", &door).await?;
    let took =
        wait_until("the camera is known to be there", camera::SOON, || pair.told.knows("door")).await?;
    report(&format!("a camera was taken for steady {took:?} after it was added"));
    assert_eq!(pair.told.events("camera.online").await?, Vec::<Value>::new(), "that it is there is no news");

    source.process().kill()?;
    let (offline, took) = pair.told.wait("camera.offline", 1, camera::SOON).await?;
    report(&format!("camera.offline {took:?} after kill -9 of the camera: {}", offline[0]["data"]));
    assert_eq!(offline[0]["subject"], "door");
    let reason = &offline[0]["data"]["reason"];
    assert!(reason.as_str().is_some_and(|reason| !reason.is_empty()), "{offline:?}");

    let _source = GstCamera::start(folder.path(), &["--port", &port]).await?;
    let (online, took) = pair.told.wait("camera.online", 1, SEEN).await?;
    report(&format!("camera.online {took:?} after the camera was back: {}", online[0]["data"]));
    let counts =
        [pair.told.events("camera.offline").await?.len(), pair.told.events("camera.online").await?.len()];
    assert_eq!(counts, [1, 1]);
    Ok(())
}
