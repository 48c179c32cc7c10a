//! camera-relay as a real process, what its HTTP port is asked, and viewers on another stack.

use crate::gateway::Settings;
use anyhow::{Context, Result, ensure};
use patchbay_proto::camera::v1::{self as pb, cameras_client::CamerasClient};
use patchbay_testkit::{
    binaries::workspace,
    http::Answer,
    keys::Keys,
    ports::free_address,
    process::{Launch, Process},
    webrtc::{ForeignPeer, Wants},
};
use serde_json::Value;
use std::{
    net::{IpAddr, Ipv4Addr, SocketAddr},
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::timeout,
};
use tonic::{
    Request,
    metadata::MetadataValue,
    service::{Interceptor, interceptor::InterceptedService},
    transport::{Channel, Endpoint},
};

/// Longest wait for what should take far less than a second on a machine that is busy with other tests.
pub const SOON: Duration = Duration::from_secs(20);

/// Where viewers of these tests are.
pub const HERE: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

/// What somebody may do who looks after the cameras.
pub const OPERATOR: [&str; 3] = ["media:read:*", "media:view:*", "media:write:*"];

/// The type of an offer.
pub const SDP: (&str, &str) = ("content-type", "application/sdp");

/// A relay that guests may look at, and that stops quickly.
pub fn open_settings() -> Settings {
    Settings::default()
        .set("auth.guest.enabled", "true")
        .set("auth.guest.scopes", r#"["media:view:*", "media:read:*"]"#)
        .set("drain.delay", "0s")
        .set("drain.spread", "0s")
        .set("drain.deadline", "5s")
        .set("log.format", "json")
        .set("limits.offers_per_second", &1000)
        .set("limits.offers_burst", &10_000)
}

/// A running replica.
pub struct Relay {
    /// Its name in logs.
    pub name: String,
    /// The process.
    pub process: Process,
    /// Pages, WHEP, REST.
    pub http: SocketAddr,
    /// gRPC.
    pub grpc: SocketAddr,
    /// Operations.
    pub ops: SocketAddr,
    /// UDP and TCP of all viewers.
    pub media: SocketAddr,
    folder: PathBuf,
    settings: Settings,
}

impl Relay {
    /// Starts one on free ports and waits until it is ready.
    pub async fn start(folder: &Path, name: &str, keys: &Keys, settings: Settings) -> Result<Self> {
        let [http, grpc, ops, media] = [(); 4].map(|()| free_address());
        let settings = settings
            .set("listen.http", &http)
            .set("grpc.listen", &grpc)
            .set("ops.listen", &ops)
            .set("media.udp", &media)
            .set("media.tcp", &media)
            .set("auth.jwks_file", &keys.jwks().display());
        let process = launch(folder, name, &settings, ops).await?;
        Ok(Self {
            name: name.to_owned(),
            process,
            http,
            grpc,
            ops,
            media,
            folder: folder.to_owned(),
            settings,
        })
    }

    /// Starts it again, on the same ports, after its process has ended.
    pub async fn restart(&mut self) -> Result<()> {
        self.process = launch(&self.folder, &self.name, &self.settings, self.ops).await?;
        Ok(())
    }

    /// A gRPC connection whose calls carry a token.
    pub fn client(&self, token: &str) -> Result<Client> {
        let endpoint = Endpoint::from_shared(format!("http://{}", self.grpc))?.timeout(SOON);
        let header = MetadataValue::try_from(format!("Bearer {token}"))?;
        Ok(CamerasClient::with_interceptor(endpoint.connect_lazy(), Bearer(header)))
    }

    /// A request to the HTTP port.
    pub async fn ask(
        &self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: &str,
    ) -> Result<Answer> {
        let answer = timeout(SOON, exchange(self.http, method, path, headers, body)).await;
        answer.with_context(|| format!("{method} {path}: no answer in time"))?
    }

    /// The same with a token, in JSON.
    pub async fn rest(&self, token: &str, method: &str, path: &str, body: &Value) -> Result<(u16, Value)> {
        let bearer = format!("Bearer {token}");
        let headers = [("authorization", bearer.as_str()), ("content-type", "application/json")];
        let body = if body.is_null() { String::new() } else { body.to_string() };
        let answer = self.ask(method, path, &headers, &body).await?;
        let value = serde_json::from_str(&answer.body).with_context(|| answer.body.clone())?;
        Ok((answer.status, value))
    }

    /// Posts an offer.
    pub async fn offer(&self, camera: &str, offer: &str) -> Result<Answer> {
        self.ask("POST", &format!("/whep/{camera}"), &[SDP], offer).await
    }

    /// A viewer that has its answer, and the path of its session. Somebody has to drive it.
    pub async fn viewer(&self, camera: &str, wants: Wants) -> Result<(ForeignPeer, String)> {
        let (mut peer, offer) = ForeignPeer::offer(HERE, wants)?;
        let answer = self.offer(camera, &offer).await?;
        ensure!(answer.status == 201, "the offer was answered {}: {}", answer.status, answer.body);
        peer.accept(&answer.body)?;
        let session = header(&answer, "location").context("no location")?;
        Ok((peer, session.to_owned()))
    }
}

/// Calls that carry a token.
pub type Client = CamerasClient<InterceptedService<Channel, Bearer>>;

/// Puts a token on every call.
#[derive(Clone)]
pub struct Bearer(MetadataValue<tonic::metadata::Ascii>);

impl Interceptor for Bearer {
    fn call(&mut self, mut request: Request<()>) -> Result<Request<()>, tonic::Status> {
        request.metadata_mut().insert("authorization", self.0.clone());
        Ok(request)
    }
}

/// Value of a header, by its name in small letters.
pub fn header<'a>(answer: &'a Answer, name: &str) -> Option<&'a str> {
    let lines = answer.head.lines().skip(1).filter_map(|line| line.split_once(':'));
    lines.into_iter().find(|(found, _)| found.eq_ignore_ascii_case(name)).map(|(_, value)| value.trim())
}

/// A test camera, as one is added.
pub fn test_camera(name: &str) -> pb::Camera {
    let source = pb::camera::Source::Test(pb::TestSource::default());
    pb::Camera { name: name.to_owned(), source: Some(source), ..pb::Camera::default() }
}

/// A camera that plays a file.
pub fn file_camera(name: &str, path: &str) -> pb::Camera {
    let source = pb::camera::Source::File(pb::FileSource { path: path.to_owned() });
    pb::Camera { name: name.to_owned(), source: Some(source), ..pb::Camera::default() }
}

/// Makes a media file with the command `ffmpeg`: moving pictures and a tone.
pub fn make_file(path: &Path, arguments: &[&str]) -> Result<()> {
    let mut command = Command::new("ffmpeg");
    command.args([
        "-hide_banner",
        "-loglevel",
        "error",
        "-nostdin",
        "-y",
        "-f",
        "lavfi",
        "-i",
        "testsrc2=size=640x360:rate=25",
    ]);
    command.args(["-f", "lavfi", "-i", "sine=frequency=440:sample_rate=48000"]).args(arguments).arg(path);
    let output = command.output().context("cannot start ffmpeg; scripts/test installs it")?;
    ensure!(output.status.success(), "ffmpeg: {}", String::from_utf8_lossy(&output.stderr));
    Ok(())
}

/// The Python with packages for the tests: that of `scripts/test`, else that of the system; none where neither can import the module.
pub fn python_with(module: &str) -> Option<PathBuf> {
    let candidates = [workspace().join("target/tools/venv/bin/python"), PathBuf::from("python3")];
    let import = format!("import {module}");
    candidates.into_iter().find(|python| {
        Command::new(python).args(["-c", &import]).output().is_ok_and(|output| output.status.success())
    })
}

async fn launch(folder: &Path, name: &str, settings: &Settings, ops: SocketAddr) -> Result<Process> {
    let launch = Launch::binary("camera-relay", name, folder)?;
    settings.apply(launch).start_ready(ops).await
}

/// A request to any HTTP port; the connection is closed after it.
pub async fn exchange(
    address: SocketAddr,
    method: &str,
    path: &str,
    headers: &[(&str, &str)],
    body: &str,
) -> Result<Answer> {
    let mut stream = TcpStream::connect(address).await?;
    let length = body.len();
    let mut request = format!(
        "{method} {path} HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\ncontent-length: {length}\r\n"
    );
    for (name, value) in headers {
        request.extend([*name, ": ", *value, "\r\n"]);
    }
    request.extend(["\r\n", body]);
    // A server may answer, and close, before it has read everything.
    drop(stream.write_all(request.as_bytes()).await);
    let mut bytes = Vec::new();
    stream.read_to_end(&mut bytes).await?;
    let text = String::from_utf8_lossy(&bytes);
    let (head, body) = text.split_once("\r\n\r\n").context("the answer has no head")?;
    let status =
        head.split(' ').nth(1).and_then(|code| code.parse().ok()).context("the answer has no status")?;
    Ok(Answer { status, head: head.to_owned(), body: body.to_owned() })
}
